//! Everything that the room knows about one agent.

use std::collections::VecDeque;

use machine::Debt;
use wire::{Body, Record, Timestamp, short_digest};

use crate::books::Books;
use crate::sessions::{Key, Sessions};
use crate::usage::Usage;
use crate::words::Desk;
use machine::columns;

/// Escalations of one agent that are known as counted: one whose priority rises is no second one.
const RAISED_MAX: usize = 16;

/// One agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Agent {
    pub(crate) sessions: Sessions,
    pub(crate) books: Books,
    /// Who answers for its operation.
    pub(crate) operator: Option<String>,
    raised: VecDeque<u64>,
}

columns!(Agent { sessions, books, operator, raised });

// === impl Agent ===

impl Agent {
    /// Folds a record about it, up to whose arrival time has passed, and says what falls due at it.
    pub(crate) fn fold(&mut self, record: &Record, desk: Desk<'_>) -> Vec<Debt> {
        match &record.body {
            body if Usage::counts(body) => {
                let sessions = self.follow(record, desk);
                self.books.enter(record, sessions, desk)
            }
            Body::EscalationRaised(raised) => {
                if self.is_news(short_digest("escalation", &raised.escalation_id)) {
                    self.books.escalated(record);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Sessions under way before and after a fact; `None`: no start was ever heard.
    fn follow(&mut self, record: &Record, desk: Desk<'_>) -> Option<(u64, u64)> {
        let at: Timestamp = record.appended;
        self.sessions.time_out(at, desk.policy.session_timeout_s);
        let before = self.sessions.count();
        if let Some(key) = record.subject.as_ref().map(Key::of) {
            match &record.body {
                Body::SessionStarted(_) => self.sessions.start(key, at),
                Body::SessionEnded(_) => self.sessions.end(key),
                _ => self.sessions.saw(key, at),
            }
        }
        self.sessions.count().map(|after| (before.unwrap_or(0), after))
    }

    fn is_news(&mut self, escalation: u64) -> bool {
        if self.raised.contains(&escalation) {
            return false;
        }
        if self.raised.len() == RAISED_MAX {
            self.raised.pop_front();
        }
        self.raised.push_back(escalation);
        true
    }
}
