//! What the room knows about an agent, for people: why something happened, and why nothing did.

use machine::Standing;
use wire::{AgentId, Timestamp};

use crate::agent::Agent;
use crate::burn::Reading;
use crate::episode::Episode;
use crate::pairs::Test;
use crate::policy::{Policy, Signal};
use crate::rules;
use crate::versions::Ix;
use crate::words::{counted, span};

mod slow;

const SIGNALS: [Signal; 4] = [Signal::Tool, Signal::Model, Signal::Success, Signal::Slowness];

/// Comparisons that are shown; the one with the most evidence comes first.
const TESTS_SHOWN_MAX: usize = 8;

/// Every line about `agent`; `known` is absent where nothing was ever heard of it.
pub(crate) fn lines(
    known: Option<&Agent>,
    agent: &AgentId,
    policy: &Policy,
    refused: Option<&(String, Vec<String>)>,
    now: Timestamp,
) -> Vec<Standing> {
    let unheard = Agent::default();
    let known = known.unwrap_or(&unheard);
    let mut lines = vec![incident(known), harm(known, agent)];
    lines.extend(SIGNALS.into_iter().map(|signal| burn(known, agent, signal, policy, now)));
    lines.push(heartbeat(known, agent, now));
    lines.extend(regression(known, agent, policy));
    lines.extend(slow::lines(known, agent, policy, now));
    lines.extend(times(known));
    lines.extend(set_aside(known));
    lines.push(policy_line(policy, refused));
    lines
}

fn incident(known: &Agent) -> Standing {
    let Some(episode) = &known.episode else {
        return Standing { n: Some(known.tally.incidents), detail: Some("incidents so far".to_owned()), ..line("incident", "none open") };
    };
    let provisional = if episode.provisional { " (provisional)" } else { "" };
    Standing { detail: Some(episode_in_words(episode)), ..line("incident", &format!("open, {}{provisional}", episode.level)) }
}

fn episode_in_words(episode: &Episode) -> String {
    let active = episode.causes.iter().filter(|(_, cause)| cause.active).map(|((rule, version), _)| match version {
        Some(version) => format!("{} of {version}", rule.name()),
        None => rule.name().to_owned(),
    });
    let active: Vec<String> = active.collect();
    let wrong = if active.is_empty() { "nothing is wrong any more".to_owned() } else { active.join(", ") };
    let calm = episode
        .calm
        .as_ref()
        .map(|calm| format!("; calm since {} and {}", calm.since, counted(calm.sessions, "session")))
        .unwrap_or_default();
    let notes = episode.notes.iter().map(|(action, author, text)| format!("; {} by {author}: {text}", action.as_str()));
    format!(
        "{} since {}: {wrong}; {}{calm}{}",
        episode.incident_id,
        episode.opened_at,
        counted(episode.harms, "harm"),
        notes.collect::<String>()
    )
}

