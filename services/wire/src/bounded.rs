//! Lists that stop growing while they are read: a value of 1 MiB may claim a million empty texts, which would take
//! twenty times its own size before anybody could count them.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};

use crate::limits::LIST_ITEMS_MAX;

/// Reads a list of texts, at most [`LIST_ITEMS_MAX`] of them.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_seq(Texts)
}

struct Texts;

// === impl Texts ===

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LIST_ITEMS_MAX} texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            if texts.len() == LIST_ITEMS_MAX {
                return Err(A::Error::custom(format_args!("a list has more than {LIST_ITEMS_MAX} items")));
            }
            texts.push(text);
        }
        Ok(texts)
    }
}
