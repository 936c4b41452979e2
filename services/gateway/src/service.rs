//! The gateway as a process of its own: beside rooms that are processes of their own, on a log that they share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use runtime::admin::{self, Admin};
use runtime::config::Config;
use runtime::decide::{StartError, open_log};
use runtime::errors::{Code, Coded};
use runtime::log::AppendError;
use runtime::{Shutdown, logging};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::keys::{Keys, KeysError, KeysFile, LOOK_EVERY};
use crate::{GatewayOptions, Pace, ServeLimits, opening, router, serve};

/// Why a gateway cannot start, or how it ended.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// What every process needs is not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its keys cannot be trusted.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It would be heard by others, who may say anything.
    #[error("{0}")]
    Address(String),
    /// The log does not take that it is open again.
    #[error("the log does not take that the gateway is open")]
    Opening(#[source] AppendError),
    /// It ended by itself.
    #[error("the gateway ended by itself")]
    Serve(#[source] std::io::Error),
}

/// Without keys whoever reaches the gateway may say anything of any agent: then only this machine may reach it.
///
/// # Errors
/// What is wrong, and what to do, as a sentence.
pub fn check_address(address: SocketAddr, keys: &Keys) -> Result<(), String> {
    if address.ip().is_loopback() || keys.good() > 0 {
        return Ok(());
    }
    Err(format!(
        "listen.address is {address}, which others can reach, and there is no good API key in this folder: make one with \
         `reeve keys add --name NAME`, or listen on a loopback address, such as 127.0.0.1:{}",
        address.port()
    ))
}

/// Lets facts in until somebody wishes to stop. The keys lie in the folder of the configuration.
///
/// # Errors
/// [`ServiceError`].
pub fn run(config: &Config) -> Result<(), ServiceError> {
    logging::begin(&config.logging);
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    threads.map_err(StartError::Process)?.block_on(serve_until_told(config))
}

async fn serve_until_told(config: &Config) -> Result<(), ServiceError> {
    let wish = Shutdown::new();
    wish.on_signals().map_err(StartError::Process)?;
    let keys = Keys::watch(KeysFile::in_folder(&config.folder), LOOK_EVERY, Pace::default())?;
    check_address(config.listen_address, &keys).map_err(ServiceError::Address)?;
    let listen = |source| StartError::Listen { address: config.listen_address.to_string(), source };
    let listener = TcpListener::bind(config.listen_address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let log = open_log(&config.log)?;
    opening::say(&*log).map_err(ServiceError::Opening)?;
    let options = GatewayOptions { registry: runtime::metrics::registry().clone(), keys, ..GatewayOptions::default() };
    let routes: Router = router(Arc::clone(&log), options, admin::router(Admin::new(Vec::new())));
    tracing::info!(url = %format!("http://{address}"), topic = log.topic(), "the gateway is up at http://{address}");
    serve(listener, routes, async move { wish.wait().await }, ServeLimits::default()).await.map_err(ServiceError::Serve)
}

impl Coded for ServiceError {
    fn code(&self) -> Code {
        match self {
            Self::Start(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Address(_) => Code::BadConfig,
            Self::Opening(error) => error.code(),
            Self::Serve(_) => Code::AddressInUse,
        }
    }
}
