//! All chance of a test, from one seed, and how long a test is.

use rand::SeedableRng;
pub use rand::{Rng, RngExt};
pub use rand_chacha::ChaCha8Rng as Dice;

/// The seed that every test begins with; `REEVE_TORTURE_SEED` names another one.
const SEED: u64 = 20_260_101;

/// Chance that is the same at every run.
pub fn dice() -> Dice {
    Dice::seed_from_u64(seed())
}

/// The seed of this run.
pub fn seed() -> u64 {
    let set = std::env::var_os("REEVE_TORTURE_SEED");
    set.map_or(SEED, |text| text.to_str().and_then(|text| text.parse().ok()).expect("REEVE_TORTURE_SEED is a number"))
}

/// Whether this is the whole torture, or the tenth of it that every test run bears.
pub fn is_full() -> bool {
    std::env::var_os("REEVE_TORTURE").is_some_and(|how| how == "full")
}

/// How often, or for how long: the tenth, or the whole.
pub fn tenth_or_whole<T>(tenth: T, whole: T) -> T {
    if is_full() { whole } else { tenth }
}
