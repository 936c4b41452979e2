//! `reeve up`: every room in one program on the embedded log, the gateway on a loopback address, and a simulated fleet
//! if asked.

mod routes;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gateway::keys::{self, Keys, KeysFile, Secret};
use gateway::{GatewayOptions, Pace, ServeLimits};
use runtime::admin::{self, Admin};
use runtime::beside::Beside;
use runtime::config::{Config, Key, Layer, Layers, LogConfig, LogFormat};
use runtime::decide::{end_beside, open_log, room_options, until_drained};
use runtime::log::Log;
use runtime::{Code, RoomHandle, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::watch as told;
use tokio::task::JoinHandle;
use wire::{Offset, Partition};

use crate::client::Client;
use crate::credential;
use crate::failure::Failure;
use crate::fleet::{Fleet, Scenario, Size};
use crate::output;
use crate::rooms;
use crate::target::DEFAULT_URL;
use crate::terminal::{folded, me};

const EXAMPLES: &str = "\
Examples:
  reeve up                        everything, on ./data and 127.0.0.1:4780
  reeve up --fleet bad-deploy     and a small fleet, one agent of which goes bad
  reeve up --log kafka --brokers broker:9092
                                  the same rooms on a topic of an Apache Kafka cluster
  reeve up --data /var/lib/reeve --listen 127.0.0.1:4781 --log-format json

Without API keys nobody is asked for one, and it listens on loopback addresses only; with the
first (`reeve keys add`) every request needs one, and it may listen elsewhere.

Ctrl-C or SIGTERM drains and ends with 0; a second one ends at once. Started again on the same folder it goes on.";

/// How long the rooms may take to restore before somebody is told that they still do.
const READY_PATIENCE: Duration = Duration::from_secs(5);
/// How often readiness, and whether a room has failed, is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the fleet may take to end its sessions.
const FLEET_GRACE: Duration = Duration::from_secs(5);

/// Column in which a greeting's words stand.
const GREETING_COLUMN: usize = 11;
/// Variables of other verbs.
pub(crate) const OTHER_VARIABLES: &[&str] = &["REEVE_URL", "REEVE_AUTHOR", credential::VARIABLE];
/// Which log lines are written.
const FILTER: &str = "logging.filter";

/// `reeve up`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folder of the log; it is made if need be [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Which log: embedded, a file in the folder; or kafka, a topic that exists [default: embedded]
    #[arg(long, value_name = "KIND")]
    log: Option<String>,
    /// Some brokers of a Kafka log, as host:port, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    brokers: Option<String>,
    /// Address to listen on, on loopback unless there are API keys; port 0 takes a free one [default: 127.0.0.1:4780]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Partitions of a new log; one that exists keeps its own [default: 4]
    #[arg(long, value_name = "N")]
    partitions: Option<String>,
    /// Simulate a fleet in the same program, which speaks to the gateway over HTTP.
    #[arg(long, value_enum, value_name = "SCENARIO")]
    fleet: Option<Scenario>,
    /// Simulate nothing: the default, and what overrules an earlier --fleet.
    #[arg(long, overrides_with = "fleet")]
    no_fleet: bool,
    #[command(flatten)]
    size: Size,
    /// How log lines are written: human or json [default: human]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A TOML file with settings; flags and REEVE_* variables overrule it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the effective configuration, with where each value comes from, and end.
    #[arg(long)]
    print_config: bool,
}

/// What runs.
struct House {
    log: Arc<dyn Log>,
    rooms: Vec<RoomHandle>,
    /// Writes what is on the log into the archive. It ends after the rooms.
    archive: Beside,
    /// Where each partition ended before the rooms were started: what they decide first is told, too.
    began_at: Vec<Offset>,
    /// Ends the rooms. They end last, so that what the gateway took is decided on.
    rooms_end: Shutdown,
    /// Who may pass the gateway.
    keys: Keys,
}

