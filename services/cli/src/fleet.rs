//! A small simulated fleet: platforms that run agents, report what they do over HTTP, and obey the orders they hear.
//!
//! It knows nothing of Reeve's insides: whatever it can do, any platform can. `reeve up --fleet` runs it in the same
//! program, `reeve fleet` against any Reeve.

mod acts;
mod agent;
mod known;
mod orders;
mod outbox;
mod people;
mod scenario;
mod sessions;

use runtime::Shutdown;
use tokio::sync::{mpsc, watch};

use crate::client::Client;
use crate::credential::KeyArgs;
use crate::failure::Failure;
use crate::fleet::agent::Agent;
use crate::fleet::known::Known;
use crate::fleet::outbox::Outbox;
use crate::output;
use crate::target::DEFAULT_URL;

pub(crate) use scenario::Scenario;

const EXAMPLES: &str = "\
Examples:
  reeve fleet --scenario bad-deploy         one agent's new version goes bad
  reeve fleet --scenario slow --agents 5    the rollback is acknowledged too late
  reeve fleet --scenario angry-customers    people are called, and some of them come
  reeve fleet --url http://127.0.0.1:4781 --scenario healthy --rate 10";

/// Agents of one fleet: each is a connection that listens for orders.
const AGENTS_MAX: u32 = 64;

/// `reeve fleet`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of a running Reeve.
    #[arg(long, env = "REEVE_URL", default_value = DEFAULT_URL, value_name = "URL")]
    url: String,
    #[command(flatten)]
    key: KeyArgs,
    /// What happens.
    #[arg(long, value_enum, default_value_t = Scenario::Healthy)]
    scenario: Scenario,
    #[command(flatten)]
    size: Size,
}

/// How large the fleet is and how busy.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Size {
    /// Agents.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(AGENTS_MAX)))]
    pub(crate) agents: u32,
    /// Seed of everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Sessions that each agent starts a second.
    #[arg(long, default_value_t = 2.0, value_parser = rate)]
    pub(crate) rate: f64,
}

/// A fleet and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    /// The Reeve that it reports to.
    pub(crate) client: Client,
    /// What happens.
    pub(crate) scenario: Scenario,
    /// How large it is.
    pub(crate) size: Size,
    /// Whether it tells on standard output what it does.
    pub(crate) tells: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = Client::new(&args.url)?.with_key(args.key.secret()?);
    client.standing(None).await?;
    let wish = Shutdown::new();
    wish.on_signals()?;
    let (stop, stopped) = watch::channel(false);
    let fleet = Fleet { client, scenario: args.scenario, size: args.size, tells: true };
    let (agents, verb) = (output::counted(fleet.size.agents as u64, "agent"), if fleet.size.agents == 1 { "reports" } else { "report" });
    output::line(format!("{agents} {verb} to {}: {}. Ctrl-C ends it.", args.url, fleet.scenario.in_words()))?;
    let life = tokio::spawn(fleet.live(stopped));
    wish.wait().await;
    stop.send_replace(true);
    life.await.map_err(|error| Failure::internal(format!("the fleet broke: {error}")))?
}

// === impl Fleet ===

impl Fleet {
    /// Runs until `stopped` says true; sessions that are open are then ended, and each platform announces its pause.
    ///
    /// # Errors
    /// When Reeve cannot be asked what it knows of these agents.
    pub(crate) async fn live(self, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
        let mut known = Vec::new();
        for name in names(self.size.agents) {
            known.push((name.clone(), Known::survey(&self.client, &name).await?));
        }
        // The trouble goes round: each run on the same log strikes the agent that was struck least.
        let struck =
            known.iter().enumerate().min_by_key(|(index, (_, known))| (known.versions.len(), *index)).map_or(0, |(index, _)| index);
        let outbox = Outbox::open(self.client.clone());
        let run = run_name();
        let mut lives = tokio::task::JoinSet::new();
        for (index, (name, known)) in known.into_iter().enumerate() {
            let scenario = if index == struck { self.scenario } else { Scenario::Healthy };
            let orders = orders::listen(self.client.clone(), name.clone(), known.last_order.clone(), stopped.clone());
            let returned = if scenario.has_people() {
                people::attend(self.client.clone(), name.clone(), outbox.sender(), stopped.clone())
            } else {
                // Nobody ever gives a session back.
                mpsc::channel(1).1
            };
            let agent = Agent::new(&name, known, scenario, &self.size, index as u64, &run, outbox.sender(), self.tells);
            lives.spawn(agent.live(orders, returned, stopped.clone()));
        }
        while lives.join_next().await.is_some() {}
        outbox.close().await;
        Ok(())
    }
}

/// What agents of a fleet are called, in order.
const NAMES: [&str; 6] = ["billing", "claims", "travel", "orders", "returns", "banking"];

fn names(agents: u32) -> impl Iterator<Item = String> {
    (0..agents as usize).map(|index| match NAMES.get(index) {
        Some(name) => (*name).to_owned(),
        None => format!("agent-{}", index + 1),
    })
}

/// A name for this run, so that its sessions are new on any log.
fn run_name() -> String {
    format!("{:x}", jiff::Timestamp::now().as_second())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 200.0 => Ok(rate),
        _ => Err("it is a number above 0, at most 200".to_owned()),
    }
}
