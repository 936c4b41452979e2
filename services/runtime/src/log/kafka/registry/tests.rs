use std::process::Command;

use bytes::Bytes;
use kit::Teller;
use kit::facts::outcome;
use kit::registry::Registry as Double;
use wire::registered::SCHEMA_ID_HEADER;
use wire::{Event, Refusal, Timestamp};

use super::*;

/// What a process that trusts a registry is told: where it answers, and what to ask it for.
const TRUSTED: &str = "REEVE_TEST_REGISTRY";
const TRUSTED_ID: &str = "REEVE_TEST_REGISTRY_ID";

#[test]
fn a_value_that_is_framed_by_an_id_is_read_as_the_single_object_of_its_schema_and_can_be_made_again() {
    let double = Double::start();
    let id = double.register("whatever", "AVRO", Kind::OutcomeReported.schema_text());
    let registry = begin(&double);
    let event = event();
    let single = event.to_raw();
    let framed = framed_by(id, &single);
    let mut read = framed.clone();
    registry.translate(&mut read).expect("it answers");
    assert_eq!(read.value, single.value);
    assert_eq!(Event::from_raw(&read).expect("it is a record"), event);
    let (found, wanted) = ((read.dedupe_key(), read.body_digest()), (Some(event.dedupe_key()), single.body_digest()));
    assert_eq!(found, wanted, "what is said in both framings is said twice");
    assert_eq!(made_again(&read), framed);
    // An id stands for one schema for ever, so it is asked for once.
    registry.translate(&mut framed_by(id, &single)).expect("it is known");
    let asked = double.asked().into_iter().filter(|asked| *asked == format!("GET /schemas/ids/{id}")).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_schema_may_be_named_by_its_guid_and_by_either_in_a_header() {
    let double = Double::start();
    let id = double.register("whatever", "AVRO", Kind::OutcomeReported.schema_text());
    let (registry, event) = (begin(&double), event());
    let single = event.to_raw();
    let bare = &single.value[FRAMING_BYTES..];
    let (number, guid) = ([&[0][..], &id.to_be_bytes()].concat(), [&[1][..], double.guid(id).as_bytes()].concat());
    let framed = |by: &[u8]| RawRecord { value: [by, bare].concat().into(), ..single.clone() };
    let in_header = |by: &[u8]| {
        let mut raw = framed(b"");
        raw.headers.extend([(SCHEMA_ID_HEADER, by)]);
        raw
    };
    for named in [framed(&number), framed(&guid), in_header(&number), in_header(&guid)] {
        let mut read = named.clone();
        registry.translate(&mut read).expect("it answers");
        assert_eq!(Event::from_raw(&read).expect("it is a record"), event);
        assert_eq!((read.body_digest(), made_again(&read)), (single.body_digest(), named));
        let once = read.clone();
        registry.translate(&mut read).expect("nobody is asked");
        assert_eq!(read, once, "a single object is one, whatever a header says");
    }
    // Nobody knows these.
    let (number, guid) = ([0, 0, 0, 0x12, 0x67], [&[1][..], &[0; 16]].concat());
    let (told_number, told_guid) = ("4711", "00000000-0000-0000-0000-000000000000");
    for (named, told) in [(framed(&guid), told_guid), (in_header(&guid), told_guid), (in_header(&number), told_number)] {
        let mut read = named.clone();
        registry.translate(&mut read).expect("it answers");
        assert_eq!(read, named, "it is as it lay");
        let refusal = Event::from_raw(&read).expect_err("nobody said which schema that is");
        assert!(matches!(refusal, Refusal::UnregisteredSchema { id } if id.to_string() == told), "{refusal:?} of {told}");
    }
}

#[test]
fn a_bare_value_that_begins_like_an_id_is_not_taken_for_one_where_a_header_names_its_schema() {
    let double = Double::start();
    let id = double.register("whatever", "AVRO", Kind::OutcomeReported.schema_text());
    let registry = begin(&double);
    // Nothing is said in it: each of its fields is a null, which is written as 00.
    let event = Teller::new("billing").tell(Timestamp(1_800_000_000_000_000), Some("s"), outcome(None));
    let bare = event.to_raw().value.slice(FRAMING_BYTES..);
    assert_eq!(registered(&bare), Some((SchemaId::Number(0), &b""[..])));
    let named = |id: u32| {
        let mut raw = RawRecord { value: bare.clone(), ..event.to_raw() };
        raw.headers.extend([(SCHEMA_ID_HEADER, &[&[0][..], &id.to_be_bytes()].concat()[..])]);
        raw
    };
    let mut read = named(id);
    registry.translate(&mut read).expect("it answers");
    assert_eq!(Event::from_raw(&read), Ok(event.clone()));
    assert_eq!(Event::from_raw(&named(4_711)), Err(Refusal::UnregisteredSchema { id: SchemaId::Number(4_711) }));
}

#[test]
fn a_schema_that_is_not_reeves_is_passed_and_what_is_no_schema_is_refused() {
    let double = Double::start();
    let foreign = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "n", "type": "long"}]}"#;
    let foreign = double.register("orders", "AVRO", foreign);
    let no_avro = double.register("pages", "PROTOBUF", "message Page {}");
    let broken = double.register("broken", "AVRO", r#"{"type": "record"}"#);
    let registry = begin(&double);
    let judged = |id: u32| {
        let mut raw = framed_by(id, &event().to_raw());
        registry.translate(&mut raw).expect("it answers");
        Event::from_raw(&raw).expect_err("nobody knows it")
    };
    assert!(!judged(foreign).blames_the_record(), "{:?}", judged(foreign));
    for id in [no_avro, broken, 4_711] {
        assert_eq!(judged(id), Refusal::UnregisteredSchema { id: SchemaId::Number(id) });
        assert!(judged(id).blames_the_record());
    }
}

