//! A wire between clients and a broker on which a request may be held up: for so long that its client has given up, or until
//! a test lets it go, and then it arrives. And a member may be told that nobody knows its group. The broker advertises the proxy's
//! address on a listener of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long a broker may take to answer what was let go.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Requests that can be held, by their key in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// Records.
    Produce = 0,
    /// A partition becomes one of the transaction's.
    AddPartitionsToTxn = 24,
    /// The transaction is committed or aborted.
    EndTxn = 26,
}

/// A member says that it is there; by its key.
const HEARTBEAT: u16 = 12;
/// Where its answer has the error, versions 1 to 3 (Kafka protocol guide): after length, number and throttle time.
const HEARTBEAT_ERROR: std::ops::Range<usize> = 12..14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
/// A producer registers, which ends whatever its predecessor had begun; by its key.
const INIT_PRODUCER_ID: u16 = 22;

/// It listens until the process ends.
pub struct Proxy {
    wire: Arc<Wire>,
}

/// What is known of the requests that pass, and who waits for a change of it.
#[derive(Default)]
struct Wire {
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Default)]
struct Known {
    /// In the order in which they were ordered.
    holds: Vec<Hold>,
    /// Clients whose transaction has partitions to write to.
    writing: BTreeSet<Vec<u8>>,
    /// How often each client has registered.
    registrations: BTreeMap<Vec<u8>, u64>,
    /// Members that are told that nobody knows their group.
    denied: BTreeSet<Vec<u8>>,
    /// Their heartbeats that the broker has not answered.
    unanswered: Vec<Place>,
}

struct Hold {
    client: String,
    request: Request,
    until: Until,
    stage: Stage,
    /// The connection on which it is held, and how often its client had registered by then.
    on: Option<(u64, u64)>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    On,
    /// It is the one that this hold was ordered for.
    Held(usize, Until),
    /// Its client has hung up and says again, on another connection, what is held. Both would be one request come late.
    Swallowed,
}

/// When what is held goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// After so long.
    Over(Duration),
    /// When the test lets it. Its client is told at once that something went wrong, and nothing else.
    Let,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ordered,
    Holding,
    /// It may go on.
    Let,
    /// It is on its way to the broker, which answers by this place.
    Sent(Place),
    /// The broker has answered it.
    Answered,
}

/// A request on its way: the connection, and the request's number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    connection: u64,
    correlation: u32,
}

/// The proxy of this process, and where it listens; none, and says so, where `KAFKA_PROXIED` names no listener behind one.
#[expect(clippy::disallowed_methods, reason = "a test is told where its broker is")]
pub fn proxy() -> Option<&'static (Proxy, String)> {
    static PROXY: OnceLock<Option<(Proxy, String)>> = OnceLock::new();
    let listen = || {
        let told = std::env::var("KAFKA_PROXIED").ok()?;
        let (advertised, broker) = told.split_once(',')?;
        Some((Proxy::listen(advertised, broker), advertised.to_owned()))
    };
    let proxy = PROXY.get_or_init(listen).as_ref();
    if proxy.is_none() {
        eprintln!("passed over: KAFKA_PROXIED names no listener behind a proxy (`deploy/kafka/kafka run` does)");
    }
    proxy
}

// === impl Request ===

impl Request {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EndTxn, Self::Produce, Self::AddPartitionsToTxn];
}

// === impl Proxy ===

impl Proxy {
    /// Listens at `advertised` and passes everything on to `broker`.
    fn listen(advertised: &str, broker: &str) -> Self {
        let listener = TcpListener::bind(advertised).expect("nobody else listens where the broker says that it does");
        let (wire, broker) = (Arc::new(Wire::default()), broker.to_owned());
        std::thread::spawn({
            let wire = Arc::clone(&wire);
            move || {
                for (client, connection) in listener.incoming().flatten().zip(0..) {
                    let (wire, broker) = (Arc::clone(&wire), broker.clone());
                    std::thread::spawn(move || pass_on(client, connection, &broker, &wire));
                }
            }
        });
        Self { wire }
    }

