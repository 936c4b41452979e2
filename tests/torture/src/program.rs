//! The command under test, and a `reeve up` that may be killed at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use wire::partitioner::partition_of;

use crate::ground::{PATIENCE, eventually, eventually_nearer, moment};

/// Source of the facts by which a test knows how far rooms have come. Nobody is asked for them.
pub const MARKS: &str = "/torture/marks";
/// Partitions of a log that nobody asked for another number.
pub const PARTITIONS: u32 = 4;
/// How far ahead nothing may fall due: by then the program is stopped.
const REST_S: i64 = 2;

/// A program that runs, and what it has said.
pub struct Up {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    /// Where it listens.
    pub url: String,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; absent where a signal ended it.
    pub code: Option<i32>,
    /// Everything that it said.
    pub said: String,
}

/// The command that is tested: it stands beside the folder of the test's binary; `REEVE_BIN` names another one.
pub fn reeve_path() -> PathBuf {
    let path = std::env::var_os("REEVE_BIN").map(PathBuf::from).unwrap_or_else(|| {
        let own = std::env::current_exe().expect("a program knows its own path");
        // A test lies in <target>/<profile>/deps, a program above it.
        let beside = own.with_file_name("reeve");
        if beside.is_file() { beside } else { own.ancestors().nth(2).expect("it lies in a folder").join("reeve") }
    });
    assert!(path.is_file(), "there is no command at {}: run `make build` first", path.display());
    path
}

/// A command line of `reeve`. What the environment sets for a Reeve is none of the test's.
pub fn reeve(arguments: &[&str]) -> Command {
    cleaned(Command::new(reeve_path()), arguments)
}

/// A command line of a service that is a program of its own, beside `reeve`.
pub fn service(name: &str) -> Command {
    let path = reeve_path().with_file_name(format!("reeve-{name}"));
    assert!(path.is_file(), "there is no service at {}: `cargo build --bins` builds them", path.display());
    cleaned(Command::new(path), &[])
}

/// A command line of `reeve` that a shell prepares first: with limits, for one.
pub fn reeve_after(preparation: &str, arguments: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")]).arg(reeve_path());
    cleaned(shell, arguments)
}

/// `reeve up` on `folder` and a free port. Snapshots and segments come as often as they may, so that kills meet them.
pub fn up(folder: &Path) -> Command {
    up_of(reeve(&[]), folder)
}

/// The same, of a command line that was prepared.
pub fn up_of(mut command: Command, folder: &Path) -> Command {
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(folder);
    command.envs([("REEVE_SNAPSHOTS_EVERY_RECORDS", "100"), ("REEVE_ARCHIVE_EVERY_SECONDS", "1")]);
    command
}

/// Runs a command to its end, which has to come by itself.
pub fn run(command: &mut Command) -> Ended {
    Up::begin(command).end()
}

fn cleaned(mut command: Command, arguments: &[&str]) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REEVE_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

// === impl Up ===

impl Up {
    /// Starts it, and reads what it says.
    pub fn begin(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let (to, lines) = channel();
        let forward = |output: Option<Box<dyn Read + Send>>| {
            let (to, output) = (to.clone(), BufReader::new(output.expect("it is piped")));
            std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        };
        forward(child.stdout.take().map(|output| Box::new(output) as _));
        forward(child.stderr.take().map(|output| Box::new(output) as _));
        Self { child, lines, said: Vec::new(), url: String::new() }
    }

    /// Starts it and waits until it says where it listens.
    pub fn start(command: &mut Command) -> Self {
        let mut up = Self::begin(command);
        assert!(up.comes_up(), "it did not come up: {}", up.end().said);
        up
    }

    /// Waits until it says where it listens, or ends; whether it came up.
    pub fn comes_up(&mut self) -> bool {
        let begun = moment();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
            self.said.push(line);
            let line = self.said.last().expect("it was just pushed");
            if let Some((_, url)) = line.split_once(" is up at ") {
                self.url = url.split_whitespace().next().unwrap_or_default().to_owned();
                return true;
            }
        }
        false
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a word, as the kernel does.
    pub fn kill(mut self) -> Ended {
        // One that ended by itself is ended.
        let _ = self.child.kill();
        self.end()
    }

