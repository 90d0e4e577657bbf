//! One fragmented packet, and the fragments of it that wait.

use core::fmt;

use tapweave_net::{Frame, Offload, ParsedFrame, Timestamp};

use super::Key;
use super::spans::Spans;

/// A packet that is under way.
#[derive(Debug)]
pub(super) struct Datagram<W> {
    pub(super) key: Key,
    pub(super) state: State<W>,
    pub(super) spans: Spans,
    pub(super) expires: Timestamp,
    /// Bytes that are held, with the headroom of each frame.
    pub(super) held_len: usize,
}

/// What is known of a packet. See the head of [`super`].
#[derive(Debug)]
pub(super) enum State<W> {
    /// The first fragment has not come; these have.
    Waiting(Vec<Held>),
    /// The first fragment went this way.
    Known(W),
    /// No fragment of it is forwarded any more.
    Refused,
}

impl<W> Datagram<W> {
    /// Tells whether the first fragment has not come.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Returns how many fragments are held.
    pub(super) const fn held_count(&self) -> usize {
        match &self.state {
            State::Waiting(held) => held.len(),
            State::Known(_) | State::Refused => 0,
        }
    }
}

/// A copy of a frame with its headroom.
pub(super) struct Held {
    buf: Box<[u8]>,
    start: usize,
    offload: Offload,
    pub(super) parsed: ParsedFrame,
}

impl Held {
    /// Copies a frame.
    pub(super) fn copy(frame: &Frame<'_>, parsed: &ParsedFrame) -> Self {
        let start = frame.headroom_len();
        let mut buf = vec![0; start];
        buf.extend_from_slice(frame.data());
        Self {
            buf: buf.into(),
            start,
            offload: frame.offload(),
            parsed: *parsed,
        }
    }

    /// Returns the bytes that a copy of `frame` takes.
    pub(super) fn len_of(frame: &Frame<'_>) -> usize {
        frame.headroom_len() + frame.data().len()
    }

    /// Returns the frame as it came.
    pub(super) fn frame(&mut self) -> Frame<'_> {
        Frame::new(&mut self.buf, self.start, self.offload)
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("len", &(self.buf.len() - self.start))
            .finish_non_exhaustive()
    }
}
