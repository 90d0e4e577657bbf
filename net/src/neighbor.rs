//! Questions for a neighbour's MAC address, and answers to them on behalf of that neighbour.
//!
//! A switch that knows the answer gives it itself and spares everybody else the question (ARP and
//! ND suppression). What is a question is decided here; who knows the answer is not.
//!
//! Probes of duplicate address detection (RFC 5227 §2.1.1, RFC 4862 §5.4) and announcements are no
//! questions: the address that is known may be that of the prober itself, and an answer would keep
//! it from using its own. They travel to everybody. Only who has the address itself answers probes
//! ([`NeighborQuestion::read_or_probe`]).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum::{Sum, Verification, verify_transport};
use crate::field::put;
use crate::{
    ArpOperation, ArpPacket, ChecksumOffload, EtherType, EthernetMut, Fragment, Icmpv6Type,
    Icmpv6View, IpProtocol, Ipv6View, MacAddr, NdMessage, NdOption, Network, ParsedFrame,
    Transport,
};

/// Who has this address?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct NeighborQuestion {
    /// The address that is asked for.
    pub target: IpAddr,
    /// The address of who asks, of the same family; unspecified in a probe.
    pub asker: IpAddr,
    /// The MAC address of who asks, from which the frame came.
    pub asker_mac: MacAddr,
    /// The MAC address that the message says who asks has; none when it says nothing.
    pub claimed_mac: Option<MacAddr>,
}

/// The target has this MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct NeighborAnswer {
    /// MAC address of the target.
    pub mac: MacAddr,
    /// Whether the target is a router; means nothing to ARP (RFC 4861 §4.4).
    pub is_router: bool,
}

/// The Hop Limit of Neighbor Discovery: a packet that was forwarded has less (RFC 4861 §7.1).
const ND_HOP_LIMIT: u8 = 255;
/// Flags (RFC 4861 §4.4).
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
/// All nodes on the link (RFC 4291 §2.7.1), and their MAC address (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);
/// The option Target Link-Layer Address, one unit of eight octets (RFC 4861 §4.6.1).
const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];

/// Bytes of an advertisement with that option.
const ADVERTISEMENT_LEN: u16 = 32;
/// Bytes of the packet that carries it.
const ADVERTISEMENT_PACKET_LEN: usize = 72;
const _: () = assert!(ADVERTISEMENT_PACKET_LEN == Ipv6View::LEN + ADVERTISEMENT_LEN as usize);

impl NeighborQuestion {
    /// Bytes that the longest answer takes, with Ethernet and two VLAN tags.
    pub const MAX_ANSWER_LEN: usize = 14 + 8 + ADVERTISEMENT_PACKET_LEN;

    /// Reads the question in `frame`, which was parsed as `parsed`; `None` when there is none. A
    /// neighbor solicitation that must be discarded is none (RFC 4861 §7.1.1).
    pub fn read(frame: &[u8], parsed: &ParsedFrame, checksum: ChecksumOffload) -> Option<Self> {
        Self::read_or_probe(frame, parsed, checksum)
            .filter(|question| !question.asker.is_unspecified())
    }

    /// As [`NeighborQuestion::read`], probes included. The answer to one over IPv6 is for all nodes (RFC
    /// 4861 §7.2.4).
    pub fn read_or_probe(
        frame: &[u8],
        parsed: &ParsedFrame,
        checksum: ChecksumOffload,
    ) -> Option<Self> {
        let (target, asker, claimed_mac) = match parsed.network() {
            Network::Other if parsed.ethertype() == EtherType::ARP => {
                arp_question(frame.get(parsed.l3_offset()..)?)?
            }
            Network::V6 => solicitation(frame, parsed, checksum)?,
            Network::V4 | Network::Other => return None,
        };
        Some(Self {
            target,
            asker,
            asker_mac: parsed.src(),
            claimed_mac,
        })
    }

