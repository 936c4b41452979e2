//! The digest of a segment's rows, which any other program can compute again.

use sha2::{Digest as _, Sha256};
use wire::{Partition, StoredRecord};

/// SHA-256 over `reeve-rows-1`, the topic, the partition, and of each row in order: offset, append time in microseconds,
/// key, number of headers, name and value of each header, value.
///
/// Numbers are little-endian: offsets and times have eight bytes, everything else four. A text or a value stands behind
/// its length; a key that is absent has the length `ff ff ff ff`.
#[derive(Clone, Debug)]
pub struct Digest(Sha256);

const DOMAIN: &[u8] = b"reeve-rows-1";
const ABSENT: u32 = u32::MAX;

// === impl Digest ===

impl Digest {
    /// Of no rows yet.
    pub fn new(topic: &str, partition: Partition) -> Self {
        let mut digest = Self(Sha256::new());
        digest.0.update(DOMAIN);
        digest.bytes(topic.as_bytes());
        digest.number(partition.0);
        digest
    }

    /// Adds a row.
    pub fn add(&mut self, record: &StoredRecord) {
        self.0.update(record.offset.0.to_le_bytes());
        self.0.update(record.appended.0.to_le_bytes());
        match &record.raw.key {
            Some(key) => self.bytes(key),
            None => self.number(ABSENT),
        }
        self.number(record.raw.headers.len() as u32);
        for (name, value) in &record.raw.headers {
            self.bytes(name.as_bytes());
            self.bytes(value);
        }
        self.bytes(&record.raw.value);
    }

    /// The digest in hexadecimal.
    pub fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn number(&mut self, number: u32) {
        self.0.update(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u32);
        self.0.update(bytes);
    }
}
