//! How facts reach the detectors of slow trouble: drift, loops, and failures that become frequent. What they find is P3, but
//! for a drift of success that is a drop.

use machine::Debt;
use wire::{Level, ModelCalled, Numbers, Offset, Record, RecordId, Role, SessionId, ToolCalled, short_digest};

use crate::agent::Agent;
use crate::burn::signed;
use crate::chart::Measured;
use crate::drift::Grown;
use crate::escalations::Ended;
use crate::finding::{Desk, Finding, Rule, Trigger};
use crate::policy::{Measure, Signal};
use crate::rules;
use crate::sessions::{Key, Session};
use crate::versions::{Ix, Lane};
use crate::vitals::Vitals;
use crate::words::counted;

// === impl Agent: drift ===

impl Agent {
    /// A model call of the agent took something.
    pub(crate) fn took(&mut self, record: &Record, called: &ModelCalled) {
        let session = record.subject.as_ref().filter(|_| called.by == Role::Agent).map(Key::of);
        session.and_then(|session| self.sessions.vitals(session)).into_iter().for_each(|vitals| vitals.took(called));
    }

    /// A session is over: what its calls took is whole. Whether a human was called for is not known yet.
    #[expect(clippy::too_many_arguments, reason = "a session, what it took, and what every decision needs")]
    pub(crate) fn measured(
        &mut self,
        record: &Record,
        key: Key,
        chart: (Ix, Lane),
        vitals: Vitals,
        trigger: &Trigger,
        desk: Desk<'_>,
        debts: &mut Vec<Debt>,
    ) {
        for (measure, amount) in [(Measure::Latency, vitals.latency_ms()), (Measure::Tokens, vitals.tokens())] {
            let measured = amount.map(rules::bucket);
            debts.extend(measured.and_then(|measured| self.observe(measure, chart, measured, &record.id, trigger, desk)));
        }
        if desk.hears_escalations && desk.policy.drifts.contains(&Measure::Escalation) {
            self.escalations.wait(Ended::new(key, record.id.clone(), record.offset, chart, vitals.raised));
        }
    }

    /// A session is settled, in the order in which sessions started.
    pub(crate) fn turned_out(&mut self, session: &Session, trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        let failed = !session.told.success?;
        self.observe(Measure::Outcome, (session.version, session.lane), u8::from(failed), &trigger.id, trigger, desk)
    }

    /// A session was given up before it ended. What its calls took is no whole, so that it is on no chart of it; that a human
    /// was called for is known for sure, and those who wait for one are the long ones.
    pub(crate) fn given_up(&mut self, session: &Session, trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        self.tally.given_up += 1;
        let raised = session.raised().filter(|_| desk.hears_escalations)?;
        self.observe(Measure::Escalation, (session.version, session.lane), 1, raised, trigger, desk)
    }

    /// The escalation room called a human to a session.
    pub(crate) fn called_for_a_human(&mut self, session: &SessionId, by: &RecordId) {
        let key = Key::of(session);
        match self.sessions.vitals(key) {
            Some(vitals) if vitals.raised.is_none() => vitals.raised = Some(by.clone()),
            Some(_) => {}
            None => self.escalations.raised(key, by),
        }
    }

    /// The escalation room has looked so far: sessions that ended before say whether a human was called for.
    pub(crate) fn escalations_looked_at(&mut self, asof: Offset, trigger: &Trigger, desk: Desk<'_>) -> Vec<Debt> {
        let mut debts = Vec::new();
        while let Some(ended) = self.escalations.looked_at(asof) {
            let measured = u8::from(ended.raised.is_some());
            let id = ended.raised.as_ref().unwrap_or(&ended.id);
            debts.extend(self.observe(Measure::Escalation, ended.chart, measured, id, trigger, desk));
        }
        debts
    }

