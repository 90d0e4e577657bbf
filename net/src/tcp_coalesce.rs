//! Merging TCP segments into the super-frame that they were cut from.
//!
//! # Theory of operation
//!
//! What comes out of a tunnel is segments, where the sender had a super-frame of 64 KiB. A TAP takes
//! the super-frame for the price of one segment, so the segments of a batch are put together again
//! before anybody looks at them: as [`coalesce`](crate::coalesce) does for datagrams on their way out,
//! and as the kernel's `tcp_gro_receive` does. Cutting what leaves ([`Splitter`](crate::Splitter)) gives
//! back what came in, byte by byte, but for the Identification of IPv4 packets with DF, which means
//! nothing (RFC 6864 §4.1), and for whether a checksum had been completed yet.
//!
//! A segment continues a run when
//!
//! - its sequence number is the next;
//! - all headers are equal, from the MAC addresses over VLAN tags, DSCP, ECN, hops left, flow label to
//!   ports, acknowledgment, window and options, but for lengths, checksums, PSH, FIN and the Identification,
//!   which counts up or has no meaning;
//! - IPv4 has no options and a right header checksum, IPv6 no extension headers, and the frame ends where
//!   the packet does;
//! - ACK is set, and neither SYN nor RST nor URG nor CWR is;
//! - it has payload, as much as the first, or less and then is the last; PSH and FIN end a run too;
//! - the TCP checksum is right. It is *verified* before the first merge: the super-frame gets a partial one,
//!   which would turn a corrupted segment into a valid one. One that is partial already says nothing about
//!   the payload, and only the sum of the pseudo-header in it is verified;
//! - IP can state the length of the whole.
//!
//! **Order inside a flow is kept**: a segment that does not continue the run of its flow makes that run
//! leave before it, and what may be of any flow (a fragment, a frame that cannot be parsed) makes all runs
//! leave. Nothing waits beyond the end of a batch. The first segment is copied, of the others the payload,
//! right behind.

mod run;
mod segment;

use run::Run;
use segment::Segment;

pub use crate::coalesce::Offered;
use crate::{FlowKey, Frame, IpProtocol, Network, Offload, ParsedFrame, PortNo, Transport};

/// The runs of one batch, at most one of each port and flow at a time.
#[derive(Debug)]
pub struct TcpCoalescer {
    /// What the runs hold that have not left; the places of the others are empty.
    names: Vec<Option<Name>>,
    /// As many as `names`.
    runs: Vec<Run>,
    capacity: usize,
    headroom_len: usize,
}

/// The port that a flow came in from, and the flow. Two flows may share a name, which costs a merge and
/// never order.
type Name = (PortNo, u64);

/// Takes what leaves.
pub type Leave<'a> = dyn FnMut(PortNo, &mut Frame<'_>) + 'a;

impl TcpCoalescer {
    /// Returns a coalescer for `capacity` runs at a time, whose frames have `headroom_len` bytes free before
    /// them. Each run that was ever needed holds 64 KiB of address space.
    pub const fn new(capacity: usize, headroom_len: usize) -> Self {
        Self {
            names: Vec::new(),
            runs: Vec::new(),
            capacity,
            headroom_len,
        }
    }

    /// Offers the next frame of a batch, which came in from `port`, was parsed as `parsed` and has `offload`
    /// left to do. Calls `leave` with every frame that has to be handled before it; a frame that is
    /// [`Offered::Passed`] is the caller's to handle now.
    #[inline]
    pub fn offer(
        &mut self,
        port: PortNo,
        frame: &[u8],
        parsed: &ParsedFrame,
        offload: Offload,
        leave: &mut Leave<'_>,
    ) -> Offered {
        if parsed.transport() != Some(Transport::Tcp) || parsed.fragment().is_part() {
            if may_be_tcp(parsed) {
                self.dismiss_all(leave);
            }
            return Offered::Passed;
        }
        let name = (port, parsed.flow().hash(0));
        let place = self.names.iter().position(|other| *other == Some(name));
        let segment = if offload.gso.is_none() {
            Segment::of(frame, parsed, offload.checksum)
        } else {
            None
        };
        let Some(segment) = segment else {
            if let Some(place) = place {
                self.dismiss(place, leave);
            }
            return Offered::Passed;
        };
        if let Some(place) = place
            && let Some(run) = self.runs.get_mut(place)
        {
            let is_merged = run.append(&segment);
            if !is_merged || run.has_ended() {
                self.dismiss(place, leave);
            }
            if is_merged {
                return Offered::Kept;
            }
        }
        if segment.ends_run() {
            return Offered::Passed;
        }
        self.start(name, &segment)
    }

    /// Calls `leave` with everything that is kept. For the end of a batch, and before a frame that cannot be
    /// parsed.
    pub fn dismiss_all(&mut self, leave: &mut Leave<'_>) {
        for place in 0..self.names.len() {
            self.dismiss(place, leave);
        }
    }

    fn start(&mut self, name: Name, first: &Segment<'_>) -> Offered {
        let free = self.names.iter().position(Option::is_none);
        let place = free.unwrap_or(self.names.len());
        if place == self.names.len() {
            if place >= self.capacity {
                return Offered::Passed;
            }
            self.names.push(None);
            self.runs.push(Run::new(self.headroom_len));
        }
        if let (Some(slot), Some(run)) = (self.names.get_mut(place), self.runs.get_mut(place)) {
            run.start(first);
            *slot = Some(name);
        }
        Offered::Kept
    }

    fn dismiss(&mut self, place: usize, leave: &mut Leave<'_>) {
        let name = self.names.get_mut(place).and_then(Option::take);
        if let (Some((port, _)), Some(run)) = (name, self.runs.get_mut(place)) {
            leave(port, &mut run.finish());
        }
    }
}

/// Tells whether the frame, in which no TCP header was found, may carry a part of a TCP segment.
fn may_be_tcp(parsed: &ParsedFrame) -> bool {
    if parsed.network() == Network::Other {
        // A third tag hides what follows.
        return parsed.ethertype().is_vlan();
    }
    match parsed.flow() {
        FlowKey::V4 { protocol, .. } | FlowKey::V6 { protocol, .. } => {
            *protocol == IpProtocol::TCP || parsed.fragment().is_part()
        }
        FlowKey::Link { .. } => false,
    }
}
