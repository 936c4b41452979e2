//! Tokens by which clients say who they are (SASL OAUTHBEARER, RFC 7628).
//!
//! They are read from a file that somebody else keeps fresh: a cluster that mounts a service account's token, or whatever
//! asks the token endpoint. Asking it here would take an HTTP client with TLS of its own, for librdkafka's is libcurl.
//!
//! Every client is handed each new token by one thread, whether it is polled or not: librdkafka would ask for it by an event
//! on a queue that some of our clients never look at, and readers in batches pass over.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use thiserror::Error;
use wire::Timestamp;

use super::KafkaOptions;
use super::native::{Authenticated, NativeClient, TokenSink};
use super::unavailable;
use crate::log::embedded::Clock;
use crate::log::{LogError, locked};

/// How often the file is looked at: a token is renewed minutes before it ends.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The largest file that is taken for a token.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
const US_PER_S: i64 = 1_000_000;

/// Hands tokens to clients for as long as it lives. Without a file there are none, and nothing is done.
pub(super) struct Tokens {
    file: Option<PathBuf>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    clients: Mutex<Vec<TokenSink>>,
    ends: Mutex<bool>,
    told: Condvar,
}

/// A JSON web token (RFC 7519), of which only the broker can judge the signature.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Who it speaks of.
    pub(super) subject: String,
    /// When it ends.
    pub(super) ends: Timestamp,
}

/// Why there is no token. None of these holds a part of one.
#[derive(Debug, PartialEq, Eq, Error)]
enum TokenError {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it holds no JSON web token, which is three parts with dots between them")]
    NoToken,
    #[error("its token has no `exp`, which says when it ends")]
    Endless,
    #[error("its token ended at {0}, and nobody has renewed it")]
    Ended(Timestamp),
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    /// Seconds, of which some issuers write fractions.
    exp: Option<f64>,
}

// === impl Tokens ===

impl Tokens {
    pub(super) fn of(options: &KafkaOptions) -> Self {
        Self { file: options.oauth_token_file.clone(), shared: Arc::default(), thread: Mutex::default() }
    }

    /// The client, which has a token from now on until it is dropped, if tokens are asked for.
    pub(super) fn authenticate<C: NativeClient>(&self, client: C) -> Result<Authenticated<C>, LogError> {
        let client = Authenticated::new(client);
        let Some(file) = &self.file else { return Ok(client) };
        // Read with the clients held: a newer token is handed out after this one.
        let mut clients = locked(&self.shared.clients);
        let token = read(file, Clock::Wall.now()).map_err(|error| unavailable(told(file, &error)))?;
        client.sink().hand(&token).map_err(|reason| unavailable(told(file, &reason)))?;
        clients.push(client.sink());
        drop(clients);
        self.begin(file, token)?;
        Ok(client)
    }

    fn begin(&self, file: &Path, known: Token) -> Result<(), LogError> {
        let mut thread = locked(&self.thread);
        if thread.is_none() {
            let (file, shared) = (file.to_owned(), Arc::clone(&self.shared));
            let named = std::thread::Builder::new().name("kafka tokens".to_owned());
            *thread = Some(named.spawn(move || renew(&file, known, &shared)).map_err(unavailable)?);
        }
        Ok(())
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        *locked(&self.shared.ends) = true;
        self.shared.told.notify_all();
        if let Some(thread) = locked(&self.thread).take() {
            // It has nothing to say, and a panic of it was told by the hook.
            thread.join().ok();
        }
    }
}

