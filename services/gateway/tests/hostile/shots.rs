//! Ideas that attack HTTP itself: heads that are none, framings that two readers would read in two ways, paths, methods,
//! keys, senders that stop and go.

use rand::RngExt;
use wire::cloudevents::STRUCTURED;

use crate::acts::{Act, Manner, Part};
use crate::attacker::{Attacker, Idea};
use crate::events::Good;

pub(crate) const IDEAS: &[Idea] = &[
    ("no HTTP", |attacker| {
        let bytes = attacker.one_of(&[
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"NONSENSE\r\n\r\n",
            b"GET /v1/events\r\n\r\n",
            b"GET /v1/events HTTP/9.9\r\nhost: a\r\n\r\n",
            b"GET /v1/events http/1.1\r\nhost: a\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0\0\0\0\r\n\r\n",
            b"G\x80T / HTTP/1.1\r\n\r\n",
            b"GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n",
            b"GET /v1/ev ents HTTP/1.1\r\nhost: a\r\n\r\n",
            b" GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ]);
        alone(Part::new(bytes, &[400, 0]))
    }),
    ("broken header", |attacker| {
        let header = attacker.one_of(&[
            &b"x: a\r\n folded: b"[..],
            b"x: a\0b",
            b"x\0: a",
            b"x : a",
            b"x y: a",
            b": a",
            b"x: a\rb",
            b"x\x80: a",
            b"x: \x01",
            b"no colon",
        ]);
        alone(Part::new(attacker.raw(&[header]), &[400]))
    }),
    ("two lengths", |attacker| {
        let (event, lengths) = (attacker.event(), attacker.rng.random_range(0..3_u32));
        let length = event.body.len();
        let head = attacker.head("POST", "/v1/events");
        let of = |first: &str, second: &str| {
            format!("{head}content-type: {STRUCTURED}\r\ncontent-length: {first}\r\ncontent-length: {second}\r\n\r\n{}", event.body)
        };
        match lengths {
            0 => alone(Part::new(of(&length.to_string(), &(length + 1).to_string()), &[400])),
            1 => alone(Part::new(of("0", &length.to_string()), &[400])),
            // The same twice says one thing (RFC 9112, 6.3).
            _ => Part::taken(of(&length.to_string(), &length.to_string()).into(), (1, 0), event.adds()).into(),
        }
    }),
    ("length that is none", |attacker| {
        let length =
            attacker.one_of(&["+5", "-1", "0x5", "5 5", "5,6", "18446744073709551616", "99999999999999999999999", "", "5;", "\u{665}"]);
        let header = format!("content-length: {length}");
        alone(Part::new(attacker.raw(&[header.as_bytes()]), &[400]))
    }),
    ("length and chunks", |attacker| {
        // Chunks win, and the connection ends (RFC 9112, 6.1): whoever read the length is not followed by a second request.
        let event = attacker.event();
        let length = attacker.one_of(&[0, 5, 1_000_000]);
        let headers = attacker.one_of(&["te, cl", "cl, te"]);
        let (te, cl) = ("transfer-encoding: chunked".to_owned(), format!("content-length: {length}"));
        let both = if headers == "te, cl" { format!("{te}\r\n{cl}") } else { format!("{cl}\r\n{te}") };
        let head = attacker.head("POST", "/v1/events");
        let smuggled = attacker.head("GET", "/smuggled");
        let bytes = format!("{head}content-type: {STRUCTURED}\r\n{both}\r\n\r\n{}{smuggled}\r\n", chunked(&event.body, 50));
        Act::of(vec![Part::taken(bytes.into(), (1, 0), event.adds()), Part::new("", &[0])])
    }),
    ("transfer coding that is none", |attacker| {
        let coding =
            attacker.one_of(&["gzip", "gzip, chunked", "chunked, gzip", "xchunked", "identity", "chunked, chunked", "\"chunked\"", ""]);
        let (head, event) = (attacker.head("POST", "/v1/events"), attacker.event());
        alone(Part::new(
            format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: {coding}\r\n\r\n{}", chunked(&event.body, 90)),
            &[400],
        ))
    }),
    ("chunks of an old version", |attacker| {
        let bytes = attacker.raw(&[b"transfer-encoding: chunked"]);
        alone(Part::new(String::from_utf8(bytes).expect("ASCII").replace("HTTP/1.1", "HTTP/1.0"), &[400]))
    }),
    ("chunks that are none", |attacker| {
        let chunks = attacker.one_of(&[
            "zz\r\n",
            "-1\r\n",
            "fffffffffffffffff\r\n",
            "\r\n",
            "5 x\r\nabcde\r\n",
            "5\r\nabcdefgh",
            "5\rabcde\r\n",
            "0x5\r\nabcde\r\n",
        ]);
        let head = attacker.head("POST", "/v1/events");
        alone(Part::new(format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"), &[400]))
    }),
    ("chunk that never comes", |attacker| {
        let size = attacker.one_of(&["7fffffffffffffff", "ffff", "100000"]);
        let head = attacker.head("POST", "/v1/events");
        let bytes = format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: chunked\r\n\r\n{size}\r\n{{\"specversion\"");
        Act::from(Part::new(bytes, &[400, 0])).in_manner(Manner::ThenFinished)
    }),
    ("chunks of a byte", |attacker| {
        let (head, event) = (attacker.head("POST", "/v1/events"), attacker.event());
        let bytes = format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: chunked\r\n\r\n{}", chunked(&event.body, 1));
        Part::taken(bytes.into(), (1, 0), event.adds()).into()
    }),
    ("chunks with endless extensions", |attacker| {
        let (head, extension) = (attacker.head("POST", "/v1/events"), "x".repeat(200));
        let chunks: String = (0..200).map(|_| format!("1;{extension}\r\n \r\n")).collect();
        alone(Part::new(format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"), &[400]))
    }),
    ("endless trailers", |attacker| {
        let (head, event) = (attacker.head("POST", "/v1/events"), attacker.event());
        let body = chunked(&event.body, 100);
        let trailers: String = (0..2_000).map(|number| format!("x-{number}: {}\r\n", "y".repeat(20))).collect();
        let body = format!("{}{trailers}\r\n", body.strip_suffix("\r\n").expect("it ends so"));
        alone(Part::new(format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: chunked\r\n\r\n{body}"), &[400]))
    }),
    ("body that ends too early", |attacker| {
        let event = attacker.event();
        let bytes = attacker.post_of(STRUCTURED, &event.body, event.body.len() + 7);
        Act::from(Part::new(bytes, &[400, 0])).in_manner(Manner::ThenFinished)
    }),
    ("endless head", |attacker| {
        let head = match attacker.rng.random_range(0..3_u32) {
            0 => format!("x: {}\r\n", "y".repeat(80 << 10)),
            1 => "x: y\r\n".repeat(150),
            _ => (0..90).map(|number| format!("x-{number}: {}\r\n", "y".repeat(1_000))).collect(),
        };
        let bytes = format!("{}{head}\r\n", attacker.head("GET", "/v1/events?limit=1"));
        alone(Part::new(bytes, &[431]))
    }),
    ("endless path", |attacker| {
        let path = format!("/v1/agents/{}/orders?wait_s=0", "a".repeat(attacker.one_of(&[257, 5_000, 60_000])));
        get(attacker, &path, &[400])
    }),
    ("lines that end in a line feed alone", |attacker| {
        let event = attacker.event();
        let bytes = String::from_utf8(attacker.post(STRUCTURED, &event.body)).expect("text").replace("\r\n", "\n");
        Part::taken(bytes.into(), (1, 0), event.adds()).into()
    }),
    ("target that is a whole URL", |attacker| get(attacker, "http://localhost/v1/events?limit=1", &[200])),
    ("target that is no path", |attacker| {
        let (method, target) =
            attacker.one_of(&[("OPTIONS", "*"), ("GET", "localhost:80"), ("CONNECT", "localhost:80"), ("CONNECT", "/v1/events")]);
        let bytes = format!("{}\r\n", attacker.head(method, target));
        alone(Part::new(bytes, &[400, 404, 405]))
    }),
    ("method that is not taken", |attacker| {
        let method = attacker.one_of(&["get", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "G"]);
        let (path, code) =
            attacker.one_of(&[("/v1/events", 405), ("/v1/openapi.json", 405), ("/v1/agents/a/orders", 405), ("/nothing", 404)]);
        Part::new(format!("{}\r\n", attacker.head(method, path)), &[code]).into()
    }),
    ("head alone", |attacker| {
        let (path, code) =
            attacker.one_of(&[("/v1/events?limit=1", 200), ("/v1/openapi.json", 200), ("/nothing", 404), ("/v1/events?limit=0", 400)]);
        Part::new(format!("{}\r\n", attacker.head("HEAD", path)), &[code]).without_body().into()
    }),
    ("old version", |attacker| {
        let bytes = attacker.head("GET", "/v1/events?limit=1").replace("HTTP/1.1", "HTTP/1.0");
        alone(Part::new(format!("{bytes}\r\n"), &[200]))
    }),
    ("no host, or two", |attacker| {
        let head = attacker.head("GET", "/v1/events?limit=1");
        let wrong = if attacker.rng.random() { head.replace("host: localhost\r\n", "") } else { format!("{head}host: localhost\r\n") };
        Part::new(format!("{wrong}\r\n"), &[400]).into()
    }),
    ("upgrade to something else", |attacker| {
        let to = attacker.one_of(&["h2c", "websocket", "TLS/1.0"]);
        let head = attacker.head("GET", "/v1/events?limit=1");
        alone(Part::new(format!("{head}connection: upgrade\r\nupgrade: {to}\r\nhttp2-settings: AAMAAABk\r\n\r\n"), &[200]))
    }),
    ("key that does not fit", |attacker| {
        let good = attacker.house.secrets.everything.clone();
        let last = if good.ends_with('0') { "1" } else { "0" };
        let key = match attacker.rng.random_range(0..9_u32) {
            0 => String::new(),
            1 => format!("authorization: Bearer {}{last}\r\n", &good[..good.len() - 1]),
            2 => format!("authorization: Bearer rvk_{}_{}\r\n", "0".repeat(12), "0".repeat(64)),
            3 => format!("authorization: Bearer {}\r\n", attacker.house.secrets.expired),
            4 => format!("authorization: Bearer {}\r\n", attacker.house.secrets.revoked),
            5 => format!("authorization: Bearer {good}\r\nauthorization: Bearer {good}\r\n"),
            6 => format!("authorization: Basic {good}\r\n"),
            7 => format!("authorization: Bearer {good}{}\r\n", "0".repeat(10_000)),
            _ => "authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.\r\n".to_owned(),
        };
        let event = attacker.event();
        let head = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\n{key}content-type: {STRUCTURED}\r\n");
        Part::new(format!("{head}content-length: {}\r\n\r\n{}", event.body.len(), event.body), &[401]).into()
    }),
    ("key of somebody else", |attacker| {
        let (telecom, reader) = (attacker.house.secrets.telecom.clone(), attacker.house.secrets.reader.clone());
        let (own, other) = (attacker.event_of("telecom"), attacker.event_of("airline"));
        let part = match attacker.rng.random_range(0..4_u32) {
            0 => Part::new(attacker.post_with(&reader, STRUCTURED, &own.body), &[403]),
            1 => Part::new(attacker.post_with(&telecom, STRUCTURED, &other.body), &[403]),
            2 => Part::taken(attacker.post_with(&telecom, STRUCTURED, &own.body), (1, 0), own.adds()),
            _ => Part::new(format!("{}\r\n", Attacker::head_with(&telecom, "GET", "/v1/agents/airline/orders")), &[403]),
        };
        part.into()
    }),
    ("path that leads elsewhere", |attacker| {
        let (path, code) = attacker.one_of(&[
            ("/v1/../v1/events", 404),
            ("/v1/events/", 404),
            ("//v1/events", 404),
            ("/v1/%65vents", 404),
            ("/v1/agents//orders", 400),
            ("/v1/agents/telecom/orders/../../../etc/passwd", 404),
            ("/v1/agents/..%2f..%2fkeys.jsonl/orders?wait_s=0", 200),
            ("/v1/agents/../orders?wait_s=0", 200),
            ("/v1/agents/%ff%fe/orders?wait_s=0", 400),
            ("/v1/agents/%00/orders?wait_s=0", 400),
            ("/v1/agents/a%0d%0ax/orders?wait_s=0", 400),
            ("/..%5c..%5ckeys.jsonl", 404),
            ("/keys.jsonl", 404),
            ("/%", 404),
        ]);
        get(attacker, path, &[code])
    }),
    ("query that is none", |attacker| {
        let query = attacker.one_of(&[
            "limit=0",
            "limit=-1",
            "limit=1e3",
            "limit=99999999999999999999",
            "limit=%zz",
            "limit=1&limit=2",
            "follow=maybe",
            "kind=nonsense",
            "agent=",
            "from=nonsense",
            "from=1.2.3.99999999999",
            "wait_s=3601",
            "wait_s=-1",
            "what=ever",
            "limit",
            "from=\u{fffd}",
            "kind=,",
        ]);
        get(attacker, &format!("/v1/events?{query}").replace('\u{fffd}', "%ff"), &[400])
    }),
    ("place that is none", |attacker| {
        let id = attacker.one_of(&["9:0", "0:-1", "0", "x:y", "0:99999999999", "0:9223372036854775807", ":", "4294967296:0"]);
        let head = attacker.head("GET", "/v1/agents/telecom/orders?wait_s=0");
        Part::new(format!("{head}last-event-id: {id}\r\n\r\n"), &[400]).into()
    }),
    ("stream opened and abandoned", |attacker| {
        let path = attacker.one_of(&["/v1/agents/telecom/orders", "/v1/agents/telecom/orders?from=now", "/v1/events?follow=true&from=now"]);
        get(attacker, path, &[200]).in_manner(Manner::Abandoned)
    }),
    ("hung up half way", |attacker| {
        let event = attacker.event();
        Act::from(Part::new(attacker.post(STRUCTURED, &event.body), &[])).in_manner(Manner::HalfThenGone)
    }),
    ("hung up before the answer", |attacker| {
        let event = attacker.event();
        Act::from(Part::taken(attacker.post(STRUCTURED, &event.body), (1, 0), event.adds())).in_manner(Manner::ThenGone)
    }),
    ("body that takes too long", |attacker| {
        let (head, body) = (attacker.head("POST", "/v1/events"), "x".repeat(2_000));
        let bytes = format!("{head}content-type: {STRUCTURED}\r\ncontent-length: 2000\r\n\r\n{body}");
        Act::from(Part::new(bytes, &[408])).in_manner(Manner::Slowly)
    }),
    ("head that takes too long", |attacker| {
        let head = attacker.head("GET", "/v1/events?limit=1");
        Act::from(Part::new(format!("{head}\r\n"), &[0])).in_manner(Manner::Slowly)
    }),
    ("many in one go", |attacker| {
        let mut parts = Vec::new();
        for _ in 0..attacker.rng.random_range(2..12_u32) {
            let event = attacker.event();
            parts.push(match attacker.rng.random_range(0..7_u32) {
                0 => Part::new(attacker.post(STRUCTURED, "{"), &[400]),
                1 => Part::new(attacker.post("text/plain", "x"), &[415]),
                2 => Part::new(format!("{}\r\n", attacker.head("GET", "/nothing")), &[404]),
                3 => Part::new(attacker.post(STRUCTURED, "{}"), &[422]),
                4 => Part::new(format!("{}\r\n", attacker.head("HEAD", "/v1/events?limit=1")), &[200]).without_body(),
                5 => Part::new(format!("{}\r\n", attacker.head("GET", "/v1/events?limit=1")), &[200]),
                _ => Part::taken(attacker.post(STRUCTURED, &event.body), (1, 0), event.adds()),
            });
        }
        let manner = attacker.one_of(&[Manner::AtOnce, Manner::InPieces]);
        Act::of(parts).in_manner(manner)
    }),
];

/// What ends its connection: nothing before it may be lost by that, so it has one of its own.
fn alone(part: Part) -> Act {
    Act::from(part).in_manner(Manner::Alone)
}

fn get(attacker: &mut Attacker, path: &str, codes: &[u16]) -> Act {
    Part::new(format!("{}\r\n", attacker.head("GET", path)), codes).into()
}

/// A body in chunks of so many bytes.
fn chunked(body: &str, bytes: usize) -> String {
    let chunks = body.as_bytes().chunks(bytes).map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)));
    chunks.collect::<String>() + "0\r\n\r\n"
}

// === impl Attacker ===

impl Attacker {
    /// The head of a request up to its last header, of who may do everything.
    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        Self::head_with(&self.house.secrets.everything, method, path)
    }

    pub(crate) fn head_with(key: &str, method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n")
    }

    pub(crate) fn post(&self, content_type: &str, body: &str) -> Vec<u8> {
        self.post_of(content_type, body, body.len())
    }

    pub(crate) fn post_with(&self, key: &str, content_type: &str, body: &str) -> Vec<u8> {
        let head = Self::head_with(key, "POST", "/v1/events");
        format!("{head}content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
    }

    /// Says that the body has so many bytes.
    pub(crate) fn post_of(&self, content_type: &str, body: &str, bytes: usize) -> Vec<u8> {
        let head = self.head("POST", "/v1/events");
        format!("{head}content-type: {content_type}\r\ncontent-length: {bytes}\r\n\r\n{body}").into()
    }

    /// A request with these headers as they are.
    fn raw(&self, headers: &[&[u8]]) -> Vec<u8> {
        let mut bytes = self.head("POST", "/v1/events").into_bytes();
        headers.iter().for_each(|header| bytes.extend([header, &b"\r\n"[..]].concat()));
        bytes.extend(b"\r\n");
        bytes
    }

    /// A good event of any agent.
    pub(crate) fn event(&mut self) -> Good {
        let agent = self.one_of(&["telecom", "airline", "retail", "bank"]);
        self.event_of(agent)
    }
}
