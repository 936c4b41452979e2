//! What the room knows about an agent, for people.

use machine::{Machine, Standing};
use wire::{AgentId, Timestamp};

use crate::books::{Books, figure};
use crate::machine::Capacity;
use crate::policy::{Measure, Policy};
use crate::rules::Resolution;
use crate::usage::{Told, Usage};
use crate::watch::{Outlook, POINTS_MIN, Place, Watch};
use crate::words::{self, counted};

/// Every line about an agent; of one that was never heard of, what is missing.
pub(crate) fn lines(
    known: Option<&(Option<u64>, Books)>,
    agent: &AgentId,
    policy: &Policy,
    refused: Option<&(String, Vec<String>)>,
    now: Timestamp,
) -> Vec<Standing> {
    let books = known.map(|(_, books)| books);
    let sessions = known.and_then(|(sessions, _)| *sessions);
    let mut lines = vec![
        used("use this hour", books, Resolution::Hour, agent, now),
        used("use today", books, Resolution::Day, agent, now),
        at_once(sessions),
        tokens_a_minute(books, now),
    ];
    let before = lines.len();
    for measure in Measure::ALL {
        if let Some(budget) = policy.budget(agent, measure) {
            lines.push(watched(known, measure, budget, policy, now));
        }
    }
    if lines.len() == before {
        let missing = "no policy of the room capacity sets one: none is a default, for none fits every agent";
        lines.push(Standing { missing: Some(missing.to_owned()), ..line("budgets", "none") });
    }
    lines.push(policy_line(policy, refused));
    lines
}

fn used(matter: &str, books: Option<&Books>, length: Resolution, agent: &AgentId, now: Timestamp) -> Standing {
    let usage = books.and_then(|books| books.under_way(length, now));
    let Some(usage) = usage.filter(|usage| usage.events + usage.late > 0) else {
        let missing = format!("nothing was told of this {}: reeve publish FILE with facts of {agent}", length.as_str());
        return Standing { missing: Some(missing), ..line(matter, "no_data") };
    };
    let missing =
        (usage.calls > 0 && usage.tokens_n == 0).then(|| "no model.called told tokens: send `tokens_in`, `tokens_out`".to_owned());
    Standing { n: Some(usage.events), missing, detail: Some(in_words(&usage)), ..line(matter, "measured") }
}

fn in_words(usage: &Usage) -> String {
    let at_once = usage.concurrent_max.map_or_else(String::new, |most| format!(", at most {most} at once"));
    let mut said = vec![format!("{} started, {} ended{at_once}", counted(usage.started, "session", "sessions"), usage.ended)];
    let tokens = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    if usage.spent.tokens().is_some() {
        said.push(format!("tokens in {}, out {}", tokens(usage.spent.tokens_in), tokens(usage.spent.tokens_out)));
    }
    said.extend(usage.spent.cost_usd().map(|usd| format!("{usd:.4} USD")));
    if let [Some(p50), Some(p95)] = usage.latencies.quantiles([0.5, 0.95]) {
        said.push(format!("latency p50 {p50:.0} ms, p95 {p95:.0} ms of {}", usage.latencies.count()));
    }
    let failed = |what: &str, Told { n, failed }: Told| (n > 0).then(|| format!("{failed} of {n} {what} failed"));
    said.extend(failed("tool calls", usage.tools));
    said.extend(failed("model calls", usage.models));
    if usage.late > 0 {
        said.push(format!("{} came too late", counted(usage.late, "fact", "facts")));
    }
    said.join("; ")
}

fn at_once(sessions: Option<u64>) -> Standing {
    let matter = "sessions at once";
    match sessions {
        None => Standing { missing: Some("no session.started was ever heard".to_owned()), ..line(matter, "no_data") },
        Some(sessions) => Standing { n: Some(sessions), ..line(matter, "counted") },
    }
}

/// Tokens of the last whole minute.
fn tokens_a_minute(books: Option<&Books>, now: Timestamp) -> Standing {
    let matter = "tokens a minute";
    let tokens = books.and_then(|books| books.minute_before(Resolution::Minute.index(now))).and_then(|usage| usage.spent.tokens());
    match tokens {
        None => line(matter, "no_data"),
        Some(tokens) => Standing { n: Some(tokens), ..line(matter, "measured") },
    }
}

fn watched(known: Option<&(Option<u64>, Books)>, measure: Measure, budget: f64, policy: &Policy, now: Timestamp) -> Standing {
    let matter = format!("budget of {}", words::amount(measure, budget));
    let books = known.map(|(_, books)| books);
    let unwatched = Watch::default();
    let watch = books.and_then(|books| books.watch(measure)).unwrap_or(&unwatched);
    let minute = Resolution::Minute.index(now);
    let place = if measure == Measure::CostUsdPerDay { Resolution::Day.index(now) } else { minute };
    let Some(value) = known.and_then(|known| value(known, measure, now)) else {
        let missing = format!("nothing was told that counts for {measure}");
        return Standing { missing: Some(missing), ..line(&matter, "no_data") };
    };
    let state = match watch.open_episode(measure, place, budget, policy) {
        Some(episode) if episode.passed => "passed",
        Some(_) => "foretold",
        None => "within",
    };
    let spent = books.map_or(0.0, |books| books.closed_usd(Resolution::Day.index(now)));
    let base = if measure == Measure::CostUsdPerDay { spent } else { 0.0 };
    // The last minute that is closed now.
    let at = Place { measure, minute: minute - 3, closed: Resolution::Minute.closes_at(minute - 3), base };
    let outlook = match watch.outlook(at, budget, policy.horizon_s) {
        Outlook::Insufficient(missing) => format!("insufficient history: {missing}"),
        Outlook::Expected(forecast) => words::expectation(measure, &forecast),
    };
    Standing {
        n: Some(watch.points(at.minute) as u64),
        needed: Some(POINTS_MIN as u64),
        detail: Some(format!("{} now; {outlook}", words::amount(measure, value))),
        ..line(&matter, state)
    }
}

/// The use of a budget now; `None`: nothing was told of it in its window.
fn value((sessions, books): &(Option<u64>, Books), measure: Measure, now: Timestamp) -> Option<f64> {
    match measure {
        Measure::ConcurrentSessions => sessions.map(|sessions| sessions as f64),
        Measure::CostUsdPerDay => {
            let today = books.under_way(Resolution::Day, now)?;
            today.spent.cost_usd()
        }
        Measure::TokensPerMinute => books.last_minute().and_then(|(_, usage)| figure(measure, usage)),
    }
}

fn policy_line(policy: &Policy, refused: Option<&(String, Vec<String>)>) -> Standing {
    let missing = refused.map(|(version, faults)| format!("policy {version} was refused: {}", faults.join("; ")));
    Standing { missing, ..line("policy of the capacity room", &policy.version) }
}

fn line(matter: &str, state: &str) -> Standing {
    Standing { room: Capacity::SERVICE.to_owned(), matter: matter.to_owned(), state: state.to_owned(), ..Standing::default() }
}
