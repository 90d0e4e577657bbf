//! Frames of four flows that a seeded generator builds and then breaks in a few places: flows 0 and 1 over IPv4, 2 and 3
//! over IPv6, and those with an even number with partial checksums.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_smoke::Source;

use crate::checksum::Sum;
use crate::{IpProtocol, VnetHdr};

/// A frame as it comes from a TAP.
pub(super) struct GeneratedFrame {
    header: [u8; VnetHdr::LEN],
    frame: Vec<u8>,
}

impl GeneratedFrame {
    /// Returns a whole frame. The checksum in `l4`, header and payload, is at `checksum_at` and zero still.
    pub(super) fn new(
        source: &mut Source,
        flow: u8,
        id: u8,
        protocol: IpProtocol,
        l4: &[u8],
        checksum_at: u8,
    ) -> Self {
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
        let l4_len = u16::try_from(l4.len()).unwrap();
        let pseudo = if flow < 2 {
            let (src, dst) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
            frame.extend([8, 0, 0x45, 0]);
            frame.extend((20 + l4_len).to_be_bytes());
            let fragment = source.pick(&[0x40, 0x40, 0]);
            frame.extend([0, id, fragment, 0, 64, protocol.0, 0, 0]);
            frame.extend([src.octets(), dst.octets()].as_flattened());
            let checksum = Sum::of(&frame[14..]).checksum();
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
            Sum::pseudo_v4(src, dst, protocol, l4_len)
        } else {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(l4_len.to_be_bytes());
            frame.extend([protocol.0, 64]);
            let address = Ipv6Addr::LOCALHOST;
            frame.extend([address.octets(), address.octets()].as_flattened());
            Sum::pseudo_v6(address, address, protocol, l4_len.into())
        };
        let l4_at = frame.len();
        frame.extend(l4);
        let mut header = [0; VnetHdr::LEN];
        let checksum = if flow.is_multiple_of(2) {
            header[0] = 1;
            header[6..8].copy_from_slice(&u16::try_from(l4_at).unwrap().to_ne_bytes());
            header[8..10].copy_from_slice(&u16::from(checksum_at).to_ne_bytes());
            pseudo.fold()
        } else if protocol == IpProtocol::UDP {
            pseudo.and_bytes(l4).udp_checksum()
        } else {
            pseudo.and_bytes(l4).checksum()
        };
        let checksum_at = l4_at + usize::from(checksum_at);
        frame[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
        Self { header, frame }
    }

    /// Inverts a bit of one frame in eight, and puts one of `words` into the header of one in 64.
    pub(super) fn damage(&mut self, source: &mut Source, words: &[u8]) {
        for _ in 0..source.below(8).saturating_sub(6) {
            let at = source.below(self.frame.len());
            self.frame[at] ^= 1 << source.below(8);
        }
        if source.below(64) == 0 {
            self.header[source.below(VnetHdr::LEN)] = source.pick(words);
        }
    }

    /// Adds it to the input of a fuzz target, to one port or, if `is_aside`, the other.
    pub(super) fn write(&self, input: &mut Vec<u8>, is_aside: bool) {
        let [high, low] = u16::try_from(self.frame.len()).unwrap().to_be_bytes();
        input.extend([u8::from(is_aside), high, low]);
        input.extend(self.header);
        input.extend(&self.frame);
    }
}
