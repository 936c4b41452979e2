//! The embedded log in a folder, opened in this program: the same libraries, without a server.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::standing::Report;
use crate::target::{Events, Filter, Published, Rejected};

/// An embedded log that nobody else holds.
pub struct Local {
    folder: PathBuf,
}

// === impl Local ===

impl Local {
    /// Opens the log in `folder`.
    ///
    /// # Errors
    /// When another program holds it, or it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        Err(Failure::new(Exit::NoInput, format!("there is no log in {}", folder.display())))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The records that the filter lets through.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn events(&self, _filter: &Filter) -> Result<Events, Failure> {
        Ok(Box::pin(futures::stream::empty()))
    }

    /// Appends structured CloudEvents, all or none.
    ///
    /// # Errors
    /// [`Rejected`].
    pub fn publish(&self, _events: &[Value]) -> Result<Published, Rejected> {
        Ok(Published::default())
    }

    /// How one agent stands, or all of them, by folding the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn standing(&self, _agent: Option<&str>) -> Result<Report, Failure> {
        Ok(Report::default())
    }
}
