//! Every error that an operator can meet has a number, a page and an exit code.
//!
//! `RV0007` is `deploy/runbooks/RV0007.md`: what it is, why it happens, what to do. The pages are compiled in, so that
//! `reeve runbook RV0007` (or any log line's code) can be read where there is no network.

use std::process::ExitCode;

use crate::log::{AppendError, CommitError, LogError};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Try again, with growing waits.
    Retry,
    /// End this room or process and start it anew.
    Restart,
    /// End; trying again helps only after somebody changed something.
    Refuse,
}

macro_rules! codes {
    ($($name:ident, $code:ident, $fate:ident, $exit:literal, $title:literal;)+) => {
        /// The number of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {$(
            #[doc = concat!("`", stringify!($code), "`: ", $title)]
            $name,
        )+}

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The number, such as `RV0007`.
            pub fn number(self) -> &'static str {
                match self {$(Self::$name => stringify!($code),)+}
            }

            /// What it is, in a few words.
            pub fn title(self) -> &'static str {
                match self {$(Self::$name => $title,)+}
            }

            /// What to do about it, in one word.
            pub fn fate(self) -> Fate {
                match self {$(Self::$name => Fate::$fate,)+}
            }

            /// The exit code of a process that ends by it (`sysexits.h`).
            pub fn exit_status(self) -> u8 {
                match self {$(Self::$name => $exit,)+}
            }

            /// Its page: what, why, what to do.
            pub fn page(self) -> &'static str {
                match self {$(Self::$name => include_str!(concat!("../../../deploy/runbooks/", stringify!($code), ".md")),)+}
            }
        }
    };
}

codes! {
    BadConfig, RV0001, Refuse, 64, "the configuration is refused";
    LogHeld, RV0002, Refuse, 75, "the log is held by another process";
    StorageFails, RV0003, Restart, 74, "the log's storage fails";
    SnapshotUnreadable, RV0004, Retry, 65, "a snapshot cannot be read or written";
    OffsetGone, RV0005, Refuse, 69, "records that a room needs are gone from the log";
    Fenced, RV0006, Retry, 75, "another member took this one's place";
    RoomPanicked, RV0007, Restart, 70, "a room stopped by a panic";
    AddressInUse, RV0008, Refuse, 69, "the address to listen on cannot be had";
    CannotWrite, RV0009, Refuse, 73, "the disk is full or may not be written";
    LogUnavailable, RV0010, Retry, 69, "the log does not answer";
    OffsetPending, RV0011, Retry, 75, "a predecessor's transaction is undecided";
    CommitFailed, RV0012, Retry, 75, "a transaction was not committed";
    DrainTooSlow, RV0013, Restart, 75, "the drain took longer than its grace period";
    LawBroken, RV0014, Restart, 70, "an invariant does not hold";
    RecordUnreadable, RV0015, Retry, 65, "a record cannot be read";
    ReeveUnreachable, RV0016, Retry, 69, "no Reeve answers at this address";
    FactRefused, RV0017, Refuse, 65, "a fact is refused";
    TooBusy, RV0018, Retry, 75, "the log takes no more for now";
    RecordsLost, RV0019, Refuse, 65, "records that were accepted are missing from the log";
    BadTopic, RV0020, Refuse, 65, "a topic is not as Reeve needs it";
    NotMigrated, RV0025, Refuse, 65, "a topic cannot grow, or not be replayed into another";
    ArchiveGap, RV0030, Refuse, 65, "the archive has a gap";
    ArchiveOverlap, RV0031, Refuse, 65, "segments of the archive overlap";
    ArchiveAltered, RV0032, Refuse, 65, "a segment of the archive is altered or cut short";
    ArchiveDiffers, RV0033, Refuse, 65, "the archive and the log differ";
    ArchiveIncomplete, RV0034, Refuse, 65, "records on the log are not in the archive";
    ArchiveUnavailable, RV0035, Retry, 74, "the archive cannot be read or written";
    KeysRefused, RV0040, Refuse, 78, "the API keys cannot be trusted";
    KeyUnusable, RV0041, Refuse, 77, "an API key does not allow it";
    PolicyRefused, RV0050, Refuse, 65, "a policy is refused";
    RegistrySilent, RV0060, Retry, 69, "the schema registry does not answer";
}

