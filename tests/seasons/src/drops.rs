//! A version of which fewer sessions succeed, or one that begins to fail in mid-life: how soon it is noticed.

use wire::{Body, Level, Timestamp};

use crate::house::House;
use crate::life::{Drop, Life, Told, What};
use crate::nature::Traffic;
use crate::rivals::{RIVALS, Run, WATCHED_S};

/// Sessions of the first version before anything happens, so that each later one has another to be paired with.
pub const BEFORE: u64 = 1_500;

/// Sessions after which nobody waits any longer for the room.
pub const PATIENCE: u64 = 1_500;

/// Where a drop of success begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// With a new version.
    Deployment,
    /// In the midst of a version's life.
    Midlife,
}

/// How one life with a drop went.
#[derive(Clone, Debug, PartialEq)]
pub struct Noticed {
    /// Bad sessions that had started, and seconds since the first, until a word of P2.
    pub p2: Option<(u64, f64)>,
    /// Likewise until any word of the room.
    pub any: Option<(u64, f64)>,
    /// The same outcomes as each of [`RIVALS`] measured them.
    pub runs: [Run; RIVALS.len()],
    /// The starts of the bad sessions.
    pub starts: Vec<Timestamp>,
}

/// Lives through a drop of so many points; none at all is a healthy deployment.
pub fn live(seed: u64, number: u64, traffic: Traffic, begins: Where, points: f64) -> Noticed {
    let mut life = Life::new(seed, number, traffic, Told::Sessions);
    let mut house = House::default();
    while life.sessions < BEFORE {
        let due = life.next_due();
        let event = life.event(&due, house.asof());
        house.tell(due.at, event);
    }
    house.take_said();
    let bad_from = life.deployments + u32::from(begins == Where::Deployment);
    let begun = house.now();
    if begins == Where::Deployment {
        life.deploy_at(begun);
    }
    life.drop = Some(Drop { points, from_version: bad_from });
    let runs = RIVALS.map(|rival| Run::new(rival, begun));
    let mut noticed = Noticed { p2: None, any: None, runs, starts: Vec::new() };
    let first_bad = life.sessions;
    let end = begun.plus_s(WATCHED_S);
    loop {
        let due = life.next_due();
        let listens = noticed.p2.is_none() && life.bad_sessions <= PATIENCE;
        if !listens && due.at > end {
            break;
        }
        if due.at <= end {
            watch(&due.what, due.at, first_bad, bad_from, &mut noticed);
        }
        if listens {
            let event = life.event(&due, house.asof());
            house.tell(due.at, event);
            hear(&mut house, &life, &mut noticed);
        }
    }
    noticed.runs.iter_mut().for_each(|run| run.pass_to(end));
    noticed
}

// === impl Noticed ===

impl Noticed {
    /// When a rule with this threshold failed: bad sessions that had started, and seconds since the first.
    pub fn failed(&self, run: usize, threshold: f64) -> Option<(u64, f64)> {
        let at = self.runs[run].failed(threshold)?;
        let first = *self.starts.first()?;
        Some((self.starts.iter().filter(|start| **start <= at).count() as u64, at.since_s(first)))
    }
}

fn watch(what: &What, at: Timestamp, first_bad: u64, bad_from: u32, noticed: &mut Noticed) {
    match what {
        What::Started { session, version, .. } if *session >= first_bad && *version >= bad_from => noticed.starts.push(at),
        What::Outcome { version, success, .. } if *version >= bad_from => noticed.runs.iter_mut().for_each(|run| run.saw(at, *success)),
        _ => {}
    }
}

fn hear(house: &mut House, life: &Life, noticed: &mut Noticed) {
    for said in house.take_said() {
        let level = match &said.body {
            Body::IncidentOpened(opened) => opened.level,
            Body::IncidentAggravated(worse) => worse.level,
            _ => continue,
        };
        let Some(since) = life.bad_since else { continue };
        let when = (life.bad_sessions, said.appended.since_s(since));
        noticed.any.get_or_insert(when);
        if level <= Level::P2 {
            noticed.p2.get_or_insert(when);
        }
    }
}
