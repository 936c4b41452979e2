//! Remembers everything, provably: every record byte for byte, and says what cannot be read.
