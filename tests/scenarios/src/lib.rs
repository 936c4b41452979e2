//! Stories with golden decisions.
