//! Answers in the buffer of the question: who has an address, echo, ICMP errors.

use tapweave_net::checksum::Delta;
use tapweave_net::{
    ChecksumOffload, EthernetMut, Fragment, Frame, IcmpError, IcmpErrorKind, Icmpv4Mut, Icmpv4Type,
    Icmpv4View, Icmpv6Mut, Icmpv6Type, Icmpv6View, IpProtocol, Ipv4Mut, Ipv4View, Ipv6Mut,
    Ipv6View, MacAddr, NeighborAnswer, NeighborQuestion, Network, ParsedFrame, Transport,
};

use core::net::IpAddr;

/// The TTL and Hop Limit of what the gateway says (RFC 1340).
const HOP_LIMIT: u8 = 64;

/// Turns a question for an address of ours into the answer; tells whether there was room for it.
pub(super) fn answer_neighbor(
    question: &NeighborQuestion,
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    mac: MacAddr,
) -> bool {
    let answer = NeighborAnswer {
        mac,
        is_router: true,
    };
    let mut out = [0; NeighborQuestion::MAX_ANSWER_LEN];
    let len = question.write_answer(frame.data(), parsed, answer, &mut out);
    let answer = len.and_then(|len| out.get(..len));
    answer.is_some_and(|answer| frame.replace(answer))
}

/// Tells whether a packet is an echo request, or a later fragment that may be one of its.
///
/// Each fragment is answered by itself, in any order and without memory: it keeps its identification, so the
/// answers make up the echoed packet.
pub(super) fn is_echo(frame: &Frame<'_>, parsed: &ParsedFrame) -> bool {
    if frame.offload().gso.is_some() {
        return false;
    }
    match (parsed.fragment(), parsed.transport()) {
        (Fragment::Later, _) => matches!(
            (parsed.network(), parsed.protocol()),
            (Network::V4, Some(IpProtocol::ICMPV4)) | (Network::V6, Some(IpProtocol::ICMPV6))
        ),
        (_, Some(Transport::Icmpv4)) => parsed
            .l4_bytes(frame.data())
            .and_then(|bytes| Icmpv4View::parse(bytes).ok())
            .is_some_and(|icmp| icmp.kind() == Icmpv4Type::ECHO_REQUEST && icmp.code() == 0),
        (_, Some(Transport::Icmpv6)) => parsed
            .l4_bytes(frame.data())
            .and_then(|bytes| Icmpv6View::parse(bytes).ok())
            .is_some_and(|icmp| icmp.kind() == Icmpv6Type::ECHO_REQUEST && icmp.code() == 0),
        _ => false,
    }
}

/// Turns an echo request into the reply, and the frame around. Checksums follow by difference, so one that
/// was wrong stays wrong (RFC 1624). Returns `None` when the frame is not the one that was parsed.
pub(super) fn echo(frame: &mut Frame<'_>, parsed: &ParsedFrame, mac: MacAddr) -> Option<()> {
    let is_complete = !matches!(frame.offload().checksum, ChecksumOffload::Partial { .. });
    let data = frame.data_mut();
    let l3 = data.get_mut(parsed.l3_offset()..)?;
    match parsed.network() {
        Network::V4 => {
            let ip = Ipv4View::parse(l3).ok()?;
            let (src, dst, ttl) = (ip.src(), ip.dst(), ip.ttl());
            let protocol = ip.protocol().0;
            let word = |ttl| u16::from_be_bytes([ttl, protocol]);
            // The addresses change places, which no sum notices.
            let checksum = Delta::NONE
                .and_u16(word(ttl), word(HOP_LIMIT))
                .apply(ip.checksum());
            let mut ip = Ipv4Mut::parse(l3).ok()?;
            ip.set_src(dst);
            ip.set_dst(src);
            ip.set_ttl(HOP_LIMIT);
            ip.set_checksum(checksum);
        }
        Network::V6 => {
            let ip = Ipv6View::parse(l3).ok()?;
            let (src, dst) = (ip.src(), ip.dst());
            let mut ip = Ipv6Mut::parse(l3).ok()?;
            ip.set_src(dst);
            ip.set_dst(src);
            ip.set_hop_limit(HOP_LIMIT);
        }
        Network::Other => return None,
    }
    if let Some(l4_offset) = parsed.l4_offset() {
        let l4 = data.get_mut(l4_offset..)?;
        let change = |checksum, request: u8, reply: u8| {
            let word = |kind| u16::from_be_bytes([kind, 0]);
            let delta = Delta::NONE.and_u16(word(request), word(reply));
            if is_complete {
                delta.apply(checksum)
            } else {
                checksum
            }
        };
        match parsed.transport()? {
            Transport::Icmpv4 => {
                let checksum = Icmpv4View::parse(l4).ok()?.checksum();
                let (request, reply) = (Icmpv4Type::ECHO_REQUEST, Icmpv4Type::ECHO_REPLY);
                let mut icmp = Icmpv4Mut::parse(l4).ok()?;
                icmp.set_kind(reply);
                icmp.set_checksum(change(checksum, request.0, reply.0));
            }
            Transport::Icmpv6 => {
                let checksum = Icmpv6View::parse(l4).ok()?.checksum();
                let (request, reply) = (Icmpv6Type::ECHO_REQUEST, Icmpv6Type::ECHO_REPLY);
                let mut icmp = Icmpv6Mut::parse(l4).ok()?;
                icmp.set_kind(reply);
                icmp.set_checksum(change(checksum, request.0, reply.0));
            }
            Transport::Tcp | Transport::Udp => return None,
        }
    }
    let mut ethernet = EthernetMut::parse(frame.data_mut()).ok()?;
    ethernet.set_dst(parsed.src());
    ethernet.set_src(mac);
    Some(())
}

/// Replaces a frame by an ICMP error about its packet; `None` when nobody may be told.
pub(super) fn tell(
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    kind: IcmpErrorKind,
    mac: MacAddr,
    src: IpAddr,
) -> Option<()> {
    let error = IcmpError {
        kind,
        src_mac: mac,
        src,
    };
    let mut out = [0; IcmpError::MAX_LEN];
    let len = error.write(frame.data(), parsed, &mut out).ok()?;
    frame.replace(out.get(..len)?).then_some(())
}