/// An error that carries a code.
pub trait Coded: std::error::Error {
    /// Its code.
    fn code(&self) -> Code;

    /// What to do about it.
    fn fate(&self) -> Fate {
        self.code().fate()
    }
}

// === impl Code ===

impl Code {
    /// The code with this number, whatever its case.
    pub fn from_number(number: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number().eq_ignore_ascii_case(number))
    }

    /// The exit code of a process that ends by it.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.exit_status())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.number())
    }
}

impl Coded for LogError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::LogUnavailable,
            Self::BadSettings { .. } => Code::BadConfig,
            Self::RegistrySilent { .. } => Code::RegistrySilent,
            Self::OffsetPending { .. } => Code::OffsetPending,
            Self::OffsetGone { .. } => Code::OffsetGone,
            Self::Held { .. } => Code::LogHeld,
            Self::CannotWrite { .. } => Code::CannotWrite,
            Self::RecordsLost { .. } => Code::RecordsLost,
            Self::Unfit { .. } => Code::BadTopic,
            Self::Storage { .. } => Code::StorageFails,
        }
    }
}

impl Coded for CommitError {
    fn code(&self) -> Code {
        match self {
            Self::Fenced { .. } => Code::Fenced,
            Self::Aborted { .. } | Self::Unknown { .. } | Self::NoMembership => Code::CommitFailed,
        }
    }
}

impl Coded for AppendError {
    fn code(&self) -> Code {
        match self {
            Self::IdTaken(_) => Code::FactRefused,
            Self::Busy { .. } => Code::TooBusy,
            Self::Log(error) => error.code(),
        }
    }
}

/// An error and everything below it, once, for the edge of a process: `what: why: why`. Some errors tell what is below them
/// themselves, down to somewhere: what was said already is not said again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(source) = below {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        below = source.source();
    }
    text
}

/// Tells an error on standard error, with its code and where to read on, and gives the exit code to end with.
pub fn report(error: &dyn Coded) -> ExitCode {
    let code = error.code();
    eprintln!("error {code} ({}): {}\nsee deploy/runbooks/{code}.md", code.title(), chain(error));
    code.exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/runbooks");
        let pages: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the runbooks lie beside the services")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
            .filter(|name| name.starts_with("RV"))
            .collect();
        let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(pages, codes);
    }

    #[test]
    fn every_page_says_what_why_and_what_to_do() {
        for code in Code::ALL {
            let page = code.page();
            assert!(page.starts_with(&format!("# {code}: {}\n", code.title())), "{code}: {}", page.lines().next().unwrap_or_default());
            for part in ["## What", "## Why", "## What to do"] {
                assert!(page.contains(&format!("\n{part}\n")), "{code} lacks `{part}`");
            }
        }
    }

    #[test]
    fn numbers_are_found_again() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(&code.number().to_lowercase()), Some(*code));
        }
        assert_eq!(Code::from_number("RV9999"), None);
    }

    #[test]
    fn an_error_tells_its_whole_chain_once() {
        let error = AppendError::Log(LogError::Storage { reason: "no space left".to_owned() });
        assert_eq!(chain(&error), "the log's storage fails: no space left");
        assert_eq!(error.code(), Code::StorageFails);
    }

    #[test]
    fn what_an_error_says_itself_of_what_is_below_it_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("the bucket fails: {asked}")]
        struct Bucket {
            #[source]
            asked: Asked,
        }
        #[derive(Debug, thiserror::Error)]
        #[error("no answer")]
        struct Asked(#[source] std::fmt::Error);
        let below = std::fmt::Error;
        assert_eq!(chain(&Bucket { asked: Asked(below) }), format!("the bucket fails: no answer: {below}"));
    }
}
