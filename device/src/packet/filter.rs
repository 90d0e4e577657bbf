//! The programs that tell the kernel which frames a packet socket wants (`man 7 socket`,
//! `SO_ATTACH_FILTER`; `Documentation/networking/filter.rst`).
//!
//! Classic filter programs, because those need no privilege. A program sees the frame from its Ethernet
//! header on, and a VLAN tag only as a property beside the frame.

use tapweave_net::MacAddr;

use super::PacketView;
use crate::sys::packet::Instruction;

const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
/// `A = half at X + operand`.
const LOAD_HALF_INDEXED: u16 = 0x48;
/// `X = 4 * (byte at operand & 15)`: the length of an IPv4 header.
const LOAD_HEADER_LEN: u16 = 0xb1;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where a load finds whether the frame has a VLAN tag (`SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT`).
const HAS_VLAN_TAG: u32 = 0xffff_f000 + 48;

const ETHER_TYPE: u32 = 12;
const ARP: u32 = 0x0806;
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
/// The protocol of an IPv4 header, its fragment offset, and where it begins.
const IPV4_PROTOCOL: u32 = 14 + 9;
const IPV4_FRAGMENT: u32 = 14 + 6;
const IPV4_HEADER: u32 = 14;
const UDP: u32 = 17;
/// The port that DHCP clients are answered at (RFC 2131 §4.1).
const DHCP_CLIENT: u32 = 68;
const IPV6_NEXT_HEADER: u32 = 14 + 6;
const ICMPV6: u32 = 58;
const ICMPV6_TYPE: u32 = 14 + 40;
const ROUTER_ADVERTISEMENT: u32 = 134;
const NEIGHBOR_ADVERTISEMENT: u32 = 136;

/// Where a program goes on.
#[derive(Clone, Copy)]
enum To {
    /// With the next instruction, or after so many more.
    Next(u8),
    Accept,
    Drop,
}

use To::{Accept, Drop, Next};

#[derive(Default)]
struct Program(Vec<(Instruction, To, To)>);

impl Program {
    fn load(&mut self, code: u16, operand: u32) -> &mut Self {
        self.push(code, operand, Next(0), Next(0))
    }

    fn if_equal(&mut self, operand: u32, then: To, otherwise: To) -> &mut Self {
        self.push(JUMP_EQUAL, operand, then, otherwise)
    }

    fn if_any_bit(&mut self, operand: u32, then: To, otherwise: To) -> &mut Self {
        self.push(JUMP_SET, operand, then, otherwise)
    }

    fn push(&mut self, code: u16, operand: u32, then: To, otherwise: To) -> &mut Self {
        let instruction = Instruction {
            code,
            if_true: 0,
            if_false: 0,
            operand,
        };
        self.0.push((instruction, then, otherwise));
        self
    }

    /// Drops what has a VLAN tag.
    fn untagged(&mut self) -> &mut Self {
        self.load(LOAD_BYTE, HAS_VLAN_TAG)
            .if_equal(0, Next(0), Drop)
    }

    /// Goes on with what is for `mac` as `then` says, and otherwise as `otherwise`; both count from
    /// behind this.
    fn if_for(&mut self, mac: MacAddr, then: To, otherwise: To) -> &mut Self {
        let [first, second, third, fourth, rest @ ..] = mac.octets();
        let otherwise_early = match otherwise {
            Next(count) => Next(count + 2),
            Accept | Drop => otherwise,
        };
        self.load(LOAD_WORD, 0)
            .if_equal(
                u32::from_be_bytes([first, second, third, fourth]),
                Next(0),
                otherwise_early,
            )
            .load(LOAD_HALF, 4)
            .if_equal(u16::from_be_bytes(rest).into(), then, otherwise)
    }

