//! What is recorded, as records: from a folder with its own bytes, from a Reeve that runs by its read route.

use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;
use wire::cloudevents::{Door, parse_value};
use wire::{Kind, Offset, Partition, Record, Timestamp};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::text;
use crate::target::{Events, Filter, Target};

/// How far the log reaches.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extent {
    /// Where each partition ends, as far as the target says.
    pub(super) ends: Vec<Offset>,
    /// When the last record was appended; absent on an empty log.
    pub(super) last: Option<Timestamp>,
}

/// The records of some kinds, all partitions in the order of append. What cannot be read is left out, as rooms pass it.
pub(super) async fn records(target: &Target, kinds: &[Kind]) -> Result<BoxStream<'static, Result<Record, Failure>>, Failure> {
    let kinds = kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let events = target.events(&Filter { kinds, ..Filter::default() }).await?;
    Ok(events.filter_map(|event| async { event.map(record).transpose() }).boxed())
}

/// How far the log reaches now.
pub(super) async fn extent(target: &Target) -> Result<Extent, Failure> {
    let ends = match target {
        Target::Folder(local) => local.ends()?,
        Target::Url(client) => ends_of(client).await?,
    };
    let mut last = None;
    let mut events = newest(target, &ends).await?;
    while let Some(event) = events.next().await {
        last = last.max(Timestamp::parse(text(&event?, "/recordedtime")));
    }
    Ok(Extent { ends, last })
}

/// What stands at the end of every partition. Where no ends are known, that is everything.
async fn newest(target: &Target, ends: &[Offset]) -> Result<Events, Failure> {
    let before = ends.iter().map(|end| end.previous().max(Offset(0)).to_string()).collect::<Vec<_>>();
    let from = (!before.is_empty()).then(|| before.join("."));
    target.events(&Filter { from, ..Filter::default() }).await
}

/// The ends as the rooms of a running Reeve know them: the farthest of each partition. None where no room tells any.
async fn ends_of(client: &Client) -> Result<Vec<Offset>, Failure> {
    let readiness = client.readiness().await?;
    let rooms = readiness.get("rooms").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut ends = Vec::new();
    for partition in rooms.iter().filter_map(|room| room.get("partitions")?.as_array()).flatten() {
        let number = |name: &str| partition.get(name).and_then(Value::as_i64);
        let (Some(place), Some(position)) = (number("partition"), number("position")) else { continue };
        let place = place as usize;
        if ends.len() <= place {
            ends.resize(place + 1, Offset(0));
        }
        ends[place] = ends[place].max(Offset(position));
    }
    Ok(ends)
}

/// A structured event with its place as a record; nothing where it cannot be read as one.
fn record(event: Value) -> Option<Record> {
    let partition = Partition(u32::try_from(event.get("partition")?.as_u64()?).ok()?);
    let offset = Offset(event.get("offset")?.as_i64()?);
    let appended = Timestamp::parse(text(&event, "/recordedtime"))?;
    let event = parse_value(event, Door::Trusted).ok()?;
    Some(Record { partition, offset, appended, event })
}
