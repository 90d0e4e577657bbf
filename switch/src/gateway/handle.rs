//! The way of a frame through the gateway: which side it came from, and how it ends.

use core::net::IpAddr;

use tapweave_nat::packet::{Hop, take_hop};
use tapweave_nat::table::Hint;
use tapweave_net::{
    EthernetMut, Frame, IcmpErrorKind, MacAddr, NetworkNo, ParsedFrame, PortNo, Timestamp,
    Transport,
};

use super::answer::{echo, is_echo, tell};
use super::fragment::cut;
use super::packet::Packet;
use super::refusal::Refusal;
use super::segment::cut_segments;
use super::step::GatewayStep;
use super::way::{Origin, Use, Way, inward};
use super::{Remote, Uplink, inside, outside, remote};
use crate::counters::PortCounters;
use crate::decide::{NoTrace, Trace};
use crate::explain::Stage;
use crate::meter::Meter;
use crate::pipeline::Pipeline;
use crate::snapshot::{Network, Port, Snapshot};
use crate::{DropReason, EgressPort};

/// What is done with frames beyond the one that came in.
pub(super) type Emit<'a> = dyn FnMut(EgressPort, &mut Frame<'_>) + 'a;

/// What all steps on one frame share.
pub(super) struct Call<'a, T> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    pub(super) worker: usize,
    /// What NAT has read ahead of the frame.
    pub(super) hint: Hint,
    pub(super) use_: Use,
    pub(super) trace: &'a mut T,
    pub(super) emit: &'a mut Emit<'a>,
}

/// What is left to do with the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// It is sent.
    Send(EgressPort),
    /// Nothing.
    Done,
}

