//! What a worker does with a batch: ask the engine, then send what its verdicts say.
//!
//! This is the joint between `switch`, which decides and knows no device, and `device`, which moves
//! bytes and knows no network. It runs on the packet path: no allocation, no lock, no log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapweave_device::{BatchHandler, Egress, MAX_BATCH, SendError, Sent};
use tapweave_net::{Frame, PortNo, Timestamp, VnetHdrError};
use tapweave_switch::{DropReason, EgressPort, FrameVlan, Pipeline, Verdict};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use crate::clock::Clock;
use crate::copies::Copies;
use crate::event::Event;
use crate::too_big::TooBig;

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
    copies: Copies,
    too_big: TooBig,
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
            copies: Copies::default(),
            too_big: TooBig::default(),
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
        self.copies.begin_batch();
        let now = self.clock.now();
        self.pipeline
            .handle_batch(now, ingress, frames, &mut self.verdicts);
        add(&self.counters.batches, 1);
        add(&self.counters.frames, self.verdicts.len() as u64);
        for (place, (frame, verdict)) in frames.iter_mut().zip(&self.verdicts).enumerate() {
            match *verdict {
                Verdict::Forward(to) => {
                    let narrow = forward(&self.pipeline, egress, to, frame);
                    if let Some(mtu) = narrow {
                        self.too_big
                            .tell(&self.pipeline, egress, now, ingress, frame, mtu);
                    }
                }
                Verdict::Flood(vlan) => {
                    let ports = || self.pipeline.flood_set(ingress, vlan);
                    let copies = &mut self.copies;
                    spread(&self.pipeline, copies, egress, vlan, ports, frame);
                }
                Verdict::Multicast(vlan, group) => {
                    let ports = || self.pipeline.group_set(ingress, vlan, group);
                    let copies = &mut self.copies;
                    spread(&self.pipeline, copies, egress, vlan, ports, frame);
                }
                Verdict::Gateway => {
                    let copies = &mut self.copies;
                    let ingress = (ingress, place);
                    route(&self.pipeline, copies, egress, now, ingress, frame);
                }
                Verdict::Answer(answer) => {
                    let to = self.pipeline.answer_neighbor(ingress, frame, answer);
                    if let Some(to) = to {
                        forward(&self.pipeline, egress, to, frame);
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

/// Sends a frame to one port. Returns the largest packet that gets through, if this one was larger.
fn forward(
    pipeline: &Pipeline,
    egress: &mut dyn Egress,
    to: EgressPort,
    frame: &mut Frame<'_>,
) -> Option<u16> {
    match frame.apply_tag(to.tag) {
        Ok(()) => {
            if let Err(SendError::TooBig { mtu }) = send(pipeline, egress, to.port, frame) {
                return Some(mtu);
            }
        }
        Err(_malformed) => pipeline.count_egress_drop(to.port, DropReason::TagFailed, 1),
    }
    None
}

/// Lets the gateway answer or forward a frame, and sends what it makes of it. `ingress` is the port that it came
/// from, with its place in the batch. Further frames are copied: the gateway makes the next one in their place.
fn route(
    pipeline: &Pipeline,
    copies: &mut Copies,
    egress: &mut dyn Egress,
    now: Timestamp,
    ingress: (PortNo, usize),
    frame: &mut Frame<'_>,
) {
    let mut emit = |to, further: &mut Frame<'_>| {
        forward(pipeline, egress, to, &mut copies.copy(further));
    };
    if let Some(to) = pipeline.handle_gateway(now, ingress, frame, &mut emit) {
        forward(pipeline, egress, to, frame);
    }
}

/// Sends a frame of `vlan` to several ports: first to those that take it as it is, then in another form to
/// the others. It is changed in place, unless a device still needs it as it is.
fn spread<I: Iterator<Item = EgressPort>>(
    pipeline: &Pipeline,
    copies: &mut Copies,
    egress: &mut dyn Egress,
    vlan: FrameVlan,
    ports: impl Fn() -> I,
    frame: &mut Frame<'_>,
) {
    let mut is_held = false;
    for action in vlan.tag_actions() {
        let mut ports = ports().filter(|to| to.tag == action).peekable();
        if ports.peek().is_none() {
            continue;
        }
        let must_stay = is_held;
        let send_all = |frame: &mut Frame<'_>| {
            let changed = frame.apply_tag(action);
            for to in ports {
                match changed {
                    Ok(()) => {
                        let sent = send(pipeline, egress, to.port, frame);
                        is_held |= matches!(sent, Ok(Sent::Later));
                    }
                    Err(_malformed) => {
                        pipeline.count_egress_drop(to.port, DropReason::TagFailed, 1);
                    }
                }
            }
        };
        if must_stay {
            send_all(&mut copies.copy(frame));
        } else {
            send_all(frame);
        }
    }
}

/// Sends a frame to one port and counts what is known at once. Tells whether the device still needs the
/// frame as it is.
fn send(
    pipeline: &Pipeline,
    egress: &mut dyn Egress,
    to: PortNo,
    frame: &mut Frame<'_>,
) -> Result<Sent, SendError> {
    let bytes = frame.data().len();
    let sent = egress.send(to, frame);
    match &sent {
        Ok(Sent::Later) => {}
        Ok(Sent::Now) => pipeline.count_sent(to, 1, bytes),
        Err(error) => pipeline.count_egress_drop(to, drop_reason(error), 1),
    }
    sent
}

fn drop_reason(error: &SendError) -> DropReason {
    match error {
        SendError::Full => DropReason::QueueFull,
        SendError::Down => DropReason::DeviceDown,
        SendError::Unsupported => DropReason::NotSegmentable,
        SendError::TooBig { .. } => DropReason::TunnelTooBig,
        SendError::Tagged => DropReason::TunnelTagged,
        // Further kinds of failure are failures of the device too.
        SendError::Failed(_) | _ => DropReason::DeviceError,
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "fairness_tests.rs"]
mod fairness_tests;
