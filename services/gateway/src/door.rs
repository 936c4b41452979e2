//! The one door: every request passes here, is asked for its key, and goes on as a [`Caller`] who may do so much and no
//! more. What the contract does not name is not served, so that nothing is reached past it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use runtime::admin::Stranger;
use wire::cloudevents::agent_of;
use wire::kinds::Class;
use wire::{Event, Kind, StoredRecord};

use crate::admission::Short;
use crate::contract::{self, Asks};
use crate::keys::{Held, KeyId, Keys, Right, Ring, Secret, Standing, wall_clock};
use crate::metrics::KeyOutcome;
use crate::problem::{Fault, Problem, ProblemKind};
use crate::{Gateway, body, head, host};

/// The scheme of RFC 6750.
const SCHEME: &str = "bearer";
/// Words of people have a source of their own, which no agent can claim.
const PEOPLE: &str = "/people/";
const AUTHORIZATION: &str = "authorization";

/// Who asks, and what he may.
#[derive(Clone)]
pub struct Caller {
    /// His key; `None` where nobody is asked for one.
    held: Option<Arc<Held>>,
    keys: Keys,
}

/// Lets a request pass, or says why not.
pub(crate) async fn pass(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let caller = match admit(&gateway, &request) {
        Ok(caller) => caller,
        Err(problem) => {
            let (head, unread) = request.into_parts();
            // Who is still sending comes to read the answer only when somebody takes what he sends.
            body::let_go(&head.headers, unread).await;
            return problem.into_response();
        }
    };
    if caller.is_a_stranger() {
        request.extensions_mut().insert(Stranger);
    }
    let key = caller.id();
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    if let Some(id) = key {
        let outcome = KeyOutcome::of(response.status().as_u16());
        gateway.metrics.key_answered(id.as_str(), outcome, |known| is_known(&gateway.options.keys, known));
    }
    response
}

/// Who asks, if he may ask this.
fn admit(gateway: &Gateway, request: &Request) -> Result<Caller, Problem> {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let asks = path.map_or(Some(Asks::AKey), |path| contract::asks(path, request.method()));
    let keys = gateway.options.keys.clone();
    head::check(request)?;
    if matches!(*keys.ring(), Ring::Open) {
        host::check(request.headers(), request.uri().authority())?;
    }
    if asks == Some(Asks::Nothing) {
        // What is told to everybody is told to who shows a wrong key, too: he is nobody then.
        let held = identify(&keys, request.headers()).ok().flatten();
        return Ok(Caller { held, keys });
    }
    let caller = Caller { held: identify(&keys, request.headers())?, keys };
    let Some(held) = &caller.held else { return found(asks, caller.clone(), request) };
    // Counted before anything is read, so that who asks for too much costs no more than this.
    let admitted = caller.take_request().and_then(|()| match asks {
        Some(Asks::Of(right)) if !held.key.scope.may.contains(&right) => Err(right_missing(right)),
        _ => Ok(()),
    });
    if let Err(problem) = admitted {
        let outcome = KeyOutcome::of(problem.status());
        gateway.metrics.key_answered(held.key.id.as_str(), outcome, |known| is_known(&gateway.options.keys, known));
        return Err(problem);
    }
    found(asks, caller.clone(), request)
}

/// A route that is served, and of which the contract says nothing, is not there.
fn found(asks: Option<Asks>, caller: Caller, request: &Request) -> Result<Caller, Problem> {
    match asks {
        Some(_) => Ok(caller),
        None => Err(Problem::new(ProblemKind::NotFound, format!("there is nothing at {}", request.uri().path()))),
    }
}

/// The key that a request shows, if it needs one.
fn identify(keys: &Keys, headers: &HeaderMap) -> Result<Option<Arc<Held>>, Problem> {
    let ring = keys.ring();
    if matches!(*ring, Ring::Open) {
        return Ok(None);
    }
    let secret = credentials(headers)?;
    let id = secret.id();
    let held = match &*ring {
        _ if keys.guest_of(&id).is_some() => keys.guest_of(&id),
        Ring::Asked(known) => known.get(&id),
        Ring::Open | Ring::Shut => None,
    };
    // An id is no secret: it stands in lists and counters. What is compared takes as long for every wrong secret.
    match held.filter(|held| held.key.is(&secret)) {
        Some(held) => match held.key.standing(wall_clock()) {
            Standing::Good => Ok(Some(Arc::clone(held))),
            Standing::Expired => Err(unauthorized("expired_key", "this key has expired")),
            Standing::Revoked => Err(unauthorized("revoked_key", "this key was revoked")),
        },
        None if matches!(*ring, Ring::Shut) => {
            Err(Problem::new(ProblemKind::KeysRefused, "the gateway cannot tell at this moment whose keys are good: nobody passes"))
        }
        None => Err(unauthorized("unknown_key", "this key is not known")),
    }
}