/// Runs until somebody wishes to stop, then lets everything end in order.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let layers = args.layers();
    let mut config = Config::of(&layers)?;
    if args.print_config {
        return output::line(layers.show().trim_end());
    }
    let filter_is_set = Key::named(FILTER).is_some_and(|filter| layers.layer(filter) != Layer::Default);
    if config.logging.format == LogFormat::Human && !filter_is_set {
        // The watcher tells people what matters; the rest is for whoever asks for it.
        config.logging.filter = "warn".to_owned();
    }
    runtime::logging::begin(&config.logging);

    let mut keys = Keys::watch(KeysFile::in_folder(&config.folder), keys::LOOK_EVERY, Pace::default())?;
    gateway::service::check_address(config.listen_address, &keys).map_err(|sentence| Failure::coded(Code::BadConfig, sentence))?;
    // The simulated fleet is a client like any other: where keys are asked for it has one, which only this process knows.
    let fleets_key =
        args.fleet.map(|_| keys.guest("the simulated fleet").map_err(|faults| Failure::internal(faults.join("; ")))).transpose()?;
    let wish = Shutdown::new();
    wish.on_signals()?;
    let listener = listen(config.listen_address).await?;
    let address = listener.local_addr()?;
    let house = House::open(&config, keys)?;

    let gateway_ends = Shutdown::new();
    let serving = tokio::spawn({
        let (router, ends) = (house.router(), gateway_ends.clone());
        async move { gateway::serve(listener, router, async move { ends.wait().await }, ServeLimits::default()).await }
    });
    house.ready(&wish).await?;
    greet(&args, &config, address, &house)?;
    let (log, began_at, rooms_end) = (Arc::clone(&house.log), house.began_at.clone(), house.rooms_end.clone());
    let watching = watch::start(log, began_at, config.logging.format, option(address), rooms_end);
    let fleet = args.fleet.map(|scenario| start_fleet(scenario, &args.size, address, fleets_key)).transpose()?;

    let failed = house.until_over(&wish).await;
    if let Some(fleet) = fleet {
        fleet.end().await;
    }
    gateway_ends.request();
    if let Err(error) = serving.await.map_err(std::io::Error::other).flatten() {
        tracing::warn!("the gateway did not end in order: {error}");
    }
    house.rooms_end.request();
    let ended = until_drained(&house.rooms, &house.rooms_end, config.drain_timeout).await;
    let archived = end_beside(Some(house.archive), config.drain_timeout).await;
    // The watcher tells what the rooms said last, and ends when they have.
    let _ = watching.join();
    failed?;
    ended?;
    let waiting = archived?;
    if config.logging.format == LogFormat::Human { output::line(last_sentence(waiting)) } else { Ok(()) }
}

/// What is said at the end of a drain that left so many records to the archive of the next start.
fn last_sentence(waiting: u64) -> String {
    if waiting == 0 {
        return "drained: everything that was taken is on the log and in the archive".to_owned();
    }
    let waiting = if waiting == 1 { "1 record of it waits".to_owned() } else { format!("{waiting} records of it wait") };
    format!("drained: everything that was taken is on the log; {waiting} for the archive, where the next start goes on")
}

// === impl Args ===

