//! What people say to Reeve: facts with an author and a reason, checked before they are sent.

use futures::StreamExt;
use serde_json::Value;
use wire::{
    Automation as Automatic, AutomationSet, BaselineDeclared, Body, IncidentNoted, Mode as Allowed, ModeSet, NoteAction, QuarantineLifted,
    RollbackAccepted,
};

use crate::fact;
use crate::failure::Failure;
use crate::output;
use crate::target::{Filter, Rejected, Target, TargetArgs};
use crate::terminal::{as_called, me};

/// Who says it and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Signed {
    #[command(flatten)]
    target: TargetArgs,
    /// Who decides this, as your directory knows them.
    #[arg(long, env = "REEVE_AUTHOR", value_parser = not_empty)]
    author: String,
    /// Why, in the author's words.
    #[arg(long, value_parser = not_empty)]
    reason: String,
    /// Print the fact as a structured CloudEvent.
    #[arg(long)]
    json: bool,
}

/// Who says it, and perhaps why.
#[derive(Debug, clap::Args)]
pub(crate) struct Noted {
    #[command(flatten)]
    target: TargetArgs,
    /// The incident: its id, or the id of its `incident.opened`.
    incident_id: String,
    /// Who says this, as your directory knows them.
    #[arg(long, env = "REEVE_AUTHOR", value_parser = not_empty)]
    author: String,
    /// What there is to say.
    #[arg(long, alias = "text", value_parser = not_empty)]
    reason: Option<String>,
    /// Print the fact as a structured CloudEvent.
    #[arg(long)]
    json: bool,
}

/// `reeve baseline`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Baseline {
    /// Declare a version good: newer ones are compared with it, and Reeve may go back to it.
    #[command(after_help = "Example:\n  reeve baseline set telecom gpt-4.1 --author ines --reason 'served a month, no complaint'")]
    Set {
        /// The agent.
        agent: String,
        /// The version.
        version: String,
        #[command(flatten)]
        signed: Signed,
    },
}

/// `reeve mode`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Mode {
    /// Let an agent do no more than this, until set again.
    #[command(after_help = "Example:\n  reeve mode set telecom human-only --author ines --reason 'legal asked for it'")]
    Set {
        /// The agent.
        agent: String,
        /// normal, investigation, reduced or human-only.
        #[arg(value_parser = mode)]
        mode: Allowed,
        #[command(flatten)]
        signed: Signed,
    },
}

/// `reeve incident`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Incident {
    /// Say that you have seen it and deal with it.
    #[command(after_help = "Example:\n  reeve incident ack 5c0b... --author ines")]
    Ack(Noted),
    /// Add a comment to it.
    #[command(after_help = "Example:\n  reeve incident note 5c0b... --author ines --reason 'the prompt of Tuesday'")]
    Note(Noted),
    /// Say that it is over.
    #[command(after_help = "Example:\n  reeve incident resolve 5c0b... --author ines --reason 'prompt mended'")]
    Resolve(Noted),
}

/// `reeve quarantine`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Quarantine {
    /// Let a version that was taken back serve again.
    #[command(after_help = "Example:\n  reeve quarantine lift telecom v2 --author ines --reason 'the fault was the network'")]
    Lift {
        /// The agent.
        agent: String,
        /// The version.
        version: String,
        #[command(flatten)]
        signed: Signed,
    },
}

/// `reeve automation`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Automation {
    /// observe: say what would be ordered; propose: a person accepts; enforce: order.
    #[command(after_help = "Example:\n  reeve automation set telecom enforce --author ines --reason 'a month of good proposals'")]
    Set {
        /// The agent.
        agent: String,
        /// observe, propose or enforce.
        #[arg(value_parser = automation)]
        automation: Automatic,
        #[command(flatten)]
        signed: Signed,
    },
}

/// `reeve rollback`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Rollback {
    /// Accept a proposal: what it proposes is ordered.
    #[command(after_help = "Example:\n  reeve rollback accept 91fe... --author ines --reason 'agreed'")]
    Accept {
        /// The proposal: the id of its `rollback.proposed`.
        proposal_id: String,
        #[command(flatten)]
        signed: Signed,
    },
}

// === impl of each word ===

impl Baseline {
    pub(crate) async fn say(self) -> Result<(), Failure> {
        let Self::Set { agent, version, signed } = self;
        let body = BaselineDeclared { version: version.into(), author: signed.author.clone(), reason: signed.reason.clone() };
        signed.say(&agent, body).await
    }
}

impl Mode {
    pub(crate) async fn say(self) -> Result<(), Failure> {
        let Self::Set { agent, mode, signed } = self;
        let body = ModeSet { mode, author: signed.author.clone(), reason: signed.reason.clone() };
        signed.say(&agent, body).await
    }
}

impl Quarantine {
    pub(crate) async fn say(self) -> Result<(), Failure> {
        let Self::Lift { agent, version, signed } = self;
        let body = QuarantineLifted { version: version.into(), author: signed.author.clone(), reason: signed.reason.clone() };
        signed.say(&agent, body).await
    }
}

impl Automation {
    pub(crate) async fn say(self) -> Result<(), Failure> {
        let Self::Set { agent, automation, signed } = self;
        let body = AutomationSet { automation, author: signed.author.clone(), reason: signed.reason.clone() };
        signed.say(&agent, body).await
    }
}

