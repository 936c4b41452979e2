//! Policies on the log: which were adopted, which are in force, and how one is adopted.

use std::collections::BTreeSet;

use futures::StreamExt;
use serde_json::{Value, json};
use wire::{Body, Kind, PolicyAdopted, RecordId, Timestamp};

use super::document::Proposed;
use super::{fields, recorded};
use crate::failure::Failure;
use crate::output;
use crate::rooms::{self, Mind};
use crate::target::Target;
use crate::words::{self, Signed};

/// A `policy.adopted` on the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adopted {
    /// Id of its record.
    pub(super) id: RecordId,
    /// When the log had it.
    pub(super) at: Timestamp,
    /// What it says.
    pub(super) policy: PolicyAdopted,
}

/// How a room stands: what it goes by, and what it refused since.
struct InForce {
    room: &'static str,
    mind: Mind,
    /// Absent: the defaults.
    adopted: Option<Adopted>,
    /// The effective policy.
    policy: Value,
    /// The last policy, if the room refused it, with its faults.
    refused: Option<(Adopted, Vec<String>)>,
}

/// Every adoption of the log, in its order; a broadcast stands on every partition and counts once.
pub(super) async fn all(target: &Target) -> Result<Vec<Adopted>, Failure> {
    let mut records = recorded::records(target, &[Kind::PolicyAdopted]).await?;
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(record) = records.next().await.transpose()? {
        if let Body::PolicyAdopted(policy) = &record.body
            && seen.insert(record.dedupe_key())
        {
            all.push(Adopted { id: record.id.clone(), at: record.appended, policy: policy.clone() });
        }
    }
    Ok(all)
}

/// The last of them that `room` took; absent: it goes by its defaults.
pub(super) fn in_force<'a>(all: &'a [Adopted], room: &str, mind: &Mind) -> Option<&'a Adopted> {
    all.iter().rev().find(|adopted| adopted.policy.room == room && (mind.check)(&adopted.policy.document).is_ok())
}

/// Publishes the policy, unless its version names another one already.
pub(super) async fn adopt(proposed: Proposed, signed: Signed) -> Result<(), Failure> {
    let target = signed.target().open()?;
    let known = all(&target).await?;
    let version_of = |adopted: &&Adopted| adopted.policy.room == proposed.room && adopted.policy.version == proposed.version;
    let means_another = |adopted: &Adopted| fields_of(&adopted.policy.document) != fields_of(&proposed.document);
    if let Some(other) = known.iter().filter(version_of).find(|adopted| means_another(adopted)) {
        return Err(Failure::unknown(format!(
            "version {} of {} was adopted by {} at {} and says something else: give this one a version of its own",
            proposed.version,
            proposed.room,
            other.policy.author,
            output::moment(&other.at.to_string())
        )));
    }
    let word = proposed.adopted(signed.author(), signed.reason());
    let structured = words::publish(&target, proposed.room, signed.author(), word).await?;
    if signed.json() {
        return output::json_line(&structured);
    }
    let before = in_force(&known, proposed.room, &proposed.mind).map_or("default", |adopted| adopted.policy.version.as_str());
    output::line(format!(
        "{} goes by {} from now on, before by {before}: policy.adopted {}{}",
        proposed.room,
        proposed.version,
        output::text(&structured, "/id"),
        words::later(&target)
    ))
}

/// Shows what is in force, of one room or of all.
pub(super) async fn show(target: &Target, room: Option<&str>, json: bool) -> Result<(), Failure> {
    if let Some(unknown) = room.filter(|room| rooms::with_policy(room).is_none()) {
        let known = rooms::names_with_policy().join(", ");
        return Err(Failure::unknown(format!("no room with a policy is called {unknown}; those are {known}")));
    }
    let all = all(target).await?;
    let rooms: Vec<_> = rooms::ALL.iter().filter_map(|room| Some((room.name, room.mind?))).collect();
    let shown = rooms.into_iter().filter(|(name, _)| room.is_none_or(|room| room == *name));
    let shown: Vec<_> = shown.map(|(name, mind)| InForce::of(&all, name, mind)).collect::<Result<_, _>>()?;
    match (room, shown.as_slice()) {
        (_, shown) if json => output::json(&shown.iter().map(InForce::json).collect::<Vec<_>>()),
        (Some(_), [one]) => one.tell(),
        (_, shown) => table(shown),
    }
}

