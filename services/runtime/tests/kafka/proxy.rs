//! A wire between clients and a broker on which a request may be held up: for so long that its client has given up, and
//! then it arrives. The broker advertises the proxy's address on a listener of its own.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Requests that can be held, by their key in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Produce = 0,
    AddPartitionsToTxn = 24,
    EndTxn = 26,
}

/// It listens until the process ends.
pub(crate) struct Proxy {
    holds: Arc<Holds>,
}

/// What is to be held, in the order in which it was ordered.
type Holds = Mutex<Vec<Hold>>;

struct Hold {
    client: String,
    request: Request,
    how_long: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ordered,
    Holding,
    Delivered,
}

// === impl Proxy ===

impl Proxy {
    /// Listens at `advertised` and passes everything on to `broker`.
    pub(crate) fn listen(advertised: &str, broker: &str) -> Self {
        let listener = TcpListener::bind(advertised).expect("nobody else listens where the broker says that it does");
        let (holds, broker) = (Arc::new(Holds::default()), broker.to_owned());
        std::thread::spawn({
            let holds = Arc::clone(&holds);
            move || {
                for client in listener.incoming().flatten() {
                    let (holds, broker) = (Arc::clone(&holds), broker.clone());
                    std::thread::spawn(move || pass_on(client, &broker, &holds));
                }
            }
        });
        Self { holds }
    }

    /// The next such request of this client is held for so long, and everything that it sends on the same connection behind it.
    pub(crate) fn hold(&self, client: &str, request: Request, how_long: Duration) {
        locked(&self.holds).push(Hold { client: client.to_owned(), request, how_long, stage: Stage::Ordered });
    }

    /// Whether whatever was held of this client has arrived at the broker since.
    pub(crate) fn has_delivered(&self, client: &str) -> bool {
        locked(&self.holds).iter().filter(|hold| hold.client == client).all(|hold| hold.stage == Stage::Delivered)
    }
}

/// One connection, until the client has nothing more to say and all that it said has arrived.
fn pass_on(mut client: TcpStream, broker: &str, holds: &Holds) {
    let Ok(mut upstream) = TcpStream::connect(broker) else { return };
    // A request waits for no other one's acknowledgement.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    if let (Ok(mut answers), Ok(mut back)) = (upstream.try_clone(), client.try_clone()) {
        std::thread::spawn(move || {
            // Whoever has hung up hears no answer; the broker's are taken all the same.
            let _ = std::io::copy(&mut answers, &mut back);
            let _ = back.shutdown(Shutdown::Both);
            let _ = std::io::copy(&mut answers, &mut std::io::sink());
        });
    }
    while let Some(frame) = next_frame(&mut client) {
        let held = take_hold(&frame, holds);
        if let Some((_, how_long)) = held {
            wait(how_long);
        }
        let arrived = upstream.write_all(&frame).is_ok();
        if let Some((place, _)) = held {
            // The broker has it in its socket: it looks at it within the same breath.
            locked(holds)[place].stage = Stage::Delivered;
        }
        if !arrived {
            break;
        }
    }
    let _ = upstream.shutdown(Shutdown::Write);
}

fn wait(how_long: Duration) {
    std::thread::sleep(how_long);
}

/// A request with its length.
fn next_frame(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    client.read_exact(&mut size).ok()?;
    let mut frame = size.to_vec();
    frame.resize(4 + u32::from_be_bytes(size) as usize, 0);
    client.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// The hold that was ordered for this request: length, key, version, correlation, then the client's name.
fn take_hold(frame: &[u8], holds: &Holds) -> Option<(usize, Duration)> {
    let short = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
    let (key, length) = (short(4)?, usize::from(short(12)?));
    let client = frame.get(14..14 + length)?;
    let mut holds = locked(holds);
    let is_for_it = |hold: &Hold| hold.stage == Stage::Ordered && hold.request as u16 == key && hold.client.as_bytes() == client;
    let place = holds.iter().position(is_for_it)?;
    holds[place].stage = Stage::Holding;
    Some((place, holds[place].how_long))
}

fn locked(holds: &Holds) -> std::sync::MutexGuard<'_, Vec<Hold>> {
    holds.lock().unwrap_or_else(PoisonError::into_inner)
}
