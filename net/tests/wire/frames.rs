//! Frames of every shape, described by a struct, built by etherparse.

use core::net::{Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use proptest::prelude::*;

/// What stands in a frame.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) tags: Vec<u16>,
    pub(crate) v6: bool,
    /// IPv4 options of 4 bytes each, or IPv6 Destination Options of 8 bytes each.
    pub(crate) extras: usize,
    pub(crate) l4: L4,
    pub(crate) id: u16,
    pub(crate) seq: u32,
    pub(crate) ports: [u16; 2],
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum L4 {
    /// With these flags and timestamps or not.
    Tcp {
        flags: u8,
        timestamps: bool,
    },
    Udp,
    Icmp,
}

pub(crate) const SRC_V4: Ipv4Addr = Ipv4Addr::new(10, 192, 0, 2);
pub(crate) const DST_V4: Ipv4Addr = Ipv4Addr::new(10, 192, 0, 3);
pub(crate) const SRC_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 2);
pub(crate) const DST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 3);

impl Shape {
    /// Builds the frame; its checksums are right.
    pub(crate) fn build(&self) -> Vec<u8> {
        let l3 = self.l3_packet();
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
        for (place, tag) in self.tags.iter().enumerate() {
            let outer = place == 0 && self.tags.len() == 2;
            frame.extend(if outer { [0x88, 0xa8] } else { [0x81, 0x00] });
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(if self.v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        frame.extend(l3);
        frame
    }

    fn l3_packet(&self) -> Vec<u8> {
        let step = if self.v6 {
            PacketBuilder::ipv6(SRC_V6.octets(), DST_V6.octets(), 64)
        } else {
            PacketBuilder::ipv4(SRC_V4.octets(), DST_V4.octets(), 64)
        };
        let mut packet = Vec::new();
        let [src, dst] = self.ports;
        match self.l4 {
            L4::Udp => step.udp(src, dst).write(&mut packet, &self.payload),
            L4::Tcp { flags, timestamps } => {
                let mut tcp = etherparse::TcpHeader::new(src, dst, self.seq, 64_000);
                tcp.acknowledgment_number = 7;
                tcp.fin = flags & 1 != 0;
                tcp.syn = flags & 2 != 0;
                tcp.rst = flags & 4 != 0;
                tcp.psh = flags & 8 != 0;
                tcp.ack = flags & 16 != 0;
                tcp.urg = flags & 32 != 0;
                tcp.ece = flags & 64 != 0;
                tcp.cwr = flags & 128 != 0;
                if timestamps {
                    use etherparse::TcpOptionElement::{Noop, Timestamp};
                    tcp.set_options(&[Noop, Noop, Timestamp(1, 2)]).unwrap();
                }
                step.tcp_header(tcp).write(&mut packet, &self.payload)
            }
            L4::Icmp if self.v6 => step
                .icmpv6_echo_request(src, dst)
                .write(&mut packet, &self.payload),
            L4::Icmp => step
                .icmpv4_echo_request(src, dst)
                .write(&mut packet, &self.payload),
        }
        .unwrap();
        if self.v6 {
            self.with_v6_extras(&packet)
        } else {
            self.with_v4_extras(&packet)
        }
    }

    /// Puts options into the header and the identification.
    fn with_v4_extras(&self, packet: &[u8]) -> Vec<u8> {
        let (mut header, rest) = etherparse::Ipv4Header::from_slice(packet).unwrap();
        header.identification = self.id;
        let router_alert = [0x94, 4, 0, 0].repeat(self.extras);
        let extra = u16::try_from(router_alert.len()).unwrap();
        header.total_len += extra;
        header.options = router_alert.as_slice().try_into().unwrap();
        header.header_checksum = header.calc_header_checksum();
        let mut out = Vec::new();
        header.write(&mut out).unwrap();
        out.extend(rest);
        out
    }

    /// Puts Destination Options before the upper layer.
    fn with_v6_extras(&self, packet: &[u8]) -> Vec<u8> {
        let mut out = packet[..40].to_vec();
        let upper = out[6];
        let extra = u16::try_from(self.extras * 8).unwrap();
        let len = u16::from_be_bytes([out[4], out[5]]) + extra;
        out[4..6].copy_from_slice(&len.to_be_bytes());
        if self.extras > 0 {
            out[6] = 60;
        }
        for left in (0..self.extras).rev() {
            let next = if left == 0 { upper } else { 60 };
            out.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        }
        out.extend(&packet[40..]);
        out
    }
}

/// Yields shapes with up to `max_payload` bytes of payload.
pub(crate) fn shape(max_payload: usize) -> impl Strategy<Value = Shape> {
    let tags = prop::collection::vec(any::<u16>(), 0..=2);
    let l4 = prop_oneof![
        3 => (any::<u8>(), any::<bool>())
            .prop_map(|(flags, timestamps)| L4::Tcp { flags, timestamps }),
        2 => Just(L4::Udp),
        1 => Just(L4::Icmp),
    ];
    let numbers = (any::<u16>(), any::<u32>(), any::<[u16; 2]>());
    let payload = prop::collection::vec(any::<u8>(), 0..=max_payload);
    (tags, any::<bool>(), 0_usize..4, l4, numbers, payload).prop_map(
        |(tags, v6, extras, l4, (id, seq, ports), payload)| Shape {
            tags,
            v6,
            extras,
            l4,
            id,
            seq,
            ports,
            payload,
        },
    )
}