fn credentials(headers: &HeaderMap) -> Result<Secret, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (all.next(), all.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(unauthorized("missing_key", "a key is needed: `authorization: Bearer rvk_...`")),
        (Some(_), Some(_)) => return Err(unauthorized("ambiguous_key", "the header is given twice")),
    };
    let token = value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let secret = token.and_then(|(_, token)| token.trim_matches(' ').parse().ok());
    secret.ok_or_else(|| unauthorized("unknown_key", "this is no key: one is sent as `Bearer rvk_...`"))
}

/// The person whose word an event is.
fn author_of(event: &Event) -> Option<String> {
    let is_word = event.body.kind().class() == Class::Word;
    let body = is_word.then(|| serde_json::to_value(&event.body).ok()).flatten()?;
    body.get("author")?.as_str().map(str::to_owned)
}

fn is_known(keys: &Keys, id: &str) -> bool {
    id.parse::<KeyId>().is_ok_and(|id| keys.knows(&id))
}

fn unauthorized(code: &'static str, detail: &str) -> Problem {
    Problem::of(ProblemKind::Unauthorized, Fault::new(AUTHORIZATION, code, detail))
}

fn right_missing(right: Right) -> Problem {
    let detail = format!("this key does not have the right to {}", right.verb());
    Problem::of(ProblemKind::Forbidden, Fault::new(AUTHORIZATION, "right_missing", detail).limit(right.name()))
}

/// Says the same of an agent that exists and of one that does not.
fn agent_not_allowed(field: &str, agent: &str) -> Fault {
    Fault::new(field, "agent_not_allowed", format!("this key has no rights over agent `{agent}`"))
}

fn person_not_allowed(field: &str, person: &str) -> Fault {
    Fault::new(field, "person_not_allowed", format!("this key may not speak in the name of `{person}`"))
}

fn kind_not_allowed(field: &str, kind: Kind) -> Fault {
    Fault::new(field, "kind_not_allowed", format!("this key has no rights over kind `{kind}`"))
}

// === impl Caller ===

impl Caller {
    /// Whether he may hear of this agent.
    pub fn hears_of(&self, agent: &str) -> bool {
        self.held.as_ref().is_none_or(|held| held.key.scope.covers_agent(agent))
    }

    /// Refuses an agent that he may not hear of.
    ///
    /// # Errors
    /// 403, whether or not there is such an agent.
    pub fn check_agent(&self, agent: &str) -> Result<(), Problem> {
        if self.hears_of(agent) { Ok(()) } else { Err(Problem::of(ProblemKind::Forbidden, agent_not_allowed("agent", agent))) }
    }

    /// Refuses kinds that he may not hear.
    ///
    /// # Errors
    /// 403.
    pub fn check_kinds(&self, kinds: &[Kind]) -> Result<(), Problem> {
        let refused: Vec<_> = kinds.iter().filter(|kind| !self.hears(**kind)).map(|kind| kind_not_allowed("kind", *kind)).collect();
        if refused.is_empty() { Ok(()) } else { Err(Problem::of_all(ProblemKind::Forbidden, refused)) }
    }

    /// Refuses who may not hear what rooms decide.
    ///
    /// # Errors
    /// 403.
    pub fn check_decisions(&self) -> Result<(), Problem> {
        if Kind::ALL.iter().all(|kind| !kind.is_decision() || self.hears(*kind)) {
            return Ok(());
        }
        let detail = "how an agent stands is what rooms decide, and this key has no rights over all decisions";
        Err(Problem::of(ProblemKind::Forbidden, Fault::new("kind", "kind_not_allowed", detail).limit("decisions")))
    }

