//! `main` of a deciding room: configuration, log, room, admin endpoints, signals, drain, exit code.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use machine::Machine;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::admin::{self, Admin};
use crate::beside::{Begin, Beside};
use crate::config::{Config, ConfigError, Key, Layers, LogConfig};
use crate::errors::{Code, Coded, report};
use crate::lifecycle::Shutdown;
use crate::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use crate::log::kafka::{KafkaLog, topics};
use crate::log::{Log, LogError};
use crate::logging;
use crate::room::{RoomError, RoomHandle, RoomOptions, spawn};
use crate::snapshots::{Patience, SnapshotError, StoreAddress, StoredSnapshots};

/// How often a process looks whether its rooms have ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a process cannot start, or how it ended.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be opened.
    #[error("the log cannot be opened")]
    Log(#[source] LogError),
    /// The place of the snapshots cannot be had.
    #[error("the snapshots cannot be had")]
    Snapshots(#[source] SnapshotError),
    /// The environment does not say how the bucket of the snapshots is reached.
    #[error("{address} cannot be used: look at the variables that begin with AWS_")]
    Bucket {
        /// The bucket.
        address: StoreAddress,
        /// Why.
        #[source]
        source: SnapshotError,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operating system refuses threads or signal handlers.
    #[error("the process cannot be set up")]
    Process(#[source] std::io::Error),
    /// A room failed.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// Something took too long to end.
    #[error("{what} did not end within {} ms", grace.as_millis())]
    Drain {
        /// The rooms, or what runs beside them.
        what: &'static str,
        /// How long it had.
        grace: Duration,
    },
}

/// Runs the room of `M` as a process of its own.
pub fn decide<M: Machine>() -> ExitCode {
    main::<M>(None)
}

/// Runs the room of `M` as a process of its own, and something else beside it, which ends after the room has.
pub fn decide_with<M: Machine>(begin: Begin) -> ExitCode {
    main::<M>(Some(begin))
}

fn main<M: Machine>(begin: Option<Begin>) -> ExitCode {
    match configured(M::SERVICE, &format!("The {} room of Reeve", M::SERVICE)) {
        Ok(config) => run::<M>(&config, begin).map_or_else(|error| report(&error), |()| ExitCode::SUCCESS),
        Err(told) => told,
    }
}

/// What the command line, the variables and the file of a process amount to: the same for every service.
///
/// # Errors
/// How the process ends where there is nothing to run: help, version and configuration were told, or what is wrong was.
pub fn configured(service: &'static str, about: &str) -> Result<Config, ExitCode> {
    let matches = command(service, about).try_get_matches_from(std::env::args_os()).map_err(|told| {
        // Help and version arrive here too; a reader who hung up is no fault of ours.
        told.print().ok();
        if told.use_stderr() { Code::BadConfig.exit_code() } else { ExitCode::SUCCESS }
    })?;
    let layers = layers(&matches);
    match Config::of(&layers) {
        Ok(_) if matches.get_flag("print-config") => {
            print!("{}", layers.show());
            Err(ExitCode::SUCCESS)
        }
        Ok(config) => Ok(config),
        Err(error) => Err(report(&error)),
    }
}

/// Opens the configured log.
///
/// # Errors
/// [`StartError::Log`].
pub fn open_log(config: &LogConfig) -> Result<Arc<dyn Log>, StartError> {
    match config {
        LogConfig::Embedded { path, topic, partitions } => {
            let options = EmbeddedOptions { topic: topic.clone(), partitions: *partitions, clock: Clock::Wall };
            Ok(EmbeddedLog::open(path, options).map_err(StartError::Log)?)
        }
        LogConfig::Kafka(options) => {
            let log = KafkaLog::open(options.clone()).map_err(StartError::Log)?;
            topics::dates_by_itself(options).map_err(StartError::Log)?;
            Ok(log)
        }
    }
}

/// What every room of a process is set up with: one store of snapshots for all of them.
///
/// # Errors
/// [`StartError::Snapshots`] or [`StartError::Bucket`]. A bucket that does not answer is none: its snapshots only save time.
pub fn room_options(config: &Config) -> Result<RoomOptions, StartError> {
    let address = &config.snapshots.address;
    let snapshots = match address {
        StoreAddress::Folder(path) => StoredSnapshots::in_folder(path).map_err(StartError::Snapshots)?,
        StoreAddress::Bucket { bucket, prefix } => {
            // Keys of the bucket stay out of the configuration, which is shown.
            let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
            StoredSnapshots::in_bucket(bucket, prefix, variables, Patience::default())
                .map_err(|source| StartError::Bucket { address: address.clone(), source })?
        }
    };
    Ok(RoomOptions {
        ordinal: config.instance_ordinal,
        snapshots: Some(Arc::new(snapshots)),
        snapshot_every_records: config.snapshots.every_records,
        snapshot_every_us: i64::try_from(config.snapshots.every.as_micros()).unwrap_or(i64::MAX),
        ..RoomOptions::default()
    })
}

/// Waits until somebody wishes to stop, or a room ends by itself; then until all rooms have ended.
///
/// # Errors
/// [`StartError::Room`] for the first room that failed, [`StartError::Drain`] when they take longer than `grace`.
pub async fn until_drained(rooms: &[RoomHandle], shutdown: &Shutdown, grace: Duration) -> Result<(), StartError> {
    while !shutdown.requested() && !rooms.iter().any(RoomHandle::ended) {
        tokio::select! {
            () = shutdown.wait() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    // One room that failed ends the process: the others stay correct, but a promise is not kept any more.
    shutdown.request();
    let ended = async {
        while !rooms.iter().all(RoomHandle::ended) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(grace, ended).await.map_err(|_| StartError::Drain { what: "the rooms", grace })?;
    Ok(rooms.iter().try_for_each(RoomHandle::join)?)
}

fn run<M: Machine>(config: &Config, begin: Option<Begin>) -> Result<(), StartError> {
    logging::begin(&config.logging);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(StartError::Process)?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.on_signals().map_err(StartError::Process)?;
        let listen = |source| StartError::Listen { address: config.listen_address.to_string(), source };
        let listener = TcpListener::bind(config.listen_address).await.map_err(listen)?;
        let log = open_log(&config.log)?;
        let beside = begin.map(|begin| begin(Arc::clone(&log), config, &shutdown)).transpose()?;
        let rooms = vec![spawn::<M>(log, room_options(config)?, shutdown.clone())];
        let routes = admin::router(Admin::new(rooms.clone()));
        // The endpoints answer to the end of the drain: who asks then must hear `not ready`, not nothing.
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        let ended = until_drained(&rooms, &shutdown, config.drain_timeout).await;
        let beside = end_beside(beside, config.drain_timeout).await;
        serving.abort();
        ended?;
        beside.map(drop)
    })
}

/// Lets what runs beside the rooms end, now that they have: what they said last is on the log. Records that it left to the
/// next start.
///
/// # Errors
/// [`StartError::Room`] when it failed, [`StartError::Drain`] when it takes longer than `grace`.
pub async fn end_beside(beside: Option<Beside>, grace: Duration) -> Result<u64, StartError> {
    let Some(beside) = beside else { return Ok(0) };
    beside.end();
    let ended = async {
        while !beside.ended() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(grace, ended).await.map_err(|_| StartError::Drain { what: "the archive", grace })?;
    Ok(beside.join()?)
}

/// The command line of a service: a flag per setting, and two of its own.
fn command(service: &'static str, about: &str) -> Command {
    let flags = Key::ALL.iter().map(|key| {
        let help = match key.default {
            "" => format!("{} [{}]", key.help, key.variable()),
            default => format!("{} [{}, default: {default}]", key.help, key.variable()),
        };
        Arg::new(key.name).long(key.flag()).value_name("VALUE").help(help)
    });
    Command::new(format!("reeve-{service}"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(format!("{about}, as a process of its own"))
        .arg(Arg::new("config").long("config").value_name("FILE").help("A TOML file with settings"))
        .arg(Arg::new("print-config").long("print-config").action(ArgAction::SetTrue).help("Show the effective configuration and end"))
        .args(flags)
}

fn layers(matches: &ArgMatches) -> Layers {
    let mut layers = Layers::default();
    if let Some(file) = matches.get_one::<String>("config") {
        layers.file(file.as_ref());
    }
    layers.variables(std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))), &[]);
    for key in Key::ALL {
        if let Some(text) = matches.get_one::<String>(key.name) {
            layers.flag(key.name, text);
        }
    }
    layers
}

impl Coded for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Config(error) => error.code(),
            Self::Bucket { .. } => Code::BadConfig,
            Self::Log(error) => error.code(),
            Self::Snapshots(_) => Code::CannotWrite,
            Self::Listen { .. } => Code::AddressInUse,
            Self::Process(_) => Code::CannotWrite,
            Self::Room(error) => error.code(),
            Self::Drain { .. } => Code::DrainTooSlow,
        }
    }
}
