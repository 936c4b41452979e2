//! Burn rates: how fast the error budget of an agent is used up, over a long and a short window.
//!
//! Windows are kept per version, so that a healthy version does not hide a sick one, but a burn rate never *names* a
//! version: what it sees may be the tool's fault, the model's or the hour's.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wire::{Numbers, RecordId, Timestamp};

use crate::columns::columns;
use crate::evidence::KEPT_MAX;
use crate::policy::{Policy, Row, Signal, WINDOW_SECONDS_MAX};
use crate::rules;
use crate::versions::Ix;

/// Facts are counted by the minute.
const MINUTE_US: i64 = 60_000_000;

/// What is counted apart: facts without a version are one of their own.
type Stream = (Option<Ix>, Signal);

/// The windows of one agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Burn {
    windows: BTreeMap<Stream, Window>,
    /// What fires, by row of the policy, and how many sessions in a row its version has not started since.
    firing: BTreeMap<(Option<Ix>, Signal, usize), u64>,
}

/// The facts of one stream within the longest window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
struct Window {
    /// Minute since the epoch, facts, bad ones. Only minutes that saw a fact.
    minutes: BTreeMap<i64, (u64, u64)>,
    /// The newest bad ones.
    failures: VecDeque<(i64, RecordId)>,
}

columns!(Burn { windows, firing });

/// A window as it is stored: its first minute; of each minute how far it is from the one before, its facts and its bad
/// ones; of each bad fact kept how far its minute is from the first, and its id.
#[derive(Clone, Serialize, Deserialize)]
struct Stored(i64, Vec<u64>, Vec<(i64, RecordId)>);

/// What a row saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) row: Row,
    pub(crate) objective: f64,
    pub(crate) n: u64,
    pub(crate) bad: u64,
    pub(crate) n_short: u64,
    pub(crate) bad_short: u64,
}

// === impl Burn ===

impl Burn {
    /// Counts a fact and says what it set on fire, with the newest bad facts.
    pub(crate) fn count(
        &mut self,
        stream: Stream,
        happened: Timestamp,
        bad: Option<&RecordId>,
        now: Timestamp,
        policy: &Policy,
    ) -> Option<(Reading, Vec<RecordId>)> {
        policy.objectives.get(&stream.1)?;
        let window = self.windows.entry(stream).or_default();
        window.prune(now);
        window.count(happened, bad);
        let mut lit = None;
        for (place, row) in policy.rows.iter().enumerate() {
            let reading = self.reading(stream, *row, now, policy)?;
            let key = (stream.0, stream.1, place);
            if reading.fires(policy) && self.firing.insert(key, 0).is_none() {
                lit = lit.or(Some(reading));
            }
        }
        lit.map(|reading| (reading, self.windows[&stream].failures.iter().map(|(_, id)| id.clone()).collect()))
    }

    /// A version started a session: streams of other versions have been away for one more. A session that does not tell
    /// its version shows nobody away, and facts without a version are never away.
    pub(crate) fn saw_start(&mut self, version: Option<Ix>, now: Timestamp) {
        if version.is_some() {
            for ((of, _, _), away) in self.firing.iter_mut().filter(|((of, _, _), _)| of.is_some()) {
                *away = if *of == version { 0 } else { *away + 1 };
            }
        }
        self.windows.retain(|_, window| window.prune(now));
    }

    /// A person says that whatever burns is dealt with: what burns is counted anew from here.
    pub(crate) fn begin_anew(&mut self) {
        let out = std::mem::take(&mut self.firing);
        self.windows.retain(|(of, signal), _| !out.keys().any(|(version, burning, _)| (version, burning) == (of, signal)));
    }

    /// Puts out what is over: both windows well below the threshold with enough seen, its version gone, or nobody
    /// watching it any more.
    pub(crate) fn recover(&mut self, now: Timestamp, policy: &Policy) {
        let over = |(version, signal, place): &(Option<Ix>, Signal, usize), away: u64| {
            let row = policy.rows.get(*place).copied();
            let reading = row.and_then(|row| self.reading((*version, *signal), row, now, policy));
            away >= policy.away_sessions || reading.is_none_or(|reading| reading.is_calm(policy))
        };
        let out: Vec<_> = self.firing.iter().filter(|(key, away)| over(key, **away)).map(|(key, _)| *key).collect();
        self.firing.retain(|key, _| !out.contains(key));
    }

    /// Whether anything fires on this signal.
    pub(crate) fn is_firing(&self, signal: Signal) -> bool {
        self.firing.keys().any(|(_, of, _)| *of == signal)
    }