    /// Wishes it to drain.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends it a signal, by its name.
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().expect("kill is there");
        assert!(told.success(), "it was running");
    }

    /// How many lines of all that it has said so far hold `what`.
    pub fn said(&mut self, what: &str) -> usize {
        self.said.extend(self.lines.try_iter());
        self.said.iter().filter(|line| line.contains(what)).count()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Ended {
        let status = eventually("its end", || self.child.try_wait().expect("it can be waited for"));
        // Whoever read for us ends with the program.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.said.push(line);
        }
        Ended { code: status.code(), said: self.said.join("\n") }
    }

    /// Its memory at this moment, in bytes; absent once it has ended.
    pub fn memory_bytes(&self) -> Option<u64> {
        memory_bytes(self.pid())
    }

    /// Asks it something over HTTP: status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<(u16, Value), reqwest::Error> {
        get(&format!("{}{path}", self.url))
    }

    /// Waits until every room has folded everything and nothing falls due soon, and returns a time at which that was so.
    ///
    /// Rooms say how they stand a few times a second, and not at once. So each partition gets a last fact first, and what a
    /// room said before it has folded that one does not count; nor does what it said when another room knew more.
    pub fn settle(&self) -> wire::Timestamp {
        self.settle_with(&[&self.url])
    }

    /// The same of rooms that are processes of their own, each by its address; this is their gateway.
    pub fn settle_with(&self, rooms: &[&str]) -> wire::Timestamp {
        self.settle_for(rooms, REST_S)
    }

    /// The same, where nothing may fall due for so long.
    pub fn settle_for(&self, rooms: &[&str], rest_s: i64) -> wire::Timestamp {
        let last = self.mark();
        eventually_nearer("rest", || {
            let now = reeve::fact::now();
            let told: Vec<Value> = rooms.iter().filter_map(|url| get(&format!("{url}/readyz")).ok()).map(|(_, told)| told).collect();
            let rest = told.len() == rooms.len() && told.iter().all(|told| is_at_rest(told, &last, now, rest_s));
            // Of a room that does not answer nothing is known.
            let left = if told.len() < rooms.len() { u64::MAX } else { told.iter().map(|told| left_before(told, &last)).sum() };
            if rest { Ok(now) } else { Err(left) }
        })
    }

    /// Waits until every room has decided what fell due by now, whatever falls due meanwhile; now.
    ///
    /// A fleet that is large never comes to rest: something of somebody's falls due every second for hours.
    pub fn catch_up(&self) -> wire::Timestamp {
        self.catch_up_with(&[&self.url])
    }

    /// The same of rooms that are processes of their own, each by its address; this is their gateway.
    pub fn catch_up_with(&self, rooms: &[&str]) -> wire::Timestamp {
        let now = reeve::fact::now();
        let last = self.mark();
        // By address, and by place among what it tells. Each is looked at until it has decided, and not beyond.
        let mut decided: BTreeSet<(usize, usize)> = BTreeSet::new();
        eventually_nearer("what is owed is decided", || {
            let (mut left, mut all) = (0, 0);
            for (address, url) in rooms.iter().enumerate() {
                let told = get(&format!("{url}/readyz")).ok().map(|(_, told)| told).filter(|told| told["ready"] == true).ok_or(u64::MAX)?;
                left += left_before(&told, &last);
                all += partitions(&told).count().max(PARTITIONS as usize);
                let have = partitions(&told).enumerate().filter(|(_, partition)| has_decided(partition, &last, now));
                decided.extend(have.map(|(place, _)| (address, place)));
            }
            if decided.len() == all { Ok(now) } else { Err(left + (all - decided.len()) as u64) }
        })
    }

    /// Publishes a fact of the test's own to every partition: where each stands.
    fn mark(&self) -> BTreeMap<u64, i64> {
        let ended = || wire::SessionEnded { reason: None, version: None };
        let facts = (0..PARTITIONS).map(|partition| {
            let lies_there = |agent: &String| partition_of(agent.as_bytes(), PARTITIONS) == wire::Partition(partition);
            let agent = (0..).map(|number| format!("mark-{number}")).find(lies_there).expect("keys go everywhere");
            let event = reeve::fact::event(MARKS, &agent, ended());
            reeve::fact::structured(&wire::Event { subject: Some("mark".into()), ..event })
        });
        let (status, told) = post(&format!("{}/v1/events", self.url), &facts.collect()).expect("it answers");
        assert_eq!(status, 202, "{told}");
        let records = told["records"].as_array().expect("a receipt lists its records").iter();
        records.map(|record| (record["partition"].as_u64().expect("a number"), record["offset"].as_i64().expect("a number"))).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the system says that a process has in memory.
pub fn memory_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Seconds of the processor that a process has had, threads of its libraries included (proc(5), stat: utime and stime).
///
/// # Panics
/// When there is no such process.
pub fn cpu_s(pid: u32) -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("this is Linux, and the process is there");
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in parentheses");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number"));
    ticks.sum::<f64>() / TICKS_A_SECOND
}

