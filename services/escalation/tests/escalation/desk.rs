//! One agent, its platform and its people, in a house with this room alone.

use escalation::Escalation;
use kit::lives::BIRTH;
use kit::room::room;
use kit::{House, Teller, facts};
use machine::{Fold, Standing};
use wire::{
    Body, DoorOpened, EscalationClosed, EscalationOverdue, EscalationRaised, Kind, Partition, PolicyAdopted, Record, SessionId, Timestamp,
};

pub(crate) struct Desk {
    pub(crate) house: House,
    platform: Teller,
    people: Teller,
    pub(crate) at_s: i64,
}

// === impl Desk ===

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            house: House::new(&vec![room::<Escalation>]),
            platform: Teller::new("billing"),
            people: Teller::person("ann", "billing"),
            at_s: 0,
        }
    }

    /// The same, under a policy.
    pub(crate) fn under(document: &str) -> Self {
        let mut desk = Self::new();
        desk.adopt(document);
        desk
    }

    pub(crate) fn adopt(&mut self, document: &str) {
        let adopted = PolicyAdopted {
            room: "escalation".to_owned(),
            version: "2".to_owned(),
            document: document.to_owned(),
            author: "ann".to_owned(),
            reason: "by agreement".to_owned(),
        };
        self.word(adopted);
    }

    /// The platform tells a fact of the session `s1`, a second after the last.
    pub(crate) fn tell(&mut self, body: impl Into<Body>) -> &mut Self {
        self.tell_of("s1", body)
    }

    pub(crate) fn tell_of(&mut self, session: &str, body: impl Into<Body>) -> &mut Self {
        self.at_s += 1;
        let time = BIRTH.plus_s(self.at_s);
        let event = self.platform.tell(time, Some(session), body);
        self.house.tell(time, event);
        self
    }

    pub(crate) fn tell_of_none(&mut self, body: impl Into<Body>) {
        self.at_s += 1;
        let time = BIRTH.plus_s(self.at_s);
        let event = self.platform.tell(time, None, body);
        self.house.tell(time, event);
    }

    /// A user is in this mood.
    pub(crate) fn feels(&mut self, sentiment: f64) -> &mut Self {
        self.tell(facts::felt(Some(sentiment), None))
    }

    /// A user says this, in English.
    pub(crate) fn says(&mut self, text: &str) -> &mut Self {
        self.tell(facts::said(text, Some("en")))
    }

    pub(crate) fn word(&mut self, body: impl Into<Body>) {
        self.at_s += 1;
        let time = BIRTH.plus_s(self.at_s);
        let event = self.people.tell(time, None, body);
        self.house.tell(time, event);
    }

    pub(crate) fn claims_last(&mut self) {
        let id = self.last().escalation_id;
        self.word(facts::claimed(&id, "ann"));
    }

    pub(crate) fn returns_last(&mut self) {
        let id = self.last().escalation_id;
        self.word(facts::returned(&id, "ann"));
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.at_s += seconds;
        self.house.pass_to(BIRTH.plus_s(self.at_s));
    }

    pub(crate) fn shut_for(&mut self, seconds: i64) {
        let shut_since = self.house.now();
        self.at_s += seconds;
        self.opens(shut_since);
    }

    /// The door opens now. Whatever rooms decided by the clock since `shut_since` is decided.
    pub(crate) fn opens(&mut self, shut_since: Timestamp) {
        let opened = self.platform.tell(BIRTH.plus_s(self.at_s), None, DoorOpened { shut_since });
        self.house.reopen(BIRTH.plus_s(self.at_s), opened);
    }

    pub(crate) fn raised(&self) -> Vec<EscalationRaised> {
        let bodies = self.house.said(Kind::EscalationRaised).into_iter().map(|record| record.body.clone());
        bodies.filter_map(|body| if let Body::EscalationRaised(raised) = body { Some(raised) } else { None }).collect()
    }

    pub(crate) fn last(&self) -> EscalationRaised {
        self.raised().pop().expect("something was raised")
    }

    pub(crate) fn overdue(&self) -> Vec<EscalationOverdue> {
        let bodies = self.house.said(Kind::EscalationOverdue).into_iter().map(|record| record.body.clone());
        bodies.filter_map(|body| if let Body::EscalationOverdue(overdue) = body { Some(overdue) } else { None }).collect()
    }

    pub(crate) fn closed(&self) -> Vec<EscalationClosed> {
        let bodies = self.house.said(Kind::EscalationClosed).into_iter().map(|record| record.body.clone());
        bodies.filter_map(|body| if let Body::EscalationClosed(closed) = body { Some(closed) } else { None }).collect()
    }

    /// What triggered each call so far.
    pub(crate) fn triggers(&self) -> Vec<String> {
        self.raised().into_iter().map(|raised| raised.trigger).collect()
    }

    /// The room as it stands after everything on the log.
    pub(crate) fn fold(&self) -> Fold<Escalation> {
        self.fold_of(|_| true)
    }

    /// The room as it stands after some of what is on the log.
    pub(crate) fn fold_of(&self, heard: impl Fn(&Record) -> bool) -> Fold<Escalation> {
        let mut fold = Fold::new(Partition(0));
        self.house.log().iter().filter(|record| heard(record)).for_each(|record| {
            if Fold::<Escalation>::reads(record.body.kind()) {
                fold.fold(record);
            } else {
                fold.skip(record.offset, record.appended);
            }
        });
        fold
    }

    /// Whether there is a line about one matter.
    pub(crate) fn has_line(&self, matter: &str) -> bool {
        self.lines().iter().any(|line| line.matter == matter)
    }

    fn lines(&self) -> Vec<Standing> {
        use machine::Machine;
        self.fold().machine().standing(&"billing".into(), self.house.now())
    }

    /// The line about one matter.
    pub(crate) fn standing(&self, matter: &str) -> Standing {
        let lines = self.lines();
        let matters: Vec<String> = lines.iter().map(|line| line.matter.clone()).collect();
        lines.into_iter().find(|line| line.matter == matter).unwrap_or_else(|| panic!("no {matter} in {matters:?}"))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.house.now()
    }
}

pub(crate) fn session(name: &str) -> SessionId {
    name.into()
}
