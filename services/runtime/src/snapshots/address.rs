//! Where snapshots are kept, as the configuration names it: a folder, or a bucket and what its objects' names begin with.

use std::fmt;
use std::path::PathBuf;

/// What the address of a bucket begins with.
const SCHEME: &str = "s3://";
/// Letters of a prefix: S3 takes names of 1,024 bytes, and the snapshot's own stands behind it.
const PREFIX_LETTERS_MAX: usize = 512;

/// A place for snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3, or of a store that speaks as S3 does.
    Bucket {
        /// Its name.
        bucket: String,
        /// What the names of all objects begin with, without slashes at its ends; empty: nothing.
        prefix: String,
    },
}

// === impl StoreAddress ===

impl StoreAddress {
    /// A path, or `s3://bucket/prefix`. Any other URL is none: a folder of such a name is not meant. Nor is a URL with a user,
    /// a query or a port: credentials and endpoint are the environment's.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return (!text.contains("://")).then(|| Self::Folder(PathBuf::from(text)));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let taken = is_bucket(bucket) && is_prefix(prefix);
        taken.then(|| Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "{SCHEME}{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "{SCHEME}{bucket}/{prefix}"),
        }
    }
}

/// As S3 names general purpose buckets: 3 to 63 lower-case letters, digits, dots and hyphens, the ends a letter or digit.
fn is_bucket(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|letter| plain(letter) || ".-".contains(letter))
        && name.starts_with(plain)
        && name.ends_with(plain)
        && !name.contains("..")
}

/// Letters that no store, shell or console writes otherwise than they are.
fn is_prefix(prefix: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-=".contains(letter);
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(legal);
    prefix.is_empty() || (prefix.len() <= PREFIX_LETTERS_MAX && prefix.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_folder_or_a_bucket_and_says_itself_again() {
        for text in ["./data/snapshots", "/var/lib/reeve", "s3://reeve-snapshots", "s3://reeve.eu/prod/rooms_1"] {
            let address = StoreAddress::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(matches!(address, StoreAddress::Bucket { .. }), text.starts_with("s3:"), "{text}");
            assert_eq!(address.to_string(), text);
        }
        let bucket = |prefix: &str| Some(StoreAddress::Bucket { bucket: "reeve".to_owned(), prefix: prefix.to_owned() });
        assert_eq!(StoreAddress::parse("s3://reeve/"), bucket(""));
        assert_eq!(StoreAddress::parse("s3://reeve/a/b/"), bucket("a/b"));
    }

    #[test]
    fn a_url_that_names_no_bucket_is_no_address() {
        for refused in [
            "s3://",
            "s3:///prefix",
            "s3://ab",
            "s3://Reeve",
            "s3://-reeve",
            "s3://reeve..eu",
            "s3://key:secret@reeve/a",
            "s3://reeve:9000/a",
            "s3://reeve//a",
            "s3://reeve/a//b",
            "s3://reeve/../b",
            "s3://reeve/a?region=b",
            "s3://reeve/a b",
            "gs://reeve/a",
            "https://reeve.s3.amazonaws.com",
            "file:///var/lib/reeve",
        ] {
            assert_eq!(StoreAddress::parse(refused), None, "{refused}");
        }
        assert_eq!(StoreAddress::parse(&format!("s3://reeve/{}", "a".repeat(513))), None);
    }
}
