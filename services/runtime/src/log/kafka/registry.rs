//! The schema registry beside Kafka, and the one door to its client.
//!
//! A value that Confluent's serializers framed names its schema by an id ([`wire::registered`]), before the value or in a header.
//! It is handed out as the single object of the same schema, so that rooms, replay and whatever is kept need no registry: an id
//! stands for one schema for ever, and which one is decided here and nowhere else. The bytes that stood before the value, if
//! any did, stand in the header [`FRAMED_AS`], by which the record can be made again as it lay on the topic.
//!
//! A registry that does not answer is waited for: what cannot be read yet is neither refused nor passed. An id that it does
//! not have, or that stands for no Avro, is left as it is, and refused as that.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_guid, get_schema_by_id, post_schema};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SuppliedSchema};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use wire::codec::{self, FRAMING_BYTES};
use wire::registered::{registered, registered_by_header};
use wire::{Kind, RawRecord, SchemaId};

use super::unavailable;
use crate::errors::{Code, chain};
use crate::log::{LogError, locked};
use crate::retry::Retry;

/// The header that holds the framing which a value had on the topic.
pub const FRAMED_AS: &str = "reeve.framing";
/// Ids that are remembered. Beyond it all are asked for again.
const KNOWN_MAX: usize = 65_536;
/// Questions that wait to be sent. Everybody who reads waits for the answer to one.
const ASKS_MAX: usize = 64;
/// How long the registry may take, and how long a reader waits for it.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// What a registry says of an id that it does not have.
const NO_SUCH_SCHEMA: u32 = 40_403;

/// Where a schema registry answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Its address, `http://` or `https://`. Whom to trust says the system, or `SSL_CERT_FILE`.
    pub url: String,
    /// Who asks it, where it wants to know.
    pub credentials: Option<Credentials>,
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password. It is never shown.
    pub password: String,
}

/// A registry that is asked by a thread of its own, and what it has said.
pub(super) struct Registry {
    asks: Sender<Ask>,
    known: Mutex<BTreeMap<SchemaId, Framing>>,
}

/// The framing of single objects of a schema; none where the schema is not Avro that stands by itself.
type Framing = Option<[u8; FRAMING_BYTES]>;

struct Ask {
    id: SchemaId,
    answer: SyncSender<Answer>,
}

/// None where the registry says that it has no such id; an error where it says nothing that counts.
type Answer = Result<Option<Framing>, String>;

// === impl Registry ===

impl Registry {
    /// Begins to ask the registry, first of all to take every schema of Reeve's.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when there is no client or no thread to be had.
    pub(super) fn begin(options: &RegistryOptions) -> Result<Self, LogError> {
        let mut settings = SrSettings::new_builder(options.url.clone());
        if let Some(Credentials { user, password }) = &options.credentials {
            settings.set_basic_authorization(user, Some(password));
        }
        // The registry is where the configuration says, and nowhere that the environment says.
        let settings = settings.no_proxy().set_timeout(REQUEST_WITHIN).build().map_err(unavailable)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
        let (asks, asked) = channel(ASKS_MAX);
        let serve = move || runtime.block_on(serve(&settings, asked));
        // It ends when nobody can ask any more.
        std::thread::Builder::new().name("schema registry".to_owned()).spawn(serve).map_err(unavailable)?;
        Ok(Self { asks, known: Mutex::default() })
    }

    /// Frames the value of a record as a single object, if an id of this registry names its schema. A header that does counts
    /// before the value's first bytes, as it does to Confluent's own readers.
    ///
    /// # Errors
    /// [`LogError::RegistrySilent`]; the record is as it was, and is to be asked for again.
    pub(super) fn translate(&self, raw: &mut RawRecord) -> Result<(), LogError> {
        if codec::is_single_object(&raw.value) {
            return Ok(());
        }
        let by_header = registered_by_header(&raw.headers).map(|id| (id, &raw.value[..]));
        let Some((id, bare)) = by_header.or_else(|| registered(&raw.value)) else { return Ok(()) };
        let Some(framing) = self.framing(id)? else { return Ok(()) };
        let value = [&framing[..], bare].concat();
        raw.headers.extend([(FRAMED_AS, &raw.value[..raw.value.len() - bare.len()])]);
        raw.value = value.into();
        Ok(())
    }

