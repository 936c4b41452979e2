//! What the tests share: builders of facts, generated agent lives, the oracle.
