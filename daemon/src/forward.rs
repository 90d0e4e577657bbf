//! What a worker does with a batch: ask the engine, then send what its verdicts say.
//!
//! This is the joint between `switch`, which decides and knows no device, and `device`, which moves
//! bytes and knows no network. It runs on the packet path: no allocation, no lock, no log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapweave_device::{BatchHandler, Egress, MAX_BATCH, SendError, Sent};
use tapweave_net::{Frame, PortNo, VnetHdrError};
use tapweave_switch::{DropReason, Pipeline, Verdict};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use crate::clock::Clock;
use crate::event::Event;

/// What one worker did, written by it alone and read by anybody.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct WorkerCounters {
    pub(crate) wakeups: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) frames: AtomicU64,
}

/// Adds to a counter that only this thread writes, which is cheaper than an atomic addition.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(count),
        Ordering::Relaxed,
    );
}

/// The handler of one worker.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pipeline: Pipeline,
    clock: Clock,
    verdicts: Vec<Verdict>,
    counters: Arc<WorkerCounters>,
    events: UnboundedSender<Event>,
}

impl Forwarder {
    pub(crate) fn new(
        pipeline: Pipeline,
        clock: Clock,
        counters: Arc<WorkerCounters>,
        events: UnboundedSender<Event>,
    ) -> Self {
        Self {
            pipeline,
            clock,
            verdicts: Vec::with_capacity(MAX_BATCH),
            counters,
            events,
        }
    }

    /// Moves on to the newest configuration.
    pub(crate) fn refresh(&mut self) {
        self.pipeline.refresh();
    }

    /// Reports that the worker of this number has ended without being told to.
    pub(crate) fn report_end(&self, number: usize) {
        // At shutdown nobody listens any more.
        let _ignored = self.events.send(Event::WorkerFailed(number));
    }

    pub(crate) fn count_wakeup(&self) {
        add(&self.counters.wakeups, 1);
    }
}

impl BatchHandler for Forwarder {
    fn handle_batch(
        &mut self,
        ingress: PortNo,
        frames: &mut [Frame<'_>],
        egress: &mut dyn Egress,
    ) -> usize {
        self.verdicts.clear();
        self.pipeline
            .handle_batch(self.clock.now(), ingress, frames, &mut self.verdicts);
        add(&self.counters.batches, 1);
        add(&self.counters.frames, self.verdicts.len() as u64);
        for (frame, verdict) in frames.iter_mut().zip(&self.verdicts) {
            match *verdict {
                Verdict::Forward(to) => send(&self.pipeline, egress, to, frame),
                Verdict::Flood => {
                    for to in self.pipeline.flood_set(ingress) {
                        send(&self.pipeline, egress, to, frame);
                    }
                }
                Verdict::Drop(_counted_by_the_engine) => {}
            }
        }
        self.verdicts.len()
    }

    fn handle_completion(
        &mut self,
        port: PortNo,
        frame_count: usize,
        byte_count: usize,
        outcome: Result<(), SendError>,
    ) {
        match outcome {
            Ok(()) => self.pipeline.count_sent(port, frame_count, byte_count),
            Err(error) => {
                self.pipeline
                    .count_egress_drop(port, drop_reason(&error), frame_count);
            }
        }
    }

    fn handle_malformed(&mut self, ingress: PortNo, _error: VnetHdrError) {
        self.pipeline
            .count_ingress_drop(ingress, DropReason::BadOffload, 0);
    }

    fn handle_port_failure(&mut self, port: PortNo, error: io::Error) {
        warn!(%port, %error, "the interface of a port is gone");
        // At shutdown nobody listens any more.
        let _ignored = self.events.send(Event::PortFailed(port));
    }
}

fn send(pipeline: &Pipeline, egress: &mut dyn Egress, to: PortNo, frame: &mut Frame<'_>) {
    let bytes = frame.data().len();
    match egress.send(to, frame) {
        Ok(Sent::Now) => pipeline.count_sent(to, 1, bytes),
        Ok(Sent::Later) => {}
        Err(error) => pipeline.count_egress_drop(to, drop_reason(&error), 1),
    }
}

fn drop_reason(error: &SendError) -> DropReason {
    match error {
        SendError::Full => DropReason::QueueFull,
        SendError::Down => DropReason::DeviceDown,
        SendError::Unsupported => DropReason::NotSegmentable,
        // Further kinds of failure are failures of the device too.
        SendError::Failed(_) | _ => DropReason::DeviceError,
    }
}