fn table(shown: &[InForce]) -> Result<(), Failure> {
    let mut table = output::table(["ROOM", "POLICY", "SINCE", "BY", "DIFFERS", "REASON"]);
    for room in shown {
        let differs = room.differing().len();
        let row = match &room.adopted {
            Some(Adopted { at, policy, .. }) => {
                let differs = if differs == 1 { "in 1 field".to_owned() } else { format!("in {differs} fields") };
                [
                    room.room.to_owned(),
                    policy.version.clone(),
                    output::moment(&at.to_string()),
                    policy.author.clone(),
                    differs,
                    policy.reason.clone(),
                ]
            }
            None => [room.room.to_owned(), "default".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned(), String::new()],
        };
        table.add_row(row.map(|cell| crate::sentence::plain(&cell, CELL_CHARS_MAX)));
    }
    output::line(table.trim_fmt())?;
    shown.iter().try_for_each(InForce::tell_refused)
}

/// Characters of a cell.
const CELL_CHARS_MAX: usize = 80;

/// A document's members, however they are written.
fn fields_of(document: &str) -> Option<Value> {
    serde_json::from_str(document).ok()
}

// === impl InForce ===

impl InForce {
    fn of(all: &[Adopted], room: &'static str, mind: Mind) -> Result<Self, Failure> {
        let adopted = in_force(all, room, &mind).cloned();
        let document = adopted.as_ref().map_or("{}", |adopted| adopted.policy.document.as_str());
        let policy =
            (mind.check)(document).map_err(|faults| Failure::internal(format!("the {room} room's policy: {}", faults.join("; "))))?;
        let last = all.iter().rev().find(|adopted| adopted.policy.room == room);
        let refused = last.and_then(|last| Some((last.clone(), (mind.check)(&last.policy.document).err()?)));
        Ok(Self { room, mind, adopted, policy, refused })
    }

    fn differing(&self) -> Vec<fields::Differing> {
        (self.mind.check)("{}").map_or_else(|_| Vec::new(), |standard| fields::differing(&standard, &self.policy))
    }

    fn json(&self) -> Value {
        let adopted = self.adopted.as_ref();
        let refused = self.refused.as_ref().map(|(adopted, faults)| json!({ "version": adopted.policy.version, "faults": faults }));
        json!({
            "room": self.room,
            "version": adopted.map_or("default", |adopted| adopted.policy.version.as_str()),
            "since": adopted.map(|adopted| adopted.at),
            "author": adopted.map(|adopted| &adopted.policy.author),
            "reason": adopted.map(|adopted| &adopted.policy.reason),
            "id": adopted.map(|adopted| &adopted.id),
            "policy": self.policy,
            "refused": refused,
        })
    }

    fn tell(&self) -> Result<(), Failure> {
        match &self.adopted {
            Some(Adopted { at, policy, .. }) => output::line(crate::sentence::plain(
                &format!(
                    "{} goes by {} since {}, adopted by {}: {}",
                    self.room,
                    policy.version,
                    output::moment(&at.to_string()),
                    policy.author,
                    policy.reason
                ),
                SENTENCE_CHARS_MAX,
            ))?,
            None => output::line(format!("{} goes by its defaults: no policy was adopted", self.room))?,
        }
        let differing: BTreeSet<String> = self.differing().into_iter().map(|differing| differing.field).collect();
        let mut table = output::table(["FIELD", "VALUE", ""]);
        for (field, value) in fields::flat(&self.policy) {
            let mark = if differing.contains(&field) { "differs from the default" } else { "" };
            table.add_row([field, fields::short(Some(&value)), mark.to_owned()]);
        }
        output::line(format!("\n{}", table.trim_fmt()))?;
        self.tell_refused()
    }

    fn tell_refused(&self) -> Result<(), Failure> {
        let Some((adopted, faults)) = &self.refused else { return Ok(()) };
        output::line(format!("\n{} refused policy {} and goes on as before:", self.room, adopted.policy.version))?;
        faults.iter().try_for_each(|fault| output::line(format!("  {}", crate::sentence::plain(fault, SENTENCE_CHARS_MAX))))
    }
}

/// Characters of a sentence.
const SENTENCE_CHARS_MAX: usize = 600;
