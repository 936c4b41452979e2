//! A log of one partition with this room alone at it; the incident room's decisions are told, as the log would hold them.

use kit::{Teller, facts};
use machine::{Decision, Fold, Folded, Standing};
use rollback::Rollback;
use wire::*;

/// The agent of every story.
pub(crate) const AGENT: &str = "billing";
/// Its incident.
pub(crate) const INCIDENT: &str = "incident-1";

pub(crate) struct Story {
    pub(crate) fold: Fold<Rollback>,
    pub(crate) log: Vec<Record>,
    platform: Teller,
    ann: Teller,
    told: u64,
}

impl Story {
    pub(crate) fn new() -> Self {
        let (platform, ann) = (Teller::new(AGENT), Teller::person("ann", AGENT));
        Self { fold: Fold::new(Partition(0)), log: Vec::new(), platform, ann, told: 0 }
    }

    /// Baseline v1, and v2 serving: what most stories begin with.
    pub(crate) fn enforced() -> Self {
        let mut story = Self::new();
        story.person(0, facts::baseline("v1"));
        story.fact(0, facts::deployed("v1"));
        story.sees(1, "v2");
        story
    }

    /// The platform says something; decisions that fall due come home before and after.
    pub(crate) fn fact(&mut self, at_s: i64, body: impl Into<Body>) {
        let event = self.platform.tell(s(at_s), None, body);
        self.tell(at_s, event);
    }

    /// A session of `version` starts.
    pub(crate) fn sees(&mut self, at_s: i64, version: &str) {
        self.session(at_s, &format!("s-{at_s}-{}", self.log.len()), version);
    }

    /// The session `id` of `version` starts.
    pub(crate) fn session(&mut self, at_s: i64, id: &str, version: &str) {
        let event = self.platform.tell(s(at_s), Some(id), facts::started(version, None));
        self.tell(at_s, event);
    }

    /// The session `id` has an outcome.
    pub(crate) fn outcome(&mut self, at_s: i64, id: &str) {
        let event = self.platform.tell(s(at_s), Some(id), facts::outcome(Some(false)));
        self.tell(at_s, event);
    }

    pub(crate) fn person(&mut self, at_s: i64, body: impl Into<Body>) {
        let event = self.ann.tell(s(at_s), None, body);
        self.tell(at_s, event);
    }

    /// The incident room opens `INCIDENT`.
    pub(crate) fn opened(&mut self, at_s: i64, level: Level, version: Option<&str>) {
        self.opened_as(at_s, INCIDENT, level, version);
    }

    pub(crate) fn opened_as(&mut self, at_s: i64, incident: &str, level: Level, version: Option<&str>) {
        let event = self.incident_event(at_s, incident_opened(incident, level, version));
        self.tell(at_s, event);
    }

    pub(crate) fn aggravated(&mut self, at_s: i64, level: Level, version: Option<&str>) {
        self.aggravated_from(at_s, Level::P2, level, version);
    }

    pub(crate) fn aggravated_from(&mut self, at_s: i64, from_level: Level, level: Level, version: Option<&str>) {
        self.aggravated_as(at_s, INCIDENT, from_level, level, version);
    }

    pub(crate) fn aggravated_as(&mut self, at_s: i64, incident: &str, from_level: Level, level: Level, version: Option<&str>) {
        let body = IncidentAggravated {
            agent_id: AGENT.into(),
            incident_id: incident.into(),
            level,
            from_level,
            provisional: false,
            version: version.map(Into::into),
            against: None,
            session_id: None,
            harms: 1,
            numbers: Numbers::default(),
            summary: "it got worse".to_owned(),
            basis: basis(s(at_s)),
        };
        let event = self.incident_event(at_s, body);
        self.tell(at_s, event);
    }

    pub(crate) fn eased(&mut self, at_s: i64, from_level: Level, level: Level) {
        let body = IncidentEased {
            agent_id: AGENT.into(),
            incident_id: INCIDENT.into(),
            level,
            from_level,
            harms: 0,
            summary: "it got better".to_owned(),
            basis: basis(s(at_s)),
        };
        let event = self.incident_event(at_s, body);
        self.tell(at_s, event);
    }

    pub(crate) fn resolved(&mut self, at_s: i64) {
        let body = IncidentResolved {
            agent_id: AGENT.into(),
            incident_id: INCIDENT.into(),
            level: Level::P1,
            by: None,
            harms: 1,
            lasted_s: None,
            summary: "it recovered".to_owned(),
            basis: basis(s(at_s)),
        };
        let event = self.incident_event(at_s, body);
        self.tell(at_s, event);
    }

    /// The incident room has folded everything so far, and answers for the time up to `now_s`.
    pub(crate) fn watermark(&mut self, at_s: i64, now_s: i64) {
        let asof = self.log.last().map_or(Offset::BEFORE_ALL, |last| last.offset);
        let basis = Basis { asof, ..basis(s(now_s)) };
        let mut event = self.incident_event(at_s, RoomWatermark { room: "incident".to_owned(), partition: 0, basis });
        event.key = "incident".into();
        self.tell(at_s, event);
    }