/// Hands every new token to all clients. The same trouble is told once.
fn renew(file: &Path, mut known: Token, shared: &Shared) {
    let mut trouble = None;
    while !shared.ended_within(LOOK_EVERY) {
        let now_in = match read(file, Clock::Wall.now()) {
            Ok(token) if token == known => None,
            Ok(token) => {
                known = token;
                shared.hand(&known).err()
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = now_in.as_ref().filter(|reason| trouble.as_ref() != Some(*reason)) {
            tracing::warn!(code = "RV0010", "{}", told(file, reason));
        }
        trouble = now_in;
    }
}

fn told(file: &Path, reason: &impl std::fmt::Display) -> String {
    format!("`kafka.oauth_token_file` ({}): {reason}", file.display())
}

fn read(file: &Path, now: Timestamp) -> Result<Token, TokenError> {
    let text = std::fs::read_to_string(file).map_err(|error| TokenError::Unreadable(error.to_string()))?;
    Token::parse(text.trim(), now)
}

// === impl Shared ===

impl Shared {
    fn ended_within(&self, wait: Duration) -> bool {
        let ends = locked(&self.ends);
        *self.told.wait_timeout_while(ends, wait, |ends| !*ends).unwrap_or_else(PoisonError::into_inner).0
    }

    fn hand(&self, token: &Token) -> Result<(), String> {
        let mut clients = locked(&self.clients);
        clients.retain(TokenSink::is_alive);
        // To all of them, whatever the first one says.
        clients.iter().map(|client| client.hand(token)).fold(Ok(()), Result::and)
    }
}

// === impl Token ===

impl Token {
    /// Reads what a client has to know of a token: its claims, unverified.
    fn parse(text: &str, now: Timestamp) -> Result<Self, TokenError> {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_=.".contains(letter);
        let mut parts = text.split('.');
        let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::NoToken);
        };
        if text.len() > TOKEN_BYTES_MAX || !text.chars().all(legal) {
            return Err(TokenError::NoToken);
        }
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).map_err(|_| TokenError::NoToken)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TokenError::NoToken)?;
        let ends = claims.exp.ok_or(TokenError::Endless)?;
        // A float is cut at the ends of the integers.
        let ends = Timestamp((ends as i64).saturating_mul(US_PER_S));
        if ends <= now {
            return Err(TokenError::Ended(ends));
        }
        let subject = claims.sub.filter(|subject| !subject.contains('\0')).unwrap_or_else(|| "reeve".to_owned());
        Ok(Self { text: text.to_owned(), subject, ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000 * US_PER_S);

    #[test]
    fn a_token_says_of_whom_it_speaks_and_when_it_ends() {
        let rooms = Token::parse(&token(r#"{"sub":"reeve-rooms","exp":1300.5,"aud":["kafka"]}"#), NOW).expect("a token");
        assert_eq!((rooms.subject.as_str(), rooms.ends), ("reeve-rooms", Timestamp(1_300 * US_PER_S)));
        let nobodys = Token::parse(&token(r#"{"exp":1001}"#), NOW).expect("a token");
        assert_eq!(nobodys.subject, "reeve");
    }

    #[test]
    fn what_is_no_token_is_refused_with_the_reason_and_without_a_part_of_it() {
        let refused = |text: &str| Token::parse(text, NOW).err();
        assert_eq!(refused(r#"{"access_token":"a.b.c"}"#), Some(TokenError::NoToken), "the endpoint's whole answer");
        assert_eq!(refused("opaque"), Some(TokenError::NoToken));
        assert_eq!(refused("a.b.c"), Some(TokenError::NoToken), "its claims are no JSON");
        assert_eq!(refused(""), Some(TokenError::NoToken));
        assert_eq!(refused(&token(r#"{"sub":"hunter2"}"#)), Some(TokenError::Endless));
        assert_eq!(refused(&token(r#"{"exp":990}"#)), Some(TokenError::Ended(Timestamp(990 * US_PER_S))));
        assert_eq!(refused(&format!("{}\n", token(r#"{"exp":2000}"#))), Some(TokenError::NoToken), "a line break ends a SASL field");
    }

    #[test]
    fn a_file_is_read_to_the_end_of_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let missing = read(&file, NOW).err().expect("there is none");
        assert!(matches!(missing, TokenError::Unreadable(_)), "{missing}");
        std::fs::write(&file, format!("{}\n", token(r#"{"exp":2000}"#))).expect("written");
        assert!(read(&file, NOW).is_ok());
    }

    fn token(claims: &str) -> String {
        format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), BASE64_URL_SAFE_NO_PAD.encode(claims))
    }
}