    fn framing(&self, id: SchemaId) -> Result<Framing, LogError> {
        if let Some(known) = locked(&self.known).get(&id) {
            return Ok(*known);
        }
        let silent = |reason: String| LogError::RegistrySilent { id, reason };
        let (answer, answered) = sync_channel(1);
        self.asks.try_send(Ask { id, answer }).map_err(|error| silent(error.to_string()))?;
        let answer = answered.recv_timeout(ANSWER_WITHIN).map_err(|error| silent(error.to_string()))?;
        // That there is no such id may not be true for ever, so it is not remembered.
        let Some(framing) = answer.map_err(silent)? else { return Ok(None) };
        let mut known = locked(&self.known);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(id, framing);
        Ok(framing)
    }
}

async fn serve(settings: &SrSettings, mut asked: Receiver<Ask>) {
    let registering = tokio::spawn(register(settings.clone()));
    while let Some(Ask { id, answer }) = asked.recv().await {
        let settings = settings.clone();
        // Who asked may have gone away meanwhile.
        tokio::spawn(async move { drop(answer.try_send(look_up(&settings, id).await)) });
    }
    registering.abort();
}

async fn look_up(settings: &SrSettings, id: SchemaId) -> Answer {
    let found = match id {
        SchemaId::Number(number) => get_schema_by_id(number, settings).await,
        SchemaId::Guid(guid) => get_schema_by_guid(&guid.to_string(), settings).await,
    };
    match found {
        Ok(found) if found.schema_type == SchemaType::Avro => {
            let framing = codec::framing_of_schema(&found.schema);
            if let Err(reason) = &framing {
                tracing::warn!("schema {id} of the schema registry is no Avro that stands by itself: {reason}");
            }
            Ok(Some(framing.ok()))
        }
        Ok(_) => Ok(Some(None)),
        Err(error) if said(&error).is_some_and(|said| said.error_code == NO_SUCH_SCHEMA) => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

/// Says to the registry what Reeve reads and writes, each kind under the full name of its record, so that others find it
/// there. Nothing of Reeve's waits for this.
async fn register(settings: SrSettings) {
    let mut retry = Retry::new("schema_registry");
    let mut refused = Vec::new();
    for kind in Kind::ALL {
        let name = codec::full_name_of(*kind);
        loop {
            let schema = SuppliedSchema::new(Some(name.clone()), SchemaType::Avro, kind.schema_text().to_owned());
            match post_schema(&settings, name.clone(), schema).await {
                Ok(_) => break retry.succeeded(),
                Err(error) if is_final(&error) => break refused.push(format!("{name}: {}", told(&error))),
                Err(error) => tokio::time::sleep(retry.failed(&told(&error))).await,
            }
        }
    }
    match refused.first() {
        None => tracing::info!("the schema registry has all {} schemas", Kind::ALL.len()),
        Some(first) => {
            let code = Code::RegistrySilent.number();
            tracing::warn!(code, "the schema registry refused {} of {} schemas; the first: {first}", refused.len(), Kind::ALL.len());
        }
    }
}

/// What a registry itself said, if one did: what stands between may answer as well, and means nothing by it.
fn said(error: &SRCError) -> Option<&RawError> {
    error.source()?.downcast_ref::<RawError>().filter(|said| said.error_code != 0)
}

/// Whether asking again would be answered alike. Codes are HTTP's, some with two more figures.
fn is_final(error: &SRCError) -> bool {
    said(error).is_some_and(|said| matches!(said.error_code, 400..=428 | 430..=499 | 40_000..=42_899 | 43_000..=49_999))
}

/// What went wrong and all that is below it: that a certificate was not believed stands at the bottom.
fn told(error: &SRCError) -> String {
    match error.source() {
        Some(cause) => format!("{}: {}", error.error, chain(cause)),
        None => error.error.clone(),
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
