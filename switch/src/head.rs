//! What the decision reads of a frame: addresses, VLAN tag, and how long its packets would be.
//!
//! A tag is no part of the packet, nor is a second one: both are skipped to find its length.

use tapweave_net::{
    ChecksumOffload, EtherType, EthernetView, GsoKind, MacAddr, Offload, TcpView, UdpView, VlanTag,
};

use crate::DropReason;

/// The octet of the TCP header whose high half is the header length in words (RFC 9293 §3.1).
const TCP_DATA_OFFSET: usize = 12;

/// The layer-2 head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) destination: MacAddr,
    pub(crate) source: MacAddr,
    /// The 802.1Q tag right behind the addresses; a service tag (0x88a8) is none.
    pub(crate) tag: Option<VlanTag>,
    /// Bytes before the packet: Ethernet header and tags.
    pub(crate) len: usize,
}

impl Head {
    /// Reads the head of a frame. `None` when the frame ends before its EtherType does.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let view = EthernetView::parse(frame).ok()?;
        Some(Self {
            destination: view.dst(),
            source: view.src(),
            tag: view
                .tags()
                .outer()
                .filter(|_| view.outer_ethertype() == EtherType::VLAN),
            len: frame.len() - view.payload().len(),
        })
    }

    /// Returns the length of the largest packet (L3) that `frame` is or would be cut into.
    ///
    /// For a super-frame that is its L3 and L4 headers and one segment; where L4 begins is told by the
    /// partial checksum, which every super-frame has.
    ///
    /// # Errors
    ///
    /// [`DropReason::BadOffload`] when the headers that a super-frame claims are not there, or a
    /// checksum is to start before the packet does.
    pub(crate) fn packet_len(&self, frame: &[u8], offload: Offload) -> Result<usize, DropReason> {
        let whole = frame.len() - self.len;
        let l4 = match offload.checksum {
            ChecksumOffload::Partial { start, .. } if usize::from(start) < self.len => {
                return Err(DropReason::BadOffload);
            }
            ChecksumOffload::Partial { start, .. } => Some(usize::from(start)),
            ChecksumOffload::Complete | ChecksumOffload::Validated => None,
        };
        let Some(gso) = offload.gso else {
            return Ok(whole);
        };
        let l4 = l4.ok_or(DropReason::BadOffload)?;
        let l4_len = match gso.kind {
            GsoKind::Udp => UdpView::LEN,
            GsoKind::TcpV4 | GsoKind::TcpV6 => {
                let octet = frame
                    .get(l4 + TCP_DATA_OFFSET)
                    .ok_or(DropReason::BadOffload)?;
                usize::from(octet >> 4) * 4
            }
        };
        let tcp_too_short = gso.kind != GsoKind::Udp && l4_len < TcpView::LEN;
        if tcp_too_short || l4 + l4_len > frame.len() {
            return Err(DropReason::BadOffload);
        }
        Ok(whole.min(l4 - self.len + l4_len + usize::from(gso.size)))
    }

    /// Returns how many frames `frame` would be cut into, for one whose [`Head::packet_len`] is known.
    pub(crate) fn segment_count(&self, frame: &[u8], offload: Offload) -> u64 {
        let (Some(gso), Ok(largest)) = (offload.gso, self.packet_len(frame, offload)) else {
            return 1;
        };
        let size = usize::from(gso.size).max(1);
        // Less than the headers only when everything fits one segment.
        let headers_len = largest.saturating_sub(size);
        let payload_len = frame.len() - self.len - headers_len;
        payload_len.div_ceil(size).max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use tapweave_net::Gso;

    use super::*;

    #[test]
    fn only_a_customer_tag_right_behind_the_addresses_is_the_tag() {
        let tag = |tags: &[u16]| Head::parse(&tagged(tags, 0)).unwrap().tag;
        let five = Some(VlanTag::from_tci(5));
        assert_eq!([tag(&[0x8100]), tag(&[0x8100, 0x8100])], [five; 2]);
        assert_eq!(
            [tag(&[]), tag(&[0x88a8]), tag(&[0x88a8, 0x8100])],
            [None; 3]
        );
    }

    #[test]
    fn a_checksum_that_starts_before_the_packet_is_refused() {
        let frame = tagged(&[0x8100], 40);
        let head = Head::parse(&frame).unwrap();
        let offload = |start| Offload {
            gso: None,
            ..super_frame(GsoKind::Udp, 8, start)
        };
        assert_eq!(head.packet_len(&frame, offload(18)), Ok(40));
        let refused = Err(DropReason::BadOffload);
        assert_eq!(head.packet_len(&frame, offload(17)), refused);
    }

    fn tagged(tags: &[u16], payload_len: usize) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 5]);
        }
        frame.extend([0x08, 0x00]);
        frame.resize(frame.len() + payload_len, 0xa5);
        frame
    }

    fn super_frame(kind: GsoKind, size: u16, start: u16) -> Offload {
        Offload {
            checksum: ChecksumOffload::Partial { start, offset: 6 },
            gso: Some(Gso {
                kind,
                ecn: false,
                size,
                header_len_hint: 0,
            }),
        }
    }

    #[test]
    fn up_to_two_tags_are_not_part_of_the_packet() {
        for (tags, len) in [
            (&[][..], 14),
            (&[0x8100], 18),
            (&[0x88a8, 0x8100], 22),
            (&[0x88a8, 0x8100, 0x8100], 22),
        ] {
            let frame = tagged(tags, 100);
            let head = Head::parse(&frame).unwrap();
            assert_eq!(head.len, len);
            assert_eq!(
                head.packet_len(&frame, Offload::NONE),
                Ok(frame.len() - len)
            );
        }
    }

    #[test]
    fn a_frame_that_ends_inside_its_head_is_none() {
        let frame = tagged(&[0x88a8, 0x8100], 0);
        assert!(Head::parse(&frame).is_some());
        for len in 0..frame.len() {
            assert_eq!(Head::parse(&frame[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_super_frame_is_as_long_as_its_segments() {
        let mut frame = tagged(&[0x8100], 9000);
        let l4 = 18 + 20;
        frame[l4 + TCP_DATA_OFFSET] = 0x80;
        let head = Head::parse(&frame).unwrap();
        let tcp = super_frame(GsoKind::TcpV4, 1448, 38);
        assert_eq!(head.packet_len(&frame, tcp), Ok(1500));
        let udp = super_frame(GsoKind::Udp, 1472, 38);
        assert_eq!(head.packet_len(&frame, udp), Ok(1500));
        let one = super_frame(GsoKind::Udp, 65_000, 38);
        assert_eq!(head.packet_len(&frame, one), Ok(9000));
    }

    #[test]
    fn a_super_frame_counts_as_the_frames_that_it_would_be_cut_into() {
        let mut frame = tagged(&[0x8100], 20 + 20 + 4000);
        frame[18 + 20 + TCP_DATA_OFFSET] = 0x50;
        let head = Head::parse(&frame).unwrap();
        let count = |offload| head.segment_count(&frame, offload);
        assert_eq!(count(Offload::NONE), 1);
        for (size, segments) in [(1000, 4), (999, 5), (4000, 1), (4001, 1), (1, 4000)] {
            let tcp = super_frame(GsoKind::TcpV4, size, 38);
            assert_eq!(count(tcp), segments, "{size}");
        }
        let udp = super_frame(GsoKind::Udp, 1003, 38);
        assert_eq!(count(udp), 4);
    }

    #[test]
    fn a_super_frame_without_its_headers_is_refused() {
        let mut frame = tagged(&[], 40);
        frame[34 + TCP_DATA_OFFSET] = 0x40;
        let head = Head::parse(&frame).unwrap();
        let no_checksum = Offload {
            checksum: ChecksumOffload::Complete,
            ..super_frame(GsoKind::Udp, 8, 34)
        };
        for offload in [
            no_checksum,
            super_frame(GsoKind::TcpV6, 8, 34),
            super_frame(GsoKind::TcpV6, 8, u16::MAX),
            super_frame(GsoKind::Udp, 8, 47),
            super_frame(GsoKind::Udp, 8, 13),
        ] {
            let refused = head.packet_len(&frame, offload);
            assert_eq!(refused, Err(DropReason::BadOffload), "{offload:?}");
        }
    }
}