/// A request by itself: status, and the body as JSON where it is some.
///
/// # Errors
/// When nobody answers.
pub fn get(url: &str) -> Result<(u16, Value), reqwest::Error> {
    ask(|client| client.get(url))
}

/// A figure of a program's metrics, by the name and labels that its line begins with; absent where there is none, or nobody answers.
pub fn metric(url: &str, series: &str) -> Option<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let told = runtime.block_on(async {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        client.get(format!("{url}/metrics")).send().await?.text().await
    });
    told.ok()?.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// Publishes a list of events.
///
/// # Errors
/// When nobody answers.
fn post(url: &str, events: &Value) -> Result<(u16, Value), reqwest::Error> {
    ask(|client| client.post(url).header("content-type", "application/cloudevents-batch+json").body(events.to_string()))
}

fn ask(request: impl FnOnce(&Client) -> RequestBuilder) -> Result<(u16, Value), reqwest::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        let answer = request(&client).send().await?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    })
}

fn partitions(readiness: &Value) -> impl Iterator<Item = &Value> {
    let rooms = readiness["rooms"].as_array().expect("whoever is on this machine hears of the rooms");
    rooms.iter().flat_map(|room| room["partitions"].as_array().expect("a list"))
}

fn number(partition: &Value, field: &str) -> i64 {
    partition[field].as_i64().expect("a number")
}

/// How many records up to `last` the rooms have not read yet, by partition.
fn left_before(readiness: &Value, last: &BTreeMap<u64, i64>) -> u64 {
    let left = |partition: &Value| {
        let last = last.get(&number(partition, "partition").unsigned_abs()).copied().unwrap_or(-1);
        (last + 1 - number(partition, "position")).max(0).unsigned_abs()
    };
    partitions(readiness).map(left).sum()
}

/// Whether it has read past `last`, and owes and has on its way nothing that fell due by `time`.
fn has_decided(partition: &Value, last: &BTreeMap<u64, i64>, time: wire::Timestamp) -> bool {
    let due = partition["next_due"].as_str().map(|due| wire::Timestamp::parse(due).expect("a time"));
    let last = last.get(&number(partition, "partition").unsigned_abs());
    last.is_some_and(|last| number(partition, "position") > *last)
        && number(partition, "in_flight") == 0
        && due.is_none_or(|due| due > time)
}

fn is_at_rest(readiness: &Value, last: &BTreeMap<u64, i64>, now: wire::Timestamp, rest_s: i64) -> bool {
    let mut ends: BTreeMap<i64, i64> = BTreeMap::new();
    let rests = |partition: &Value| {
        let end = *ends.entry(number(partition, "partition")).or_insert(number(partition, "high_watermark"));
        number(partition, "high_watermark") == end && number(partition, "lag") == 0 && has_decided(partition, last, now.plus_s(rest_s))
    };
    readiness["ready"] == true && partitions(readiness).all(rests)
}
