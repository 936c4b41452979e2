//! The wire seen from outside: golden records, the evolution of schemas, and hostile bytes.

mod evolution;
mod golden;
mod hostile;
mod sample;
