//! One connection: messages with their length in front (RFC 7766 §8).

use std::collections::VecDeque;
use std::time::Duration;

use smoltcp::socket::tcp::Socket;
use tapweave_net::Timestamp;

use super::{IDLE, StreamNo};

/// Longest query that is read: nobody has a use for longer ones.
const QUERY_MAX: usize = 4096;

/// Answers that wait, in bytes, above which nothing more is read: who does not read its answers is not asked for more.
const WAITING_MAX: usize = 128 * 1024;

/// The queries and answers of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) no: StreamNo,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
    /// Queries that are not answered yet.
    unanswered: usize,
    active_at: Timestamp,
}

impl Connection {
    pub(super) const fn new(no: StreamNo, now: Timestamp) -> Self {
        Self {
            no,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            unanswered: 0,
            active_at: now,
        }
    }

    /// Puts an answer behind those that wait.
    pub(super) fn answer(&mut self, answer: &[u8]) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if let Ok(len) = u16::try_from(answer.len()) {
            self.outgoing.extend(len.to_be_bytes());
            self.outgoing.extend(answer);
        }
    }

    /// Reads queries, writes answers, and ends what is over; returns the queries.
    pub(super) fn poll(&mut self, socket: &mut Socket<'_>, now: Timestamp) -> Vec<Vec<u8>> {
        let mut queries = Vec::new();
        if self.outgoing.len() < WAITING_MAX {
            self.read(socket, now);
            while let Some(query) = self.next_query() {
                self.unanswered += 1;
                queries.push(query);
            }
            if self.incoming.len() > QUERY_MAX {
                socket.abort();
                return queries;
            }
        }
        self.write(socket, now);
        let is_done = self.unanswered == 0 && self.outgoing.is_empty() && queries.is_empty();
        let is_over = !socket.may_recv() && socket.is_active() && !socket.is_listening();
        let is_established = socket.may_send();
        if is_done && is_established && (is_over || self.idle_left(now).is_zero()) {
            socket.close();
        }
        queries
    }

    /// Returns how long the connection may still be idle; queries under way are no idleness.
    pub(super) fn idle_left(&self, now: Timestamp) -> Duration {
        if self.unanswered > 0 {
            return IDLE;
        }
        IDLE.saturating_sub(now.since(self.active_at))
    }

    fn read(&mut self, socket: &mut Socket<'_>, now: Timestamp) {
        while socket.can_recv() && self.incoming.len() <= QUERY_MAX {
            let read = socket.recv(|bytes| (bytes.len(), bytes.to_vec()));
            let Ok(bytes) = read else {
                return;
            };
            self.active_at = now;
            self.incoming.extend(bytes);
        }
    }

    fn write(&mut self, socket: &mut Socket<'_>, now: Timestamp) {
        while socket.can_send() && !self.outgoing.is_empty() {
            let (bytes, _) = self.outgoing.as_slices();
            let Ok(len) = socket.send_slice(bytes) else {
                return;
            };
            if len == 0 {
                return;
            }
            self.active_at = now;
            self.outgoing.drain(..len);
        }
    }

    fn next_query(&mut self) -> Option<Vec<u8>> {
        let len = usize::from(u16::from_be_bytes(*self.incoming.first_chunk()?));
        let query = self.incoming.get(2..2 + len)?.to_vec();
        self.incoming.drain(..2 + len);
        Some(query)
    }
}
