//! Log lines, for people or for machines: the one door to `tracing-subscriber`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, LoggingConfig};

/// Begins to write log lines to standard error. Where somebody has begun before, as tests do, nothing changes.
pub fn begin(config: &LoggingConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let begun = match config.format {
        // On a terminal the library colours lines unless NO_COLOR asks it not to.
        LogFormat::Human if std::io::stderr().is_terminal() => lines.with_target(false).try_init(),
        LogFormat::Human => lines.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    drop(begun);
}

/// The filter, if it is one.
pub(crate) fn checked_filter(text: &str) -> Option<String> {
    EnvFilter::try_new(text).ok().filter(|_| !text.trim().is_empty()).map(|_| text.to_owned())
}
