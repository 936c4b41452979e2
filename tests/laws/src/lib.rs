//! The eight laws of `machine::laws`, for every deciding room, over generated agent lives.
