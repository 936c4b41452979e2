//! Takes back, and checks that it took.
