//! Where a command reads and writes: a Reeve that runs somewhere, or the embedded log in a folder.

mod local;

use std::path::PathBuf;

use futures::stream::BoxStream;
use serde_json::Value;

use crate::client::Client;
use crate::credential::KeyArgs;
use crate::failure::Failure;
use crate::standing::Report;

pub use local::{Local, PARTITIONS, TOPIC};

/// The options by which every command says where Reeve is.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    /// Address of a running Reeve.
    #[arg(long, env = "REEVE_URL", default_value = DEFAULT_URL, value_name = "URL")]
    pub url: String,
    #[command(flatten)]
    key: KeyArgs,
    /// Folder of an embedded log, opened here; a folder that a running Reeve holds is refused.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Where `reeve up` listens unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:4780";

/// A Reeve to speak with.
pub enum Target {
    /// One that runs somewhere.
    Url(Client),
    /// The embedded log, opened in this program.
    Folder(Box<Local>),
}

/// Which records of the log are asked for. Empty: all of them, from the beginning.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Names of kinds, such as `rollback.ordered`; empty: all.
    pub kinds: Vec<String>,
    /// Only records of this agent.
    pub agent: Option<String>,
    /// Only records of this session.
    pub session: Option<String>,
    /// Only the records with this id.
    pub id: Option<String>,
    /// Only records after this cursor.
    pub from: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Whether to go on with what is appended later.
    pub follow: bool,
}

/// Structured CloudEvents in the log's order.
pub type Events = BoxStream<'static, Result<Value, Failure>>;

/// How many events were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// New on the log.
    pub new: usize,
    /// Known before: nothing was added.
    pub repeated: usize,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum Rejected {
    /// Events of the batch are refused: their positions in it, and what is wrong with each.
    Faults(Vec<(usize, String)>),
    /// The batch could not be handed over.
    Failed(Failure),
}

// === impl TargetArgs ===

impl TargetArgs {
    /// Opens what the options name.
    ///
    /// # Errors
    /// When the address is none, or the folder cannot be opened.
    pub fn open(&self) -> Result<Target, Failure> {
        match &self.data {
            Some(folder) => Local::open(folder).map(Box::new).map(Target::Folder),
            None => self.client().map(Target::Url),
        }
    }

    fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.url)?.with_key(self.key.secret()?))
    }

    /// How to say an address that is not the default on a command line.
    pub fn option(&self) -> String {
        if self.url.trim_end_matches('/') == DEFAULT_URL { String::new() } else { format!(" --url {}", self.url) }
    }

    /// Opens what the options name; a folder without a log gets one.
    ///
    /// # Errors
    /// As [`TargetArgs::open`].
    pub fn open_or_begin(&self) -> Result<Target, Failure> {
        match &self.data {
            Some(folder) => Local::open_or_begin(folder).map(Box::new).map(Target::Folder),
            None => self.client().map(Target::Url),
        }
    }
}

// === impl Target ===

impl Target {
    /// The records that the filter lets through.
    ///
    /// # Errors
    /// When Reeve cannot be reached or the log cannot be read.
    pub async fn events(&self, filter: &Filter) -> Result<Events, Failure> {
        match self {
            Self::Url(client) => client.events(filter).await,
            Self::Folder(local) => local.events(filter),
        }
    }

    /// Publishes structured CloudEvents, all or none.
    ///
    /// # Errors
    /// [`Rejected`].
    pub async fn publish(&self, events: &[Value]) -> Result<Published, Rejected> {
        match self {
            Self::Url(client) => client.publish(events).await,
            Self::Folder(local) => local.publish(events),
        }
    }

    /// How one agent stands, or all of them.
    ///
    /// # Errors
    /// When Reeve cannot be reached or the log cannot be read.
    pub async fn standing(&self, agent: Option<&str>) -> Result<Report, Failure> {
        match self {
            Self::Url(client) => client.standing(agent).await,
            Self::Folder(local) => local.standing(agent),
        }
    }

    /// How to say this target on a command line.
    pub fn option(&self) -> String {
        match self {
            Self::Url(client) if client.base() == DEFAULT_URL => String::new(),
            Self::Url(client) => format!(" --url {}", client.base()),
            Self::Folder(local) => format!(" --data {}", local.folder().display()),
        }
    }
}
