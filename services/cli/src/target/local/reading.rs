//! A log from a cursor to its end, as one owned sequence: each record with the cursor that goes on after it.

use std::collections::VecDeque;
use std::sync::Arc;

use runtime::log::merge::{Cursor, Merged};
use runtime::log::{Log, LogError};
use wire::StoredRecord;

/// Records merged at once.
const BATCH_RECORDS: usize = 1_024;

/// Every record after `cursor`, until nothing more stands on the log.
pub(super) struct Reading {
    log: Arc<dyn Log>,
    /// After the last record that was handed out.
    cursor: Cursor,
    batch: VecDeque<StoredRecord>,
    over: bool,
}

// === impl Reading ===

impl Reading {
    pub(super) fn new(log: Arc<dyn Log>, cursor: Cursor) -> Self {
        Self { log, cursor, batch: VecDeque::new(), over: false }
    }

    fn take(&mut self) -> Result<Option<StoredRecord>, LogError> {
        if self.batch.is_empty() {
            self.batch = Merged::new(&*self.log, self.cursor.clone()).next_batch(BATCH_RECORDS)?.into();
        }
        Ok(self.batch.pop_front())
    }
}

impl Iterator for Reading {
    type Item = Result<(StoredRecord, String), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        match self.take() {
            Ok(Some(record)) => {
                self.cursor.pass(&record);
                let cursor = self.cursor.to_string();
                Some(Ok((record, cursor)))
            }
            ended => {
                self.over = true;
                ended.err().map(Err)
            }
        }
    }
}
