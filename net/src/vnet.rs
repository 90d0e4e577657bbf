//! The `virtio_net_hdr` that stands before every frame of a TAP opened with `IFF_VNET_HDR`.
//!
//! Layout: Virtio 1.2 §5.1.6 and `include/uapi/linux/virtio_net.h`, with `num_buffers`
//! (`TUNSETVNETHDRSZ` 12). A TUN device speaks the legacy format, so numbers are in the byte order of
//! the machine (`man 4 tun`, `TUNSETVNETLE` not used).
//!
//! ```text
//!  0       1          2        4         6            8              10           12
//!  | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset | num_buffers |
//! ```

use thiserror::Error;

use crate::{ChecksumOffload, Gso, GsoKind, Offload};

const FLAG_NEEDS_CSUM: u8 = 1;
const FLAG_DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// The first byte after a MAC header: no checksum starts before it.
const L3_START: u16 = 14;

/// The header, decoded but not yet believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VnetHdr {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
    num_buffers: u16,
}

/// A header that does not fit the frame behind it, or asks for something that does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum VnetHdrError {
    /// Not a kind of segmentation that exists today (UFO, number 3, was withdrawn).
    #[error("gso_type {0:#04x} is not supported")]
    GsoType(u8),
    /// Segments of no bytes.
    #[error("gso_size is zero")]
    GsoSize,
    /// A super-frame whose checksum is said to be complete already.
    #[error("segmentation without a partial checksum")]
    GsoWithoutChecksum,
    /// The checksum field lies outside the frame.
    #[error("checksum at {start} + {offset} lies outside a frame of {frame_len} bytes")]
    ChecksumRange {
        /// `csum_start`.
        start: u16,
        /// `csum_offset`.
        offset: u16,
        /// Bytes of the frame.
        frame_len: usize,
    },
    /// More header than frame.
    #[error("hdr_len {hdr_len} exceeds a frame of {frame_len} bytes")]
    HeaderLen {
        /// `hdr_len`.
        hdr_len: u16,
        /// Bytes of the frame.
        frame_len: usize,
    },
}

impl VnetHdr {
    /// Bytes of the header.
    pub const LEN: usize = 12;

    /// Decodes the header.
    pub const fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let b = bytes;
        Self {
            flags: b[0],
            gso_type: b[1],
            hdr_len: u16::from_ne_bytes([b[2], b[3]]),
            gso_size: u16::from_ne_bytes([b[4], b[5]]),
            csum_start: u16::from_ne_bytes([b[6], b[7]]),
            csum_offset: u16::from_ne_bytes([b[8], b[9]]),
            num_buffers: u16::from_ne_bytes([b[10], b[11]]),
        }
    }

    /// Encodes the header.
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        let [n0, n1] = self.num_buffers.to_ne_bytes();
        [
            self.flags,
            self.gso_type,
            h0,
            h1,
            g0,
            g1,
            s0,
            s1,
            o0,
            o1,
            n0,
            n1,
        ]
    }

    /// Returns the header of a frame whose packet, without MAC header, this is the header of.
    #[must_use]
    pub const fn with_mac_header(mut self) -> Self {
        self.hdr_len = self.hdr_len.saturating_add(L3_START);
        self.csum_start = self.csum_start.saturating_add(L3_START);
        self
    }

    /// Returns the header of the packet, without MAC header, in a frame that this is the header of.
    #[must_use]
    pub const fn without_mac_header(mut self) -> Self {
        self.hdr_len = self.hdr_len.saturating_sub(L3_START);
        self.csum_start = self.csum_start.saturating_sub(L3_START);
        self
    }

    /// Returns what the header says is left to do on a frame of `frame_len` bytes.
    ///
    /// # Errors
    ///
    /// Refuses what the frame cannot bear: see [`VnetHdrError`]. A refused frame must not be
    /// forwarded, because every other reader of the header would trip over it too.
    pub fn offload(&self, frame_len: usize) -> Result<Offload, VnetHdrError> {
        if usize::from(self.hdr_len) > frame_len {
            return Err(VnetHdrError::HeaderLen {
                hdr_len: self.hdr_len,
                frame_len,
            });
        }
        let checksum = if self.flags & FLAG_NEEDS_CSUM != 0 {
            self.partial_checksum(frame_len)?
        } else if self.flags & FLAG_DATA_VALID != 0 {
            ChecksumOffload::Validated
        } else {
            ChecksumOffload::Complete
        };
        let kind = match self.gso_type & !GSO_ECN {
            GSO_NONE => {
                return Ok(Offload {
                    checksum,
                    gso: None,
                });
            }
            GSO_TCPV4 => GsoKind::TcpV4,
            GSO_TCPV6 => GsoKind::TcpV6,
            GSO_UDP_L4 => GsoKind::Udp,
            _ => return Err(VnetHdrError::GsoType(self.gso_type)),
        };
        if self.gso_size == 0 {
            return Err(VnetHdrError::GsoSize);
        }
        if !matches!(checksum, ChecksumOffload::Partial { .. }) {
            return Err(VnetHdrError::GsoWithoutChecksum);
        }
        let ecn = self.gso_type & GSO_ECN != 0;
        let gso = Gso {
            kind,
            ecn,
            size: self.gso_size,
            header_len_hint: self.hdr_len,
        };
        Ok(Offload {
            checksum,
            gso: Some(gso),
        })
    }

    fn partial_checksum(&self, frame_len: usize) -> Result<ChecksumOffload, VnetHdrError> {
        let (start, offset) = (self.csum_start, self.csum_offset);
        let end = usize::from(start) + usize::from(offset) + 2;
        if start < L3_START || end > frame_len {
            return Err(VnetHdrError::ChecksumRange {
                start,
                offset,
                frame_len,
            });
        }
        Ok(ChecksumOffload::Partial { start, offset })
    }
}