    /// Time passes, deadline by deadline.
    pub(crate) fn pass(&mut self, to_s: i64) {
        for _ in 0..1_000 {
            let last = self.log.last().map_or(Timestamp(0), |last| last.appended);
            let Some(due) = self.fold.next_due().map(|due| due.max(last)).filter(|due| *due <= s(to_s)) else { return };
            self.bring_home(due);
        }
        panic!("the room owes for ever");
    }

    /// Decisions owed now come home.
    pub(crate) fn settle(&mut self, at_s: i64) {
        self.bring_home(s(at_s));
    }

    /// Everything owed at `at_s`, without the room's watermark.
    pub(crate) fn owed(&self, at_s: i64) -> Vec<Decision> {
        self.fold.owed(s(at_s)).into_iter().filter(|decision| decision.body.kind() != Kind::RoomWatermark).collect()
    }

    /// Appends and folds, and nothing else: decisions stay owed.
    pub(crate) fn append(&mut self, at: Timestamp, event: Event) {
        let record = Record { partition: Partition(0), offset: Offset(self.log.len() as i64), appended: at, event };
        assert_eq!(self.fold.fold(&record), Folded::Applied);
        self.log.push(record);
    }

    pub(crate) fn platform_event(&mut self, at_s: i64, body: impl Into<Body>) -> Event {
        self.platform.tell(s(at_s), None, body)
    }

    /// Decisions of one kind, as they stand on the log.
    pub(crate) fn said(&self, kind: Kind) -> Vec<&Record> {
        self.log.iter().filter(|record| record.body.kind() == kind).collect()
    }

    /// The id of the only order.
    pub(crate) fn order_id(&self) -> String {
        let [order] = self.said(Kind::RollbackOrdered)[..] else { panic!("one order, not {:?}", self.said(Kind::RollbackOrdered)) };
        order.id.to_string()
    }

    /// The modes that were ordered, in order.
    pub(crate) fn modes(&self) -> Vec<Mode> {
        let mode = |record: &Record| match &record.body {
            Body::ModeOrdered(body) => Some(body.mode),
            _ => None,
        };
        self.log.iter().filter_map(mode).collect()
    }

    /// Kinds of this room's decisions, in order.
    pub(crate) fn decisions(&self) -> Vec<Kind> {
        let own = |record: &&Record| record.source.as_str() == "/reeve/rollback" && record.body.kind() != Kind::RoomWatermark;
        self.log.iter().filter(own).map(|record| record.body.kind()).collect()
    }

    /// Why the only failure failed.
    pub(crate) fn failure(&self) -> String {
        match &self.said(Kind::RollbackFailed)[..] {
            [Record { event: Event { body: Body::RollbackFailed(body), .. }, .. }] => body.failure.clone(),
            other => panic!("one failure, not {other:?}"),
        }
    }

    /// The line of `status` about `matter`.
    pub(crate) fn standing(&self, at_s: i64, matter: &str) -> Standing {
        let lines = machine::Machine::standing(self.fold.machine(), &AGENT.into(), s(at_s));
        lines.iter().find(|line| line.matter == matter).cloned().unwrap_or_else(|| panic!("no `{matter}` in {lines:#?}"))
    }

    fn tell(&mut self, at_s: i64, event: Event) {
        self.pass(at_s);
        self.append(s(at_s), event);
        self.bring_home(s(at_s));
    }

    fn bring_home(&mut self, now: Timestamp) {
        for decision in self.fold.owed(now) {
            self.append(now, decision.to_event("rollback"));
        }
    }

    pub(crate) fn incident_event(&mut self, at_s: i64, body: impl Into<Body>) -> Event {
        self.told += 1;
        Event {
            key: AGENT.into(),
            source: "/reeve/incident".into(),
            id: format!("incident-decision-{}", self.told).into(),
            time: Some(s(at_s)),
            subject: None,
            causation: None,
            hops: 1,
            tenant: None,
            traceparent: None,
            body: body.into(),
        }
    }
}

pub(crate) fn incident_opened(incident: &str, level: Level, version: Option<&str>) -> IncidentOpened {
    IncidentOpened {
        agent_id: AGENT.into(),
        incident_id: incident.into(),
        level,
        provisional: false,
        version: version.map(Into::into),
        against: None,
        session_id: None,
        harms: 1,
        numbers: Numbers::default(),
        summary: "something is wrong".to_owned(),
        basis: basis(Timestamp(0)),
    }
}

/// Seconds of the story as the log's time.
pub(crate) fn s(seconds: i64) -> Timestamp {
    Timestamp(0).plus_s(seconds)
}

fn basis(now: Timestamp) -> Basis {
    Basis {
        asof: Offset::BEFORE_ALL,
        now,
        rule: "told".to_owned(),
        policy: "default".to_owned(),
        causes: Vec::new(),
        accountable: "operations".to_owned(),
    }
}