    /// The next such request of this client is held for so long, and everything that it sends on the same connection behind it.
    /// An end is one of a transaction that writes: of one that carries offsets alone nothing could be torn.
    pub fn hold(&self, client: &str, request: Request, how_long: Duration) {
        self.order(client, request, Until::Over(how_long));
    }

    /// The next commit of this client is answered with an error that says nothing, and held until it is [let go](Self::let_go).
    pub fn hold_commit(&self, client: &str) {
        self.order(client, Request::EndTxn, Until::Let);
    }

    /// The commit that is held of this client goes on. Returns when the broker has answered it.
    ///
    /// # Panics
    /// When the broker does not.
    pub fn let_go(&self, client: &str) {
        let mut known = self.wire.known();
        let held = known.holds.iter_mut().filter(|hold| hold.client == client && hold.stage == Stage::Holding);
        held.for_each(|hold| hold.stage = Stage::Let);
        self.wire.changed.notify_all();
        let is_open = |known: &mut Known| known.of(client).any(|hold| hold.stage != Stage::Answered);
        let waited = self.wire.changed.wait_timeout_while(known, ANSWER_WITHIN, is_open);
        assert!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "the broker does not answer what was held of {client}");
    }

    /// From now on this member's heartbeats reach the broker, and it is told that the coordinator is not available.
    pub fn deny(&self, member: &str) {
        self.wire.known().denied.insert(member.as_bytes().to_vec());
    }

    /// And from now on it hears what the broker says again.
    pub fn deny_no_longer(&self, member: &str) {
        self.wire.known().denied.remove(member.as_bytes());
    }

    /// Whether the broker has answered whatever was to be held of this client.
    pub fn has_delivered(&self, client: &str) -> bool {
        self.wire.known().of(client).all(|hold| hold.stage == Stage::Answered)
    }

    /// How many requests of this client were held and answered by the broker since.
    pub fn delivered(&self, client: &str) -> BTreeMap<Request, u64> {
        let mut delivered: BTreeMap<Request, u64> = BTreeMap::new();
        for hold in self.wire.known().of(client).filter(|hold| hold.stage == Stage::Answered) {
            *delivered.entry(hold.request).or_default() += 1;
        }
        delivered
    }

    fn order(&self, client: &str, request: Request, until: Until) {
        self.wire.known().holds.push(Hold { client: client.to_owned(), request, until, stage: Stage::Ordered, on: None });
    }
}

/// One connection, until the client has nothing more to say and all that it said has arrived.
fn pass_on(mut client: TcpStream, connection: u64, broker: &str, wire: &Arc<Wire>) {
    let Ok(mut upstream) = TcpStream::connect(broker) else { return };
    // A request waits for no other one's acknowledgement.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    if let (Ok(answers), Ok(back)) = (upstream.try_clone(), client.try_clone()) {
        let wire = Arc::clone(wire);
        std::thread::spawn(move || answer(answers, back, connection, &wire));
    }
    while let Some(frame) = next_frame(&mut client) {
        match wire.pass(&frame, connection).unwrap_or(Passage::On) {
            Passage::On => {}
            Passage::Swallowed => continue,
            Passage::Held(nth, until) => {
                if until == Until::Let {
                    // Whoever has hung up hears nothing.
                    let _ = client.write_all(&unknown_error(&frame));
                }
                wire.wait(nth, until);
                wire.known().holds[nth].stage = Stage::Sent(Place { connection, correlation: correlation(&frame) });
            }
        }
        if upstream.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = upstream.shutdown(Shutdown::Write);
}