    /// Writes the frame that answers `frame`, in which the question was found, to the start of
    /// `out`, and returns its length. VLAN tags are those of the question; checksums are complete.
    /// `None` when `out` is too short; [`NeighborQuestion::MAX_ANSWER_LEN`] bytes are enough.
    pub fn write_answer(
        &self,
        frame: &[u8],
        parsed: &ParsedFrame,
        answer: NeighborAnswer,
        out: &mut [u8],
    ) -> Option<usize> {
        let link = frame.get(..parsed.l3_offset())?;
        let payload = match (self.target, self.asker) {
            (IpAddr::V4(target), IpAddr::V4(asker)) => {
                Payload::Arp(self.arp_reply(target, asker, answer))
            }
            (IpAddr::V6(target), IpAddr::V6(asker)) => {
                Payload::Nd(advertisement(target, asker, answer))
            }
            _ => return None,
        };
        let payload = payload.bytes();
        let len = link.len() + payload.len();
        let out = out.get_mut(..len)?;
        let (out_link, out_payload) = out.split_at_mut_checked(link.len())?;
        out_link.copy_from_slice(link);
        out_payload.copy_from_slice(payload);
        let mut ethernet = EthernetMut::parse(out_link).ok()?;
        let is_for_all = matches!(self.asker, IpAddr::V6(asker) if asker.is_unspecified());
        ethernet.set_dst(if is_for_all {
            ALL_NODES_MAC
        } else {
            self.asker_mac
        });
        ethernet.set_src(answer.mac);
        Some(len)
    }

    fn arp_reply(
        &self,
        target: Ipv4Addr,
        asker: Ipv4Addr,
        answer: NeighborAnswer,
    ) -> [u8; ArpPacket::LEN] {
        let reply = ArpPacket {
            operation: ArpOperation::Reply,
            sender_mac: answer.mac,
            sender_ip: target,
            target_mac: self.asker_mac,
            target_ip: asker,
        };
        reply.encode()
    }
}

/// What follows the link layer of an answer.
enum Payload {
    Arp([u8; ArpPacket::LEN]),
    Nd([u8; ADVERTISEMENT_PACKET_LEN]),
}

impl Payload {
    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Arp(bytes) => bytes,
            Self::Nd(bytes) => bytes,
        }
    }
}

/// Target, asker, and the MAC address that the asker gives.
type Read = (IpAddr, IpAddr, Option<MacAddr>);

fn arp_question(packet: &[u8]) -> Option<Read> {
    let arp = ArpPacket::parse(packet).ok()?;
    let is_question = arp.operation == ArpOperation::Request
        && !arp.is_announcement()
        && !arp.target_ip.is_unspecified();
    is_question.then_some((
        arp.target_ip.into(),
        arp.sender_ip.into(),
        Some(arp.sender_mac),
    ))
}

fn solicitation(frame: &[u8], parsed: &ParsedFrame, checksum: ChecksumOffload) -> Option<Read> {
    if parsed.transport() != Some(Transport::Icmpv6) || parsed.fragment() != Fragment::Whole {
        return None;
    }
    let ip = Ipv6View::parse(frame.get(parsed.l3_offset()..)?).ok()?;
    let icmp = Icmpv6View::parse(parsed.l4_bytes(frame)?).ok()?;
    let is_partial = matches!(checksum, ChecksumOffload::Partial { .. });
    let is_valid = ip.hop_limit() == ND_HOP_LIMIT
        && icmp.code() == 0
        && (is_partial || verify_transport(frame, parsed) == Verification::Right);
    let NdMessage::NeighborSolicitation { target, options } = NdMessage::parse(&icmp).ok()? else {
        return None;
    };
    let is_probe = ip.src().is_unspecified();
    let mut claimed_mac = None;
    for option in options {
        if let NdOption::SourceLinkLayer(mac) = option.ok()? {
            claimed_mac = claimed_mac.or(Some(mac));
        }
    }
    let is_question = is_valid
        && !target.is_multicast()
        && !target.is_unspecified()
        && !ip.src().is_multicast()
        && (!is_probe || (is_solicited_node(ip.dst()) && claimed_mac.is_none()));
    is_question.then_some((target.into(), ip.src().into(), claimed_mac))
}

/// Tells whether an address is `ff02::1:ff00:0/104` (RFC 4291 §2.7.1).
fn is_solicited_node(address: Ipv6Addr) -> bool {
    address.to_bits() >> 24 == 0x00ff_0200_0000_0000_0000_0000_01ff
}

