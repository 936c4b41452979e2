//! The windows of one agent: what is open, what a fact adds to which, and what is said when one closes.
//!
//! A fact belongs to the minute in which it happened, and to the hour and the day around it: minutes are merged into
//! hours and hours into days as they close. A window closes by time alone, [`LATENESS_S`] after its end. A fact that comes
//! too late for its minute goes to its hour if that is open, else to its day, and is counted as late in the window of
//! every length that it missed, the one that is under way when it comes. So `events` and `late` add up to the facts that
//! were told, at every length.
//!
//! [`LATENESS_S`]: crate::rules::LATENESS_S

use machine::{Debt, Shelf, columns};
use wire::{CapacityMeasured, Record, RecordId, Timestamp};

use crate::policy::Measure;
use crate::rules::Resolution;
use crate::usage::{Spent, Usage, usd};
use crate::watch::{Outlook, Place, Watch};
use crate::words::{self, Desk, Trigger};

/// Windows that are open at once at the most: three minutes, two hours, two days.
pub(crate) const WINDOWS_MAX: usize = 7;

/// The windows of one agent, and the budgets that are watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Books {
    minutes: Shelf<i64, Window>,
    hours: Shelf<i64, Window>,
    days: Shelf<i64, Window>,
    /// How far time has passed here.
    clock: Timestamp,
    watches: Shelf<Measure, Watch>,
}

/// One open window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    /// The record that opened it.
    opener: RecordId,
    hops: u8,
    pub(crate) usage: Usage,
}

columns!(Books { minutes, hours, days, clock, watches });
columns!(Window { opener, hops, usage });

// === impl Books ===

impl Books {
    /// Lives through every closing up to `to`, in order, and says what falls due.
    pub(crate) fn advance(&mut self, to: Timestamp, desk: Desk<'_>) -> Vec<Debt> {
        let mut debts = Vec::new();
        while let Some((at, resolution, index)) = self.next_close().filter(|(at, ..)| *at <= to) {
            self.close(resolution, index, at, desk, &mut debts);
        }
        self.clock = self.clock.max(to);
        debts
    }

