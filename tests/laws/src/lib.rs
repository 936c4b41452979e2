//! The eight laws, for every deciding room.