/// Returns the IPv6 packet by which `target` answers `asker` (RFC 4861 §4.4).
fn advertisement(
    target: Ipv6Addr,
    asker: Ipv6Addr,
    answer: NeighborAnswer,
) -> [u8; ADVERTISEMENT_PACKET_LEN] {
    let mut icmp = [0; ADVERTISEMENT_LEN as usize];
    let (asker, mut flags) = if asker.is_unspecified() {
        (ALL_NODES, OVERRIDE)
    } else {
        (asker, SOLICITED | OVERRIDE)
    };
    if answer.is_router {
        flags |= ROUTER;
    }
    put::<0, 1, _>(&mut icmp, [Icmpv6Type::NEIGHBOR_ADVERTISEMENT.0]);
    put::<4, 1, _>(&mut icmp, [flags]);
    put::<8, 16, _>(&mut icmp, target.octets());
    put::<24, 2, _>(&mut icmp, TARGET_LINK_LAYER_ADDRESS);
    put::<26, 6, _>(&mut icmp, answer.mac.octets());
    let pseudo = Sum::pseudo_v6(target, asker, IpProtocol::ICMPV6, ADVERTISEMENT_LEN.into());
    let checksum = pseudo.and_bytes(&icmp).checksum();
    put::<2, 2, _>(&mut icmp, checksum.to_be_bytes());

    let mut packet = [0; ADVERTISEMENT_PACKET_LEN];
    put::<0, 1, _>(&mut packet, [0x60]);
    put::<4, 2, _>(&mut packet, ADVERTISEMENT_LEN.to_be_bytes());
    put::<6, 2, _>(&mut packet, [IpProtocol::ICMPV6.0, ND_HOP_LIMIT]);
    put::<8, 16, _>(&mut packet, target.octets());
    put::<24, 16, _>(&mut packet, asker.octets());
    put::<40, { ADVERTISEMENT_LEN as usize }, _>(&mut packet, icmp);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x0a]);
    const ANSWER: NeighborAnswer = NeighborAnswer {
        mac: MacAddr::new([2, 0, 0, 0, 0, 0x0b]),
        is_router: false,
    };

    fn arp(sender: [u8; 4], target: [u8; 4], operation: u8) -> Vec<u8> {
        let mut frame = vec![0xff; 6];
        frame.extend(ASKER_MAC.octets());
        frame.extend([0x81, 0, 0, 10, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend(ASKER_MAC.octets());
        frame.extend(sender);
        frame.extend([0; 6]);
        frame.extend(target);
        frame
    }

    /// A solicitation from `fd00::src` with these octets in place of those of a good one.
    fn nd(src: u8, changes: &[(usize, u8)]) -> Vec<u8> {
        let mut frame = vec![0x33, 0x33, 0xff, 0, 0, 0x0b];
        frame.extend(ASKER_MAC.octets());
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
        let source = match src {
            0 => Ipv6Addr::UNSPECIFIED,
            src => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, src.into()),
        };
        let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x0b);
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x0b);
        frame.extend(source.octets());
        frame.extend(group.octets());
        frame.extend([135, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend(target.octets());
        frame.extend([1, 1]);
        frame.extend(ASKER_MAC.octets());
        for (at, octet) in changes {
            frame[*at] = *octet;
        }
        let sum = Sum::pseudo_v6(source, group, IpProtocol::ICMPV6, 32).and_bytes(&frame[54..]);
        frame[56..58].copy_from_slice(&sum.checksum().to_be_bytes());
        frame
    }

    fn read(frame: &[u8]) -> Option<NeighborQuestion> {
        let parsed = ParsedFrame::parse(frame).unwrap();
        NeighborQuestion::read(frame, &parsed, ChecksumOffload::Complete)
    }

    fn answer(frame: &[u8], answer: NeighborAnswer) -> Vec<u8> {
        let parsed = ParsedFrame::parse(frame).unwrap();
        let mut out = [0xa5; NeighborQuestion::MAX_ANSWER_LEN + 1];
        let len = read(frame)
            .unwrap()
            .write_answer(frame, &parsed, answer, &mut out)
            .unwrap();
        assert!(out[len..].iter().all(|octet| *octet == 0xa5));
        out[..len].to_vec()
    }

    #[test]
    fn an_arp_request_is_answered_in_its_vlan() {
        let question = arp([10, 0, 0, 10], [10, 0, 0, 11], 1);
        let want = [
            2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x0b, 0x81, 0, 0, 10, 0x08, 0x06, 0, 1, 8, 0, 6, 4,
            0, 2, 2, 0, 0, 0, 0, 0x0b, 10, 0, 0, 11, 2, 0, 0, 0, 0, 0x0a, 10, 0, 0, 10,
        ];
        assert_eq!(answer(&question, ANSWER), want);
    }

    #[test]
    fn probes_announcements_and_replies_are_no_questions() {
        assert_eq!(read(&arp([0; 4], [10, 0, 0, 11], 1)), None);
        assert_eq!(read(&arp([10, 0, 0, 11], [10, 0, 0, 11], 1)), None);
        assert_eq!(read(&arp([10, 0, 0, 10], [10, 0, 0, 11], 2)), None);
        assert_eq!(read(&arp([10, 0, 0, 10], [0; 4], 1)), None);
        assert_eq!(read(&nd(0, &[])), None);
    }

    #[test]
    fn a_solicitation_is_answered_by_a_valid_advertisement() {
        let question = nd(0x0a, &[]);
        for (is_router, flags) in [(false, 0x60), (true, 0xe0)] {
            let frame = answer(
                &question,
                NeighborAnswer {
                    is_router,
                    ..ANSWER
                },
            );
            assert_eq!(frame[..12], [2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x0b]);
            assert_eq!(frame[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
            assert_eq!(frame[22..38], question[62..78]);
            assert_eq!(frame[38..54], question[22..38]);
            assert_eq!((frame[54], frame[58]), (136, flags));
            assert_eq!(frame[78..], [2, 1, 2, 0, 0, 0, 0, 0x0b]);
            let parsed = ParsedFrame::parse(&frame).unwrap();
            assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        }
    }

    #[test]
    fn a_probe_is_answered_by_who_has_the_address() {
        let answer_probe = |frame: &[u8]| {
            let parsed = ParsedFrame::parse(frame).unwrap();
            let checksum = ChecksumOffload::Complete;
            let question = NeighborQuestion::read_or_probe(frame, &parsed, checksum)?;
            let mut out = [0xa5; NeighborQuestion::MAX_ANSWER_LEN];
            let len = question.write_answer(frame, &parsed, ANSWER, &mut out)?;
            Some(out[..len].to_vec())
        };
        let reply = answer_probe(&arp([0; 4], [10, 0, 0, 11], 1)).unwrap();
        assert_eq!(reply[..6], ASKER_MAC.octets());
        assert_eq!(reply[32..], [10, 0, 0, 11, 2, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0]);
        // With the option that a probe must not have (RFC 4861 §7.1.1).
        assert_eq!(answer_probe(&nd(0, &[])), None);
        let probe = nd(0, &[(78, 14)]);
        let frame = answer_probe(&probe).unwrap();
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(frame[38..54], ALL_NODES.octets());
        assert_eq!((frame[54], frame[58]), (136, 0x20));
        let parsed = ParsedFrame::parse(&frame).unwrap();
        assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        // To the host instead of its group.
        assert_eq!(answer_probe(&nd(0, &[(78, 14), (50, 0)])), None);
    }

    #[test]
    fn a_solicitation_that_must_be_discarded_is_no_question() {
        for change in [(21, 254), (55, 1), (62, 0xff), (79, 0), (54, 136)] {
            assert_eq!(read(&nd(0x0a, &[change])), None, "{change:?}");
        }
        let mut frame = nd(0x0a, &[]);
        frame[57] ^= 1;
        assert_eq!(read(&frame), None);
        let parsed = ParsedFrame::parse(&frame).unwrap();
        let partial = ChecksumOffload::Partial {
            start: 54,
            offset: 2,
        };
        assert!(NeighborQuestion::read(&frame, &parsed, partial).is_some());
    }

    #[test]
    fn an_answer_that_does_not_fit_is_not_written() {
        let frame = nd(0x0a, &[]);
        let parsed = ParsedFrame::parse(&frame).unwrap();
        let mut out = [0xa5; 85];
        let question = read(&frame).unwrap();
        assert_eq!(
            question.write_answer(&frame, &parsed, ANSWER, &mut out),
            None
        );
        assert_eq!(out, [0xa5; 85]);
    }
}