/// Where a frame came in.
#[derive(Clone, Copy)]
pub(crate) enum Ingress<'a> {
    Port(&'a Port),
    Uplink(&'a Uplink),
    Remote(&'a Remote),
}

impl Pipeline {
    /// Bytes of headroom that an answer may take: what an ICMP error over IPv6 is longer than a packet
    /// without payload, and a VLAN tag.
    pub const GATEWAY_HEADROOM: usize = 52;

    /// Carries out [`Verdict::Gateway`](crate::Verdict::Gateway): answers or forwards a frame that came in
    /// from `ingress`, in its own buffer. It was at `place` of the last batch, and is as it was there; a frame
    /// apart from all batches is at `usize::MAX`.
    ///
    /// Returns the port to which the frame, changed, has to be sent now; none when that was all: the frame
    /// was dropped, which is counted, or noted. Frames beyond that one, the fragments of a packet, are given to
    /// `emit`, for the time of the call only. Wants [`Pipeline::GATEWAY_HEADROOM`] bytes of headroom. Call it
    /// before the next batch. Allocates nothing and waits for nobody.
    pub fn handle_gateway(
        &self,
        now: Timestamp,
        (ingress, place): (PortNo, usize),
        frame: &mut Frame<'_>,
        emit: &mut dyn FnMut(EgressPort, &mut Frame<'_>),
    ) -> Option<EgressPort> {
        let snapshot = self.snapshot();
        let anew;
        let parsed = if let Some(parsed) = self.parsed(place) {
            Some(parsed)
        } else {
            anew = ParsedFrame::parse(frame.data()).ok();
            anew.as_ref()
        };
        let ingress = snapshot.ingress(ingress)?;
        let mut call = Call {
            snapshot,
            now,
            worker: self.worker(),
            hint: self.hint(place),
            use_: Use::Packet,
            trace: &mut NoTrace,
            emit,
        };
        match call.handle(ingress, frame, parsed) {
            Next::Send(egress) => Some(egress),
            Next::Done => None,
        }
    }
}

/// Returns the port to which a frame that the gateway got would be sent, and adds the steps to `trace`. The
/// frame is changed as it would be, and nothing else.
pub(crate) fn explain(
    snapshot: &Snapshot,
    now: Timestamp,
    ingress: Ingress<'_>,
    frame: &mut Frame<'_>,
    trace: &mut Vec<Stage>,
) -> Option<EgressPort> {
    let mut call = Call {
        snapshot,
        now,
        worker: 0,
        hint: Hint::NONE,
        use_: Use::Question,
        trace,
        emit: &mut |_, _| {},
    };
    let parsed = ParsedFrame::parse(frame.data());
    match call.handle(ingress, frame, parsed.as_ref().ok()) {
        Next::Send(egress) => Some(egress),
        Next::Done => None,
    }
}

impl<T: Trace> Call<'_, T> {
    /// Deals with a frame, which was parsed as `parsed` unless it is malformed. A drop is counted, and told
    /// where it has to be.
    fn handle(
        &mut self,
        ingress: Ingress<'_>,
        frame: &mut Frame<'_>,
        parsed: Option<&ParsedFrame>,
    ) -> Next {
        let Some(parsed) = parsed else {
            self.refuse(ingress, DropReason::GatewayMalformed.into());
            return Next::Done;
        };
        let outcome = match ingress {
            Ingress::Port(port) => match port.network.gateway.as_deref() {
                Some(gateway) => inside::handle(self, port, gateway, frame, parsed),
                None => Err(DropReason::GatewayNoRoute.into()),
            },
            Ingress::Uplink(uplink) => outside::handle(self, uplink, frame, parsed),
            Ingress::Remote(remote) => remote::handle(self, remote, frame, parsed),
        };
        let refusal = match outcome {
            Ok(next) => return next,
            Err(refusal) => refusal,
        };
        self.refuse(ingress, refusal);
        let told = refusal
            .tell
            .and_then(|kind| self.tell(ingress, frame, parsed, kind));
        told.map_or(Next::Done, Next::Send)
    }

    /// Counts a drop.
    pub(super) fn refuse(&mut self, ingress: Ingress<'_>, refusal: Refusal) {
        self.step(|| GatewayStep::Refused {
            reason: refusal.reason,
            told: refusal.tell,
        });
        if self.use_ == Use::Packet {
            ingress
                .counters()
                .shard(self.worker)
                .count_drop(refusal.reason);
        }
    }

    /// Turns the frame into an ICMP error to its sender, if one is due; `None` when it is not.
    fn tell<'s>(
        &self,
        ingress: Ingress<'s>,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        kind: IcmpErrorKind,
    ) -> Option<EgressPort> {
        let like = Packet::read(frame, parsed).ok()?.src;
        let of_gateway = |network: &'s Network| {
            let gateway = network.gateway.as_deref()?;
            let src = gateway.address_like(like)?;
            Some((gateway.config.mac, src, &gateway.errors))
        };
        let (mac, src, meter) = match ingress {
            Ingress::Port(port) => of_gateway(&port.network)?,
            Ingress::Remote(remote) => of_gateway(&remote.network)?,
            Ingress::Uplink(uplink) => (
                uplink.answering_mac(parsed),
                uplink.address_like(like)?,
                &*uplink.errors,
            ),
        };
        self.send_error(ingress, meter, || tell(frame, parsed, kind, mac, src))?;
        Some(EgressPort::unchanged(ingress.no()))
    }

    /// Makes an ICMP error to where a frame came in, if there have not been too many, and counts it. `None` when
    /// there is none to be sent.
    pub(super) fn send_error(
        &self,
        ingress: Ingress<'_>,
        meter: &Meter,
        make: impl FnOnce() -> Option<()>,
    ) -> Option<()> {
        let shard = ingress.counters().shard(self.worker);
        let is_packet = self.use_ == Use::Packet;
        if !meter.would_take(1, self.now) {
            if is_packet {
                shard.icmp_suppressed.add(1);
            }
            return None;
        }
        make()?;
        if is_packet {
            // Another worker may have taken the last one meanwhile: that is one too many, and no more.
            let _taken = meter.take(1, self.now);
            shard.icmp_errors.add(1);
        }
        Some(())
    }

    /// Answers a packet for the gateway itself, whose MAC is `mac`, to the port that it came from.
    ///
    /// # Errors
    ///
    /// `GatewayPort`, which the sender is told, or `GatewayProtocol`, unless it is an echo request.
    pub(super) fn deliver(
        &mut self,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
        mac: MacAddr,
        from: PortNo,
    ) -> Result<Next, Refusal> {
        if is_echo(frame, parsed) {
            return self.echo(frame, parsed, packet, mac, from);
        }
        match parsed.transport() {
            Some(Transport::Tcp | Transport::Udp) => Err(Refusal::told(
                DropReason::GatewayPort,
                IcmpErrorKind::PortUnreachable,
            )),
            Some(Transport::Icmpv4 | Transport::Icmpv6) | None => {
                Err(DropReason::GatewayProtocol.into())
            }
        }
    }

    /// Turns an echo request from a port into the reply.
    ///
    /// # Errors
    ///
    /// `GatewayMalformed`.
    pub(super) fn echo(
        &mut self,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
        mac: MacAddr,
        from: PortNo,
    ) -> Result<Next, Refusal> {
        echo(frame, parsed, mac).ok_or(DropReason::GatewayMalformed)?;
        Ok(self.answered(GatewayStep::Echo { to: packet.src }, from))
    }

    /// Tells who listens what is done.
    #[inline]
    pub(super) fn step(&mut self, step: impl FnOnce() -> GatewayStep) {
        self.trace.stage(|| Stage::Gateway { step: step() });
    }

    /// The frame was turned into an answer.
    pub(super) fn answered(&mut self, step: GatewayStep, to: PortNo) -> Next {
        self.step(|| step);
        Next::Send(EgressPort::unchanged(to))
    }

    /// The frame has done what it was for.
    pub(super) fn done(&mut self, step: GatewayStep) -> Next {
        self.step(|| step);
        Next::Done
    }

    /// Does with a packet that NAT held back what `settle` says, now that NAT lets it go.
    pub(super) fn release(
        &mut self,
        ingress: Ingress<'_>,
        frame: &mut Frame<'_>,
        settle: impl FnOnce(&mut Self, &mut Frame<'_>, &ParsedFrame) -> Result<Next, Refusal>,
    ) {
        let Ok(parsed) = ParsedFrame::parse(frame.data()) else {
            return;
        };
        match settle(self, frame, &parsed) {
            Ok(Next::Send(egress)) => (self.emit)(egress, frame),
            Ok(Next::Done) => {}
            Err(refusal) => self.refuse(ingress, refusal),
        }
    }

    /// Sends a packet that comes from outside, or back in by translation, to a host of a network.
    ///
    /// # Errors
    ///
    /// As [`Call::send_inward`]; `GatewayNoRoute` when the network is gone.
    #[inline]
    pub(super) fn enter(
        &mut self,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
        network: NetworkNo,
        dst: IpAddr,
    ) -> Result<Next, Refusal> {
        let networks = &self.snapshot.networks;
        let network = networks.get(&network).ok_or(DropReason::GatewayNoRoute)?;
        self.send_inward(frame, parsed, packet, network, dst, Origin::Outside)
    }

    /// Sends a packet to a host of a network.
    ///
    /// # Errors
    ///
    /// As [`inward`], [`Packet::check_size`] and [`Call::send`].
    #[inline]
    pub(super) fn send_inward(
        &mut self,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
        network: &Network,
        dst: IpAddr,
        origin: Origin,
    ) -> Result<Next, Refusal> {
        let way = inward(self, network, dst, origin)?;
        packet.check_size(way.mtu)?;
        self.send(frame, parsed, packet, &way)
    }

    /// Sends a packet its way: one hop less, in an untagged frame between the right stations, in fragments if
    /// it has to be. The sender must know before that the packet may go.
    ///
    /// # Errors
    ///
    /// `GatewayHopLimit`.
    #[inline]
    pub(super) fn send(
        &mut self,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        packet: &Packet,
        way: &Way,
    ) -> Result<Next, Refusal> {
        match take_hop(frame, parsed) {
            Some(Hop::Taken(_)) => {}
            Some(Hop::Expired) => return Err(Refusal::EXPIRED),
            None => return Err(DropReason::GatewayMalformed.into()),
        }
        if parsed.tags().count() > 0 {
            frame
                .pop_tag()
                .map_err(|_malformed| DropReason::GatewayMalformed)?;
        }
        let mut ethernet = EthernetMut::parse(frame.data_mut())
            .map_err(|_malformed| DropReason::GatewayMalformed)?;
        ethernet.set_dst(way.dst);
        ethernet.set_src(way.src);
        let egress = EgressPort {
            port: way.port,
            tag: way.tag,
        };
        if packet.len > usize::from(way.mtu) {
            let mtu = way.mtu;
            self.step(|| GatewayStep::Cut { mtu });
            let cut = match frame.offload().gso {
                None => cut,
                Some(_) => cut_segments,
            };
            cut(frame, mtu, &mut |part| (self.emit)(egress, part))?;
            return Ok(Next::Done);
        }
        Ok(Next::Send(egress))
    }
}

impl<'a> Ingress<'a> {
    fn no(self) -> PortNo {
        match self {
            Self::Port(port) => port.no,
            Self::Uplink(uplink) => uplink.no,
            Self::Remote(remote) => remote.no,
        }
    }

    pub(crate) fn counters(self) -> &'a PortCounters {
        match self {
            Self::Port(port) => &port.counters,
            Self::Uplink(uplink) => &uplink.counters,
            Self::Remote(remote) => &remote.counters,
        }
    }
}
