//! Every story that the fleet plays leads, at the terminal of `reeve up`, to the decision that it is named for.

mod command;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use command::{REFUSED, said, text};

/// How long a story may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(240);

/// Before somebody asks again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// One fleet at a time: each is busy enough for a small machine.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn angry_customers_find_a_human_or_nobody_came() {
    let up = Up::with_fleet("angry-customers");
    let called = up.line_with(&["human called"]);
    assert!(called.contains("needs a human"), "{called}");
    up.line_with(&["escalation claimed"]);
    up.line_with(&["escalation returned"]);
    let late = up.line_with(&["nobody came"]);
    assert!(late.contains("in time"), "{late}");
    let waiting = said(&up.ask(&["status"]));
    assert!(waiting.contains("ESCALATIONS") && waiting.contains(" open"), "{waiting}");
    assert!(!waiting.lines().any(|line| line.trim().starts_with("capacity ")), "a room is no agent: {waiting}");
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn sessions_that_go_round_in_circles_open_an_incident_of_the_third_level() {
    let up = Up::with_fleet("loop");
    let opened = up.line_with(&["incident opened", "P3"]);
    assert!(opened.contains("with the same arguments in one session"), "{opened}");
    let ordered = up.line_with(&["mode ordered"]);
    assert!(ordered.contains("watched closely: P3"), "a slow trouble is looked into, and no user notices: {ordered}");
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn a_drift_below_every_objective_opens_an_incident_of_the_third_level() {
    let up = Up::with_fleet("drift");
    up.line_with(&["policy adopted", "incident"]);
    let opened = up.line_with(&["incident opened", "P3", "drift"]);
    assert!(opened.contains("from ") && opened.contains(" to "), "it tells from what to what: {opened}");
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn more_customers_than_the_budget_is_made_for_are_warned_of() {
    let up = Up::with_fleet("overload");
    up.line_with(&["policy adopted", "capacity"]);
    let warned = up.line_with(&["capacity warned"]);
    assert!(warned.contains("tokens"), "{warned}");
    let standing = said(&up.ask(&["status", "billing"]));
    assert!(standing.contains("budget of"), "{standing}");
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn a_policy_is_shown_adopted_and_tried_on_a_reeve_that_runs() {
    let up = Up::with_fleet("healthy");
    let file = up.folder.path().join("strict.toml");
    std::fs::write(&file, "room = \"incident\"\nversion = \"strict\"\n[policy]\nregression_e = 20\n").expect("the folder can be written");
    let adopted = said(&up.ask(&["policy", "adopt", text(&file), "--author", "ines", "--reason", "to see it"]));
    assert!(adopted.starts_with("incident goes by strict from now on, before by default"), "{adopted}");
    up.line_with(&["policy adopted", "strict"]);
    let shown = said(&up.ask(&["policy", "show", "incident"]));
    assert!(shown.starts_with("incident goes by strict since "), "{shown}");
    let tried = said(&up.ask(&["policy", "try", text(&file), "--last", "1h"]));
    assert!(tried.contains("no decision would differ under strict"), "{tried}");
    up.says_soon(&["status", "billing"], "strict");
    std::fs::write(&file, "room = \"incident\"\nversion = \"strict\"\n[policy]\nregression_e = 21\n").expect("the folder can be written");
    command::reeve(&["policy", "adopt", text(&file), "--author", "ines", "--reason", "again", "--url", &up.url], REFUSED);
    assert_eq!(up.interrupt(), Some(0));
}

// === helpers ===

/// `reeve up` with a fleet, on a free port and a folder of its own.
struct Up {
    child: Child,
    lines: Receiver<String>,
    url: String,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

// === impl Up ===

impl Up {
    fn with_fleet(scenario: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = TempDir::new().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
        command.env_remove("REEVE_URL").env_remove("REEVE_AUTHOR").env_remove("REEVE_KEY").stdout(Stdio::piped());
        command.args(["up", "--listen", "127.0.0.1:0", "--fleet", scenario, "--data"]).arg(folder.path());
        let mut child = command.spawn().expect("the command starts");
        let (to, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        let mut up = Self { child, lines, url: String::new(), folder, _turn: turn };
        let line = up.line_with(&[" is up at "]);
        up.url = line.rsplit(' ').next().expect("a line has a last word").to_owned();
        up
    }

    /// The next line that holds all of `words`.
    fn line_with(&self, words: &[&str]) -> String {
        let deadline = moment() + PATIENCE;
        let mut passed = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(moment())) {
                Ok(line) if words.iter().all(|word| line.contains(word)) => return line,
                Ok(line) => passed.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{words:?} were not said within {PATIENCE:?}, but:\n{}", passed.join("\n"))
                }
            }
        }
    }

    fn ask(&self, arguments: &[&str]) -> std::process::Output {
        command::reeve(&[arguments, &["--url", &self.url]].concat(), 0)
    }

    /// Asks until the answer holds `word`: an agent is known, and a policy gone by, once a room has come to it on the log.
    fn says_soon(&self, arguments: &[&str], word: &str) {
        let deadline = moment() + PATIENCE;
        let arguments = [arguments, &["--url", &self.url]].concat();
        loop {
            let output = command::run(&arguments, "");
            if said(&output).contains(word) {
                return;
            }
            assert!(moment() < deadline, "{word} was not said within {PATIENCE:?}, but: {}{}", said(&output), command::told(&output));
            std::thread::sleep(AGAIN_AFTER);
        }
    }

    /// Interrupts it as Ctrl-C does; its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(told.success(), "it was running");
        self.child.wait().expect("it can be waited for").code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits in real time; nothing is decided by it")]
fn moment() -> Instant {
    Instant::now()
}
