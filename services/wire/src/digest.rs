//! A name in eight bytes, for states that keep many of them.

use sha2::{Digest as _, Sha256};

/// The first eight bytes of SHA-256 over `space` and `text`, the first with its length: a name that is compared and never
/// shown. Of a hundred thousand names in one place two meet with a chance of one in four thousand million; where that is
/// too much, or somebody may look for two that do, [`DedupeKey`](crate::DedupeKey) has sixteen.
///
/// `space` says what is named, so that a session and a tool of one name are two. A name as platforms give them (a UUID, say)
/// fits with it in one block of SHA-256, which is what this costs.
pub fn short_digest(space: &str, text: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update((space.len() as u32).to_be_bytes());
    hash.update(space);
    hash.update(text);
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("eight of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_the_same_of_something_else_and_from_one_that_is_split_elsewhere() {
        let names = [("session", "a"), ("tool", "a"), ("session", "b"), ("sessiona", ""), ("", "sessiona")];
        let digests: std::collections::BTreeSet<u64> = names.iter().map(|(space, text)| short_digest(space, text)).collect();
        assert_eq!(digests.len(), names.len());
    }

    #[test]
    fn a_digest_is_the_same_for_every_build_for_it_is_kept() {
        // printf '\0\0\0\7sessions-1' | sha256sum
        assert_eq!(short_digest("session", "s-1"), 0x9b3f_e146_f5d9_bdd2);
    }
}
