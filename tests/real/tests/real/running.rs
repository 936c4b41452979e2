//! A Reeve that runs as a program of its own, and is ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::ground::{moment, reeve};

/// How long a program may take for what it should do at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program whose lines are read while it runs.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

/// `reeve up` on a free port.
pub(crate) struct Up {
    running: Running,
    /// Where it listens.
    pub(crate) url: String,
}

// === impl Up ===

impl Up {
    /// Starts it on `folder` and waits until it says where it listens.
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Self {
        let mut command = reeve(["up", "--listen", "127.0.0.1:0", "--data"]);
        let running = Running::start(command.arg(folder).args(more));
        let line = running.line_with(" is up at ", PATIENCE);
        let url = line.rsplit(' ').next().expect("a line has a last word").to_owned();
        Self { running, url }
    }

    /// Interrupts it as Ctrl-C does; its exit code.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let pid = self.running.child.id().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status().expect("kill is there");
        assert!(told.success(), "it was running");
        let ended = wait(&mut self.running.child);
        assert!(ended.is_some(), "it did not drain within {PATIENCE:?}: {:#?}", self.running.lines.try_iter().collect::<Vec<_>>());
        ended.flatten()
    }
}

// === impl Running ===

impl Running {
    /// Starts a command and reads what it prints.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let (to, lines) = channel();
        let forward = |output: Option<Box<dyn Read + Send>>| {
            let (to, output) = (to.clone(), BufReader::new(output.expect("it is piped")));
            std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        };
        forward(child.stdout.take().map(|output| Box::new(output) as _));
        forward(child.stderr.take().map(|output| Box::new(output) as _));
        Self { child, lines }
    }

    /// The next line that holds `text`.
    pub(crate) fn line_with(&self, text: &str, within: Duration) -> String {
        let begun = moment();
        let mut passed = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(within.saturating_sub(begun.elapsed())) {
            if line.contains(text) {
                return line;
            }
            passed.push(line);
        }
        panic!("`{text}` was not said within {within:?}, but: {passed:#?}");
    }

    /// The next line that is JSON and fits.
    pub(crate) fn json_that(&self, what: &str, within: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let begun = moment();
        let mut passed = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(within.saturating_sub(begun.elapsed())) {
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if fits(&value) => return value,
                _ => passed.push(line),
            }
        }
        panic!("no {what} within {within:?}, but: {passed:#?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit code of a program that ends in time; `None` if it does not end, `Some(None)` if a signal ended it.
fn wait(child: &mut Child) -> Option<Option<i32>> {
    let begun = moment();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return Some(status.code());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}
