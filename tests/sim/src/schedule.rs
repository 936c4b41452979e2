//! A seed as an explicit list of actions. Each has its own draw of chance, so that one may be taken out and the others
//! stay what they are: that is what shrinking rests on.

use kit::Teller;
use kit::lives::BIRTH;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::log::memory::FaultPlan;
use wire::{Event, PolicyAdopted, Timestamp};

use crate::life::{life, slow_down};
use crate::seats::{ROOMS, SEATS};

/// Everything that happens in a seed, before it comes to rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The seed that drew it.
    pub seed: u64,
    /// Agents that are told of.
    pub agents: usize,
    /// How bad the weather is.
    pub weather: FaultPlan,
    /// How far the clocks of brokers lie behind, in microseconds.
    pub skew_us: i64,
    /// How long a record may wait for its copies, in microseconds.
    pub replication_lag_us: i64,
    /// What happens, in order.
    pub actions: Vec<Action>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Where all chance of this action comes from.
    pub chance: u64,
    /// Whether the log fails nobody while it lasts, whatever the weather.
    pub calm: bool,
    /// What happens.
    pub what: What,
}

/// What may happen. Rooms and seats are told by their index.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A platform or a person says something, at this time or as soon after it as it is this action's turn.
    Say(Timestamp, Box<Event>),
    /// A person says something that matters to every partition.
    SayToAll(Box<Event>),
    /// Somebody writes what nobody can read, or to where it does not belong; it looks like this.
    Garble(Box<Event>),
    /// A member takes a step.
    Step(usize),
    /// Platforms read what was ordered of them, and answer what is due.
    Answer,
    /// A member joins that is not there.
    Join(usize),
    /// A member is gone without a word.
    Crash(usize),
    /// A member is stopped past the end of its session, and woken later.
    Sleep(usize),
    /// Every snapshot is cut short.
    Damage,
    /// So many seconds pass.
    Pass(i64),
    /// The gateway is gone: until it is back nobody is heard, and time passes.
    Shut,
    /// The gateway is back, and says since when nobody could be heard.
    Open,
    /// All members of a room go down, and none comes back.
    Down(usize),
    /// The room comes back.
    Up(usize),
    /// A member ends and comes back as another version of its room.
    Upgrade(usize),
}

// === impl Schedule ===

impl Schedule {
    /// What this seed draws.
    pub fn of(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut facts = life(&mut rng);
        let agents = facts.iter().map(|(_, event)| event.key.clone()).collect::<std::collections::BTreeSet<_>>().len();
        let outage = Outage::draw(&mut rng, &mut facts);
        let (weather, skew_us, replication_lag_us) = (weather(&mut rng), skew_us(&mut rng), replication_lag_us(&mut rng));
        let mut drawn = Self { seed, agents, weather, skew_us, replication_lag_us, actions: Vec::new() };
        if rng.random_bool(0.6) {
            impatient_policies().into_iter().for_each(|event| drawn.add(&mut rng, What::SayToAll(Box::new(event))));
        }
        for seat in 0..SEATS {
            // One member of each room from the start, the second perhaps.
            if seat < ROOMS || rng.random_bool(0.5) {
                drawn.add(&mut rng, What::Join(seat));
            }
        }
        drawn.draw(&mut rng, &facts, outage);
        drawn
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng, facts: &[(Timestamp, Event)], outage: Option<Outage>) {
        let mut told = 0;
        while told < facts.len() {
            match rng.random_range(0..100) {
                0..24 => {
                    for _ in 0..rng.random_range(1..8) {
                        let Some((time, event)) = facts.get(told) else { break };
                        outage.iter().for_each(|outage| outage.at(told).into_iter().for_each(|what| self.add(rng, what)));
                        self.add(rng, What::Say(*time, Box::new(event.clone())));
                        told += 1;
                    }
                }
                24 => self.add(rng, What::Garble(Box::new(facts[told].1.clone()))),
                25..93 => {
                    let seat = rng.random_range(0..SEATS);
                    self.add(rng, What::Step(seat));
                }
                93..96 => self.add(rng, What::Answer),
                96 => {
                    if rng.random_bool(0.3) {
                        self.add(rng, What::Damage);
                    }
                    self.add_at_a_seat(rng, What::Crash);
                }
                97 => self.add_at_a_seat(rng, What::Sleep),
                98 => self.add_at_a_seat(rng, What::Join),
                _ => match rng.random_range(0..10) {
                    0..3 => {
                        let seconds = rng.random_range(1..600);
                        self.add(rng, What::Pass(seconds));
                    }
                    3..5 => self.add_at_a_seat(rng, What::Upgrade),
                    5..7 => self.shut(rng),
                    _ => {}
                },
            }
        }
    }

    /// The door is shut for a while, in which rooms decide by the clock alone; what they decide may land when it is open again.
    fn shut(&mut self, rng: &mut ChaCha8Rng) {
        self.add(rng, What::Shut);
        for _ in 0..rng.random_range(1..4) {
            let seconds = rng.random_range(1..900);
            self.add(rng, What::Pass(seconds));
            for _ in 0..rng.random_range(0..6) {
                let seat = rng.random_range(0..SEATS);
                self.add(rng, What::Step(seat));
            }
        }
        self.add(rng, What::Open);
    }