impl From<Offload> for VnetHdr {
    fn from(offload: Offload) -> Self {
        let mut header = Self::default();
        match offload.checksum {
            ChecksumOffload::Complete => {}
            ChecksumOffload::Validated => header.flags = FLAG_DATA_VALID,
            ChecksumOffload::Partial { start, offset } => {
                header.flags = FLAG_NEEDS_CSUM;
                header.csum_start = start;
                header.csum_offset = offset;
            }
        }
        if let Some(gso) = offload.gso {
            header.gso_type = match gso.kind {
                GsoKind::TcpV4 => GSO_TCPV4,
                GsoKind::TcpV6 => GSO_TCPV6,
                GsoKind::Udp => GSO_UDP_L4,
            };
            if gso.ecn {
                header.gso_type |= GSO_ECN;
            }
            header.gso_size = gso.size;
            header.hdr_len = gso.header_len_hint;
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPER_FRAME: Offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: true,
            size: 1448,
            header_len_hint: 66,
        }),
    };

    fn raw(flags: u8, gso_type: u8, fields: [u16; 4]) -> VnetHdr {
        let [hdr_len, gso_size, csum_start, csum_offset] = fields;
        VnetHdr {
            flags,
            gso_type,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
            num_buffers: 0,
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_tcp_super_frame_has_the_bytes_that_the_kernel_uses() {
        let bytes = VnetHdr::from(SUPER_FRAME).encode();
        assert_eq!(bytes, [1, 0x81, 66, 0, 0xa8, 0x05, 34, 0, 16, 0, 0, 0]);
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_offload() {
        let validated = Offload {
            checksum: ChecksumOffload::Validated,
            gso: None,
        };
        for offload in [SUPER_FRAME, Offload::NONE, validated] {
            let header = VnetHdr::decode(&VnetHdr::from(offload).encode());
            assert_eq!(header.offload(65_226), Ok(offload));
        }
    }

    #[test]
    fn offsets_of_a_packet_are_those_of_its_frame_less_the_mac_header() {
        let of_frame = VnetHdr::from(SUPER_FRAME);
        let of_packet = of_frame.without_mac_header();
        assert_eq!((of_packet.hdr_len, of_packet.csum_start), (52, 20));
        assert_eq!(of_packet.with_mac_header(), of_frame);
        let none = VnetHdr::default();
        assert_eq!(
            none.without_mac_header().with_mac_header().offload(60),
            Ok(Offload::NONE)
        );
        let last = raw(1, 0, [!0, 0, !0, 0]).with_mac_header();
        last.offload(60).unwrap_err();
    }

    #[test]
    fn a_header_that_does_not_fit_its_frame_is_refused() {
        let range = |start, offset| VnetHdrError::ChecksumRange {
            start,
            offset,
            frame_len: 60,
        };
        assert_eq!(raw(1, 0, [0, 0, 34, 25]).offload(60), Err(range(34, 25)));
        assert_eq!(raw(1, 0, [0, 0, 13, 16]).offload(60), Err(range(13, 16)));
        assert_eq!(
            raw(1, 0, [0, 0, u16::MAX, u16::MAX]).offload(60),
            Err(range(!0, !0))
        );
        let last = ChecksumOffload::Partial {
            start: 34,
            offset: 24,
        };
        assert_eq!(
            raw(1, 0, [0, 0, 34, 24])
                .offload(60)
                .map(|offload| offload.checksum),
            Ok(last)
        );
        let long = VnetHdrError::HeaderLen {
            hdr_len: 61,
            frame_len: 60,
        };
        assert_eq!(raw(0, 0, [61, 0, 0, 0]).offload(60), Err(long));
    }

    #[test]
    fn segmentation_that_cannot_be_done_is_refused() {
        assert_eq!(
            raw(1, 3, [0, 8, 34, 6]).offload(60),
            Err(VnetHdrError::GsoType(3))
        );
        assert_eq!(
            raw(1, 1, [0, 0, 34, 16]).offload(60),
            Err(VnetHdrError::GsoSize)
        );
        assert_eq!(
            raw(0, 1, [0, 8, 34, 16]).offload(60),
            Err(VnetHdrError::GsoWithoutChecksum)
        );
    }
}
