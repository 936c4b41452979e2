//! What a process does beside its rooms, on a thread of its own: a promise that is kept without deciding anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::config::Config;
use crate::errors::{Code, Coded, chain};
use crate::facts::{Fact, RoomFailed};
use crate::lifecycle::Shutdown;
use crate::log::Log;
use crate::room::{RoomError, panic_text};

/// Starts it on a log: what it needs to know stands in the configuration, and if it fails, the process is to end.
pub type Begin = fn(Arc<dyn Log>, &Config, &Shutdown) -> Result<Beside, RoomError>;

/// Something that runs beside the rooms. Dropping it leaves it running.
pub struct Beside {
    end: Shutdown,
    thread: Mutex<Option<JoinHandle<Result<u64, RoomError>>>>,
}

// === impl Beside ===

impl Beside {
    /// Starts `work` on a thread called `name`. It returns soon after the wish that it is given, with the number of records
    /// that it leaves to the next start; if it fails before, or panics, it asks `failed` to end the process, for a promise is no longer kept.
    ///
    /// # Panics
    /// When the operating system gives no thread.
    pub fn spawn<E: Coded>(name: &'static str, failed: Shutdown, work: impl FnOnce(&Shutdown) -> Result<u64, E> + Send + 'static) -> Self {
        let end = Shutdown::new();
        let wish = end.clone();
        let live = move || {
            let told = match catch_unwind(AssertUnwindSafe(|| work(&wish))) {
                Ok(Ok(left)) => return Ok(left),
                Ok(Err(error)) => (error.code(), chain(&error), false),
                Err(panic) => (Code::RoomPanicked, panic_text(&*panic), true),
            };
            let (code, reason, panicked) = told;
            RoomFailed { room: name, code: code.number(), reason: &reason, panicked }.emit();
            failed.request();
            Err(RoomError { room: name, code, reason })
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(live).expect("a process may have a few threads");
        Self { end, thread: Mutex::new(Some(thread)) }
    }

    /// Wishes it to end.
    pub fn end(&self) {
        self.end.request();
    }

    /// Whether it has ended, in whatever way.
    pub fn ended(&self) -> bool {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it has ended. Records that it left to the next start, told once.
    ///
    /// # Errors
    /// How it failed, once.
    pub fn join(&self) -> Result<u64, RoomError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread catches its own panics.
        thread.map_or(Ok(0), |thread| thread.join().unwrap_or(Ok(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogError;

    #[test]
    fn it_ends_when_it_is_asked_to() {
        let failed = Shutdown::new();
        let beside = Beside::spawn("test", failed.clone(), |end| {
            while !end.requested() {
                std::thread::yield_now();
            }
            Ok::<_, LogError>(7)
        });
        assert!(!beside.ended());
        beside.end();
        assert_eq!((beside.join(), beside.join()), (Ok(7), Ok(0)), "what it left is told once");
        assert!(beside.ended() && !failed.requested());
    }

    #[test]
    fn its_failure_ends_the_process_and_is_told_with_its_code() {
        let failed = Shutdown::new();
        let beside = Beside::spawn("test", failed.clone(), |_| Err(LogError::Storage { reason: "no disk".to_owned() }));
        let told = beside.join().expect_err("it failed");
        assert_eq!((told.room, told.code), ("test", Code::StorageFails));
        assert!(failed.requested());
    }

    #[test]
    fn its_panic_is_a_failure_too() {
        let failed = Shutdown::new();
        let beside = Beside::spawn("test", failed.clone(), |_| -> Result<u64, LogError> { panic!("it broke") });
        assert_eq!(beside.join().map_err(|told| told.code), Err(Code::RoomPanicked));
        assert!(failed.requested());
    }
}