/// The other way. Whoever has hung up hears no answer; the broker's are taken all the same.
fn answer(mut broker: TcpStream, mut client: TcpStream, connection: u64, wire: &Wire) {
    while let Some(mut frame) = next_frame(&mut broker) {
        let correlation = u32::from_be_bytes(frame[4..8].try_into().expect("four bytes"));
        if wire.answered(Place { connection, correlation }) {
            let error = frame.get_mut(HEARTBEAT_ERROR).expect("an answer of a heartbeat");
            error.copy_from_slice(&COORDINATOR_NOT_AVAILABLE.to_be_bytes());
        }
        let _ = client.write_all(&frame);
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// A request or an answer, with its length.
fn next_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    from.read_exact(&mut size).ok()?;
    let mut frame = size.to_vec();
    frame.resize(4 + u32::from_be_bytes(size) as usize, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// The number of a request, which its answer bears: after length, key and version.
fn correlation(request: &[u8]) -> u32 {
    u32::from_be_bytes(request[8..12].try_into().expect("four bytes"))
}

/// The answer of EndTxn, versions 0 to 2 (Kafka protocol guide): number, throttle time, and the error that is none of the known.
fn unknown_error(request: &[u8]) -> Vec<u8> {
    const UNKNOWN_SERVER_ERROR: i16 = -1;
    let answer = [&correlation(request).to_be_bytes()[..], &0_u32.to_be_bytes(), &UNKNOWN_SERVER_ERROR.to_be_bytes()].concat();
    [&u32::try_from(answer.len()).expect("short").to_be_bytes()[..], &answer].concat()
}

// === impl Wire ===

impl Wire {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a request, and says what becomes of it where something was ordered. Length, key, version, number, then the
    /// client's name.
    fn pass(&self, frame: &[u8], connection: u64) -> Option<Passage> {
        let short = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
        let (key, length) = (short(4)?, usize::from(short(12)?));
        let client = frame.get(14..14 + length)?;
        let mut known = self.known();
        if key == INIT_PRODUCER_ID {
            known.writing.remove(client);
            *known.registrations.entry(client.to_vec()).or_default() += 1;
        }
        if key == HEARTBEAT && known.denied.contains(client) {
            known.unanswered.push(Place { connection, correlation: correlation(frame) });
        }
        let request = Request::ALL.into_iter().find(|request| *request as u16 == key)?;
        let registrations = known.registrations.get(client).copied().unwrap_or_default();
        let is_its_own = |hold: &Hold| hold.request == request && hold.client.as_bytes() == client;
        let repeats = |hold: &Hold| hold.on.is_some_and(|(on, registered)| on != connection && registered == registrations);
        if known.holds.iter().any(|hold| hold.stage == Stage::Holding && is_its_own(hold) && repeats(hold)) {
            return Some(Passage::Swallowed);
        }
        match request {
            Request::AddPartitionsToTxn => drop(known.writing.insert(client.to_vec())),
            Request::EndTxn if !known.writing.remove(client) => return None,
            Request::EndTxn | Request::Produce => {}
        }
        let nth = known.holds.iter().position(|hold| hold.stage == Stage::Ordered && is_its_own(hold))?;
        let hold = &mut known.holds[nth];
        (hold.stage, hold.on) = (Stage::Holding, Some((connection, registrations)));
        Some(Passage::Held(nth, hold.until))
    }

    fn wait(&self, nth: usize, until: Until) {
        match until {
            Until::Over(how_long) => std::thread::sleep(how_long),
            Until::Let => {
                let held = self.changed.wait_while(self.known(), |known| known.holds[nth].stage == Stage::Holding);
                drop(held.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Whether it is the answer to a heartbeat that is denied.
    fn answered(&self, place: Place) -> bool {
        let mut known = self.known();
        known.holds.iter_mut().filter(|hold| hold.stage == Stage::Sent(place)).for_each(|hold| hold.stage = Stage::Answered);
        self.changed.notify_all();
        known.unanswered.extract_if(.., |denied| *denied == place).count() > 0
    }
}

// === impl Known ===

impl Known {
    fn of(&self, client: &str) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| hold.client == client)
    }
}