impl Rollback {
    pub(crate) async fn say(self) -> Result<(), Failure> {
        let Self::Accept { proposal_id, signed } = self;
        let target = signed.target.open()?;
        let asked = Filter { kinds: vec!["rollback.proposed".to_owned()], id: Some(proposal_id.clone()), ..Filter::default() };
        let proposal = first(&target, &asked, |_| true).await?;
        let proposal = proposal.ok_or_else(|| {
            Failure::unknown(format!("no proposal {proposal_id} is on the log; `reeve tail --kind rollback.proposed` lists them"))
        })?;
        let agent = output::text(&proposal, "/partitionkey").to_owned();
        let body = RollbackAccepted { proposal_id, author: signed.author.clone(), reason: signed.reason };
        send(&target, &agent, &signed.author, body, signed.json).await
    }
}

impl Incident {
    pub(crate) async fn say(self) -> Result<(), Failure> {
        let (action, noted) = match self {
            Self::Ack(noted) => (NoteAction::Ack, noted),
            Self::Note(noted) => (NoteAction::Comment, noted),
            Self::Resolve(noted) => (NoteAction::Resolve, noted),
        };
        if noted.reason.is_none() && action != NoteAction::Ack {
            return Err(Failure::usage("--reason is missing: a note says something, and an incident is resolved for a reason"));
        }
        let target = noted.target.open()?;
        let asked = Filter { kinds: vec!["incident.opened".to_owned()], ..Filter::default() };
        // People copy either: the incident's id, or that of the record that opened it.
        let named = |event: &Value| ["/data/incident_id", "/id"].iter().any(|id| output::text(event, id) == noted.incident_id);
        let opened = first(&target, &asked, named).await?;
        let opened = opened.ok_or_else(|| {
            Failure::unknown(format!("no incident {} is on the log; `reeve tail --kind incident.opened` lists them", noted.incident_id))
        })?;
        let agent = output::text(&opened, "/partitionkey").to_owned();
        let incident_id = output::text(&opened, "/data/incident_id").into();
        let body = IncidentNoted { incident_id, action, author: noted.author.clone(), text: noted.reason };
        send(&target, &agent, &noted.author, body, noted.json).await
    }
}

impl Signed {
    pub(crate) fn target(&self) -> &TargetArgs {
        &self.target
    }

    pub(crate) fn author(&self) -> &str {
        &self.author
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    async fn say(self, agent: &str, body: impl Into<Body>) -> Result<(), Failure> {
        let target = self.target.open()?;
        let is_known = !target.standing(Some(agent)).await?.agents.is_empty();
        send(&target, agent, &self.author, body, self.json).await?;
        if !is_known {
            // It may well be about to begin; a misspelt name would otherwise be silent.
            eprintln!("{}", as_called(&format!("note: no agent {agent} was known before; `reeve status{}` lists all", target.option())));
        }
        Ok(())
    }
}

// === helpers ===

async fn send(target: &Target, agent: &str, author: &str, body: impl Into<Body>, json: bool) -> Result<(), Failure> {
    let body = body.into();
    let kind = body.kind();
    let structured = publish(target, agent, author, body).await?;
    if json {
        return output::json_line(&structured);
    }
    output::line(format!("{kind} of {agent} is on the log as {}{}", output::text(&structured, "/id"), later(target)))
}

/// Publishes what `author` says about `key`; the structured CloudEvent that it was sent as.
///
/// # Errors
/// When it breaks a limit, is refused, or cannot be handed over.
pub(crate) async fn publish(target: &Target, key: &str, author: &str, body: impl Into<Body>) -> Result<Value, Failure> {
    let event = fact::event(&format!("/people/{author}"), key, body);
    let faults = wire::limits::check(&event);
    if !faults.is_empty() {
        return Err(Failure::refused("nothing was sent").with_lines(faults.iter().map(ToString::to_string).collect()));
    }
    let structured = fact::structured(&event);
    match target.publish(std::slice::from_ref(&structured)).await {
        Ok(_) => Ok(structured),
        Err(Rejected::Failed(failure)) => Err(failure),
        Err(Rejected::Faults(faults)) => {
            Err(Failure::refused("nothing was sent").with_lines(faults.into_iter().map(|(_, fault)| fault).collect()))
        }
    }
}

/// When the rooms hear what was said.
pub(crate) fn later(target: &Target) -> String {
    match target {
        Target::Url(_) => String::new(),
        Target::Folder(_) => format!("; the rooms act on it at the next `{} up`", me()),
    }
}

/// The first event that the filter lets through and `fits`.
async fn first(target: &Target, filter: &Filter, fits: impl Fn(&Value) -> bool) -> Result<Option<Value>, Failure> {
    let mut events = target.events(filter).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if fits(&event) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn mode(text: &str) -> Result<Allowed, String> {
    let all = [Allowed::Normal, Allowed::Investigation, Allowed::Reduced, Allowed::HumanOnly];
    let asked = text.replace('-', "_");
    all.into_iter().find(|mode| mode.as_str() == asked).ok_or_else(|| "modes are normal, investigation, reduced, human-only".to_owned())
}

fn automation(text: &str) -> Result<Automatic, String> {
    let all = [Automatic::Observe, Automatic::Propose, Automatic::Enforce];
    all.into_iter().find(|step| step.as_str() == text).ok_or_else(|| "it is observe, propose or enforce".to_owned())
}
