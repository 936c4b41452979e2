//! End to end, and recorded data.
