//! What one agent is like: how busy, how good, how its work is mixed. Drawn once for each agent; the README says why so.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use wire::Timestamp;

/// How many sessions an agent serves on an average day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Traffic {
    /// 40 to 400, most agents nearer to 40.
    Mixed,
    /// So many.
    PerDay(f64),
}

/// A kind of task that an agent gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its segment.
    pub segment: String,
    /// Share of the sessions that are of it or of a task before it.
    pub up_to: f64,
    /// By how much it is easier than the agent's average, in logits.
    pub ease: f64,
}

/// What one agent is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Nature {
    /// Sessions of an average day.
    pub sessions_per_day: f64,
    /// Logit of its chance of success.
    pub skill: f64,
    /// How far that moves over a day, in logits.
    pub skill_season: f64,
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// Share of its tool calls that fail.
    pub tool_fails: f64,
    /// Share of its model calls that fail.
    pub model_fails: f64,
    /// Share of its sessions that call for a human.
    pub escalates: f64,
    /// Share of its sessions that never tell their outcome.
    pub untold: f64,
    /// Share of its sessions that never end.
    pub endless: f64,
    /// Mean of the logarithms of a session's seconds.
    pub session_ln_s: f64,
    /// Of the milliseconds of a model call.
    pub latency_ln_ms: f64,
    /// Of its tokens.
    pub tokens_ln: f64,
}

const HOUR_US: i64 = 3_600_000_000;
/// 1970-01-01 was a Thursday: this many days after a Monday.
const EPOCH_WEEKDAY: i64 = 3;
/// The busiest hour of a day, and how much busier than the average it is.
const PEAK_HOUR: f64 = 14.0;
const DAY_SWING: f64 = 0.8;
/// Working days and weekends, so that a week has the average of one.
const WORKDAY: f64 = 1.2;
const WEEKEND: f64 = 0.5;
/// The busiest moment of a week, as a multiple of the average.
pub const BUSIEST: f64 = (1.0 + DAY_SWING) * WORKDAY;

// === impl Nature ===

impl Nature {
    /// An agent by chance.
    pub fn draw(rng: &mut ChaCha8Rng, traffic: Traffic) -> Self {
        let between = |rng: &mut ChaCha8Rng, low: f64, high: f64| rng.random_range(low..high);
        let sessions_per_day = match traffic {
            Traffic::Mixed => 40.0 * 10_f64.powf(rng.random::<f64>().powi(2)),
            Traffic::PerDay(sessions) => sessions,
        };
        let success = between(rng, 0.85, 0.98);
        let kinds = rng.random_range(1..=3_usize);
        let ease = Normal::new(0.0, 0.4).expect("a deviation");
        let tasks = (0..kinds).map(|kind| Task {
            segment: format!("task-{kind}"),
            up_to: (kind + 1) as f64 / kinds as f64,
            ease: if kinds == 1 { 0.0 } else { ease.sample(rng) },
        });
        let tasks = tasks.collect();
        Self {
            sessions_per_day,
            skill: (success / (1.0 - success)).ln(),
            skill_season: between(rng, 0.0, 0.2),
            tasks,
            tool_fails: between(rng, 0.002, 0.025),
            model_fails: between(rng, 0.001, 0.01),
            escalates: between(rng, 0.01, 0.08),
            untold: between(rng, 0.0, 0.1),
            endless: between(rng, 0.0, 0.03),
            session_ln_s: between(rng, 60.0, 240.0).ln(),
            latency_ln_ms: between(rng, 400.0, 3_000.0).ln(),
            tokens_ln: between(rng, 300.0, 3_000.0).ln(),
        }
    }

    /// How busy a moment is, as a multiple of the average: afternoons more than nights, working days more than weekends.
    pub fn season(at: Timestamp) -> f64 {
        let hours = at.0.div_euclid(HOUR_US);
        let weekday = (hours.div_euclid(24) + EPOCH_WEEKDAY).rem_euclid(7);
        let day = if weekday < 5 { WORKDAY } else { WEEKEND };
        day * (1.0 + DAY_SWING * wave(at, PEAK_HOUR))
    }

    /// The chance that a session of a task succeeds which starts now: a little smaller where it is busy.
    pub fn succeeds(&self, task: &Task, at: Timestamp) -> f64 {
        let logit = self.skill + task.ease - self.skill_season * wave(at, PEAK_HOUR);
        1.0 / (1.0 + (-logit).exp())
    }
}

/// From -1 to 1 over a day, 1 at the hour.
fn wave(at: Timestamp, peak_hour: f64) -> f64 {
    let hour = at.0.rem_euclid(24 * HOUR_US) as f64 / HOUR_US as f64;
    (std::f64::consts::TAU * (hour - peak_hour) / 24.0).cos()
}
