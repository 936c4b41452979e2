//! How hard tests torture: a tenth as a rule, all of it with `REEVE_TORTURE=full`.

/// Names how hard.
const VARIABLE: &str = "REEVE_TORTURE";

/// Whether all of it is asked for.
///
/// # Panics
/// When the variable says anything but `full`: half a wish is a mistake.
pub fn is_full() -> bool {
    match std::env::var_os(VARIABLE) {
        None => false,
        Some(wish) if wish == "full" => true,
        Some(wish) => panic!("{VARIABLE} is {wish:?}; it may be `full`, or not be set"),
    }
}

/// So many of `full`.
pub fn scaled(full: u64) -> u64 {
    if is_full() { full } else { full / 10 }
}
