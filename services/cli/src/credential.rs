//! The API key that a command sends, where Reeve asks for one.
//!
//! It comes from a file or from the environment and never from the command line, which everybody on a machine can read.

use std::path::PathBuf;

use gateway::keys::Secret;

use crate::failure::{Exit, Failure};

/// The variable that holds a key.
pub(crate) const VARIABLE: &str = "REEVE_KEY";
/// What every key begins with.
const KEY_BEGINS: &str = "rvk_";

/// The option by which every command says which key it sends.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyArgs {
    /// File that holds the API key to send, where Reeve asks for one; or REEVE_KEY holds the key itself
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

// === impl KeyArgs ===

impl KeyArgs {
    /// The key to send, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read, or what is given is no key.
    pub fn secret(&self) -> Result<Option<Secret>, Failure> {
        let (origin, text) = match &self.key {
            Some(file) if file.to_string_lossy().starts_with(KEY_BEGINS) => {
                return Err(Failure::usage(format!(
                    "--key takes the name of a file: a key on the command line can be read by everybody on this machine. Put it into {VARIABLE}"
                )));
            }
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::new(Exit::NoInput, format!("cannot read the key in {}: {error}", file.display())))?;
                (file.display().to_string(), text)
            }
            None => match std::env::var_os(VARIABLE) {
                Some(text) if !text.is_empty() => (VARIABLE.to_owned(), text.to_string_lossy().into_owned()),
                _ => return Ok(None),
            },
        };
        // What is wrong is said without saying what was there.
        text.trim().parse().map(Some).map_err(|fault| Failure::usage(format!("{origin} holds no key: {fault}")))
    }
}