    /// Ends the program with what `Accept` and `Drop` go to. `Drop` is also where it falls through.
    fn finish(&self) -> Vec<Instruction> {
        let len = self.0.len();
        let jump = |at: usize, to: To| {
            let distance = match to {
                Next(count) => usize::from(count),
                Drop => len - at - 1,
                Accept => len - at,
            };
            // Programs here are far shorter than 255 instructions.
            u8::try_from(distance).unwrap_or(u8::MAX)
        };
        let is_jump = |code| code == JUMP_EQUAL || code == JUMP_SET;
        let mut program: Vec<_> = self
            .0
            .iter()
            .enumerate()
            .map(|(at, (instruction, then, otherwise))| {
                let mut instruction = *instruction;
                if is_jump(instruction.code) {
                    instruction.if_true = jump(at, *then);
                    instruction.if_false = jump(at, *otherwise);
                }
                instruction
            })
            .collect();
        program.extend([0, u32::MAX].map(|bytes| Instruction {
            code: RETURN,
            if_true: 0,
            if_false: 0,
            operand: bytes,
        }));
        program
    }
}

/// Returns the program for a view.
pub(super) fn program(view: PacketView) -> Vec<Instruction> {
    let mut program = Program::default();
    program.untagged();
    match view {
        PacketView::Bridge(interface) => program.if_for(interface, Drop, Accept),
        PacketView::Station(mac) => program
            .load(LOAD_BYTE, 0)
            .if_any_bit(1, Next(4), Next(0))
            .if_for(mac, Accept, Drop)
            .load(LOAD_HALF, ETHER_TYPE)
            .if_equal(ARP, Accept, Next(0))
            .if_equal(IPV6, Next(0), Drop)
            .load(LOAD_BYTE, IPV6_NEXT_HEADER)
            .if_equal(ICMPV6, Accept, Drop),
        PacketView::Configuration(mac) => program
            .load(LOAD_BYTE, 0)
            .if_any_bit(1, Next(4), Next(0))
            .if_for(mac, Next(0), Drop)
            .load(LOAD_HALF, ETHER_TYPE)
            .if_equal(ARP, Accept, Next(0))
            .if_equal(IPV4, Next(0), Next(7))
            .load(LOAD_BYTE, IPV4_PROTOCOL)
            .if_equal(UDP, Next(0), Drop)
            .load(LOAD_HALF, IPV4_FRAGMENT)
            .if_any_bit(0x1fff, Drop, Next(0))
            .load(LOAD_HEADER_LEN, IPV4_HEADER)
            .load(LOAD_HALF_INDEXED, IPV4_HEADER + 2)
            .if_equal(DHCP_CLIENT, Accept, Drop)
            .if_equal(IPV6, Next(0), Drop)
            .load(LOAD_BYTE, IPV6_NEXT_HEADER)
            .if_equal(ICMPV6, Next(0), Drop)
            .load(LOAD_BYTE, ICMPV6_TYPE)
            .if_equal(ROUTER_ADVERTISEMENT, Accept, Next(0))
            .if_equal(NEIGHBOR_ADVERTISEMENT, Accept, Drop),
    };
    program.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr::new([2, 1, 2, 3, 4, 5]);
    const OTHER: MacAddr = MacAddr::new([2, 1, 2, 3, 4, 6]);
    const BROADCAST: MacAddr = MacAddr::new([0xff; 6]);

    #[derive(Clone, Copy, PartialEq)]
    enum Tag {
        Absent,
        Present,
    }

    /// Runs a program as the kernel does; a load outside the frame ends it with 0.
    fn accepts(view: PacketView, frame: &[u8], tag: Tag) -> bool {
        let program = program(view);
        let load = |from: u32, count: usize| {
            let bytes = frame.get(from as usize..from as usize + count)?;
            Some(
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
            )
        };
        let (mut accumulator, mut index, mut at) = (0, 0, 0);
        loop {
            let it = program[at];
            let loaded = match it.code {
                LOAD_BYTE if it.operand == HAS_VLAN_TAG => Some(u32::from(tag == Tag::Present)),
                LOAD_BYTE => load(it.operand, 1),
                LOAD_HALF => load(it.operand, 2),
                LOAD_WORD => load(it.operand, 4),
                LOAD_HALF_INDEXED => load(index + it.operand, 2),
                LOAD_HEADER_LEN => {
                    index = 4 * (u32::from(frame[it.operand as usize]) & 15);
                    Some(accumulator)
                }
                JUMP_EQUAL | JUMP_SET => {
                    let holds = if it.code == JUMP_EQUAL {
                        accumulator == it.operand
                    } else {
                        accumulator & it.operand != 0
                    };
                    at += usize::from(if holds { it.if_true } else { it.if_false });
                    Some(accumulator)
                }
                RETURN => return it.operand > 0,
                code => panic!("instruction {code:#x}"),
            };
            let Some(loaded) = loaded else {
                return false;
            };
            accumulator = loaded;
            at += 1;
        }
    }

    fn frame(to: MacAddr, ether_type: u32, rest: &[(usize, u8)]) -> Vec<u8> {
        let mut frame = vec![0; 80];
        frame[..6].copy_from_slice(&to.octets());
        frame[12..14].copy_from_slice(&ether_type.to_be_bytes()[2..]);
        for (at, byte) in rest {
            frame[*at] = *byte;
        }
        frame
    }

    #[test]
    fn a_station_gets_what_is_for_it_and_what_finds_it() {
        let accepts = |frame: &[u8]| accepts(PacketView::Station(MAC), frame, Tag::Absent);
        assert!(accepts(&frame(MAC, IPV4, &[])));
        assert!(accepts(&frame(MAC, 0x1234, &[])));
        assert!(!accepts(&frame(OTHER, IPV4, &[])));
        assert!(!accepts(&frame(
            MacAddr::new([2, 9, 2, 3, 4, 5]),
            IPV4,
            &[]
        )));
        assert!(accepts(&frame(BROADCAST, ARP, &[])));
        assert!(!accepts(&frame(BROADCAST, IPV4, &[])));
        let group = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);
        assert!(accepts(&frame(group, IPV6, &[(20, 58)])));
        assert!(!accepts(&frame(group, IPV6, &[(20, 17)])));
        assert!(!accepts(&[]));
    }

    #[test]
    fn configuration_is_arp_dhcp_and_advertisements() {
        let accepts = |frame: &[u8]| accepts(PacketView::Configuration(MAC), frame, Tag::Absent);
        let dhcp = |to| frame(to, IPV4, &[(14, 0x45), (23, 17), (37, 68)]);
        assert!(accepts(&dhcp(MAC)));
        assert!(accepts(&dhcp(BROADCAST)));
        assert!(!accepts(&dhcp(OTHER)));
        let with_options = [(14, 0x46), (23, 17), (41, 68)];
        assert!(accepts(&frame(MAC, IPV4, &with_options)));
        assert!(!accepts(&frame(
            MAC,
            IPV4,
            &[(14, 0x45), (23, 17), (37, 69)]
        )));
        assert!(!accepts(&frame(
            MAC,
            IPV4,
            &[(14, 0x45), (23, 6), (37, 68)]
        )));
        let fragment = [(14, 0x45), (21, 1), (23, 17), (37, 68)];
        assert!(!accepts(&frame(MAC, IPV4, &fragment)));
        assert!(accepts(&frame(MAC, ARP, &[])));
        let icmp = |kind| frame(MAC, IPV6, &[(20, 58), (54, kind)]);
        assert!(accepts(&icmp(134)) && accepts(&icmp(136)) && !accepts(&icmp(135)));
        assert!(!accepts(&frame(MAC, 0x1234, &[])));
    }

    #[test]
    fn a_bridge_gets_all_but_what_is_for_the_host() {
        let accepts = |frame: &[u8]| accepts(PacketView::Bridge(MAC), frame, Tag::Absent);
        assert!(!accepts(&frame(MAC, IPV4, &[])));
        assert!(accepts(&frame(OTHER, IPV4, &[])));
        assert!(accepts(&frame(MacAddr::new([2, 9, 2, 3, 4, 5]), IPV4, &[])));
        assert!(accepts(&frame(BROADCAST, 0x1234, &[])));
    }

    #[test]
    fn no_view_has_tagged_frames() {
        for view in [
            PacketView::Station(MAC),
            PacketView::Configuration(MAC),
            PacketView::Bridge(OTHER),
        ] {
            assert!(accepts(view, &frame(MAC, ARP, &[]), Tag::Absent));
            assert!(!accepts(view, &frame(MAC, ARP, &[]), Tag::Present));
        }
    }
}
