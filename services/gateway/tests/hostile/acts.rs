//! What an attacker does: requests as bytes, how they are sent, and what must be answered.

/// An attack, and what must become of it.
pub(crate) struct Act {
    pub(crate) parts: Vec<Part>,
    pub(crate) manner: Manner,
}

/// One request of it.
pub(crate) struct Part {
    pub(crate) bytes: Vec<u8>,
    /// Spaces that are sent after them.
    pub(crate) spaces: usize,
    /// One of these codes; 0 for an end without an answer.
    pub(crate) codes: Vec<u16>,
    /// How many events are new and repeated, where it is answered with 202.
    pub(crate) receipt: Option<(u64, u64)>,
    /// What stands on the log once it is answered with 202: source, id, copies.
    pub(crate) adds: Vec<(String, String, usize)>,
    /// Whether the answer has no body by its nature.
    pub(crate) has_no_body: bool,
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All parts in one go, answers read after.
    AtOnce,
    /// The same on a connection of its own, which ends with it.
    Alone,
    /// Cut anywhere, piece by piece.
    InPieces,
    /// At once, and then nothing more comes.
    ThenFinished,
    /// Half of it, and then nothing for a long time.
    Slowly,
    /// Half of it, then hung up.
    HalfThenGone,
    /// All of it, then hung up without waiting for the answer.
    ThenGone,
    /// The head of the answer is heard, then hung up.
    Abandoned,
    /// By so many at the same time, each on a connection of his own.
    Chorus(usize),
}

// === impl Act ===

impl Act {
    pub(crate) fn of(parts: Vec<Part>) -> Self {
        Self { parts, manner: Manner::AtOnce }
    }

    pub(crate) fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }
}

impl From<Part> for Act {
    fn from(part: Part) -> Self {
        Self::of(vec![part])
    }
}

// === impl Part ===

impl Part {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>, codes: &[u16]) -> Self {
        Self { bytes: bytes.into(), spaces: 0, codes: codes.to_vec(), receipt: None, adds: Vec::new(), has_no_body: false }
    }

    /// It is taken: so many of its events are new, so many repeated.
    pub(crate) fn taken(bytes: Vec<u8>, receipt: (u64, u64), adds: Vec<(String, String, usize)>) -> Self {
        Self { receipt: Some(receipt), adds, ..Self::new(bytes, &[202]) }
    }

    /// So many spaces follow.
    pub(crate) fn and_spaces(self, spaces: usize) -> Self {
        Self { spaces, ..self }
    }

    pub(crate) fn without_body(self) -> Self {
        Self { has_no_body: true, ..self }
    }
}
