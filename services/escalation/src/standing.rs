//! What this room knows about an agent, for people: who waits for a human, and why nobody was called.

use machine::{Machine, Standing};
use wire::{AgentId, RecordId, Timestamp};

use crate::agent::{Agent, Tally};
use crate::episode::Episode;
use crate::machine::Escalation;
use crate::policy::{InForce, Policy};

/// Open escalations that are shown; the most urgent come first.
const OPEN_SHOWN_MAX: usize = 8;

/// Every line about `agent`; `known` is absent where nothing was ever heard of it.
pub(crate) fn lines(
    known: Option<&Agent>,
    agent: &AgentId,
    in_force: &InForce,
    refused: Option<&(String, Vec<String>)>,
    now: Timestamp,
) -> Vec<Standing> {
    let unheard = Agent::default();
    let known = known.unwrap_or(&unheard);
    let policy = in_force.policy();
    let mut lines = vec![escalations(known)];
    lines.extend(deadlines(known));
    lines.extend(open(known, agent, now));
    lines.extend([sentiment(&known.tally, agent, policy), confidence(&known.tally, agent, policy)]);
    lines.extend([complexity(&known.tally, agent, policy), topics(&known.tally, agent, policy), failures(&known.tally, agent, policy)]);
    lines.extend(set_aside(&known.tally));
    lines.push(policy_line(policy, refused));
    lines
}

fn escalations(known: &Agent) -> Standing {
    let state = if known.open.is_empty() { "none open".to_owned() } else { format!("{} open", known.open.len()) };
    let Tally { raised, risen, joined, .. } = &known.tally;
    let detail = format!("{raised} so far, {risen} of which became more urgent; {joined} further reasons joined them");
    Standing { n: Some(*raised), detail: Some(detail), ..line("escalations", &state) }
}

/// Who waits for a human, and until when: what nobody has taken is due, or overdue.
fn deadlines(known: &Agent) -> [Standing; 2] {
    let episodes = known.open.values().filter_map(|id| known.sessions.get(id)?.episode.as_ref());
    let (mut overdue, mut first_due) = (0, None::<Timestamp>);
    for episode in episodes.filter(|episode| episode.claim.is_none()) {
        match episode.due_at() {
            Some(due) => first_due = Some(first_due.map_or(due, |first| first.min(due))),
            None => overdue += 1,
        }
    }
    let state = if overdue == 0 { "none".to_owned() } else { format!("{overdue} overdue") };
    let due = first_due.map_or_else(|| "none".to_owned(), |due| due.to_string());
    [Standing { n: Some(overdue), ..line("escalations overdue", &state) }, line("escalations due", &due)]
}

/// One line each, the most urgent first.
fn open(known: &Agent, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
    let open = known.open.values().filter_map(|id| Some((id, known.sessions.get(id)?.episode.as_ref()?)));
    let mut open: Vec<_> = open.map(|(id, episode)| ((episode.claim.is_some(), episode.priority, episode.due_at(), id), episode)).collect();
    open.sort_by_key(|(urgency, _)| *urgency);
    open.truncate(OPEN_SHOWN_MAX);
    open.into_iter().map(|((_, _, _, id), episode)| waiting(id.as_str(), episode, agent, now)).collect()
}

fn waiting(session: &str, episode: &Episode, agent: &AgentId, now: Timestamp) -> Standing {
    let matter = format!("session {session}");
    let asked = format!("{}: {}, priority {}, route {}", episode.id, episode.trigger, episode.priority, episode.route);
    match (&episode.claim, episode.due_at()) {
        (Some(_), _) => {
            let taken = episode.waited_s().map_or_else(|| "taken".to_owned(), |waited_s| format!("taken after {waited_s:.0} s"));
            Standing { detail: Some(format!("{asked}; {taken}")), ..line(&matter, "taken") }
        }
        (None, due) => {
            let due = due.map_or_else(|| "overdue".to_owned(), |due| format!("due {due}, in {:.0} s", due.since_s(now)));
            Standing {
                missing: Some(format!("a human who takes it: {}", claim(agent, &episode.id))),
                detail: Some(format!("{asked}; {due}")),
                ..line(&matter, "waiting")
            }
        }
    }
}

