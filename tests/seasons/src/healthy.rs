//! Healthy years through the house: everything that it says there is a false alarm.

use std::collections::BTreeMap;

use wire::{Body, IncidentId, Level, Record};

use crate::house::House;
use crate::life::{Life, Told, What};
use crate::nature::Traffic;

const YEAR_S: f64 = 365.0 * 86_400.0;

/// What was said in healthy years.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Years of agents' lives.
    pub agent_years: f64,
    /// Sessions, facts and decisions on the log.
    pub sessions: u64,
    /// Records on the log.
    pub records: u64,
    /// Versions that were deployed after the first.
    pub deployments: u64,
    /// Incidents by the worst level that each reached, "P1" to "P3".
    pub incidents: BTreeMap<&'static str, u64>,
    /// What the incident room told, openings and aggravations, by level and rule.
    pub told: BTreeMap<(&'static str, String), u64>,
    /// Versions that were taken back, and modes that were ordered.
    pub rollbacks: u64,
    /// Modes that were ordered.
    pub modes: u64,
    /// The first incidents in their own words, for people.
    pub words: Vec<String>,
    open: BTreeMap<IncidentId, Level>,
}

/// Words kept of one life.
const WORDS_MAX: usize = 8;

/// One year of the agent of this number.
pub fn year(seed: u64, number: u64, traffic: Traffic) -> Tally {
    let mut life = Life::new(seed, number, traffic, Told::Whole).with_deployments();
    let mut house = House::default();
    let mut tally = Tally { agent_years: 1.0, ..Tally::default() };
    let birth = life.born();
    loop {
        let due = life.next_due();
        if due.at.since_s(birth) >= YEAR_S {
            break;
        }
        if matches!(due.what, What::Deploy) && due.at > birth {
            tally.deployments += 1;
        }
        let event = life.event(&due, house.asof());
        house.tell(due.at, event);
        for said in house.take_said() {
            tally.hear(&said);
            if let Body::RollbackOrdered(ordered) = &said.body {
                life.go_back(said.appended, said.id.clone(), ordered.from_version.as_ref(), &ordered.to_version);
            }
        }
    }
    tally.sessions = life.sessions;
    tally.records = house.records;
    tally.close();
    tally
}

// === impl Tally ===

impl Tally {
    /// More of the same.
    pub fn add(&mut self, more: Tally) {
        self.agent_years += more.agent_years;
        self.sessions += more.sessions;
        self.records += more.records;
        self.deployments += more.deployments;
        more.incidents.into_iter().for_each(|(level, n)| *self.incidents.entry(level).or_default() += n);
        more.told.into_iter().for_each(|(rule, n)| *self.told.entry(rule).or_default() += n);
        self.rollbacks += more.rollbacks;
        self.modes += more.modes;
        self.words.extend(more.words);
    }

    /// Incidents whose worst level is this one.
    pub fn incidents_of(&self, level: Level) -> u64 {
        self.incidents.get(level.as_str()).copied().unwrap_or(0)
    }

    /// What was told by rules of a name that begins so.
    pub fn told_by(&self, rule: &str) -> u64 {
        self.told.iter().filter(|((_, of), _)| of.starts_with(rule)).map(|(_, n)| n).sum()
    }

    fn hear(&mut self, said: &Record) {
        match &said.body {
            Body::IncidentOpened(opened) => {
                self.open.insert(opened.incident_id.clone(), opened.level);
                self.count(opened.level, &opened.basis.rule, said, &opened.summary);
            }
            Body::IncidentAggravated(worse) => {
                let level = self.open.entry(worse.incident_id.clone()).or_insert(worse.level);
                *level = worse.level.min(*level);
                self.count(worse.level, &worse.basis.rule, said, &worse.summary);
            }
            Body::RollbackOrdered(_) => self.rollbacks += 1,
            Body::ModeOrdered(_) => self.modes += 1,
            _ => {}
        }
    }

    fn count(&mut self, level: Level, rule: &str, said: &Record, summary: &str) {
        *self.told.entry((level.as_str(), rule.to_owned())).or_default() += 1;
        if self.words.len() < WORDS_MAX {
            self.words.push(format!("{} {} {rule}: {summary}", said.appended, level.as_str()));
        }
    }

    fn close(&mut self) {
        for level in std::mem::take(&mut self.open).into_values() {
            *self.incidents.entry(level.as_str()).or_default() += 1;
        }
    }
}
