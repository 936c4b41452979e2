//! The one table of limits. Whatever is checked at a door is checked against a number of this page.

use crate::record::Event;
use crate::refusal::Refusal;

/// Bytes of a framed value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Decisions in a row before a record may not trigger another one.
pub const HOPS_MAX: u8 = 16;

/// Refuses more than `limit` bytes of `field`.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn check_size(field: &str, limit: usize, found: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    Err(Refusal::TooLarge { field: field.to_owned(), limit: limit as u64, found: found as u64 })
}

/// Everything that is wrong with an event, field by field.
pub fn check(_event: &Event) -> Vec<Refusal> {
    Vec::new()
}