    fn add_at_a_seat(&mut self, rng: &mut ChaCha8Rng, what: fn(usize) -> What) {
        let seat = rng.random_range(0..SEATS);
        self.add(rng, what(seat));
    }

    fn add(&mut self, rng: &mut ChaCha8Rng, what: What) {
        self.actions.push(Action { chance: rng.random(), calm: false, what });
    }
}

/// A room that is down while so many facts are told, over hours.
struct Outage {
    room: usize,
    from: usize,
    to: usize,
}

// === impl Outage ===

impl Outage {
    /// In every third seed; the facts that are told in it are slowed down until it lasts for hours.
    fn draw(rng: &mut ChaCha8Rng, facts: &mut [(Timestamp, Event)]) -> Option<Self> {
        if rng.random_bool(2.0 / 3.0) {
            return None;
        }
        let from = rng.random_range(0..facts.len() / 2);
        let to = from + rng.random_range(20..80);
        slow_down(facts, from, to, rng.random_range(2 * 3_600..8 * 3_600));
        Some(Self { room: rng.random_range(0..ROOMS), from, to })
    }

    /// What of it happens before the fact of this index is told.
    fn at(&self, fact: usize) -> Option<What> {
        match fact {
            _ if fact == self.from => Some(What::Down(self.room)),
            _ if fact == self.to => Some(What::Up(self.room)),
            _ => None,
        }
    }
}

/// Policies under which versions are proven and incidents resolved within the hours that a seed lasts.
fn impatient_policies() -> Vec<Event> {
    const POLICIES: [(&str, &str); 4] = [
        (
            "capacity",
            r#"{"budgets": {"tokens_per_minute": 600, "cost_usd_per_day": 0.1, "concurrent_sessions": 2}, "horizon_s": 600, "calm_minutes": 1}"#,
        ),
        ("audit", r#"{"told_singly_max": 2}"#),
        ("rollback", r#"{"proof_outcomes": 4, "proof_hours": 1, "ack_timeout_s": 300, "sightings": 1}"#),
        (
            "incident",
            r#"{"sustain_s": 60, "sustain_sessions": 2, "away_sessions": 2, "harm_quiet_s": 60, "harm_facts": 3, "harm_sessions": 1}"#,
        ),
    ];
    let adopted = |(room, document): (&str, &str)| {
        let body = PolicyAdopted {
            room: room.to_owned(),
            version: "impatient".to_owned(),
            document: document.to_owned(),
            author: "ann".to_owned(),
            reason: "hours, not days".to_owned(),
        };
        Teller::person("ann", room).tell(BIRTH, None, body)
    };
    POLICIES.into_iter().map(adopted).collect()
}

/// In every third seed brokers date by clocks that differ, by up to a few seconds.
fn skew_us(rng: &mut ChaCha8Rng) -> i64 {
    if rng.random_bool(1.0 / 3.0) { rng.random_range(1_000..4_000_000) } else { 0 }
}

/// In every third seed a record may wait for its copies, by up to as long as a copy that is gone is waited for.
fn replication_lag_us(rng: &mut ChaCha8Rng) -> i64 {
    if rng.random_bool(1.0 / 3.0) { rng.random_range(1_000_000..30_000_000) } else { 0 }
}

/// How bad the weather of a seed is: some are calm but for crashes, some have everything.
fn weather(rng: &mut ChaCha8Rng) -> FaultPlan {
    let mut odds = |most: f64| if rng.random_bool(0.7) { rng.random_range(0.0..most) } else { 0.0 };
    FaultPlan {
        aborted: odds(0.15),
        crash_before_commit: odds(0.1),
        crash_after_commit: odds(0.1),
        delayed_produce: odds(0.15),
        delayed_commit: odds(0.1),
        fenced: odds(0.05),
        rebalanced: odds(0.01),
        lagged: odds(0.2),
        stalled: odds(0.05),
        duplicated: odds(0.1),
        unreplicated: odds(0.2),
    }
}

// === impl What ===

impl std::fmt::Display for Action {
    /// As a line of a history; members are told by name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::seats::{member, service};
        match &self.what {
            What::Say(time, event) => write!(f, "{time} {} says {} {}", event.source, event.body.kind(), event.id),
            What::SayToAll(event) => write!(f, "{} says {} {} to all", event.source, event.body.kind(), event.id),
            What::Garble(event) => write!(f, "somebody says what nobody can read, in the manner of {}", event.id),
            What::Step(seat) => write!(f, "{} steps", member(*seat)),
            What::Answer => f.write_str("platforms answer"),
            What::Join(seat) => write!(f, "{} joins", member(*seat)),
            What::Crash(seat) => write!(f, "{} crashes", member(*seat)),
            What::Sleep(seat) => write!(f, "{} is stopped past the end of its session", member(*seat)),
            What::Damage => f.write_str("every snapshot is cut short"),
            What::Pass(seconds) => write!(f, "{seconds} s pass"),
            What::Shut => f.write_str("the door is shut"),
            What::Open => f.write_str("the door opens"),
            What::Down(room) => write!(f, "the {} room goes down", service(*room)),
            What::Up(room) => write!(f, "the {} room comes back", service(*room)),
            What::Upgrade(seat) => write!(f, "{} comes back as another version", member(*seat)),
        }?;
        if self.calm { Ok(()) } else { f.write_str(" (the log may fail)") }
    }
}
