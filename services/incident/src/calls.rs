//! What an agent's calls and outcomes add to its burn rates.

use machine::Debt;
use wire::{Level, ModelCalled, Record, Role, ToolReturned, VersionId};

use crate::agent::Agent;
use crate::finding::{Desk, Finding, Rule, Trigger};
use crate::policy::{Criterion, Signal};
use crate::sessions::Key;
use crate::versions::Ix;
use crate::words::{percent, span};

/// Who did something, and whether it went wrong.
pub(crate) struct Call<'a> {
    by: Role,
    failed: Option<bool>,
    version: Option<&'a VersionId>,
    /// What was called, and the class of its error.
    what: Option<&'a str>,
    error: Option<&'a str>,
}

// === impl Agent: calls ===

impl Agent {
    pub(crate) fn called(
        &mut self,
        record: &Record,
        signal: Signal,
        call: &Call<'_>,
        trigger: &Trigger,
        desk: Desk<'_>,
        debts: &mut Vec<Debt>,
    ) {
        let Some(failed) = call.failed.filter(|_| call.by == Role::Agent) else { return };
        match signal {
            Signal::Tool => self.tally.tools += 1,
            _ => self.tally.models += 1,
        }
        let key = record.subject.as_ref().map(Key::of);
        if failed && let Some(told) = key.and_then(|key| self.sessions.tell(key)) {
            let is_news = !std::mem::replace(&mut told.erred, true);
            self.saw_failure(key, is_news, Criterion::ErrorFree, record, desk);
        }
        let version = self.version_of(record, call.version, trigger.at);
        self.count(record, (version, signal), failed, trigger, desk, debts);
        self.saw_signature(record, signal, failed, (call.what, call.error), trigger, desk, debts);
    }

    pub(crate) fn answered(&mut self, record: &Record, called: &ModelCalled, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let slow = called.latency_ms.zip(desk.policy.slow_ms).map(|(latency_ms, slow_ms)| latency_ms > slow_ms);
        let Some(slow) = slow.filter(|_| called.by == Role::Agent) else { return };
        let version = self.version_of(record, called.version.as_ref(), trigger.at);
        self.count(record, (version, Signal::Slowness), slow, trigger, desk, debts);
    }

    /// A fact enters its window if it says when it happened, and comes in time for it.
    pub(crate) fn count(
        &mut self,
        record: &Record,
        stream: (Option<Ix>, Signal),
        bad: bool,
        trigger: &Trigger,
        desk: Desk<'_>,
        debts: &mut Vec<Debt>,
    ) {
        let Some(happened) = record.time else {
            self.tally.untimed += 1;
            return;
        };
        let allowed_us = desk.policy.lateness_s.saturating_mul(1_000_000);
        if !(-allowed_us..=allowed_us).contains(&trigger.at.since_us(happened)) {
            self.tally.late += 1;
            return;
        }
        let happened = happened.min(trigger.at);
        let bad = bad.then_some(&record.id);
        let Some((reading, evidence)) = self.burn.count(stream, happened, bad, trigger.at, desk.policy) else { return };
        let rule = if reading.level == Level::P3 { Rule::Ticket(stream.1) } else { Rule::Burn(stream.1) };
        let summary = format!(
            "{}: {} of {} {} within {} went wrong, where {} % may.",
            desk.agent,
            reading.bad,
            reading.n,
            match stream.1 {
                Signal::Tool => "tool calls",
                Signal::Model => "model calls",
                Signal::Success => "sessions",
                Signal::Slowness => "model calls (by their time)",
            },
            span(reading.row.long_s),
            percent(1.0 - reading.objective),
        );
        debts.extend(self.raise(Finding { evidence, summary, ..Finding::of(rule, reading.level, reading.numbers()) }, trigger, desk));
    }
}

impl<'a> From<&'a ToolReturned> for Call<'a> {
    fn from(returned: &'a ToolReturned) -> Self {
        Self {
            by: returned.by,
            failed: returned.failed,
            version: returned.version.as_ref(),
            what: returned.tool.as_deref(),
            error: returned.error.as_deref(),
        }
    }
}

impl<'a> From<&'a ModelCalled> for Call<'a> {
    fn from(called: &'a ModelCalled) -> Self {
        Self {
            by: called.by,
            failed: called.failed,
            version: called.version.as_ref(),
            what: called.model.as_deref(),
            error: called.error.as_deref(),
        }
    }
}
