//! Ideas that attack what requests say: JSON that is none or too much, ids used twice, values outside every limit, Avro
//! that was broken.

use std::sync::LazyLock;

use kit::golden;
use kit::mutants::{Expected, Mutator};
use rand::RngExt;
use serde_json::{Value, json};
use wire::cloudevents::{BATCH, STRUCTURED};
use wire::{Class, limits};

use crate::acts::{Act, Manner, Part};
use crate::attacker::{Attacker, Idea};
use crate::house::PARTITIONS;

/// A good event, as it is sent.
pub(crate) struct Good {
    pub(crate) value: Value,
    pub(crate) body: String,
}

pub(crate) const IDEAS: &[Idea] = &[
    ("good event", |attacker| {
        let event = attacker.event();
        let manner = attacker.one_of(&[Manner::AtOnce, Manner::InPieces]);
        Act::from(Part::taken(attacker.post(STRUCTURED, &event.body), (1, 0), event.adds())).in_manner(manner)
    }),
    ("same id, same event", |attacker| {
        let event = attacker.event();
        let bytes = attacker.post(STRUCTURED, &event.body);
        let again = (0..attacker.rng.random_range(1..4_u32)).map(|_| Part::taken(bytes.clone(), (0, 1), event.adds()));
        Act::of(std::iter::once(Part::taken(bytes.clone(), (1, 0), event.adds())).chain(again).collect())
    }),
    ("same id, another event", |attacker| {
        let mut event = attacker.event();
        let first = Part::taken(attacker.post(STRUCTURED, &event.body), (1, 0), event.adds());
        let (field, other) = attacker.one_of(&[("category", "insult"), ("description", "another"), ("version", "v9")]);
        event.value["data"][field] = other.into();
        Act::of(vec![first, Part::new(attacker.post(STRUCTURED, &event.value.to_string()), &[409])])
    }),
    ("same id, many at once", |attacker| {
        let event = attacker.event();
        let voices = attacker.rng.random_range(2..9_usize);
        Act::from(Part::taken(attacker.post(STRUCTURED, &event.body), (1, 0), event.adds())).in_manner(Manner::Chorus(voices))
    }),
    ("JSON that is none", |attacker| {
        let good = attacker.event().body;
        let deep = "[".repeat(attacker.one_of(&[129, 10_000, 100_000]));
        let body = match attacker.rng.random_range(0..15_u32) {
            0 => String::new(),
            1 => deep,
            2 => format!("{{\"a\":{deep}"),
            3 => good.replace("true", "1e400"),
            4 => good.replace("true", &"9".repeat(400)),
            5 => good.replace("true", "NaN"),
            6 => good.replace("twice", "\\ud800"),
            7 => good.replace("twice", "\\u00"),
            8 => good.replace("twice", "\u{1}"),
            9 => format!("{good} {good}"),
            10 => format!("\u{feff}{good}"),
            11 => good.replace('"', "'"),
            12 => format!("/* {good} */"),
            13 => good[..attacker.rng.random_range(0..good.len())].to_owned(),
            _ => format!("{good}\0"),
        };
        Part::new(attacker.post(STRUCTURED, &body), &[400]).into()
    }),
    ("JSON that is no text", |attacker| {
        let mut bytes = attacker.post(STRUCTURED, &attacker_body("twi\u{1}\u{1}ce"));
        let bad = attacker.one_of(&[[0xff, 0xfe], [0xc0, 0x80], [0xed, 0xa0]]);
        let at = bytes.windows(2).position(|found| found == [1, 1]).expect("it was just written");
        bytes[at..at + 2].copy_from_slice(&bad);
        Part::new(bytes, &[400]).into()
    }),
    ("member given twice", |attacker| {
        let event = attacker.event();
        let (once, twice) = attacker.one_of(&[
            ("\"id\":", "\"id\":\"other\",\"id\":"),
            ("\"source\":", "\"source\":\"/platforms/x/agents/bank\",\"source\":"),
            ("\"confirmed\":", "\"confirmed\":false,\"confirmed\":"),
            ("\"data\":", "\"data\":null,\"data\":"),
            ("\"id\":", "\"\\u0069d\":\"other\",\"id\":"),
        ]);
        let body = event.body.replacen(once, twice, 1);
        match attacker.rng.random() {
            true => Part::new(attacker.post(STRUCTURED, &body), &[400]).into(),
            false => Part::new(attacker.post(BATCH, &format!("[{body}]")), &[400]).into(),
        }
    }),
    ("values without number", |attacker| {
        let values = limits::JSON_VALUES_MAX * attacker.rng.random_range(1..20_usize);
        let event = attacker.event();
        let many = match attacker.rng.random_range(0..3_u32) {
            0 => format!("[{}1]", "1,".repeat(values)),
            1 => format!("[{}[]]", "[],".repeat(values)),
            _ => format!("{{{}}}", (0..values).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",")),
        };
        let body = event.body.replacen("{", &format!("{{\"extension\":{many},"), 1);
        match attacker.rng.random() {
            true => Part::new(attacker.post(STRUCTURED, &body), &[413]).into(),
            false => {
                let list = format!("[{},{body}]", attacker.event().body);
                Part::new(attacker.post(BATCH, &list), &[413]).into()
            }
        }
    }),
    ("content that is not taken", |attacker| {
        let event = attacker.event();
        let content_type = attacker.one_of(&[
            "text/plain",
            "",
            "application/json",
            "application/avro",
            "application/cloudevents+avro",
            "multipart/form-data; boundary=x",
            "application/cloudevents+json; charset=latin1",
            "application/cloudevents+json, text/plain",
            "application/xml",
        ]);
        Part::new(attacker.post(content_type, &event.body), &[415]).into()
    }),
    ("compressed bomb", |attacker| {
        let encoding = attacker.one_of(&["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "*"]);
        let bomb = "\u{1f}\u{8b}".to_owned() + &"\0".repeat(attacker.rng.random_range(1..20_000));
        let content_type = format!("{STRUCTURED}\r\ncontent-encoding: {encoding}");
        Part::new(attacker.post(&content_type, &bomb), &[415]).into()
    }),
    ("attribute at its limit", |attacker| {
        let mut event = attacker.event();
        let id = attacker.id();
        let at = |bytes: usize| format!("{id}{}", "i".repeat(bytes - id.len()));
        let platform = |bytes: usize| format!("/platforms/{}/agents/bank", "p".repeat(bytes - "/platforms//agents/bank".len()));
        let (field, value, code) = match attacker.rng.random_range(0..10_u32) {
            0 => ("id", at(limits::ID_BYTES_MAX), 202),
            1 => ("id", at(limits::ID_BYTES_MAX + 1), 422),
            2 => ("source", platform(limits::SOURCE_BYTES_MAX), 202),
            3 => ("source", platform(limits::SOURCE_BYTES_MAX + 1), 422),
            4 => ("source", format!("/platforms/x/agents/{}", "%61".repeat(limits::AGENT_BYTES_MAX)), 202),
            5 => ("source", format!("/platforms/x/agents/{}", "a".repeat(limits::AGENT_BYTES_MAX + 1)), 422),
            6 => ("id", format!("{id}\u{7f}"), 422),
            7 => ("id", format!("{id}\u{1f980}\u{202e}"), 202),
            8 => ("subject", "s".repeat(limits::SESSION_BYTES_MAX + 1), 422),
            _ => ("source", "/platforms/x/agents/%ff".to_owned(), 422),
        };
        event.value[field] = value.into();
        attacker.judged(event.value, code)
    }),
    ("event that is refused", |attacker| {
        let mut event = attacker.event();
        let (field, value) = attacker.one_of(&[
            ("specversion", "0.3"),
            ("type", "io.reeve.harm.imagined.v1"),
            ("type", "rollback.ordered"),
            ("type", "door.opened"),
            ("source", "/reeve/rollback"),
            ("source", "/reeve"),
            ("id", ""),
            ("time", "2999-01-01T00:00:00Z"),
            ("time", "1999-01-01T00:00:00Z"),
            ("time", "yesterday"),
            ("partitionkey", "somebody-else"),
            ("subject", ""),
            ("data_base64", "AAAA"),
            ("datacontenttype", "text/xml"),
        ]);
        event.value[field] = value.into();
        attacker.judged(event.value, 422)
    }),
    ("data that is refused", |attacker| {
        let mut event = attacker.event();
        let (field, value) = match attacker.rng.random_range(0..9_u32) {
            0 => ("category", json!(7)),
            1 => ("category", json!("")),
            2 => ("category", json!("c".repeat(300))),
            3 => ("category", json!("a\u{0}b")),
            4 => ("describtion", json!("misspelt")),
            5 => ("confirmed", json!("yes")),
            6 => ("confirmed", json!(null)),
            7 => ("description", json!("d".repeat(limits::TEXT_BYTES_MAX + 1))),
            _ => ("version", json!({"deep": [[[[]]]]})),
        };
        event.value["data"][field] = value;
        attacker.judged(event.value, 422)
    }),
    ("batch with one that is bad", |attacker| {
        let mut list: Vec<Value> = (0..attacker.rng.random_range(1..30_u32)).map(|_| attacker.event().value).collect();
        let bad = match attacker.rng.random_range(0..4_u32) {
            0 => json!([]),
            1 => json!(null),
            2 => json!({}),
            _ => json!({"specversion": "1.0", "id": "x", "source": "/platforms/x/agents/bank", "type": "rollback.ordered", "data": {}}),
        };
        list.insert(attacker.rng.random_range(0..=list.len()), bad);
        Part::new(attacker.post(BATCH, &json!(list).to_string()), &[422]).into()
    }),
    ("batch that repeats itself", |attacker| {
        let list: Vec<Good> = (0..attacker.rng.random_range(1..20_u32)).map(|_| attacker.event()).collect();
        let body = list.iter().chain(&list).map(|event| event.body.as_str()).collect::<Vec<_>>().join(",");
        let adds = list.iter().flat_map(Good::adds).collect();
        Part::taken(attacker.post(BATCH, &format!("[{body}]")), (list.len() as u64, list.len() as u64), adds).into()
    }),
    ("batch that contradicts itself", |attacker| {
        let (event, mut other) = (attacker.event(), attacker.event());
        other.value = event.value.clone();
        other.value["data"]["category"] = "insult".into();
        let body = json!([attacker.event().value, event.value, other.value]);
        Part::new(attacker.post(BATCH, &body.to_string()), &[409]).into()
    }),
    ("policy for every partition", |attacker| {
        let id = attacker.id();
        let policy = json!({
            "specversion": "1.0", "id": id, "source": "/people/mallory", "type": "policy.adopted",
            "data": {"room": "incident", "version": "2", "document": "{}", "author": "mallory", "reason": "why not"},
        });
        let adds = vec![("/people/mallory".to_owned(), id, PARTITIONS as usize)];
        let bytes = attacker.post(STRUCTURED, &policy.to_string());
        Act::of(vec![Part::taken(bytes.clone(), (1, 0), adds.clone()), Part::taken(bytes, (0, 1), adds)])
    }),
    ("attributes in headers", |attacker| {
        let (id, confirmed) = (attacker.id(), r#"{"category": "insult", "confirmed": true}"#);
        let source = "/platforms/headers/agents/bank";
        let head = |more: &str| {
            format!("application/json\r\nce-specversion: 1.0\r\nce-id: {id}\r\nce-source: {source}\r\nce-type: harm.reported{more}")
        };
        let adds = vec![(source.to_owned(), id.clone(), 1)];
        match attacker.rng.random_range(0..7_u32) {
            0 => Part::taken(attacker.post(&head(""), confirmed), (1, 0), adds).into(),
            1 => Part::new(attacker.post(&head("\r\nce-id: other"), confirmed), &[422]).into(),
            2 => Part::new(attacker.post(&head("\r\nce-subject: %ff"), confirmed), &[422]).into(),
            3 => Part::new(attacker.post(&head("\r\nce-time: never"), confirmed), &[422]).into(),
            4 => Part::new(attacker.post(&head(""), ""), &[422]).into(),
            5 => Part::new(attacker.post(&head(""), r#"{"category": "insult", "category": "insult", "confirmed": true}"#), &[400]).into(),
            _ => Part::new(attacker.post(&head(""), "{"), &[400]).into(),
        }
    }),
    ("Avro that was broken", |attacker| {
        let (well, source) = (attacker.rng.random_range(0..AVRO.wells()), "/platforms/avro/agents/bank");
        // Of what the mutator does, what it does to values.
        let mutant = (0..).map(|_| AVRO.mutant_of(well, attacker.rng.random())).find(|mutant| {
            let good = AVRO.well(well);
            (&mutant.stored.raw.headers, &mutant.stored.raw.key, mutant.stored.partition)
                == (&good.raw.headers, &good.raw.key, good.partition)
                && mutant.stored.raw.value.len() <= limits::VALUE_BYTES_MAX
        });
        let (mutant, id) = (mutant.expect("most are so"), attacker.id());
        let kind = AVRO.well(well).raw.kind().expect("a known kind");
        let codes: &[u16] = match mutant.expected {
            Expected::Refused("undecodable" | "trailing_bytes" | "unknown_framing" | "unregistered_schema") => &[400],
            Expected::Refused(_) => &[422],
            Expected::NotRead => &[400, 422],
            Expected::Read => &[202],
            Expected::ReadOr(_) | Expected::Either => &[202, 400, 422],
        };
        // A body that is empty is no Avro at all: what is missing is told.
        let codes = if mutant.stored.raw.value.is_empty() { &[422] } else { codes };
        let head =
            format!("application/avro\r\nce-specversion: 1.0\r\nce-id: {id}\r\nce-source: {source}\r\nce-subject: s\r\nce-type: {kind}");
        let head = format!(
            "{}content-type: {head}\r\ncontent-length: {}\r\n\r\n",
            attacker.head("POST", "/v1/events"),
            mutant.stored.raw.value.len()
        );
        let part = Part::new([head.as_bytes(), &mutant.stored.raw.value].concat(), codes);
        Part { adds: vec![(source.to_owned(), id, 1)], ..part }.into()
    }),
];

/// Bodies of mebibytes.
pub(crate) const HEAVY: &[Idea] = &[
    ("body too large", |attacker| {
        let (content_type, bytes_max) = attacker.one_of(&[(STRUCTURED, 1 << 20), (BATCH, 8 << 20)]);
        let bytes = bytes_max + attacker.one_of(&[1, 1 << 16]);
        Act::from(Part::new(attacker.post_of(content_type, "", bytes), &[413]).and_spaces(bytes)).in_manner(Manner::Alone)
    }),
    ("body beyond all bounds", |attacker| {
        let bytes = 64 << 20;
        Act::from(Part::new(attacker.post_of(STRUCTURED, "", bytes), &[413]).and_spaces(bytes)).in_manner(Manner::Alone)
    }),
    ("body that only says that it is too large", |attacker| {
        let head = attacker.head("POST", "/v1/events");
        let bytes = format!("{head}content-type: {STRUCTURED}\r\ncontent-length: {}\r\n\r\n{{", attacker.one_of(&[1_048_577, i64::MAX]));
        Act::from(Part::new(bytes, &[413])).in_manner(Manner::Alone)
    }),
    ("chunks too large together", |attacker| {
        let head = attacker.head("POST", "/v1/events");
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
        let bytes = format!("{head}content-type: {STRUCTURED}\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(40));
        Act::from(Part::new(bytes, &[413])).in_manner(Manner::Alone)
    }),
    ("too many events", |attacker| {
        let list: Vec<String> = (0..limits::BATCH_EVENTS_MAX + 1).map(|_| attacker.event().body).collect();
        Act::from(Part::new(attacker.post(BATCH, &format!("[{}]", list.join(","))), &[413])).in_manner(Manner::Alone)
    }),
    ("full batch of faults", |attacker| {
        let members: Vec<String> = (0..1_500).map(|number| format!("\"{number}\":0")).collect();
        let event = format!("{{\"specversion\":\"1.0\",\"type\":\"harm.reported\",\"data\":{{{}}}}}", members.join(","));
        let list = vec![event; ((8 << 20) - 10) / (members.join(",").len() + 60)];
        Part::new(attacker.post(BATCH, &format!("[{}]", list.join(","))), &[422]).into()
    }),
    ("batch of tiny values", |attacker| Part::new(attacker.post(BATCH, &format!("[{}1]", "1,".repeat((4 << 20) - 10))), &[413]).into()),
    ("nothing but depth", |attacker| Part::new(attacker.post(BATCH, &"[".repeat((8 << 20) - 1)), &[400]).into()),
    ("full batch", |attacker| {
        let list: Vec<Good> = (0..limits::BATCH_EVENTS_MAX).map(|_| attacker.event()).collect();
        let body = list.iter().map(|event| event.body.as_str()).collect::<Vec<_>>().join(",");
        Part::taken(attacker.post(BATCH, &format!("[{body}]")), (list.len() as u64, 0), list.iter().flat_map(Good::adds).collect()).into()
    }),
];

/// Makes mutants of a record of every kind that anybody may publish.
static AVRO: LazyLock<Mutator> = LazyLock::new(|| {
    let is_public = |raw: &wire::RawRecord| raw.kind().is_some_and(|kind| kind.class() == Class::Fact && !kind.is_reeves_own());
    Mutator::new(20_261_127, PARTITIONS, golden::records().into_iter().filter(is_public).collect())
});

fn attacker_body(description: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"x","source":"/platforms/x/agents/bank","type":"harm.reported","data":{{"description":"{description}"}}}}"#
    )
}

// === impl Good ===

impl Good {
    /// What stands on the log once it is taken.
    pub(crate) fn adds(&self) -> Vec<(String, String, usize)> {
        let text = |name: &str| self.value[name].as_str().expect("a text").to_owned();
        vec![(text("source"), text("id"), 1)]
    }
}

// === impl Attacker ===

impl Attacker {
    pub(crate) fn event_of(&mut self, agent: &str) -> Good {
        let value = json!({
            "specversion": "1.0", "id": self.id(), "source": format!("/platforms/acme/agents/{agent}"), "type": "io.reeve.harm.reported.v1",
            "time": "2026-01-01T10:00:00Z", "data": {"category": "wrong_refund", "confirmed": true, "description": "paid out twice"},
        });
        Good { body: value.to_string(), value }
    }

    /// Sends an event that is taken or refused with this code.
    fn judged(&self, value: Value, code: u16) -> Act {
        let bytes = self.post(STRUCTURED, &value.to_string());
        match code {
            202 => Part::taken(bytes, (1, 0), Good { body: String::new(), value }.adds()).into(),
            code => Part::new(bytes, &[code]).into(),
        }
    }
}