#[test]
fn a_registry_that_is_silent_is_no_answer_and_is_asked_again() {
    let double = Double::start();
    let id = double.register("whatever", "AVRO", Kind::OutcomeReported.schema_text());
    double.silence(true);
    let registry = begin(&double);
    let framed = framed_by(id, &event().to_raw());
    for _ in 0..2 {
        let mut read = framed.clone();
        let error = registry.translate(&mut read).expect_err("nobody answers");
        assert!(matches!(error, LogError::RegistrySilent { id: silent, .. } if silent == SchemaId::Number(id)), "{error:?}");
        assert_eq!(read, framed, "it is as it was");
    }
    double.silence(false);
    let mut read = framed.clone();
    registry.translate(&mut read).expect("it answers again");
    assert_eq!(Event::from_raw(&read), Ok(event()));
    // What is known needs nobody.
    double.silence(true);
    registry.translate(&mut framed.clone()).expect("it is known");
    let nowhere = RegistryOptions { url: "http://127.0.0.1:1".to_owned(), credentials: None };
    let nobody = Registry::begin(&nowhere).expect("a thread").translate(&mut framed.clone());
    assert!(matches!(nobody, Err(LogError::RegistrySilent { .. })), "{nobody:?}");
}

#[test]
fn all_that_reeve_reads_and_writes_is_told_to_the_registry_as_soon_as_it_answers() {
    let double = Double::start();
    double.silence(true);
    let _registry = begin(&double);
    until("the registry is asked", || !double.asked().is_empty());
    assert_eq!(double.subjects(), Vec::<String>::new());
    double.silence(false);
    until("all schemas stand there", || double.subjects().len() == Kind::ALL.len());
    let mut names: Vec<String> = Kind::ALL.iter().map(|kind| codec::full_name_of(*kind)).collect();
    names.sort();
    assert_eq!(double.subjects(), names);
    assert!(names.contains(&"io.reeve.events.SessionStarted".to_owned()), "{names:?}");
}

#[test]
fn what_starts_like_a_framing_and_is_none_is_left_alone() {
    let double = Double::start();
    let registry = begin(&double);
    let single = event().to_raw();
    for value in [&b""[..], &[0], &[0, 0, 0, 1], &[1, 0, 0, 0, 1, 7], &single.value] {
        let raw = RawRecord { value: Bytes::copy_from_slice(value), ..single.clone() };
        let mut read = raw.clone();
        registry.translate(&mut read).expect("nobody is asked");
        assert_eq!(read, raw);
    }
}

#[test]
fn a_registry_is_asked_by_tls_where_its_certificate_is_trusted_and_who_does_not_trust_it_is_told_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("own.pem"), folder.path().join("own.key"));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    let names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509"]).args(curve).args(names).arg("-out").arg(&certificate).arg("-keyout").arg(&key);
    let Ok(made) = openssl.output() else {
        eprintln!("passed over: there is no openssl, for a certificate");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |path| std::fs::read(path).expect("it was just made");
    let double = Double::start_secured(&read(&certificate), &read(&key));
    let id = double.register("whatever", "AVRO", Kind::OutcomeReported.schema_text());

    let mut framed = framed_by(id, &event().to_raw());
    let Err(LogError::RegistrySilent { reason, .. }) = begin(&double).translate(&mut framed) else { panic!("nobody vouches for it") };
    assert!(reason.contains("certificate verify failed"), "{reason}");
    assert_eq!(double.asked(), Vec::<String>::new());

    // Whom a process trusts is settled when it starts.
    let mut trusting = Command::new(std::env::current_exe().expect("this binary has a path"));
    trusting.args(["--exact", "log::kafka::registry::tests::trusts"]).env("SSL_CERT_FILE", &certificate);
    let told = trusting.env(TRUSTED, &double.url).env(TRUSTED_ID, id.to_string()).output().expect("it starts");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    assert!(double.asked().contains(&format!("GET /schemas/ids/{id}")), "{:?}", double.asked());
}

/// Not a test of its own: the process that trusts the registry. Without a word about one it does nothing.
#[test]
#[expect(clippy::disallowed_methods, reason = "it is told by its environment")]
fn trusts() {
    let (Ok(url), Ok(id)) = (std::env::var(TRUSTED), std::env::var(TRUSTED_ID)) else { return };
    let mut framed = framed_by(id.parse().expect("an id"), &event().to_raw());
    begin_at(&url).translate(&mut framed).expect("it is trusted");
    assert_eq!(Event::from_raw(&framed), Ok(event()));
}

fn begin(double: &Double) -> Registry {
    begin_at(&double.url)
}

fn begin_at(url: &str) -> Registry {
    Registry::begin(&RegistryOptions { url: url.to_owned(), credentials: None }).expect("a thread")
}

fn framed_by(id: u32, single: &RawRecord) -> RawRecord {
    let value = [&[0][..], &id.to_be_bytes(), &single.value[FRAMING_BYTES..]].concat();
    RawRecord { value: value.into(), ..single.clone() }
}

/// The record as it lay on the topic.
fn made_again(read: &RawRecord) -> RawRecord {
    let (name, framed_as) = read.headers.iter().last().expect("it has headers");
    assert_eq!(name, FRAMED_AS);
    RawRecord {
        key: read.key.clone(),
        headers: read.headers.iter().take(read.headers.len() - 1).collect(),
        value: [framed_as, &read.value[FRAMING_BYTES..]].concat().into(),
    }
}

fn event() -> Event {
    Teller::new("billing").tell(Timestamp(1_800_000_000_000_000), Some("s"), outcome(Some(true)))
}

#[expect(clippy::disallowed_methods, reason = "how long a test waits is measured")]
fn until(what: &str, is: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(std::time::Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}
