//! A room: a thread around a pump, which is the only loop, and a handle by which others ask how it stands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use machine::{Machine, Standing};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;
use wire::AgentId;

use crate::errors::{Code, Coded, Fate, chain};
use crate::facts::{Fact, ReadinessChanged, RoomFailed};
use crate::lifecycle::Shutdown;
use crate::log::Log;
use crate::pump::{Pump, PumpError, PumpOptions, PumpStatus};
use crate::retry::Retry;

/// How a room is set up.
pub type RoomOptions = PumpOptions;

/// Questions that wait for the room's next step. Who asks more is told that it is busy.
const QUESTIONS_MAX: usize = 32;
/// The longest that a room waits for the log before it looks for questions and the wish to stop.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// The longest that it waits after a question: who asks about one agent asks about the next.
const WAIT_AFTER_QUESTION: Duration = Duration::from_millis(5);
/// How often a room looks up while it waits to try again.
const LOOK_UP_EVERY: Duration = Duration::from_millis(20);
/// How often a room says how it stands.
const STATUS_EVERY: Duration = Duration::from_millis(250);

/// A room that runs, or has run. Clones speak of the same room.
#[derive(Clone)]
pub struct RoomHandle(Arc<Shared>);

struct Shared {
    service: &'static str,
    questions: SyncSender<Question>,
    status: Mutex<RoomStatus>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Question {
    Standing(AgentId, oneshot::Sender<Vec<Standing>>),
    Agents(oneshot::Sender<Vec<AgentId>>),
}

/// How a room stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoomStatus {
    /// The room's name.
    pub room: &'static str,
    /// What it does.
    pub state: RoomState,
    /// Why it stopped, with its code, such as `RV0007: ...`; or why it last had to try again.
    pub trouble: Option<String>,
    /// Its partitions.
    #[serde(flatten)]
    pub pump: PumpStatus,
}

/// What a room does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    /// It joins its group and restores its partitions.
    Restoring,
    /// It decides.
    Running,
    /// It was asked to stop and finishes.
    Draining,
    /// It ended in good order.
    Drained,
    /// It ended by an error.
    Failed(#[serde(serialize_with = "code_number")] Code),
}

/// Why a room does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// Too many questions wait already.
    #[error("the room has {QUESTIONS_MAX} questions to answer already")]
    Busy,
    /// It has ended.
    #[error("the room has ended")]
    Ended,
}

/// How a room ended, if not in good order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("room {room} stopped: {reason}")]
pub struct RoomError {
    /// The room.
    pub room: &'static str,
    /// Why, as a code.
    pub code: Code,
    /// Why, in words.
    pub reason: String,
}

/// Starts a room on `log`. It runs until `shutdown`, or until it fails.
///
/// # Panics
/// When the operating system gives no thread.
pub fn spawn<M: Machine>(log: Arc<dyn Log>, options: RoomOptions, shutdown: Shutdown) -> RoomHandle {
    let (questions, asked) = sync_channel(QUESTIONS_MAX);
    let status = RoomStatus { room: M::SERVICE, state: RoomState::Restoring, trouble: None, pump: PumpStatus::default() };
    let shared = Arc::new(Shared { service: M::SERVICE, questions, status: Mutex::new(status), thread: Mutex::new(None) });
    // Told at once, so that a room that never gets ready has the series that alerts look at.
    ReadinessChanged { room: M::SERVICE, ready: false }.emit();
    let room = Room::<M> {
        pump: Pump::new(Arc::clone(&log), options),
        log,
        asked,
        shutdown,
        shared: Arc::clone(&shared),
        retry: Retry::new(M::SERVICE),
        told_at: None,
        ready: false,
    };
    let thread =
        std::thread::Builder::new().name(M::SERVICE.to_owned()).spawn(move || live(room)).expect("a process may have a few threads");
    *locked(&shared.thread) = Some(thread);
    RoomHandle(shared)
}

// === impl RoomHandle ===

impl RoomHandle {
    /// The room's name.
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// What it knows about `agent`; nothing, if the agent's partition is not restored here.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn standing(&self, agent: &AgentId) -> Result<Vec<Standing>, AskError> {
        self.ask(|answer| Question::Standing(agent.clone(), answer)).await
    }

    /// The agents that it knows, in order.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn agents(&self) -> Result<Vec<AgentId>, AskError> {
        self.ask(Question::Agents).await
    }

    /// Whether it runs and everything that it holds is restored.
    pub fn ready(&self) -> bool {
        let status = self.status();
        status.state == RoomState::Running && status.pump.restored
    }

    /// How it stands, as of its last word.
    pub fn status(&self) -> RoomStatus {
        locked(&self.0.status).clone()
    }

    /// Whether it has ended, in whatever way.
    pub fn ended(&self) -> bool {
        matches!(self.status().state, RoomState::Drained | RoomState::Failed(_))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`RoomError`] when it did not end in good order.
    pub fn join(&self) -> Result<(), RoomError> {
        let thread = locked(&self.0.thread).take();
        if let Some(thread) = thread {
            // The thread catches its own panics; what it has to say stands in the status.
            thread.join().ok();
        }
        let status = self.status();
        match status.state {
            RoomState::Failed(code) => Err(RoomError { room: status.room, code, reason: status.trouble.unwrap_or_default() }),
            _ => Ok(()),
        }
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, AskError> {
        let (answer, answered) = oneshot::channel();
        self.0.questions.try_send(question(answer)).map_err(|error| match error {
            TrySendError::Full(_) => AskError::Busy,
            TrySendError::Disconnected(_) => AskError::Ended,
        })?;
        answered.await.map_err(|_| AskError::Ended)
    }
}

