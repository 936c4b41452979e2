//! A schema registry for tests: the part of Confluent's REST interface that its clients speak, kept in memory.
//!
//! Schemas are what they are by their JSON, so that spaces do not make another one. Compatibility is judged as `wire` does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_native_tls::native_tls::{self, Identity};
use tokio_native_tls::{TlsAcceptor, TlsStream};
use uuid::Uuid;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const LEVELS: [&str; 7] = ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

/// A registry that answers until this is dropped.
pub struct Registry {
    /// Where it answers.
    pub url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared(Mutex<Schemas>);

#[derive(Default)]
struct Schemas {
    is_silent: bool,
    /// Method and path of every request, answered or not.
    asked: Vec<String>,
    /// By id, which is the place plus one: type and text.
    registered: Vec<(String, String)>,
    /// Ids by subject, in the order of their versions.
    subjects: BTreeMap<String, Vec<usize>>,
    /// By subject; of all others under no name.
    levels: BTreeMap<String, String>,
}

/// Status, code and words, as a registry puts them.
struct Fault(StatusCode, u32, String);

type Answer = Result<Value, Fault>;

/// Hears those only who believe its certificate.
struct Secured {
    listener: TcpListener,
    tls: TlsAcceptor,
}

// === impl Registry ===

impl Registry {
    /// Begins to answer on loopback.
    ///
    /// # Panics
    /// When there is no port or no thread to be had.
    pub fn start() -> Self {
        Self::start_by(None)
    }

    /// The same by TLS, as `localhost`, with a certificate and its key in PEM.
    ///
    /// # Panics
    /// When these are not in order, and as [`Registry::start`] does.
    pub fn start_secured(certificate: &[u8], key: &[u8]) -> Self {
        let identity = Identity::from_pkcs8(certificate, key).expect("a certificate and its key");
        Self::start_by(Some(native_tls::TlsAcceptor::new(identity).expect("they belong together").into()))
    }

