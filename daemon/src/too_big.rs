//! Telling a sender that its packet is larger than the way to another host takes.
//!
//! A network has one MTU, and the path to one of its hosts may be narrower. There is no router between two
//! stations of a network that could say so, so the message comes from the station that the packet was for
//! (as Linux does it, `iptunnel_pmtud_build_icmp`): the sender takes it, and its kernel remembers the
//! smaller MTU for that destination.

use std::time::Duration;

use tapweave_device::{Egress, HEADROOM, Sent};
use tapweave_net::{
    FlowKey, Frame, IcmpError, IcmpErrorKind, Offload, ParsedFrame, PortNo, Timestamp,
};
use tapweave_switch::{DropReason, Pipeline};

/// Messages in a second that one worker writes at most (RFC 4443 §2.4 (f)). A connection needs one.
const RATE: u32 = 1000;

/// Writes the messages of one worker.
#[derive(Debug, Default)]
pub(crate) struct TooBig {
    second: Timestamp,
    count: u32,
    buffer: Vec<u8>,
}

impl TooBig {
    /// Tells the sender of `frame`, which came in from `ingress`, that packets of up to `mtu` bytes get
    /// through. Says nothing about what must not be answered, and nothing when there was much to say in
    /// this second.
    pub(crate) fn tell(
        &mut self,
        pipeline: &Pipeline,
        egress: &mut dyn Egress,
        now: Timestamp,
        ingress: PortNo,
        frame: &Frame<'_>,
        mtu: u16,
    ) {
        if now.since(self.second) >= Duration::from_secs(1) {
            (self.second, self.count) = (now, 0);
        }
        if self.count >= RATE || mtu == 0 {
            return;
        }
        let Some(len) = self.write(frame, mtu) else {
            return;
        };
        self.count += 1;
        let buffer = self.buffer.get_mut(..HEADROOM + len).unwrap_or_default();
        let mut message = Frame::new(buffer, HEADROOM, Offload::NONE);
        match egress.send(ingress, &mut message) {
            Ok(Sent::Now) => pipeline.count_sent(ingress, 1, len),
            Ok(Sent::Later) => {}
            Err(_lost) => pipeline.count_egress_drop(ingress, DropReason::QueueFull, 1),
        }
    }

    /// Writes the message behind headroom and returns its length.
    fn write(&mut self, frame: &Frame<'_>, mtu: u16) -> Option<usize> {
        let parsed = ParsedFrame::parse(frame.data()).ok()?;
        let src = match parsed.flow() {
            FlowKey::V4 { dst, .. } => (*dst).into(),
            FlowKey::V6 { dst, .. } => (*dst).into(),
            FlowKey::Link { .. } => return None,
        };
        let message = IcmpError {
            kind: IcmpErrorKind::TooBig { mtu },
            src_mac: parsed.dst(),
            src,
        };
        self.buffer.resize(HEADROOM + IcmpError::MAX_LEN, 0);
        let place = self.buffer.get_mut(HEADROOM..)?;
        message.write(frame.data(), &parsed, place).ok()
    }
}
