//! The names of headers that every publisher uses, so that a record that is read needs no allocation for them.

use std::borrow::Cow;

/// Only ever added to, at the end: the stored form of the embedded log counts on their places.
pub(super) const NAMES: &[&str] = &[
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "content-type",
    "ce_time",
    "ce_subject",
    "ce_causationid",
    "ce_hops",
    "ce_tenant",
    "traceparent",
];

/// `name`, without an allocation where every publisher uses it.
pub(super) fn named(name: &str) -> Cow<'static, str> {
    NAMES.iter().find(|known| **known == name).map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}