    /// What a row sees of a stream; `None` where the policy sets no objective.
    pub(crate) fn reading(&self, stream: Stream, row: Row, now: Timestamp, policy: &Policy) -> Option<Reading> {
        let objective = *policy.objectives.get(&stream.1)?;
        let sum = |length_s| self.windows.get(&stream).map_or((0, 0), |window| window.sum(length_s, now));
        let ((n, bad), (n_short, bad_short)) = (sum(row.long_s), sum(row.short_s));
        Some(Reading { row, objective, n, bad, n_short, bad_short })
    }

    /// Forgets a version.
    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.windows.retain(|(of, _), _| *of != Some(version));
        self.firing.retain(|(of, _, _), _| *of != Some(version));
    }
}

// === impl Window ===

impl Window {
    fn count(&mut self, happened: Timestamp, bad: Option<&RecordId>) {
        let minute = happened.0.div_euclid(MINUTE_US);
        let (n, bad_n) = self.minutes.entry(minute).or_default();
        *n += 1;
        if let Some(id) = bad {
            *bad_n += 1;
            if self.failures.len() == KEPT_MAX {
                self.failures.pop_front();
            }
            self.failures.push_back((minute, id.clone()));
        }
    }

    /// Drops what no window reaches any more; says whether anything is left.
    fn prune(&mut self, now: Timestamp) -> bool {
        let first = first_minute(WINDOW_SECONDS_MAX, now);
        while self.minutes.first_key_value().is_some_and(|(minute, _)| *minute < first) {
            self.minutes.pop_first();
        }
        self.failures.retain(|(minute, _)| *minute >= first);
        !self.minutes.is_empty()
    }

    fn sum(&self, length_s: i64, now: Timestamp) -> (u64, u64) {
        let window = self.minutes.range(first_minute(length_s, now)..);
        window.fold((0, 0), |(n, bad), (_, (more, more_bad))| (n + more, bad + more_bad))
    }
}

impl From<Stored> for Window {
    fn from(Stored(first, counts, failures): Stored) -> Self {
        let mut minute = first;
        let mut minutes = BTreeMap::new();
        for count in counts.chunks_exact(3) {
            minute = minute.saturating_add_unsigned(count[0]);
            minutes.insert(minute, (count[1], count[2]));
        }
        Self { minutes, failures: failures.into_iter().map(|(after, id)| (first.saturating_add(after), id)).collect() }
    }
}

impl From<Window> for Stored {
    fn from(Window { minutes, failures }: Window) -> Self {
        let first = minutes.first_key_value().map_or(0, |(minute, _)| *minute);
        let mut before = first;
        let mut counts = Vec::with_capacity(3 * minutes.len());
        for (minute, (n, bad)) in minutes {
            counts.extend([minute.abs_diff(before), n, bad]);
            before = minute;
        }
        Self(first, counts, failures.into_iter().map(|(minute, id)| (minute - first, id)).collect())
    }
}

/// The first minute of the window of this length that ends now: the minute under way is its last.
fn first_minute(length_s: i64, now: Timestamp) -> i64 {
    now.0.div_euclid(MINUTE_US) - length_s.div_euclid(60) + 1
}

// === impl Reading ===

impl Reading {
    fn fires(&self, policy: &Policy) -> bool {
        let enough = self.n >= policy.facts_min && self.bad >= policy.bad_min && self.bad_short >= policy.bad_short_min;
        enough && self.burns().is_some_and(|(long, short)| long >= self.row.factor && short >= self.row.factor)
    }

    /// Below half the threshold: between half and whole it neither begins nor ends. An agent that is too quiet for the
    /// short window shows it by the long one.
    fn is_calm(&self, policy: &Policy) -> bool {
        let low = self.row.factor / 2.0;
        let enough = self.n_short >= policy.clear_facts_min || self.n >= policy.facts_min;
        enough && self.burns().is_some_and(|(long, short)| long < low && short < low)
    }

    fn burns(&self) -> Option<(f64, f64)> {
        let short = rules::burn_rate(self.bad_short, self.n_short, self.objective)?;
        Some((rules::burn_rate(self.bad, self.n, self.objective)?, short))
    }

    /// The numbers as a decision carries them.
    pub(crate) fn numbers(&self) -> Numbers {
        Numbers {
            n: Some(signed(self.n)),
            bad: Some(signed(self.bad)),
            ratio: (self.n > 0).then(|| self.bad as f64 / self.n as f64),
            window_s: Some(self.row.long_s),
            n_short: Some(signed(self.n_short)),
            bad_short: Some(signed(self.bad_short)),
            burn: rules::burn_rate(self.bad, self.n, self.objective),
            threshold: Some(self.row.factor),
            objective: Some(self.objective),
            ..Numbers::default()
        }
    }
}

/// A count as the wire has it.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