    /// When the next window closes: every one that is open has something to say.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.next_close().map(|(at, ..)| at)
    }

    /// A fact of the agent, and its sessions under way before and after it if it tells of sessions. Time has passed up to
    /// its arrival.
    pub(crate) fn enter(&mut self, record: &Record, sessions: Option<(u64, u64)>, desk: Desk<'_>) -> Vec<Debt> {
        let arrived = self.clock;
        let dated = record.time.unwrap_or(arrived);
        // A clock that is ahead of the log's says nothing about a minute that has not come yet.
        let is_ahead = Resolution::Minute.index(dated) > Resolution::Minute.index(arrived);
        let happened = if is_ahead { arrived } else { dated };
        let home = Resolution::ALL.into_iter().find(|length| length.closes_at(length.index(happened)) > arrived);
        for length in Resolution::ALL.into_iter().take_while(|length| Some(*length) != home) {
            self.window(length, arrived, record).into_iter().for_each(|window| window.usage.count_late(&record.body));
        }
        if let Some(window) = home.and_then(|length| self.window(length, happened, record)) {
            window.usage.count(&record.body);
            window.usage.ahead += u64::from(is_ahead);
        }
        let noted = if home == Some(Resolution::Minute) { happened } else { arrived };
        if let Some(window) = self.window(Resolution::Minute, noted, record) {
            window.usage.concurrent_max = window.usage.concurrent_max.max(sessions.map(|(before, after)| before.max(after)));
        }
        self.judge_fact(record, happened, home, sessions, desk)
    }

    /// A human was asked for: counted in the minute in which the log heard of it.
    pub(crate) fn escalated(&mut self, record: &Record) {
        let arrived = self.clock;
        self.window(Resolution::Minute, arrived, record).into_iter().for_each(|window| window.usage.escalations += 1);
    }

    /// The log says less of a window than was known when it closed: the rest crossed the decision on its way, which makes
    /// it late.
    pub(crate) fn reconcile(&mut self, owed: &CapacityMeasured, said: &CapacityMeasured, record: &Record) {
        let (events, spent) = Usage::untold(owed, said);
        let of_length = Resolution::ALL.into_iter().find(|length| owed.until.since_us(owed.from) == length.length_s() * 1_000_000);
        let arrived = self.clock;
        let of_length = of_length.filter(|_| events > 0 || spent != Spent::default());
        if let Some(window) = of_length.and_then(|length| self.window(length, arrived, record)) {
            window.usage.late += events;
            window.usage.late_spent.add(spent);
        }
    }

    /// Budgets that are no more are watched no more. What was told of them stays known: it is not told again.
    pub(crate) fn watch_only(&mut self, is_budgeted: impl Fn(Measure) -> bool) {
        self.watches.retain(|measure, watch| is_budgeted(*measure) || watch.rest());
    }

    /// What was used so far in the window of this length around `now`; `None`: nothing is known of it.
    pub(crate) fn under_way(&self, length: Resolution, now: Timestamp) -> Option<Usage> {
        let index = length.index(now);
        let within = |part: Resolution, at: i64| length.index(part.start(at)) == index;
        let mut sum: Option<Usage> = None;
        for part in Resolution::ALL.into_iter().filter(|part| *part <= length) {
            for (_, window) in self.windows(part).iter().filter(|(at, _)| within(part, **at)) {
                let sum = sum.get_or_insert_default();
                sum.merge(&window.usage);
                if part == length {
                    sum.late += window.usage.late;
                    sum.late_spent.add(window.usage.late_spent);
                }
            }
        }
        sum
    }

    /// The last minute that is open, and what was used in it.
    pub(crate) fn last_minute(&self) -> Option<(i64, &Usage)> {
        self.minutes.last_key_value().map(|(minute, window)| (*minute, &window.usage))
    }

    /// What was used in the last whole minute before `minute` that is open; absent: nothing was told of it.
    pub(crate) fn minute_before(&self, minute: i64) -> Option<&Usage> {
        self.minutes.get(&(minute - 1)).map(|window| &window.usage)
    }

    /// The watch over a budget.
    pub(crate) fn watch(&self, measure: Measure) -> Option<&Watch> {
        self.watches.get(&measure)
    }

    /// US dollars spent in a day, as far as they were told.
    pub(crate) fn spent_usd(&self, day: i64) -> f64 {
        let open = self.minutes.iter().filter(|(minute, _)| day_of(Resolution::Minute, **minute) == day);
        sum_usd(open.map(|(_, window)| window)) + self.closed_usd(day)
    }

    /// The same without its minutes that are open.
    pub(crate) fn closed_usd(&self, day: i64) -> f64 {
        let hours = self.hours.iter().filter(|(hour, _)| day_of(Resolution::Hour, **hour) == day).map(|(_, window)| window);
        sum_usd(hours.chain(self.days.get(&day)))
    }

    fn close(&mut self, length: Resolution, index: i64, at: Timestamp, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let Some(window) = self.windows_mut(length).remove(&index) else { return };
        let trigger = Trigger::window(&window.opener, window.hops, length, index, desk);
        debts.push(words::measured(length, index, &window.usage, &trigger, desk));
        match length {
            Resolution::Minute => {
                let usage = window.usage.clone();
                self.absorb(Resolution::Hour, Resolution::Hour.index(length.start(index)), window);
                debts.extend(self.follow(index, at, &usage, &trigger, desk));
            }
            Resolution::Hour => {
                self.absorb(Resolution::Day, day_of(length, index), window);
                debts.extend(self.forecasts(index, at, &trigger, desk));
            }
            Resolution::Day => {}
        }
    }

    /// Merges a window that closed into the one around it.
    fn absorb(&mut self, length: Resolution, index: i64, part: Window) {
        let Window { opener, hops, usage } = part;
        let whole = self.windows_mut(length).entry(index).or_insert_with(|| Window { opener, hops, usage: Usage::default() });
        whole.usage.merge(&usage);
        whole.usage.latencies.pack();
    }

    /// Judges what a fact brought about at once.
    fn judge_fact(
        &mut self,
        record: &Record,
        happened: Timestamp,
        home: Option<Resolution>,
        sessions: Option<(u64, u64)>,
        desk: Desk<'_>,
    ) -> Vec<Debt> {
        let mut debts = Vec::new();
        if !record.may_trigger() {
            return debts;
        }
        let trigger = Trigger::record(record);
        let spent = Spent::of(&record.body);
        if home == Some(Resolution::Minute) && spent.tokens().is_some() {
            let minute = Resolution::Minute.index(happened);
            let value = self.minutes.get(&minute).and_then(|window| window.usage.spent.tokens()).unwrap_or(0) as f64;
            debts.extend(self.judge(Measure::TokensPerMinute, minute, value, &trigger, desk));
        }
        if home.is_some() && spent.cost_nanos.is_some() {
            let day = Resolution::Day.index(happened);
            debts.extend(self.judge(Measure::CostUsdPerDay, day, self.spent_usd(day), &trigger, desk));
        }
        debts.extend(sessions.and_then(|sessions| self.judge_level(sessions, &trigger, desk)));
        debts
    }

    fn judge_level(&mut self, (before, after): (u64, u64), trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        let measure = Measure::ConcurrentSessions;
        let budget = desk.budget(measure)?;
        let minute = Resolution::Minute.index(self.clock);
        let levels = (before as f64, after as f64);
        let episode = self.watches.entry(measure).or_default().level(minute, levels, budget, desk.policy)?;
        Some(words::passed(measure, &episode, minute, levels.1, trigger, desk))
    }

    fn judge(&mut self, measure: Measure, place: i64, value: f64, trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        let budget = desk.budget(measure)?;
        let episode = self.watches.entry(measure).or_default().judge(measure, place, value, budget, desk.policy)?;
        Some(words::passed(measure, &episode, place, value, trigger, desk))
    }

    /// A minute closed: each budget's trend goes on by it, and is followed to the horizon.
    fn follow(&mut self, minute: i64, at: Timestamp, usage: &Usage, trigger: &Trigger, desk: Desk<'_>) -> Vec<Debt> {
        let mut debts = Vec::new();
        for measure in Measure::ALL {
            let Some(budget) = desk.budget(measure) else { continue };
            let place = self.place(measure, minute, at);
            let watch = self.watches.entry(measure).or_default();
            if is_used(measure, usage) {
                watch.saw_minute(minute, figure(measure, usage));
            }
            // A warning says what is used now: where a minute did not tell its rate, the next one that does may warn.
            let used = if measure == Measure::CostUsdPerDay { Some(place.base) } else { watch.figure(minute) };
            let Some(value) = used else { continue };
            let Outlook::Expected(forecast) = watch.outlook(place, budget, desk.policy.horizon_s) else { continue };
            if !forecast.passes(budget) {
                continue;
            }
            let since = if measure == Measure::CostUsdPerDay { Resolution::Day.index(at) } else { minute };
            let episode = watch.foretell(measure, since, budget, desk.policy);
            debts.extend(episode.map(|episode| words::foretold(measure, &episode, value, &forecast, trigger, desk)));
        }
        debts
    }

    /// An hour closed: where each budget's use is heading, even if nobody can know.
    fn forecasts(&self, hour: i64, at: Timestamp, trigger: &Trigger, desk: Desk<'_>) -> Vec<Debt> {
        let last = Resolution::Minute.index(Resolution::Hour.end(hour)) - 1;
        let forecast = |measure: Measure| {
            let budget = desk.budget(measure)?;
            let place = self.place(measure, last, at);
            let unwatched = Watch::default();
            let watch = self.watches.get(&measure).unwrap_or(&unwatched);
            let outlook = watch.outlook(place, budget, desk.policy.horizon_s);
            Some(words::forecast(measure, hour, at, &outlook, trigger, desk))
        };
        Measure::ALL.into_iter().filter_map(forecast).collect()
    }

    fn place(&self, measure: Measure, minute: i64, closed: Timestamp) -> Place {
        let base = if measure == Measure::CostUsdPerDay { self.closed_usd(Resolution::Day.index(closed)) } else { 0.0 };
        Place { measure, minute, closed, base }
    }

    /// Earliest first, and of those that close together the shortest: it is merged into the longer.
    fn next_close(&self) -> Option<(Timestamp, Resolution, i64)> {
        let first =
            |length: Resolution| self.windows(length).first_key_value().map(|(index, _)| (length.closes_at(*index), length, *index));
        Resolution::ALL.into_iter().filter_map(first).min()
    }

    /// The window around `time`. A record past the hop cap opens none.
    fn window(&mut self, length: Resolution, time: Timestamp, record: &Record) -> Option<&mut Window> {
        let index = length.index(time);
        let windows = self.windows_mut(length);
        if !windows.contains_key(&index) && record.may_trigger() {
            windows.insert(index, Window { opener: record.id.clone(), hops: record.hops, usage: Usage::default() });
        }
        windows.get_mut(&index)
    }

    fn windows(&self, length: Resolution) -> &Shelf<i64, Window> {
        match length {
            Resolution::Minute => &self.minutes,
            Resolution::Hour => &self.hours,
            Resolution::Day => &self.days,
        }
    }

    fn windows_mut(&mut self, length: Resolution) -> &mut Shelf<i64, Window> {
        match length {
            Resolution::Minute => &mut self.minutes,
            Resolution::Hour => &mut self.hours,
            Resolution::Day => &mut self.days,
        }
    }
}

/// The figure of a minute; `None`: it told none.
pub(crate) fn figure(measure: Measure, usage: &Usage) -> Option<f64> {
    match measure {
        Measure::TokensPerMinute => usage.spent.tokens().map(|tokens| tokens as f64),
        Measure::ConcurrentSessions => usage.concurrent_max.map(|sessions| sessions as f64),
        Measure::CostUsdPerDay => usage.spent.cost_usd(),
    }
}

/// Whether a minute used some of it, even if nobody told how much: only model calls cost anything.
fn is_used(measure: Measure, usage: &Usage) -> bool {
    match measure {
        Measure::TokensPerMinute | Measure::ConcurrentSessions => usage.events > 0,
        Measure::CostUsdPerDay => usage.calls > 0,
    }
}

/// US dollars of several windows.
fn sum_usd<'a>(windows: impl Iterator<Item = &'a Window>) -> f64 {
    usd(windows.filter_map(|window| window.usage.spent.cost_nanos).fold(0, u64::saturating_add))
}

fn day_of(length: Resolution, index: i64) -> i64 {
    Resolution::Day.index(length.start(index))
}
