//! HTTP as bytes: what no client library would send is sent, and what comes back is read without one.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::house::PATIENCE;

/// A connection, and what was read of it ahead.
pub(crate) struct Talk {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Heard {
    /// 0 where the connection ended without an answer.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

// === impl Talk ===

impl Talk {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.expect("in time").expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, ahead: Vec::new() }
    }

    /// Says it all; a server that has read enough may close before.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server reads or closes");
    }

    /// Says so many spaces.
    pub(crate) async fn say_spaces(&mut self, count: usize) {
        const SPACES: [u8; 1 << 14] = [b' '; 1 << 14];
        let pieces = std::iter::repeat_n(SPACES.len(), count / SPACES.len()).chain([count % SPACES.len()]);
        for piece in pieces {
            self.say(&SPACES[..piece]).await;
        }
    }

    /// Says it piece by piece, with a while between each.
    pub(crate) async fn say_slowly(&mut self, pieces: &[&[u8]], between: Duration) {
        for piece in pieces {
            self.say(piece).await;
            sleep(between).await;
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next answer. One that has no body by its nature is read without.
    pub(crate) async fn hear(&mut self, has_no_body: bool) -> Heard {
        loop {
            let heard = timeout(PATIENCE, self.read(has_no_body)).await.expect("an answer or an end");
            if heard.status != 100 {
                return heard;
            }
        }
    }

    /// The head of the next answer alone: of a stream that goes on and on.
    pub(crate) async fn hear_head(&mut self) -> Heard {
        timeout(PATIENCE, self.read(true)).await.expect("an answer or an end")
    }

    async fn read(&mut self, has_no_body: bool) -> Heard {
        let Some(end) = self.until(b"\r\n\r\n").await else {
            return Heard { status: 0, head: String::new(), body: Vec::new() };
        };
        let head = String::from_utf8(self.take(end)).expect("a head is ASCII").to_ascii_lowercase();
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status in {head:?}"));
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")).map(|length| length.trim().parse().expect("a length"));
        let body = match length {
            _ if has_no_body || status < 200 || status == 204 || status == 304 => Vec::new(),
            Some(length) => {
                while self.ahead.len() < length && self.more().await {}
                self.take(length)
            }
            None if head.contains("transfer-encoding: chunked") => self.chunks().await,
            None => {
                while self.more().await {}
                std::mem::take(&mut self.ahead)
            }
        };
        Heard { status, head, body }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(end) = self.until(b"\r\n").await {
            let line = String::from_utf8(self.take(end)).expect("a size is ASCII");
            let size = usize::from_str_radix(line.trim(), 16).expect("a size is hexadecimal");
            while self.ahead.len() < size + 2 && self.more().await {}
            body.extend(self.take(size));
            self.take(2);
            if size == 0 {
                break;
            }
        }
        body
    }

    /// Where what is read ends that ends with `mark`.
    async fn until(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.ahead.windows(mark.len()).position(|found| found == mark) {
                return Some(at + mark.len());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.ahead.drain(..bytes.min(self.ahead.len())).collect()
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 8_192];
        match self.stream.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.ahead.extend_from_slice(&piece[..read]);
                true
            }
        }
    }
}

// === impl Heard ===

impl Heard {
    /// Whether the connection may be used for another request.
    pub(crate) fn goes_on(&self) -> bool {
        self.status >= 200 && !self.head.contains("connection: close") && self.head.starts_with("http/1.1")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
