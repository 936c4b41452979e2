//! Burn rates: how fast the error budget of an agent is used up, over a long and a short window.
//!
//! Windows are kept per version, so that a healthy version does not hide a sick one, but a burn rate never *names* a
//! version: what it sees may be the tool's fault, the model's or the hour's. Rows over hours are pages, rows over days
//! are tickets; a ticket tells of nothing that a page told of.

use machine::{Shelf, columns};
use wire::{Level, Numbers, RecordId, Timestamp};

use crate::policy::{Policy, ROWS_MAX, Row, Signal};
use crate::rules;
use crate::versions::Ix;
use crate::window::Window;

/// Where tickets stand among what fires: after every page that a policy may set.
const TICKETS_FROM: usize = ROWS_MAX;

/// What is counted apart: facts without a version are one of their own.
type Stream = (Option<Ix>, Signal);

/// The windows of one agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Burn {
    windows: Shelf<Stream, Window>,
    /// What fires, by row of the policy (tickets from [`TICKETS_FROM`] on), and how many sessions in a row its version has
    /// not started since.
    firing: Shelf<(Option<Ix>, Signal, usize), u64>,
}

columns!(Burn { windows, firing });

/// What a row saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) row: Row,
    /// P2 of a page, P3 of a ticket.
    pub(crate) level: Level,
    pub(crate) objective: f64,
    pub(crate) n: u64,
    pub(crate) bad: u64,
    pub(crate) n_short: u64,
    pub(crate) bad_short: u64,
    /// What a ticket sees began before its short window.
    reaches_back: bool,
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
        let pages = self.light(stream, 0, &policy.rows, now, policy);
        if self.is_paged(stream) {
            self.windows.entry(stream).or_default().tell(now);
        }
        let lit = pages.or_else(|| self.light(stream, TICKETS_FROM, &policy.tickets, now, policy));
        lit.map(|reading| (reading, self.windows[&stream].failures().cloned().collect()))
    }

    /// Sets on fire which of these rows hold now; the first that did not fire before.
    fn light(&mut self, stream: Stream, from: usize, rows: &[Row], now: Timestamp, policy: &Policy) -> Option<Reading> {
        let mut lit = None;
        for place in from..from + rows.len() {
            let reading = self.reading(stream, place, now, policy)?;
            let key = (stream.0, stream.1, place);
            if reading.fires(policy) && self.firing.insert(key, 0).is_none() {
                lit = lit.or(Some(reading));
            }
        }
        lit
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
            let reading = self.reading((*version, *signal), *place, now, policy);
            away >= policy.away_sessions || reading.is_none_or(|reading| reading.is_calm(policy))
        };
        let out: Vec<_> = self.firing.iter().filter(|(key, away)| over(key, **away)).map(|(key, _)| *key).collect();
        self.firing.retain(|key, _| !out.contains(key));
    }

    /// Whether a page fires on this signal.
    pub(crate) fn is_firing(&self, signal: Signal) -> bool {
        self.firing.keys().any(|(_, of, place)| *of == signal && *place < TICKETS_FROM)
    }

    /// Whether a ticket does.
    pub(crate) fn has_ticket(&self, signal: Signal) -> bool {
        self.firing.keys().any(|(_, of, place)| *of == signal && *place >= TICKETS_FROM)
    }

    /// Every page that a policy sets on a stream, as it reads now.
    pub(crate) fn pages<'a>(&'a self, stream: Stream, now: Timestamp, policy: &'a Policy) -> impl Iterator<Item = Reading> + 'a {
        (0..policy.rows.len()).filter_map(move |place| self.reading(stream, place, now, policy))
    }

    /// Every ticket likewise.
    pub(crate) fn tickets<'a>(&'a self, stream: Stream, now: Timestamp, policy: &'a Policy) -> impl Iterator<Item = Reading> + 'a {
        (0..policy.tickets.len()).filter_map(move |place| self.reading(stream, TICKETS_FROM + place, now, policy))
    }

    fn is_paged(&self, (version, signal): Stream) -> bool {
        self.firing.keys().any(|key| (key.0, key.1) == (version, signal) && key.2 < TICKETS_FROM)
    }

    /// What a row sees of a stream; `None` where the policy sets no objective, or no such row.
    fn reading(&self, stream: Stream, place: usize, now: Timestamp, policy: &Policy) -> Option<Reading> {
        let objective = *policy.objectives.get(&stream.1)?;
        let window = self.windows.get(&stream);
        if let Some(ticket) = place.checked_sub(TICKETS_FROM) {
            let row = *policy.tickets.get(ticket)?;
            let sum = |length_s| window.map_or((0, 0), |window| window.ticket(length_s, now));
            let ((n, bad), (n_short, bad_short)) = (sum(row.long_s), sum(row.short_s));
            let reaches_back = window.is_some_and(|window| window.reaches_back(row.short_s, now));
            return Some(Reading { row, level: Level::P3, objective, n, bad, n_short, bad_short, reaches_back });
        }
        let row = *policy.rows.get(place)?;
        let sum = |length_s| window.map_or((0, 0), |window| window.page(length_s, now));
        let ((n, bad), (n_short, bad_short)) = (sum(row.long_s), sum(row.short_s));
        Some(Reading { row, level: Level::P2, objective, n, bad, n_short, bad_short, reaches_back: true })
    }

    /// Forgets a version.
    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.windows.retain(|(of, _), _| *of != Some(version));
        self.firing.retain(|(of, _, _), _| *of != Some(version));
    }
}

// === impl Reading ===

impl Reading {
    fn fires(&self, policy: &Policy) -> bool {
        let enough = self.n >= policy.facts_min && self.bad >= policy.bad_min && self.bad_short >= policy.bad_short_min;
        // At the factors of a page a few bad facts are no accident; at those of a ticket they may be.
        let sure = self.level == Level::P2 || rules::exceeds(self.bad, self.n, 1.0 - self.objective, policy.ticket_margin_sd);
        enough && sure && self.reaches_back && self.burns().is_some_and(|(long, short)| long >= self.row.factor && short >= self.row.factor)
    }

    /// A page below half its threshold: between half and whole it neither begins nor ends. A ticket below the whole, since
    /// an agent that keeps its budget may burn at more than half of it for ever; that it began for sure keeps it from
    /// beginning again by accident. An agent that is too quiet for the short window shows it by the long one.
    fn is_calm(&self, policy: &Policy) -> bool {
        let low = if self.level == Level::P3 { self.row.factor } else { self.row.factor / 2.0 };
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
