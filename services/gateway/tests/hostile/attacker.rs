//! An attacker: thinks of acts by chance, performs them, and holds what is answered against what must be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;

use crate::acts::{Act, Manner, Part};
use crate::house::{House, SHORT};
use crate::talk::{Heard, Talk};
use crate::{events, shots};

/// Acts with bodies of mebibytes at the same time: more would be told that the gateway is busy, and rightly so.
static HEAVY: Semaphore = Semaphore::const_new(2);

/// Thinks of an act.
pub(crate) type Idea = (&'static str, fn(&mut Attacker) -> Act);

pub(crate) struct Attacker {
    pub(crate) house: Arc<House>,
    pub(crate) rng: ChaCha8Rng,
    number: u64,
    events: u64,
    /// What was done before, for who wonders why a connection has ended.
    before: &'static str,
    told: Told,
}

/// What attackers saw.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) requests: u64,
    /// Answers by code; 0 are ends without one.
    codes: BTreeMap<u16, u64>,
    /// Requests by idea.
    ideas: BTreeMap<&'static str, u64>,
    /// The first wrong answer to each idea.
    pub(crate) wrong: BTreeMap<&'static str, String>,
    pub(crate) wrong_total: u64,
}

// === impl Attacker ===

impl Attacker {
    pub(crate) fn new(house: Arc<House>, seed: u64, number: u64) -> Self {
        Self {
            house,
            rng: ChaCha8Rng::seed_from_u64(seed ^ number.rotate_left(32)),
            number,
            events: 0,
            before: "nothing",
            told: Told::default(),
        }
    }

    /// Attacks with at least so many requests.
    pub(crate) async fn attack(mut self, requests: u64) -> Told {
        let mut kept = None;
        while self.told.requests < requests {
            let ideas = shots::IDEAS.len() + events::IDEAS.len();
            let heavy = self.rng.random_range(0..80_u32) == 0;
            let (idea, think) = match heavy {
                true => events::HEAVY[self.rng.random_range(0..events::HEAVY.len())],
                false => *shots::IDEAS.iter().chain(events::IDEAS).nth(self.rng.random_range(0..ideas)).expect("it is one of them"),
            };
            let _turn = if heavy {
                // Waiting takes longer than the gateway keeps a connection that says nothing.
                kept = None;
                Some(HEAVY.acquire().await.expect("it is never closed"))
            } else {
                None
            };
            let act = think(&mut self);
            // Slow ones are rare, or nothing else would come to pass.
            if act.manner == Manner::Slowly && self.rng.random_range(0..8_u32) > 0 {
                continue;
            }
            kept = self.perform(idea, act, kept).await;
            self.before = idea;
        }
        self.told
    }

    /// A new event's id, which nobody else has.
    pub(crate) fn id(&mut self) -> String {
        self.events += 1;
        format!("{}-{}", self.number, self.events)
    }

    /// One of these, by chance.
    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    /// Performs an act, on the connection of the one before where it goes on.
    async fn perform(&mut self, idea: &'static str, act: Act, kept: Option<Talk>) -> Option<Talk> {
        if let Manner::Chorus(voices) = act.manner {
            self.sing(idea, &act.parts[0], voices).await;
            return kept;
        }
        let mut talk = match kept {
            Some(talk) if matches!(act.manner, Manner::AtOnce | Manner::InPieces) => talk,
            _ => Talk::open(self.house.address).await,
        };
        let joined: Vec<u8>;
        let (bytes, spaces) = match &act.parts[..] {
            [part] => (&part.bytes, part.spaces),
            parts => {
                joined = parts.iter().flat_map(|part| part.bytes.iter().copied()).collect();
                (&joined, 0)
            }
        };
        match act.manner {
            Manner::AtOnce | Manner::Alone | Manner::Abandoned | Manner::ThenGone => talk.say(bytes).await,
            Manner::InPieces => {
                for piece in bytes.chunks(self.rng.random_range(1..=bytes.len())) {
                    talk.say(piece).await;
                }
            }
            Manner::ThenFinished => {
                talk.say(bytes).await;
                talk.finish().await;
            }
            Manner::Slowly => {
                let half = bytes.len() / 2;
                talk.say_slowly(&[&bytes[..half], &bytes[half..half + 1]], SHORT + Duration::from_millis(300)).await;
            }
            Manner::HalfThenGone => talk.say(&bytes[..self.rng.random_range(0..bytes.len())]).await,
            Manner::Chorus(_) => {}
        }
        talk.say_spaces(spaces).await;
        self.told.count(idea, act.parts.len());
        match act.manner {
            Manner::HalfThenGone => return None,
            Manner::ThenGone => {
                act.parts.iter().flat_map(|part| &part.adds).for_each(|(source, id, _)| self.house.book.in_doubt(source, id));
                return None;
            }
            Manner::Abandoned => {
                let heard = talk.hear_head().await;
                self.judge(idea, &act.parts[0], &heard);
                return None;
            }
            _ => {}
        }
        let mut goes_on = true;
        for part in &act.parts {
            let heard = talk.hear(part.has_no_body).await;
            self.judge(idea, part, &heard);
            goes_on &= heard.goes_on();
        }
        (goes_on && matches!(act.manner, Manner::AtOnce | Manner::InPieces)).then_some(talk)
    }