    fn start_by(tls: Option<TlsAcceptor>) -> Self {
        let shared = Arc::new(Shared::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("it is bound");
        let url = if tls.is_some() { format!("https://localhost:{}", address.port()) } else { format!("http://{address}") };
        let routes = routes(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("a socket");
            let served = async {
                match tls {
                    None => axum::serve(listener, routes).await,
                    Some(tls) => axum::serve(Secured { listener, tls }, routes).await,
                }
            };
            tokio::select! {
                served = served => served.expect("it serves"),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || runtime.block_on(serve));
        Self { url, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on it answers nothing that means anything, or does again.
    pub fn silence(&self, is_silent: bool) {
        self.shared.with(|schemas| schemas.is_silent = is_silent);
    }

    /// Registers a schema under a subject without asking whether it is compatible; its id.
    pub fn register(&self, subject: &str, schema_type: &str, schema: &str) -> u32 {
        self.shared.with(|schemas| schemas.add(subject, schema_type, schema) as u32)
    }

    /// The GUID of a schema that was registered.
    ///
    /// # Panics
    /// When no schema has this id.
    pub fn guid(&self, id: u32) -> Uuid {
        self.shared.with(|schemas| {
            let (schema_type, schema) = &schemas.registered[id as usize - 1];
            guid_of(schema_type, schema)
        })
    }

    /// Method and path of every request so far.
    pub fn asked(&self) -> Vec<String> {
        self.shared.with(|schemas| schemas.asked.clone())
    }

    /// All subjects, in order.
    pub fn subjects(&self) -> Vec<String> {
        self.shared.with(|schemas| schemas.subjects.keys().cloned().collect())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(look_up))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/schemas/ids/{id}", get(by_id))
        .route("/schemas/guids/{guid}", get(by_guid))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(is_compatible))
        .route("/config", get(level_of_all).put(set_level_of_all))
        .route("/config/{subject}", get(level).put(set_level))
        .layer(from_fn_with_state(Arc::clone(&shared), heard))
        .with_state(shared)
}

async fn heard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let is_silent = shared.with(|schemas| {
        schemas.asked.push(asked);
        schemas.is_silent
    });
    if is_silent { (StatusCode::SERVICE_UNAVAILABLE, "upstream is gone").into_response() } else { next.run(request).await }
}

async fn subjects(State(shared): State<Arc<Shared>>) -> Response {
    answered(Ok(shared.with(|schemas| json!(schemas.subjects.keys().collect::<Vec<_>>()))))
}

async fn versions(State(shared): State<Arc<Shared>>, Path(subject): Path<String>) -> Response {
    answered(shared.with(|schemas| Ok(json!((1..=schemas.of(&subject)?.len()).collect::<Vec<_>>()))))
}

async fn register(State(shared): State<Arc<Shared>>, Path(subject): Path<String>, body: Bytes) -> Response {
    answered(shared.with(|schemas| {
        let (schema_type, schema) = supplied(&body)?;
        schemas.held_to_its_level(&subject, &schema_type, &schema)?;
        let id = schemas.add(&subject, &schema_type, &schema);
        Ok(json!({"id": id, "guid": guid_of(&schemas.registered[id - 1].0, &schemas.registered[id - 1].1)}))
    }))
}

async fn look_up(State(shared): State<Arc<Shared>>, Path(subject): Path<String>, body: Bytes) -> Response {
    answered(shared.with(|schemas| {
        let (_, schema) = supplied(&body)?;
        let ids = schemas.of(&subject)?;
        let place = ids.iter().position(|id| is_same(&schemas.registered[*id - 1].1, &schema)).ok_or_else(no_schema)?;
        Ok(schemas.shown(&subject, place))
    }))
}

async fn version(State(shared): State<Arc<Shared>>, Path((subject, version)): Path<(String, String)>) -> Response {
    answered(shared.with(|schemas| Ok(schemas.shown(&subject, schemas.place(&subject, &version)?))))
}

async fn by_id(State(shared): State<Arc<Shared>>, Path(id): Path<usize>) -> Response {
    answered(shared.with(|schemas| Ok(by_itself(id.checked_sub(1).and_then(|place| schemas.registered.get(place)).ok_or_else(no_schema)?))))
}

async fn by_guid(State(shared): State<Arc<Shared>>, Path(guid): Path<String>) -> Response {
    answered(shared.with(|schemas| {
        let found = schemas.registered.iter().find(|(schema_type, schema)| guid_of(schema_type, schema).to_string() == guid);
        found.map(by_itself).ok_or_else(no_schema)
    }))
}

async fn is_compatible(State(shared): State<Arc<Shared>>, Path((subject, version)): Path<(String, String)>, body: Bytes) -> Response {
    answered(shared.with(|schemas| {
        let (_, schema) = supplied(&body)?;
        let id = schemas.of(&subject)?[schemas.place(&subject, &version)?];
        let level = schemas.level(&subject);
        Ok(json!({"is_compatible": between(&level, &schemas.registered[id - 1].1, &schema).is_ok()}))
    }))
}

async fn level_of_all(State(shared): State<Arc<Shared>>) -> Response {
    answered(Ok(shared.with(|schemas| json!({"compatibilityLevel": schemas.level("")}))))
}

async fn level(State(shared): State<Arc<Shared>>, Path(subject): Path<String>) -> Response {
    let no_level = || fault(StatusCode::NOT_FOUND, 40_408, "Subject does not have subject-level compatibility configured");
    answered(shared.with(|schemas| Ok(json!({"compatibilityLevel": schemas.levels.get(&subject).ok_or_else(no_level)?}))))
}

async fn set_level_of_all(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    answered(shared.with(|schemas| schemas.set_level("", &body)))
}

async fn set_level(State(shared): State<Arc<Shared>>, Path(subject): Path<String>, body: Bytes) -> Response {
    answered(shared.with(|schemas| schemas.set_level(&subject, &body)))
}

/// What names a schema in every registry of the tests.
fn guid_of(schema_type: &str, schema: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{schema_type} {schema}").as_bytes())
}

/// A schema without a subject. A registry does not name the type that was there before there were types.
fn by_itself((schema_type, schema): &(String, String)) -> Value {
    if schema_type == "AVRO" { json!({"schema": schema}) } else { json!({"schema": schema, "schemaType": schema_type}) }
}

// === impl Shared, Schemas ===

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Schemas) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Schemas {
    /// One schema has one id, whatever subjects it stands under.
    fn add(&mut self, subject: &str, schema_type: &str, schema: &str) -> usize {
        let there = self.registered.iter().position(|(known_type, known)| known_type == schema_type && is_same(known, schema));
        let id = 1 + there.unwrap_or_else(|| {
            self.registered.push((schema_type.to_owned(), schema.to_owned()));
            self.registered.len() - 1
        });
        let ids = self.subjects.entry(subject.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        id
    }

    fn of(&self, subject: &str) -> Result<&[usize], Fault> {
        let no_subject = || fault(StatusCode::NOT_FOUND, 40_401, &format!("Subject '{subject}' not found."));
        self.subjects.get(subject).map(Vec::as_slice).ok_or_else(no_subject)
    }

    fn place(&self, subject: &str, version: &str) -> Result<usize, Fault> {
        let versions = self.of(subject)?.len();
        let found = if version == "latest" { Some(versions) } else { version.parse().ok() };
        let no_version = || fault(StatusCode::NOT_FOUND, 40_402, &format!("Version {version} not found."));
        found.filter(|version| (1..=versions).contains(version)).map(|version| version - 1).ok_or_else(no_version)
    }

    fn shown(&self, subject: &str, place: usize) -> Value {
        let id = self.subjects[subject][place];
        let (schema_type, schema) = &self.registered[id - 1];
        let guid = guid_of(schema_type, schema);
        let mut shown = json!({"subject": subject, "version": place + 1, "id": id, "guid": guid, "schema": schema});
        if schema_type != "AVRO" {
            shown["schemaType"] = json!(schema_type);
        }
        shown
    }

    fn level(&self, subject: &str) -> String {
        self.levels.get(subject).or_else(|| self.levels.get("")).cloned().unwrap_or_else(|| "BACKWARD".to_owned())
    }

    fn set_level(&mut self, subject: &str, body: &[u8]) -> Answer {
        let asked = parsed(body)?;
        let level = asked["compatibility"].as_str().filter(|level| LEVELS.contains(level));
        let level = level.ok_or_else(|| fault(StatusCode::UNPROCESSABLE_ENTITY, 42_203, "Invalid compatibility level"))?;
        self.levels.insert(subject.to_owned(), level.to_owned());
        Ok(json!({"compatibility": level}))
    }

    fn held_to_its_level(&self, subject: &str, schema_type: &str, schema: &str) -> Result<(), Fault> {
        if schema_type != "AVRO" {
            return Ok(());
        }
        // What cannot be read as itself is no schema.
        wire::codec::can_read(schema, schema).map_err(|reason| fault(StatusCode::UNPROCESSABLE_ENTITY, 42_201, &reason))?;
        let (ids, level) = (self.subjects.get(subject).map_or(&[][..], Vec::as_slice), self.level(subject));
        let held_to = if level.ends_with("_TRANSITIVE") { ids } else { &ids[ids.len().saturating_sub(1)..] };
        held_to.iter().try_for_each(|id| {
            let told = between(&level, &self.registered[*id - 1].1, schema);
            told.map_err(|reason| fault(StatusCode::CONFLICT, 409, &format!("Schema being registered is incompatible: {reason}")))
        })
    }
}

/// Whether a newer schema may stand beside an older one.
fn between(level: &str, old: &str, new: &str) -> Result<(), String> {
    let level = level.trim_end_matches("_TRANSITIVE");
    if ["BACKWARD", "FULL"].contains(&level) {
        wire::codec::can_read(old, new)?;
    }
    if ["FORWARD", "FULL"].contains(&level) {
        wire::codec::can_read(new, old)?;
    }
    Ok(())
}

fn supplied(body: &[u8]) -> Result<(String, String), Fault> {
    let asked = parsed(body)?;
    let schema_type = asked["schemaType"].as_str().unwrap_or("AVRO");
    let schema = asked["schema"].as_str().ok_or_else(|| fault(StatusCode::UNPROCESSABLE_ENTITY, 42_201, "Empty schema"))?;
    Ok((schema_type.to_owned(), schema.to_owned()))
}

fn parsed(body: &[u8]) -> Answer {
    serde_json::from_slice(body).map_err(|error| fault(StatusCode::BAD_REQUEST, 400, &error.to_string()))
}

fn is_same(one: &str, other: &str) -> bool {
    let value = |text| serde_json::from_str::<Value>(text).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

fn no_schema() -> Fault {
    fault(StatusCode::NOT_FOUND, 40_403, "Schema not found")
}

fn fault(status: StatusCode, code: u32, told: &str) -> Fault {
    Fault(status, code, told.to_owned())
}

fn answered(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(Fault(status, code, told)) => (status, json!({"error_code": code, "message": told})),
    };
    (status, [("content-type", MEDIA_TYPE)], body.to_string()).into_response()
}
