//! The lines of a streamed answer: NDJSON and server-sent events are both made of them.

use bytes::{Buf, BytesMut};
use reqwest::Response;

use crate::failure::{Exit, Failure};

/// Bytes of one line. An event is smaller: its value has a limit of its own.
const LINE_BYTES_MAX: usize = 8 << 20;

/// An answer, line by line, as it arrives.
#[derive(Debug)]
pub struct Lines {
    answer: Response,
    buffer: BytesMut,
    searched: usize,
}

// === impl Lines ===

impl Lines {
    /// The lines of `answer`.
    pub fn new(answer: Response) -> Self {
        Self { answer, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line without its end; `None` when the answer is over.
    ///
    /// # Errors
    /// When the connection breaks, or a line is longer than any event.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + found);
                self.buffer.advance(1);
                self.searched = 0;
                return Ok(Some(text(&line)));
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_BYTES_MAX {
                return Err(Failure::internal(format!("a line of the answer is longer than {LINE_BYTES_MAX} bytes")));
            }
            let chunk = self.answer.chunk().await;
            match chunk.map_err(|error| Failure::new(Exit::Unavailable, format!("the connection broke: {error}")))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    let rest = self.buffer.split();
                    return Ok(Some(text(&rest)));
                }
            }
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}