    /// Whether a record may be told to him.
    pub(crate) fn may_read(&self, stored: &StoredRecord) -> bool {
        let Some(scope) = self.held.as_ref().map(|held| &held.key.scope) else { return true };
        let agent = stored.raw.key.as_deref().map(std::str::from_utf8);
        let of_agent = scope.agents.is_empty() || matches!(agent, Some(Ok(agent)) if scope.covers_agent(agent));
        of_agent && (scope.kinds.is_empty() || stored.raw.kind().is_some_and(|kind| scope.covers_kind(kind)))
    }

    /// Everything in an event that he may not say.
    pub(crate) fn faults_of(&self, event: &Event) -> Vec<Fault> {
        let Some(scope) = self.held.as_ref().map(|held| &held.key.scope) else { return Vec::new() };
        let kind = event.body.kind();
        let mut faults = Vec::new();
        if !scope.covers_kind(kind) {
            faults.push(kind_not_allowed("type", kind));
        }
        if scope.agents.is_empty() && scope.people.is_empty() {
            return faults;
        }
        let person = event.source.as_str().strip_prefix(PEOPLE);
        faults.extend(person.filter(|person| !scope.covers_person(person)).map(|person| person_not_allowed("source", person)));
        // A word counts as his who is named in it, whatever its source.
        let author = author_of(event).filter(|author| person != Some(author.as_str()) && !scope.covers_person(author));
        faults.extend(author.map(|author| person_not_allowed("data.author", &author)));
        if scope.agents.is_empty() {
            return faults;
        }
        if kind.is_broadcast() {
            faults.push(Fault::new("type", "agent_not_allowed", format!("`{kind}` concerns every agent, this key only some")));
        } else if !scope.covers_agent(event.key.as_str()) {
            faults.push(agent_not_allowed("partitionkey", event.key.as_str()));
        }
        // The door's reader saw to it that a source names no other agent than the key. One that names none could take
        // the ids of somebody else's facts away, for source and id together are unique.
        if agent_of(event.source.as_str()).is_none() && person.is_none() {
            let detail = "a key that is limited to agents speaks as /platforms/<platform>/agents/<agent> or /people/<name>";
            faults.push(Fault::new("source", "agent_not_allowed", detail));
        }
        faults
    }

    /// Takes one out of his rate, for a request.
    ///
    /// # Errors
    /// 429, with the time after which there is enough.
    fn take_request(&self) -> Result<(), Problem> {
        self.take_after(0, 1)
    }

    /// Takes the rest of a batch of `events` out of his rate: the door took one of them with the request.
    ///
    /// # Errors
    /// 429, with the time after which there is enough for all of it: who comes again pays for the request anew.
    pub(crate) fn take_rest(&self, events: usize) -> Result<(), Problem> {
        self.take_after(1, events.saturating_sub(1))
    }

    /// Takes `count` out of his rate, which `taken` more were taken out of for the same request.
    fn take_after(&self, taken: u32, count: usize) -> Result<(), Problem> {
        let Some(held) = &self.held else { return Ok(()) };
        let Some(count) = u32::try_from(count).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        let rate = held.key.scope.rate_per_s;
        let limited = |after: Duration| {
            let detail = format!("this key may send {rate} events or requests a second");
            let after_ms = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            Problem::of(ProblemKind::Limited, Fault::new(AUTHORIZATION, "rate_limited", detail).limit(rate.get())).retry_after_ms(after_ms)
        };
        held.bucket.take(count).map_err(|short| match short {
            Short::For(after) => limited(after + held.bucket.time_for(taken)),
            // A batch is never larger than a bucket: this says so should that ever change.
            Short::Ever => limited(Duration::from_secs(u64::from(count.get().div_ceil(rate.get())))),
        })
    }

    /// Completes once he would be refused: then his streams end.
    pub(crate) async fn ended(&self) {
        self.keys.ended(self.held.as_ref()).await;
    }

    fn hears(&self, kind: Kind) -> bool {
        self.held.as_ref().is_none_or(|held| held.key.scope.covers_kind(kind))
    }

    fn id(&self) -> Option<KeyId> {
        self.held.as_ref().map(|held| held.key.id.clone())
    }

    /// Whether keys are asked for and he showed none that is good.
    fn is_a_stranger(&self) -> bool {
        self.held.is_none() && self.keys.are_asked_for()
    }
}

/// The caller of a request that passed the door.
pub(crate) type Known = Extension<Caller>;