    fn observe(
        &mut self,
        measure: Measure,
        chart: (Ix, Lane),
        measured: Measured,
        id: &RecordId,
        trigger: &Trigger,
        desk: Desk<'_>,
    ) -> Option<Debt> {
        let Grown { drifted, is_drop, evidence } = self.drift.observe(measure, chart, measured, id, desk.policy)?;
        let version = self.versions.id(chart.0)?;
        let segment = if chart.1.is_unnamed() { "" } else { " in one of its segments" };
        let summary = format!(
            "{}: the {} of version {version}{segment} has grown {} within {}.",
            desk.agent,
            measure.words(),
            drifted.in_words(measure),
            counted(u64::from(drifted.n), "session"),
        );
        let numbers = drifted.numbers(measure);
        // A drop names no version: it served well until then, so that what changed is around it, and none would mend it.
        let found = match is_drop {
            true => Finding::of(
                Rule::Drop,
                Level::P2,
                Numbers { statistic: Some(drifted.growth()), threshold: Some(desk.policy.drop_share), ..numbers },
            ),
            false => Finding { version: Some(version), ..Finding::of(Rule::Drift(measure), Level::P3, numbers) },
        };
        self.raise(Finding { evidence, summary, ..found }, trigger, desk)
    }
}

// === impl Agent: loops and signatures ===

impl Agent {
    /// The agent called a tool.
    pub(crate) fn repeated(&mut self, record: &Record, called: &ToolCalled, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let Some(session) = record.subject.as_ref().filter(|_| called.by == Role::Agent) else { return };
        let call = called.arguments.as_ref().map(|arguments| short_digest(&called.tool, arguments));
        let Some((repeats, evidence)) = self.loops.saw(Key::of(session), call, &record.id, desk.policy) else { return };
        let version = self.version_of(record, called.version.as_ref(), trigger.at).and_then(|ix| self.versions.id(ix));
        let summary = format!("{}: it called {} at least {repeats} times with the same arguments in one session.", desk.agent, called.tool);
        let threshold = Some(desk.policy.loop_calls as f64);
        let numbers = Numbers { repeats: Some(signed(repeats)), threshold, ..Numbers::default() };
        let found = Finding::of(Rule::Loop, Level::P3, numbers);
        debts.extend(self.raise(Finding { version, session: Some(session.clone()), evidence, summary, ..found }, trigger, desk));
    }

    /// A call of the agent told whether it failed.
    #[expect(clippy::too_many_arguments, reason = "a call, how it failed, and what every decision needs")]
    pub(crate) fn saw_signature(
        &mut self,
        record: &Record,
        signal: Signal,
        failed: bool,
        (what, error): (Option<&str>, Option<&str>),
        trigger: &Trigger,
        desk: Desk<'_>,
        debts: &mut Vec<Debt>,
    ) {
        let signature = || short_digest(signal.as_str(), &format!("{}\0{}", what.unwrap_or_default(), error.unwrap_or_default()));
        let Some(frequent) = self.signatures.saw(failed.then(signature), &record.id, desk.policy) else { return };
        let what = what.unwrap_or(signal.as_str());
        let error = error.map_or_else(|| "an error without a class".to_owned(), |error| format!("the error {error}"));
        let summary = format!(
            "{}: {what} failed with {error} {} in {}, and at most {} in the first {}.",
            desk.agent,
            counted(frequent.count, "time"),
            counted(frequent.calls, "call"),
            counted(frequent.before, "time"),
            counted(frequent.calls_before, "call"),
        );
        let numbers = Numbers {
            n: Some(signed(frequent.calls)),
            bad: Some(signed(frequent.count)),
            repeats: Some(signed(frequent.count)),
            threshold: Some(desk.policy.signature_frequent as f64),
            baseline_mean: Some(frequent.before as f64 / frequent.calls_before as f64),
            baseline_n: Some(signed(frequent.calls_before)),
            ..Numbers::default()
        };
        let found = Finding::of(Rule::Signature, Level::P3, numbers);
        debts.extend(self.raise(Finding { session: record.subject.clone(), evidence: frequent.evidence, summary, ..found }, trigger, desk));
    }
}
