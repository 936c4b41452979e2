//! A folder with a log and its archive, and a Reeve that runs on it and may be killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use runtime::log::{Addressed, Log};
use serde_json::{Value, json};
use tempfile::TempDir;
use wire::{Offset, Partition, RawRecord, StoredRecord};

pub(crate) const REFUSED: i32 = 65;
pub(crate) const NO_INPUT: i32 = 66;
pub(crate) const TRY_AGAIN: i32 = 75;
const PARTITIONS: u32 = 4;

pub(crate) struct House(TempDir);

/// `reeve up` on a folder.
pub(crate) struct Up {
    child: Child,
    address: String,
}

// === impl House ===

impl House {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// Publishes facts `fact-0`, `fact-1`, ... of five agents.
    pub(crate) fn publish(&self, facts: usize) {
        self.publish_as("fact", facts);
    }

    pub(crate) fn publish_as(&self, name: &str, facts: usize) {
        let lines: Vec<String> = (0..facts)
            .map(|number| {
                json!({"specversion": "1.0", "id": format!("{name}-{number}"), "source": format!("/platforms/acme/agents/agent-{}", number % 5),
                       "type": "io.reeve.session.ended.v1", "subject": format!("s-{number}"), "time": "2026-03-01T12:00:00Z", "data": {}})
                .to_string()
            })
            .collect();
        let output = self.reeve(&["publish", "-"], &lines.join("\n"));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }

    /// Puts records onto the log that nobody can read, as a careless publisher would: partition, offset and code of each.
    pub(crate) fn garble(&self, records: usize) -> Vec<(i64, i64, String)> {
        self.garble_as("noise", records)
    }

    pub(crate) fn garble_as(&self, name: &str, records: usize) -> Vec<(i64, i64, String)> {
        let log = self.open();
        let mut places = Vec::new();
        for number in 0..records {
            let id = format!("{name}-{number}");
            let headers: [(&str, &[u8]); 4] =
                [("ce_id", id.as_bytes()), ("ce_source", b"/platforms/careless"), ("twice", b""), ("twice", b"\xff\x00")];
            let (value, code) = match number % 2 {
                0 => (Bytes::from(vec![0xff; number]), "\"unknown_framing\""),
                _ => (Bytes::from([&wire::codec::framing_of(wire::Kind::HarmReported)[..], &[0xff; 3]].concat()), "\"undecodable\""),
            };
            let key = (number % 3 > 0).then(|| Bytes::from_static(b"\x00\xff"));
            let partition = Partition(number as u32 % PARTITIONS);
            let record = RawRecord { key, headers: headers.into(), value };
            let appended = log.append(vec![Addressed { partition, record }]).expect("the log takes every record");
            places.push((i64::from(partition.0), appended[0].offset.0, code.to_owned()));
        }
        places.sort();
        places
    }

    /// Everything on the log, partition by partition.
    pub(crate) fn log(&self) -> Vec<StoredRecord> {
        let log = self.open();
        (0..PARTITIONS).flat_map(|partition| read_all(&*log, Partition(partition))).collect()
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.0.path().join("archive")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Files of the archive's segments, in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.archive()];
        let mut segments = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("readable") {
                let path = entry.expect("readable").path();
                if path.is_dir() { folders.push(path) } else { segments.push(path) }
            }
        }
        segments.sort();
        segments
    }

    /// A configuration that names another archive.
    pub(crate) fn config(&self, archive: &std::path::Path) -> &'static str {
        let path = self.0.path().join("reeve.toml");
        std::fs::write(&path, format!("[archive]\npath = \"{}\"\n", archive.display())).expect("written");
        // As long as the test: it names a file of it.
        path.to_str().expect("a plain name").to_owned().leak()
    }

    /// Runs the check; its report, and what it says on standard error.
    pub(crate) fn check(&self, exit: i32) -> (Value, String) {
        let (report, told, code) = self.checked();
        assert_eq!(code, Some(exit), "{report}\n{told}");
        (report, told)
    }

    /// The same with further arguments and variables: its report.
    pub(crate) fn check_with(&self, arguments: &[&str], variables: &[(&str, &str)], exit: i32) -> Value {
        let mut command = self.command(&[&["audit", "check", "--json"], arguments].concat());
        report_of(command.envs(variables.iter().copied()), exit)
    }

    /// A check that is told of its folders by variables alone.
    pub(crate) fn check_by_variables(variables: &[(&str, &str)], exit: i32) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
        report_of(command.args(["audit", "check", "--json"]).envs(variables.iter().copied()), exit)
    }

    /// The same, however it ends.
    pub(crate) fn check_any(&self) -> (Value, String) {
        let (report, told, _) = self.checked();
        (report, told)
    }

    fn checked(&self) -> (Value, String, Option<i32>) {
        let output = self.reeve(&["audit", "check", "--json"], "");
        let told = text(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
        (report, told, output.status.code())
    }

    /// Everything that a command says, on both outputs.
    pub(crate) fn told(&self, arguments: &[&str], exit: i32) -> String {
        let output = self.reeve(arguments, "");
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}\n{told}");
        told
    }

    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.reeve(arguments, "");
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// Starts `reeve up` on the folder, with segments of one second.
    pub(crate) fn up(&self) -> Up {
        self.up_with(&[])
    }

    /// The same with further arguments.
    pub(crate) fn up_with(&self, arguments: &[&str]) -> Up {
        let mut child = self
            .command(&[&["up", "--listen", "127.0.0.1:0"], arguments].concat())
            .env("REEVE_ARCHIVE_EVERY_SECONDS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains(" is up at ")).expect("it says where it is");
        let address = line.rsplit('/').next().expect("an address").to_owned();
        // Whatever it goes on to say is read, so that it never waits for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        Up { child, address }
    }

    fn reeve(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        // A command that does not read its input closes it: that is no fault of the test.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("the command ends")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
        // What the environment of whoever runs the tests says is not what is tested.
        command.args(arguments).arg("--data").arg(self.0.path()).env_remove("REEVE_URL").env_remove("REEVE_AUTHOR");
        command
    }

    fn open(&self) -> Arc<EmbeddedLog> {
        let options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions: PARTITIONS, clock: Clock::Wall };
        EmbeddedLog::open(self.0.path(), options).expect("nobody holds it")
    }
}

// === impl Up ===

impl Up {
    /// What it answers to a GET.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(mut self) {
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(told.success(), "it was running");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }

    /// Ends it without a word, somewhere in its work.
    pub(crate) fn kill_after(mut self, work: Duration) {
        std::thread::sleep(work);
        self.child.kill().expect("it was running");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Codes of a report's findings, each once, in order.
pub(crate) fn codes(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("a list");
    let mut codes: Vec<String> = findings.iter().filter_map(|finding| finding["code"].as_str().map(str::to_owned)).collect();
    codes.sort();
    codes.dedup();
    codes
}

fn report_of(command: &mut Command, exit: i32) -> Value {
    let output = command.env_remove("REEVE_URL").env_remove("REEVE_AUTHOR").output().expect("the command starts");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"))
}

fn read_all(log: &dyn Log, partition: Partition) -> Vec<StoredRecord> {
    let mut records: Vec<StoredRecord> = Vec::new();
    loop {
        let next = records.last().map_or(Offset(0), |last| last.offset.next());
        let page = log.read(partition, next, 1_000).expect("readable");
        if page.is_empty() {
            return records;
        }
        records.extend(page);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
