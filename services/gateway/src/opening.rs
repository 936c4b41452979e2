//! What Reeve says of itself when it starts on a log that has been shut: nobody could be heard in between.

use runtime::log::{Addressed, AppendError, Log, LogError};
use uuid::Uuid;
use wire::{AgentId, DoorOpened, Event, Offset, Partition, Timestamp};

/// Tells every partition that facts can be heard again. An empty log was never shut.
///
/// In `reeve up` it stands on the log before any room is restored, so that no room ever takes the time in between for silence.
/// Rooms that are processes of their own have judged that time already; and where other gateways were open meanwhile, it
/// excuses a silence that was one, since the last record.
///
/// # Errors
/// [`AppendError`] when the log cannot be read or written.
pub fn say(log: &dyn Log) -> Result<(), AppendError> {
    let Some(shut_since) = last_appended(log)? else { return Ok(()) };
    let opened = Event {
        key: AgentId::from("door"),
        source: "/reeve/up".into(),
        id: Uuid::now_v7().to_string().into(),
        time: Some(log.now()),
        subject: None,
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: DoorOpened { shut_since }.into(),
    };
    let copies = (0..log.partitions()).map(|partition| Addressed { partition: Partition(partition), record: opened.to_raw() });
    log.append(copies.collect()).map(drop)
}

fn last_appended(log: &dyn Log) -> Result<Option<Timestamp>, LogError> {
    let mut last = None;
    for partition in (0..log.partitions()).map(Partition) {
        let end = log.end(partition)?;
        let newest = log.dated(partition, end.previous().max(Offset(0)))?;
        last = last.max(newest.map(|(_, appended)| appended));
    }
    Ok(last)
}