fn sentiment(tally: &Tally, agent: &AgentId, policy: &Policy) -> Standing {
    let (scored, unscored) = (tally.seen.scored, tally.seen.unscored);
    let posted = publish(agent, "message.posted", r#"{"role":"user","sentiment":-0.6}"#);
    let missing = match (scored, unscored) {
        (0, 0) => Some(format!("no message.posted of a user yet: {posted}")),
        (_, 0) => None,
        (_, unscored) if policy.language.is_none() => Some(format!(
            "{unscored} turns could not be scored, for they tell neither a sentiment nor a language that is scored: send one, or \
             adopt a policy with \"language\": {posted}"
        )),
        (_, unscored) => Some(format!("{unscored} turns could not be scored: send a sentiment with them: {posted}")),
    };
    let detail = format!(
        "calls when the trend of a session comes to {}, and again only after it was back at {}; {unscored} turns unknown",
        policy.mood.enter, policy.mood.leave
    );
    let needed = u64::from(policy.mood.turns_min);
    counted("sentiment", scored, needed, missing.filter(|_| scored == 0 || unscored > 0), Some(detail))
}

fn confidence(tally: &Tally, agent: &AgentId, policy: &Policy) -> Standing {
    let Some(least) = policy.confidence_min else {
        return Standing { missing: Some("the policy asks for no confidence".to_owned()), ..line("confidence", "not watched") };
    };
    let n = tally.seen.confidences;
    let missing =
        format!("no decision.made that states one yet: {}", publish(agent, "decision.made", r#"{"action":"answer","confidence":0.8}"#));
    counted("confidence", n, 1, (n == 0).then_some(missing), Some(format!("calls below {least}")))
}

fn complexity(tally: &Tally, agent: &AgentId, policy: &Policy) -> Standing {
    let n = tally.seen.steps;
    let missing = format!("no step of the agent yet: {}", publish(agent, "tool.called", r#"{"tool":"lookup","by":"agent"}"#));
    let limits = &policy.complexity;
    let detail =
        format!("calls at {} systems, {} steps or {} retries in a session", limits.systems_max, limits.steps_max, limits.retries_max);
    counted("complexity", n, 1, (n == 0).then_some(missing), Some(detail))
}

fn topics(tally: &Tally, agent: &AgentId, policy: &Policy) -> Standing {
    let n = tally.seen.texts;
    let missing = format!("no text of a user yet: {}", publish(agent, "message.posted", r#"{"role":"user","text":"..."}"#));
    let names: Vec<&str> = policy.topic_names().collect();
    counted("policy topics", n, 1, (n == 0).then_some(missing), Some(names.join(", ")))
}

fn failures(tally: &Tally, agent: &AgentId, policy: &Policy) -> Standing {
    let n = tally.seen.calls;
    let missing =
        format!("no call that tells it yet: {}", publish(agent, "tool.returned", r#"{"tool":"lookup","by":"agent","failed":false}"#));
    counted("agent failure", n, 1, (n == 0).then_some(missing), Some(format!("calls at {} failures in a row", policy.failures_max)))
}

/// A matter that is watched once enough facts were seen.
fn counted(matter: &str, n: u64, needed: u64, missing: Option<String>, detail: Option<String>) -> Standing {
    let state = if n == 0 { "no_data" } else { "watching" };
    Standing { n: Some(n), needed: Some(needed), missing, detail, ..line(matter, state) }
}

/// What was heard and counted, and called nobody.
fn set_aside(tally: &Tally) -> Vec<Standing> {
    let failed = format!("the last one was route {}'s", tally.unevaluated_last.as_deref().unwrap_or_default());
    let counts = [
        (tally.unevaluated, "conditions not evaluated", failed.as_str()),
        (tally.crowded, "sessions without room", "more were open than an agent has room for, and nobody was called for them"),
        (tally.strays, "stray claims and returns", "the escalation was taken, over or never raised"),
        (tally.homeless, "findings without a session", "they name none, or one that is over or was never heard of: no human could take it"),
        (tally.outcomes_unknown, "outcomes of unknown sessions", "nothing is known of their sessions, or nothing any more"),
        (tally.missed, "sessions that a human took unasked", "nobody had been called for them"),
        (tally.needless, "escalated sessions that the agent ended", "their outcome names the agent"),
    ];
    let heard = counts.into_iter().filter(|(n, ..)| *n > 0);
    heard.map(|(n, matter, why)| Standing { n: Some(n), detail: Some(why.to_owned()), ..line(matter, "counted") }).collect()
}

fn policy_line(policy: &Policy, refused: Option<&(String, Vec<String>)>) -> Standing {
    let missing = refused.map(|(version, faults)| format!("policy {version} was refused: {}", faults.join("; ")));
    Standing { missing, ..line("policy of the escalation room", &policy.version) }
}

fn line(matter: &str, state: &str) -> Standing {
    Standing { room: Escalation::SERVICE.to_owned(), matter: matter.to_owned(), state: state.to_owned(), ..Standing::default() }
}

/// The command that sends a fact of this kind.
fn publish(agent: &AgentId, kind: &str, body: &str) -> String {
    format!(
        r#"echo '{{"specversion":"1.0","id":"ID","source":"/platforms/PLATFORM/agents/{agent}","type":"io.reeve.{kind}.v1","subject":"SESSION","time":"TIME","data":{body}}}' | reeve publish -"#
    )
}

/// The command by which a person takes an escalation.
fn claim(agent: &AgentId, escalation: &RecordId) -> String {
    format!(
        r#"echo '{{"specversion":"1.0","id":"ID","source":"/people/YOU","partitionkey":"{agent}","type":"io.reeve.escalation.claimed.v1","data":{{"escalation_id":"{escalation}","author":"YOU"}}}}' | reeve publish -"#
    )
}
