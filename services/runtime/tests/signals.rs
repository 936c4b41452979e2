//! What a process does when it is told to stop, once and twice.
//!
//! The test starts its own binary again as the process that is told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use runtime::Shutdown;

/// Tells the process how it drains.
const DRAIN: &str = "SIGNAL_TEST_DRAIN";
/// Far longer than any drain here: only a second signal ends it earlier.
const NEVER: Duration = Duration::from_secs(60);

#[test]
fn told_once_a_process_drains_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let mut told = Told::start("sh", &["-c", "exec \"$0\" \"$@\""], "at once");
        told.tell(signal);
        assert_eq!(told.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_process_that_a_script_started_with_interrupts_ignored_hears_them_all_the_same() {
    let mut told = Told::start("sh", &["-c", "trap '' INT; exec \"$0\" \"$@\""], "at once");
    told.tell("INT");
    assert_eq!(told.ended().code(), Some(0));
}

#[test]
fn told_twice_a_process_ends_at_once_with_130() {
    for (first, second) in [("INT", "INT"), ("TERM", "INT"), ("INT", "TERM")] {
        let mut told = Told::start("sh", &["-c", "exec \"$0\" \"$@\""], "never");
        told.tell(first);
        told.hear("draining");
        told.tell(second);
        assert_eq!(told.ended().code(), Some(130), "{first}, {second}");
    }
}

/// Not a test of its own: the process that is told. Without a word about its drain it does nothing.
#[test]
fn told() {
    let Some(drain) = std::env::var_os(DRAIN) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.on_signals().expect("handlers");
        say("ready");
        shutdown.wait().await;
        say("draining");
        if drain == "never" {
            tokio::time::sleep(NEVER).await;
        }
    });
}

struct Told {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

// === impl Told ===

impl Told {
    fn start(program: &str, before: &[&str], drain: &str) -> Self {
        let binary = std::env::current_exe().expect("this binary has a path");
        let mut process = Command::new(program)
            .args(before)
            .arg(binary)
            .args(["--exact", "told", "--nocapture"])
            .env(DRAIN, drain)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut told = Self { process, lines };
        told.hear("ready");
        told
    }

    fn hear(&mut self, word: &str) {
        assert!(self.lines.by_ref().any(|line| line.is_ok_and(|line| line == word)), "it never said `{word}`");
    }

    fn tell(&self, signal: &str) {
        let told = Command::new("kill").args([format!("-{signal}"), self.process.id().to_string()]).status().expect("kill is there");
        assert!(told.success());
    }

    fn ended(&mut self) -> ExitStatus {
        self.process.wait().expect("it ends")
    }
}

/// A line past the test harness, which would keep it back.
fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").and_then(|()| out.flush()).expect("whoever listens is there");
}
