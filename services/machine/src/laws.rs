//! The laws that every machine obeys (DESIGN 1), written once.