impl Coded for RoomError {
    fn code(&self) -> Code {
        self.code
    }
}

/// What the thread owns.
struct Room<M: Machine> {
    pump: Pump<M>,
    log: Arc<dyn Log>,
    asked: Receiver<Question>,
    shutdown: Shutdown,
    shared: Arc<Shared>,
    retry: Retry,
    told_at: Option<Instant>,
    ready: bool,
}

fn live<M: Machine>(mut room: Room<M>) {
    let shared = Arc::clone(&room.shared);
    // The room is not looked at again after a panic: its state is dropped, and the log has everything.
    let ended = catch_unwind(AssertUnwindSafe(|| room.run()));
    let (state, failure) = match ended {
        Ok(Ok(())) => (RoomState::Drained, None),
        Ok(Err(error)) => (RoomState::Failed(error.code()), Some((error.code(), chain(&error), false))),
        Err(panic) => (RoomState::Failed(Code::RoomPanicked), Some((Code::RoomPanicked, panic_text(&*panic), true))),
    };
    let mut status = locked(&shared.status);
    status.state = state;
    status.pump.restored = false;
    if let Some((code, reason, panicked)) = failure {
        RoomFailed { room: M::SERVICE, code: code.number(), reason: &reason, panicked }.emit();
        status.trouble = Some(reason);
    }
}

// === impl Room ===

impl<M: Machine> Room<M> {
    /// The loop: answer, step, and wait only when there is nothing to do.
    fn run(&mut self) -> Result<(), PumpError> {
        let mut seen = 0;
        while !self.shutdown.requested() {
            let asked = self.answer();
            match self.pump.step() {
                Ok(step) => {
                    self.retry.succeeded();
                    self.tell(step.restored, None);
                    if step.idle {
                        let wait_max = if asked { WAIT_AFTER_QUESTION } else { WAIT_MAX };
                        seen = self.log.wait(seen, self.wait_for(step.next_due, wait_max));
                    }
                }
                Err(error) if error.fate() == Fate::Retry => self.wait_after(&error),
                Err(error) => return Err(error),
            }
        }
        self.drain();
        Ok(())
    }

    /// The last words. A commit that fails here costs nothing: the next restore begins at a snapshot, not at offsets.
    fn drain(&mut self) {
        locked(&self.shared.status).state = RoomState::Draining;
        ReadinessChanged { room: M::SERVICE, ready: false }.emit();
        if let Err(error) = self.pump.drain() {
            tracing::warn!(
                room = M::SERVICE,
                code = error.code().number(),
                "the last commit of room {} failed: {}",
                M::SERVICE,
                chain(&error)
            );
        }
    }

    /// Answers whoever waits; whether anybody did.
    fn answer(&mut self) -> bool {
        let mut asked = false;
        for question in self.asked.try_iter().take(QUESTIONS_MAX) {
            asked = true;
            // Whoever asked may have gone away meanwhile.
            match question {
                Question::Standing(agent, answer) => drop(answer.send(self.pump.standing(&agent))),
                Question::Agents(answer) => drop(answer.send(self.pump.agents())),
            }
        }
        asked
    }

    /// Until the next deadline, if it lies ahead: one that has passed was asked in the step before and waits for the log.
    fn wait_for(&self, next_due: Option<wire::Timestamp>, wait_max: Duration) -> Duration {
        let ahead_us = next_due.map(|due| due.since_us(self.log.now())).filter(|ahead_us| *ahead_us > 0);
        ahead_us.map_or(wait_max, |ahead_us| Duration::from_micros(ahead_us.unsigned_abs()).min(wait_max))
    }

    #[expect(clippy::disallowed_methods, reason = "a thread waits in real time; nothing is decided by it")]
    fn wait_after(&mut self, error: &PumpError) {
        let reason = chain(error);
        self.tell(false, Some(format!("{}: {reason}", error.code())));
        let until = Instant::now() + self.retry.failed(&reason);
        while Instant::now() < until && !self.shutdown.requested() {
            self.answer();
            std::thread::sleep(LOOK_UP_EVERY);
        }
    }

    /// Says how it stands: at once when readiness or trouble changes, else every [`STATUS_EVERY`].
    #[expect(clippy::disallowed_methods, reason = "a thread waits in real time; nothing is decided by it")]
    fn tell(&mut self, ready: bool, trouble: Option<String>) {
        let due = self.told_at.is_none_or(|told_at| told_at.elapsed() >= STATUS_EVERY);
        if !due && ready == self.ready && trouble.is_none() {
            return;
        }
        if ready != self.ready {
            ReadinessChanged { room: M::SERVICE, ready }.emit();
        }
        self.ready = ready;
        self.told_at = Some(Instant::now());
        let pump = self.pump.status();
        let state = if ready { RoomState::Running } else { RoomState::Restoring };
        *locked(&self.shared.status) = RoomStatus { room: M::SERVICE, state, trouble, pump };
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

fn code_number<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.number())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Everything behind these locks is replaced whole, so a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