impl Args {
    /// Defaults, file, variables and flags, each over the one before.
    fn layers(&self) -> Layers {
        let mut layers = Layers::default();
        if let Some(file) = &self.config {
            layers.file(file);
        }
        let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
        layers.variables(variables, OTHER_VARIABLES);
        let flags = [
            ("log.path", "data", &self.data),
            ("log.kind", "log", &self.log),
            ("kafka.brokers", "brokers", &self.brokers),
            ("listen.address", "listen", &self.listen),
            ("log.partitions", "partitions", &self.partitions),
            ("logging.format", "log-format", &self.log_format),
        ];
        for (name, flag, value) in flags {
            value.iter().for_each(|value| layers.flag_called(name, value, flag));
        }
        layers
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let taken = |error| {
        Failure::coded(Code::AddressInUse, format!("cannot listen on {address}: {error}; name another with --listen, or end what is there"))
    };
    TcpListener::bind(address).await.map_err(taken)
}

// === impl House ===

impl House {
    fn open(config: &Config, keys: Keys) -> Result<Self, Failure> {
        let log = open_log(&config.log)?;
        let options = room_options(config)?;
        let rooms_end = Shutdown::new();
        // First of all, for it may refuse the start: then nothing was said of one.
        let archive = ::audit::archive::begin(Arc::clone(&log), config, &rooms_end)?;
        gateway::opening::say(&*log)?;
        let began_at = (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect::<Result<_, _>>()?;
        let rooms = rooms::ALL.iter().map(|room| (room.spawn)(Arc::clone(&log), options.clone(), rooms_end.clone())).collect();
        Ok(Self { log, rooms, archive, began_at, rooms_end, keys })
    }

    /// Gateway, status and admin endpoints on one address.
    fn router(&self) -> Router {
        let registry = runtime::metrics::registry().clone();
        let options = GatewayOptions { registry, keys: self.keys.clone(), ..GatewayOptions::default() };
        let admin = admin::router(Admin::new(self.rooms.clone()));
        gateway::router(Arc::clone(&self.log), options, routes::status(self.rooms.clone()).merge(admin))
    }

    /// Returns once every room is restored, or somebody wishes to stop.
    async fn ready(&self, wish: &Shutdown) -> Result<(), Failure> {
        let patience = tokio::time::Instant::now() + READY_PATIENCE;
        let mut told = false;
        while !self.rooms.iter().all(RoomHandle::ready) && !wish.requested() {
            self.none_ended()?;
            if !told && tokio::time::Instant::now() > patience {
                told = true;
                tracing::info!("the rooms are still folding the log");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Returns when somebody wishes to stop, or a room ended by itself.
    async fn until_over(&self, wish: &Shutdown) -> Result<(), Failure> {
        while !wish.requested() {
            self.none_ended()?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn none_ended(&self) -> Result<(), Failure> {
        if self.archive.ended() {
            self.archive.join()?;
            return Err(Failure::internal("the archive ended by itself"));
        }
        match self.rooms.iter().find(|room| room.ended()) {
            Some(room) => {
                Err(room.join().err().map_or_else(|| Failure::internal(format!("room {} ended by itself", room.service())), Into::into))
            }
            None => Ok(()),
        }
    }

    /// Records that the log began with.
    fn records(&self) -> i64 {
        self.began_at.iter().map(|end| end.0).sum()
    }
}

/// A fleet that runs in this program.
struct RunningFleet {
    stop: told::Sender<bool>,
    life: JoinHandle<Result<(), Failure>>,
}

fn start_fleet(scenario: Scenario, size: &Size, address: SocketAddr, key: Option<Secret>) -> Result<RunningFleet, Failure> {
    let client = Client::new(&base(address))?.with_key(key);
    let (stop, stopped) = told::channel(false);
    let fleet = Fleet { client, scenario, size: size.clone(), tells: false };
    Ok(RunningFleet { stop, life: tokio::spawn(fleet.live(stopped)) })
}

// === impl RunningFleet ===

impl RunningFleet {
    /// Ends the sessions that are open, while the gateway still listens.
    async fn end(self) {
        self.stop.send_replace(true);
        match tokio::time::timeout(FLEET_GRACE, self.life).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(failure))) => tracing::warn!("the fleet did not live: {failure}"),
            Ok(Err(error)) => tracing::warn!("the fleet broke: {error}"),
            Err(_) => tracing::warn!("the fleet did not end its sessions in time"),
        }
    }
}

/// Says what runs and where to look next.
fn greet(args: &Args, config: &Config, address: SocketAddr, house: &House) -> Result<(), Failure> {
    let url = base(address);
    let log = match &config.log {
        LogConfig::Embedded { path, .. } => path.display().to_string(),
        LogConfig::Kafka(options) => format!("{} at {}", options.topic, options.brokers),
    };
    if config.logging.format == LogFormat::Json {
        tracing::info!(%url, %log, data = %config.folder.display(), "reeve is up");
        return Ok(());
    }
    let (me, option) = (me(), option(address));
    let rooms: Vec<_> = house.rooms.iter().map(RoomHandle::service).collect();
    let (partitions, records) = (house.log.partitions(), house.records());
    output::line(format!("reeve {} is up at {url}", env!("CARGO_PKG_VERSION")))?;
    output::line(format!("  log      {log} ({partitions} partitions, {records} records)"))?;
    output::line(format!("  rooms    {}", rooms.join(", ")))?;
    output::line(format!("  archive  {}", config.archive.path.display()))?;
    match args.fleet {
        Some(scenario) => {
            let told = format!("  fleet    simulated, {} agents: {}", args.size.agents, scenario.in_words());
            output::line(folded(&told, GREETING_COLUMN))?;
        }
        None => output::line(format!("  facts    {me} publish FILE{option}, or POST {url}/v1/events"))?,
    }
    output::line(format!("  metrics  {url}/metrics"))?;
    match (house.keys.are_asked_for(), house.keys.good()) {
        (false, _) => output::line("  keys     none: only this machine is heard, and whoever is on it")?,
        (true, good) => output::line(format!("  keys     {good} good: every request needs one (REEVE_KEY)"))?,
    }
    output::line("  look     in another terminal, at any time:")?;
    for verb in ["status", "status AGENT", "tail --follow", "explain ID"] {
        output::line(format!("           {me} {verb}{option}"))?;
    }
    output::line("Ctrl-C drains and ends. Times are UTC.\n")
}

/// How a command line names the Reeve at `address`.
fn option(address: SocketAddr) -> String {
    let url = base(address);
    if url == DEFAULT_URL { String::new() } else { format!(" --url {url}") }
}

fn base(address: SocketAddr) -> String {
    format!("http://{address}")
}
