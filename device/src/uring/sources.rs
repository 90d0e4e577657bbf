//! Sources: the ring tells when they are readable, and they read by themselves.

use std::io;

use super::UringBackend;
use super::tag::Tag;
use crate::backend::{BatchHandler, MAX_BATCH};
use crate::source::{Delivery, FrameSource, Intake, SourceNo};

/// A source, and how it stands with the request for its readiness.
#[derive(Debug)]
pub(super) struct Polled {
    source: Box<dyn FrameSource>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing waits, and nobody would tell if it did.
    Idle,
    /// The request is with the kernel or on its way.
    Asked,
    /// Something may wait.
    Ready,
}

impl Polled {
    pub(super) const fn new(source: Box<dyn FrameSource>) -> Self {
        Self {
            source,
            state: State::Idle,
        }
    }
}

impl UringBackend {
    /// Asks for the readiness of those sources that had nothing more.
    pub(super) fn poll_sources(&mut self) -> io::Result<()> {
        for (number, polled) in &mut self.sources {
            if polled.state == State::Idle {
                let tag = Tag::Source(*number).to_user_data();
                self.ring.push_poll(polled.source.readiness(), tag)?;
                polled.state = State::Asked;
            }
        }
        Ok(())
    }

    pub(super) fn has_ready_source(&self) -> bool {
        let mut sources = self.sources.values();
        sources.any(|polled| polled.state == State::Ready)
    }

    /// The request for the readiness of a source has completed.
    pub(super) fn source_is_ready(&mut self, number: SourceNo) {
        if let Some(polled) = self.sources.get_mut(&number) {
            polled.state = State::Ready;
        }
    }

    /// Has every source that may have something deliver it.
    pub(super) fn read_sources(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        for (number, polled) in &mut self.sources {
            if polled.state != State::Ready || self.parked.holds_of(*number) {
                continue;
            }
            let mut egress = self
                .outbox
                .begin_batch(MAX_BATCH, &mut self.ring, &mut self.pool);
            let intake = polled.source.receive(&mut Delivery {
                handler,
                egress: &mut egress,
                parked: &mut self.parked,
                source: *number,
            });
            egress.submit()?;
            if intake == Intake::Drained {
                polled.state = State::Idle;
            }
        }
        self.ring.take_completions(&mut self.inbox);
        Ok(())
    }

    /// Ends the request of a source and returns the source.
    pub(super) fn end_source(&mut self, number: SourceNo) -> Option<Box<dyn FrameSource>> {
        let polled = self.sources.remove(&number)?;
        let tag = Tag::Source(number).to_user_data();
        // A ring that has failed asks for nothing any more.
        if polled.state == State::Asked
            && self
                .ring
                .push_cancel(tag, Tag::Cancel.to_user_data())
                .is_ok()
        {
            loop {
                let count = self.inbox.len();
                self.inbox.retain(|completion| completion.user_data != tag);
                if self.inbox.len() < count || self.ring.submit_and_wait(None).is_err() {
                    break;
                }
                self.ring.take_completions(&mut self.inbox);
            }
        }
        Some(polled.source)
    }

    /// Lets go of all sources.
    pub(super) fn end_sources(&mut self) {
        while let Some((number, _)) = self.sources.first_key_value() {
            let _closed = self.end_source(*number);
        }
    }
}