fn harm(known: &Agent, agent: &AgentId) -> Standing {
    let report = publish(agent, "harm.reported", r#"{"category":"wrong_refund","confirmed":true}"#);
    let missing = (known.tally.harms == 0).then(|| format!("no harm.reported, which is well if somebody would report one: {report}"));
    Standing {
        n: Some(known.tally.harms),
        needed: Some(1),
        missing,
        ..line("harm", if known.tally.harms == 0 { "watching" } else { "seen" })
    }
}

/// The fullest window of a signal, over the versions.
fn burn(known: &Agent, agent: &AgentId, signal: Signal, policy: &Policy, now: Timestamp) -> Standing {
    let matter = format!("{signal} burn rate");
    let streams = known.versions.iter().map(|(ix, _)| Some(ix)).chain([None]);
    let readings = streams.flat_map(|version| known.burn.pages((version, signal), now, policy));
    let Some(fullest) = readings.max_by_key(|reading| (reading.bad * 1_000 / reading.n.max(1), reading.n)) else {
        let missing = format!("the policy sets no objective for {signal}: adopt one to have it watched");
        return Standing { missing: Some(missing), ..line(&matter, "not watched") };
    };
    let fullest = most_facts(known, signal, policy, now).filter(|_| fullest.n < policy.facts_min).unwrap_or(fullest);
    let state = match () {
        () if known.burn.is_firing(signal) => "firing",
        () if fullest.n < policy.facts_min => "no_data",
        () => "watching",
    };
    let missing = (state == "no_data").then(|| missing_facts(known, agent, signal, fullest.n, policy));
    Standing {
        n: Some(fullest.n),
        needed: Some(policy.facts_min),
        missing,
        detail: Some(reading_in_words(&fullest)),
        ..line(&matter, state)
    }
}

fn most_facts(known: &Agent, signal: Signal, policy: &Policy, now: Timestamp) -> Option<Reading> {
    let streams = known.versions.iter().map(|(ix, _)| Some(ix)).chain([None]);
    let readings = streams.flat_map(|version| known.burn.pages((version, signal), now, policy));
    readings.max_by_key(|reading| reading.n)
}

fn reading_in_words(reading: &Reading) -> String {
    let burn = rules::burn_rate(reading.bad, reading.n, reading.objective);
    let burn = burn.map_or_else(|| "none".to_owned(), |burn| format!("{burn:.1}"));
    format!(
        "{} bad of {} within {}, burn rate {burn} of {}, objective {}",
        reading.bad,
        reading.n,
        span(reading.row.long_s),
        reading.row.factor,
        reading.objective
    )
}

fn missing_facts(known: &Agent, agent: &AgentId, signal: Signal, n: u64, policy: &Policy) -> String {
    let (kind, body, ever) = match signal {
        Signal::Tool => ("tool.returned", r#"{"tool":"lookup","by":"agent","failed":false}"#, known.tally.tools),
        Signal::Model => ("model.called", r#"{"by":"agent","failed":false}"#, known.tally.models),
        Signal::Success => ("outcome.reported", r#"{"success":true,"handled_by":"agent"}"#, known.tally.outcomes),
        Signal::Slowness => ("model.called", r#"{"by":"agent","latency_ms":900}"#, known.tally.models),
    };
    let seen = match ever {
        0 => format!("no {kind} that tells it yet"),
        ever if n == 0 => format!("{ever} {kind} in all, but none within the window and in time"),
        _ => format!("{} more {kind}", policy.facts_min.saturating_sub(n)),
    };
    format!("{seen}: {}", publish(agent, kind, body))
}

fn heartbeat(known: &Agent, agent: &AgentId, now: Timestamp) -> Standing {
    let Some((last, _)) = &known.pulse.last else {
        let beat = publish(agent, "platform.heartbeat", r#"{"interval_s":30}"#);
        return Standing { missing: Some(format!("no platform.heartbeat yet: {beat}")), ..line("heartbeat", "no_data") };
    };
    let detail = Some(format!("last {:.0} s ago", now.since_s(*last).max(0.0)));
    Standing { detail, ..line("heartbeat", if known.pulse.silent { "firing" } else { "watching" }) }
}

fn regression(known: &Agent, agent: &AgentId, policy: &Policy) -> Vec<Standing> {
    let targets: Vec<Ix> = known.pairs.targets().map(|target| target.version).collect();
    if targets.is_empty() {
        let serving = known.versions.serving().and_then(|ix| known.versions.id(ix));
        let version = serving.as_ref().map_or("VERSION", |version| version.as_str());
        let missing = format!("no baseline.declared yet: reeve baseline set {agent} '{version}' --author YOU --reason WHY");
        return vec![Standing { missing: Some(missing), ..line("regression", "no_data") }];
    }
    let mut tests: Vec<Test> = known.pairs.tests().collect();
    tests.sort_by_key(|test| std::cmp::Reverse((known.pairs.has_crossed(*test), known.pairs.score(*test).lost)));
    if tests.is_empty() {
        return vec![Standing { missing: Some(missing_pairs(known, agent, targets[0])), n: Some(0), ..line("regression", "no_data") }];
    }
    tests.truncate(TESTS_SHOWN_MAX);
    tests.into_iter().map(|test| comparison(known, agent, test, policy)).collect()
}

fn comparison(known: &Agent, agent: &AgentId, test: Test, policy: &Policy) -> Standing {
    let score = known.pairs.score(test);
    let discordant = score.lost + score.won;
    // With fewer losses than this in a row nothing can be decided.
    let needed = (1..).find(|lost| rules::evidence(*lost, 0) >= policy.regression_e);
    let name = |ix| known.versions.id(ix).map_or_else(String::new, |version| version.to_string());
    let state = match () {
        () if known.pairs.has_crossed(test) => "firing",
        () if discordant == 0 => "no_data",
        () => "watching",
    };
    let detail = format!(
        "{} of {} pairs differ: lost {}, won {}, e = {:.2} of {}",
        discordant,
        score.pairs,
        score.lost,
        score.won,
        rules::evidence(score.lost, score.won),
        policy.regression_e
    );
    let missing = (state == "no_data").then(|| missing_pairs(known, agent, test.target));
    let matter = format!("regression of {} against {} by {}", name(test.candidate), name(test.target), test.criterion.words());
    Standing { n: Some(discordant), needed, missing, detail: Some(detail), ..line(&matter, state) }
}

fn missing_pairs(known: &Agent, agent: &AgentId, target: Ix) -> String {
    let outcome = publish(agent, "outcome.reported", r#"{"success":true,"handled_by":"agent"}"#);
    let target_outcomes = known.versions.get(target).map_or(0, |version| version.outcomes);
    let others: u64 = known.versions.iter().filter(|(ix, _)| *ix != target).map(|(_, version)| version.outcomes).sum();
    match (known.tally.outcomes, target_outcomes, others) {
        (0, _, _) if known.tally.strays > 0 => format!(
            "{} outcome.reported belong to no session.started with a version: {}",
            known.tally.strays,
            publish(agent, "session.started", r#"{"version":"v1"}"#)
        ),
        (0, _, _) => format!("no outcome.reported yet: {outcome}"),
        (_, 0, _) => format!("no outcome.reported of the version compared with: {outcome}"),
        (_, _, 0) => "no other version has told an outcome".to_owned(),
        _ => "no two sessions of the same segment that turned out differently".to_owned(),
    }
}

/// Facts without a time are evidence for pairs and for nothing else: who wonders why no rate fires should know.
fn times(known: &Agent) -> Option<Standing> {
    let (untimed, late) = (known.tally.untimed, known.tally.late);
    let missing = (untimed > 0).then(|| "facts that carry no time enter no window: send `time` with each".to_owned());
    let detail = Some(format!("{untimed} without a time, {late} too late or too early for any window"));
    (untimed + late > 0).then(|| Standing { n: Some(untimed + late), missing, detail, ..line("facts outside windows", "counted") })
}

/// What was heard and counted, and decided nothing.
fn set_aside(known: &Agent) -> Vec<Standing> {
    let tally = &known.tally;
    let counts = [
        (tally.corrections, "corrections of outcomes", "the first outcome of a session is the one that is compared"),
        (tally.strays, "outcomes without a session", "no session.started with a version was known for them"),
        (known.drift.crowded, "sessions on no chart", "more versions and segments were measured than an agent has charts for"),
        (known.escalations.lost, "sessions without a word on escalation", "the escalation room did not look at them in time"),
        (tally.given_up, "sessions given up", "they did not end in time: what their calls took is on no chart"),
        (tally.crowded, "sessions not compared", "more were under way, or more segments told apart, than an agent has room for"),
        (tally.afterwards, "rollbacks that failed afterwards", "their incident was over by then"),
    ];
    let heard = counts.into_iter().filter(|(n, ..)| *n > 0);
    heard.map(|(n, matter, why)| Standing { n: Some(n), detail: Some(why.to_owned()), ..line(matter, "counted") }).collect()
}

fn policy_line(policy: &Policy, refused: Option<&(String, Vec<String>)>) -> Standing {
    let missing = refused.map(|(version, faults)| format!("policy {version} was refused: {}", faults.join("; ")));
    Standing { missing, ..line("policy of the incident room", &policy.version) }
}

fn line(matter: &str, state: &str) -> Standing {
    Standing { room: "incident".to_owned(), matter: matter.to_owned(), state: state.to_owned(), ..Standing::default() }
}

/// The command that sends a fact of this kind.
fn publish(agent: &AgentId, kind: &str, body: &str) -> String {
    let subject = if matches!(kind, "platform.heartbeat") { "" } else { r#""subject":"SESSION","# };
    format!(
        r#"echo '{{"specversion":"1.0","id":"ID","source":"/platforms/PLATFORM/agents/{agent}","type":"io.reeve.{kind}.v1",{subject}"time":"TIME","data":{body}}}' | reeve publish -"#
    )
}