    /// One event by many at the same time: one of them adds it, all of them are told so.
    async fn sing(&mut self, idea: &'static str, part: &Part, voices: usize) {
        let voice = |_| async {
            let mut talk = Talk::open(self.house.address).await;
            talk.say(&part.bytes).await;
            talk.hear(false).await
        };
        let heard = futures::future::join_all((0..voices).map(voice)).await;
        self.told.count(idea, voices);
        let sum = |member: &str| heard.iter().map(|heard| heard.json()[member].as_u64().unwrap_or(0)).sum::<u64>();
        let (accepted, repeated) = (sum("accepted"), sum("repeated"));
        heard.iter().for_each(|heard| {
            self.judge(idea, &Part { receipt: None, codes: part.codes.clone(), adds: part.adds.clone(), ..Part::new("", &[]) }, heard)
        });
        if (accepted, repeated) != (1, voices as u64 - 1) {
            self.told.wrong(idea, format!("{voices} voices: {accepted} accepted, {repeated} repeated"));
        }
    }

    fn judge(&mut self, idea: &'static str, part: &Part, heard: &Heard) {
        *self.told.codes.entry(heard.status).or_default() += 1;
        if heard.status == 202 {
            part.adds.iter().for_each(|(source, id, copies)| self.house.book.accepted(source, id, *copies));
        }
        if let Some(wrong) = wrong(part, heard) {
            let asked = String::from_utf8_lossy(&part.bytes[..part.bytes.len().min(400)]).into_owned();
            let body = String::from_utf8_lossy(&heard.body[..heard.body.len().min(400)]).into_owned();
            self.told.wrong(
                idea,
                format!("attacker {} after {:?}: {wrong}\nheard: {:?} {body:?}\nasked: {asked:?}", self.number, self.before, heard.head),
            );
        }
    }
}

/// What is wrong with an answer.
fn wrong(part: &Part, heard: &Heard) -> Option<String> {
    if !part.codes.contains(&heard.status) {
        return Some(format!("{} instead of {:?}", heard.status, part.codes));
    }
    // What the gateway refuses, it explains; what is no HTTP at all is refused by who reads HTTP.
    if heard.status >= 400 && !heard.body.is_empty() {
        let problem = heard.json();
        let is_told = problem["status"] == heard.status && problem["detail"].is_string() && heard.head.contains("application/problem+json");
        if !is_told {
            return Some("a refusal that explains nothing".to_owned());
        }
    }
    let (accepted, repeated) = part.receipt.filter(|_| heard.status == 202)?;
    let receipt = heard.json();
    let is_right = receipt["accepted"] == accepted && receipt["repeated"] == repeated;
    (!is_right).then(|| format!("the receipt is not {accepted} new and {repeated} repeated"))
}

// === impl Told ===

impl Told {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.wrong_total += other.wrong_total;
        other.codes.into_iter().for_each(|(code, count)| *self.codes.entry(code).or_default() += count);
        other.ideas.into_iter().for_each(|(idea, count)| *self.ideas.entry(idea).or_default() += count);
        other.wrong.into_iter().for_each(|(idea, wrong)| {
            self.wrong.entry(idea).or_insert(wrong);
        });
    }

    fn count(&mut self, idea: &'static str, requests: usize) {
        self.requests += requests as u64;
        *self.ideas.entry(idea).or_default() += requests as u64;
    }

    fn wrong(&mut self, idea: &'static str, told: String) {
        self.wrong_total += 1;
        self.wrong.entry(idea).or_insert(told);
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} requests; answers by code: {:?}", self.requests, self.codes)?;
        self.ideas.iter().try_for_each(|(idea, count)| writeln!(f, "{count:>8}  {idea}"))
    }
}
