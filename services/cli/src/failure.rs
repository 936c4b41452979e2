//! How a command ends when it does not succeed: an exit code, an error code, and a sentence for people.

use std::fmt;
use std::process::ExitCode;

use ::audit::archive::ArchiveError;
use gateway::keys::KeysError;
use runtime::config::ConfigError;
use runtime::decide::StartError;
use runtime::errors::{Code, Coded, chain};
use runtime::log::{AppendError, LogError};
use runtime::pump::PumpError;
use runtime::room::RoomError;

use crate::terminal::{as_called, me};

/// Exit codes, after `sysexits.h`. They are part of the interface: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command line or the configuration is wrong.
    Usage = 64,
    /// What was given is refused.
    Refused = 65,
    /// A file or folder cannot be read.
    NoInput = 66,
    /// No Reeve answers.
    Unavailable = 69,
    /// A fault of Reeve itself.
    Internal = 70,
    /// Held by another, or too busy: try again.
    TryAgain = 75,
}

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    exit: u8,
    code: Option<Code>,
    sentence: String,
    /// Further lines, such as every fault of a file.
    pub lines: Vec<String>,
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The error code that has a page on what ends so, where one page fits all of it.
    fn code(self) -> Option<Code> {
        match self {
            Self::Unavailable => Some(Code::ReeveUnreachable),
            Self::TryAgain => Some(Code::TooBusy),
            Self::Usage | Self::Refused | Self::NoInput | Self::Internal => None,
        }
    }
}

// === impl Failure ===

impl Failure {
    /// A failure that ends so.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit: exit as u8, code: exit.code(), sentence: sentence.into(), lines: Vec::new() }
    }

    /// A failure with a page of its own, which also says how it ends.
    pub fn coded(code: Code, sentence: impl Into<String>) -> Self {
        Self { exit: code.exit_status(), code: Some(code), sentence: sentence.into(), lines: Vec::new() }
    }

    /// What was asked for contradicts itself.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Usage, sentence)
    }

    /// A fact that was given is refused.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::coded(Code::FactRefused, sentence)
    }

    /// What was asked for is not there: no fault of any fact.
    pub fn unknown(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Refused, sentence)
    }

    /// A fault of Reeve itself.
    pub fn internal(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Internal, sentence)
    }

    /// The same failure with further lines.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<String>) -> Self {
        self.lines = lines;
        self
    }

    /// The exit code that it ends with.
    pub fn exit(&self) -> u8 {
        self.exit
    }

    /// Tells it on standard error and returns the exit code.
    pub fn report(&self) -> ExitCode {
        for line in &self.lines {
            eprintln!("{line}");
        }
        if !self.is_broken_pipe() {
            eprintln!("{}", as_called(&self.to_string()));
            if let Some(code) = self.code {
                eprintln!("  more: {} runbook {code}", me());
            }
        }
        ExitCode::from(self.exit)
    }

    /// The reader of our output went away, as `head` does: an end like any other.
    pub fn broken_pipe() -> Self {
        Self { exit: 0, code: None, sentence: String::new(), lines: Vec::new() }
    }

    fn is_broken_pipe(&self) -> bool {
        self.exit == 0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "error {code}: {}", self.sentence),
            None => write!(f, "error: {}", self.sentence),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::broken_pipe(),
            _ => Self::new(Exit::Internal, format!("cannot read or write: {error}")),
        }
    }
}

/// Errors of the runtime bring their code along.
macro_rules! coded {
    ($($error:ty)+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::coded(error.code(), chain(&error))
            }
        }
    )+};
}

coded! { KeysError LogError AppendError PumpError RoomError ConfigError StartError ArchiveError }
