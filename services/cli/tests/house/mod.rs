//! A `reeve up` that runs on a folder of its own, and the command beside it.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a test waits for what must come: it is the end of a failing test, not the pace of a passing one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A Reeve that runs until this is dropped.
pub(crate) struct Up {
    pub(crate) url: String,
    pub(crate) folder: TempDir,
    child: Child,
    /// Read to its end, so that what runs is never kept from writing.
    reader: Option<std::thread::JoinHandle<()>>,
}

// === impl Up ===

impl Up {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("a folder"), arguments)
    }

    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::begin(TempDir::new().expect("a folder"), arguments, variables)
    }

    pub(crate) fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        Self::begin(folder, arguments, &[])
    }

    fn begin(folder: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let listen = if arguments.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        let arguments = [&["up", "--data", text(folder.path())], listen, arguments].concat();
        let mut child = command(&arguments, variables).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the command starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let url = url_of(&mut out);
        let reader = std::thread::spawn(move || drop(out.read_to_end(&mut Vec::new())));
        Self { url, folder, child, reader: Some(reader) }
    }

    /// Makes a key in the folder and returns it.
    pub(crate) fn add_key(&self, arguments: &[&str]) -> String {
        let made = reeve(&[&["keys", "add", "--data", text(self.folder.path())], arguments].concat(), &[], 0);
        said(&made).trim().to_owned()
    }

    /// Returns once `is` holds.
    pub(crate) fn until(&self, what: &str, is: impl FnMut() -> bool) {
        until(what, is);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // One that ended by itself is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(std::thread::JoinHandle::join);
    }
}

/// Returns once `is` holds.
#[allow(clippy::disallowed_methods, reason = "how long a test waits is measured")]
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The address that the first line names.
fn url_of(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    let (_, url) = line.split_once(" is up at ").unwrap_or_else(|| panic!("`{line}` names no address"));
    url.trim().to_owned()
}

/// Runs the command to its end.
pub(crate) fn reeve(arguments: &[&str], variables: &[(&str, &str)], exit: i32) -> Output {
    let output = command(arguments, variables).output().expect("the command starts");
    assert_eq!(output.status.code(), Some(exit), "reeve {}\n{}{}", arguments.join(" "), said(&output), told(&output));
    output
}

/// How the command ends.
pub(crate) fn exit_of(arguments: &[&str], variables: &[(&str, &str)]) -> i32 {
    command(arguments, variables).output().expect("the command starts").status.code().unwrap_or(-1)
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
    // What the environment of whoever runs the tests says is not what is tested.
    command
        .env_remove("REEVE_URL")
        .env_remove("REEVE_AUTHOR")
        .env_remove("REEVE_KEY")
        .env_remove("REEVE_LOG_PATH")
        .env_remove("REEVE_KAFKA_DIR");
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the folder of a test has a plain name")
}

/// An answer as it comes over the line, head and body.
pub(crate) fn get(url: &str, path: &str, secret: &str) -> String {
    let address = url.strip_prefix("http://").expect("an address");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
