//! How a frame stands in what one read of a device returns and one write takes.
//!
//! Before the frame stands a `virtio_net_hdr`, if any. A TUN has no Ethernet header: one is put before
//! the packet when it is read, over the `virtio_net_hdr` that has been understood by then, and cut off
//! when it is written. So everybody inside sees Ethernet frames, and no byte of a packet is copied.
//!
//! ```text
//!            HEADROOM-26  HEADROOM-14   HEADROOM-12        HEADROOM
//!  TAP                                  | virtio_net_hdr   | Ethernet header | packet …
//!  TUN read                             | virtio_net_hdr   | packet …
//!  TUN as seen            | Ethernet header …              | packet …
//! ```

use std::io;

use tapweave_net::{EtherType, Frame, MacAddr, Offload, OffloadSet, VnetHdr};

use crate::queue::{HEADROOM, Received};

/// Bytes of a `virtio_net_hdr` without `num_buffers`.
const SHORT_HEADER_LEN: usize = 10;

/// Bytes of an Ethernet header without tags.
const ETHERNET_LEN: usize = 14;

/// Who a packet of a TUN is from, on the Ethernet header that is put before it: the host.
const TUN_FAR_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

/// Whom it is for: us.
const TUN_NEAR_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

/// What stands before each frame of a device, and what may be left to do on a frame that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Bare, complete frames (a TAP without `IFF_VNET_HDR`).
    Plain,
    /// A `virtio_net_hdr` of 12 bytes (a TAP; a packet socket with `PACKET_VNET_HDR_SZ`).
    VnetHdr(OffloadSet),
    /// A `virtio_net_hdr` of 10 bytes (a packet socket before Linux 6.6).
    ShortVnetHdr(OffloadSet),
    /// A `virtio_net_hdr` of 12 bytes and no Ethernet header (a TUN).
    Packet(OffloadSet),
}

impl Framing {
    /// Returns what may be left to do on a frame that is written.
    pub const fn offloads(self) -> OffloadSet {
        match self {
            Self::Plain => OffloadSet::EMPTY,
            Self::VnetHdr(offloads) | Self::ShortVnetHdr(offloads) | Self::Packet(offloads) => {
                offloads
            }
        }
    }

    /// Returns where in a buffer a read begins, so that the Ethernet frame or, of a TUN, the packet
    /// begins at [`HEADROOM`].
    pub(crate) const fn read_start(self) -> usize {
        HEADROOM - self.header_len()
    }

    const fn header_len(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::VnetHdr(_) | Self::Packet(_) => VnetHdr::LEN,
            Self::ShortVnetHdr(_) => SHORT_HEADER_LEN,
        }
    }

    /// Returns the frame that a read of `len` bytes has brought into `buf` from its byte `start` on.
    /// `start` is at least what [`Framing::read_start`] of a TAP is.
    ///
    /// # Errors
    ///
    /// When there is less than a header: the device is not set up as this says.
    pub(crate) fn decode(
        self,
        buf: &mut [u8],
        start: usize,
        len: usize,
    ) -> io::Result<Received<'_>> {
        let header_len = self.header_len();
        let buf = buf.get_mut(..start + len).unwrap_or_default();
        let Some(frame_len) = len.checked_sub(header_len) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let frame_start = start + header_len;
        let Some(header) = buf.get(start..frame_start) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let header = match header.first_chunk() {
            Some(header) => VnetHdr::decode(header),
            None => VnetHdr::decode(&lengthened(header)),
        };
        let (offload, frame_start) = match self {
            Self::Plain => (Ok(Offload::NONE), frame_start),
            Self::VnetHdr(_) | Self::ShortVnetHdr(_) => (header.offload(frame_len), frame_start),
            Self::Packet(_) => {
                let frame_start = frame_start.saturating_sub(ETHERNET_LEN);
                put_ethernet_header(buf, frame_start);
                let header = header.with_mac_header();
                (header.offload(frame_len + ETHERNET_LEN), frame_start)
            }
        };
        Ok(match offload {
            Ok(offload) => Received::Frame(Frame::new(buf, frame_start, offload)),
            Err(error) => Received::Malformed(error),
        })
    }

    /// Returns what has to be written to send `frame`, in one piece; `None` when there is no room for a
    /// header in front. The frame itself stays as it is, except that a TUN's header takes the place of
    /// its Ethernet header.
    pub(crate) fn encode<'f>(self, frame: &'f mut Frame<'_>) -> Option<&'f [u8]> {
        let header = VnetHdr::from(frame.offload());
        match self {
            Self::Plain => Some(frame.data()),
            Self::VnetHdr(_) => frame.with_header(header.encode()),
            Self::ShortVnetHdr(_) => frame.with_header(short(header)),
            Self::Packet(_) => {
                let bytes = frame.data_mut().get_mut(ETHERNET_LEN - VnetHdr::LEN..)?;
                *bytes.first_chunk_mut()? = header.without_mac_header().encode();
                Some(bytes)
            }
        }
    }

    /// Returns header and body of what has to be written to send `frame`, which stays as it is.
    pub(crate) fn parts<'f>(self, frame: &'f Frame<'_>) -> (FrameHeader, &'f [u8]) {
        let header = VnetHdr::from(frame.offload());
        let (header, len) = match self {
            Self::Packet(_) => (header.without_mac_header(), VnetHdr::LEN),
            Self::Plain | Self::VnetHdr(_) | Self::ShortVnetHdr(_) => (header, self.header_len()),
        };
        let body = match self {
            Self::Packet(_) => frame.data().get(ETHERNET_LEN..).unwrap_or_default(),
            Self::Plain | Self::VnetHdr(_) | Self::ShortVnetHdr(_) => frame.data(),
        };
        let bytes = header.encode();
        (FrameHeader { bytes, len }, body)
    }
}

/// The bytes that go before a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHeader {
    bytes: [u8; VnetHdr::LEN],
    len: usize,
}

impl FrameHeader {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Returns a header to which zeroes are added.
fn lengthened(header: &[u8]) -> [u8; VnetHdr::LEN] {
    let mut bytes = [0; VnetHdr::LEN];
    for (to, from) in bytes.iter_mut().zip(header) {
        *to = *from;
    }
    bytes
}

fn short(header: VnetHdr) -> [u8; SHORT_HEADER_LEN] {
    header.encode().first_chunk().copied().unwrap_or_default()
}

/// Makes the Ethernet header of the packet that begins [`ETHERNET_LEN`] bytes after `start`. A packet
/// of no known version gets EtherType 0, which nobody takes.
fn put_ethernet_header(buf: &mut [u8], start: usize) {
    let version = buf.get(start + ETHERNET_LEN).map(|byte| byte >> 4);
    let ether_type = match version {
        Some(4) => EtherType::IPV4,
        Some(6) => EtherType::IPV6,
        _ => EtherType(0),
    };
    let Some(header) = buf.get_mut(start..).and_then(<[u8]>::first_chunk_mut) else {
        return;
    };
    let [to @ .., type_high, type_low]: &mut [u8; ETHERNET_LEN] = header;
    let macs = [TUN_NEAR_MAC.octets(), TUN_FAR_MAC.octets()].into_iter();
    for (to, from) in to.iter_mut().zip(macs.flatten()) {
        *to = from;
    }
    [*type_high, *type_low] = ether_type.0.to_be_bytes();
}

#[cfg(test)]
mod tests {
    use tapweave_net::{ChecksumOffload, Gso, GsoKind};

    use super::*;

    const OFFLOAD: Offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: 20,
            header_len_hint: 54,
        }),
    };

    const KINDS: [Framing; 4] = [
        Framing::Plain,
        Framing::VnetHdr(OffloadSet::ALL),
        Framing::ShortVnetHdr(OffloadSet::ALL),
        Framing::Packet(OffloadSet::ALL),
    ];

    /// An IPv4 packet of 80 bytes behind an Ethernet header, at `start`.
    fn buffer(start: usize) -> Vec<u8> {
        let mut buf = vec![0xa5; start + ETHERNET_LEN + 80];
        buf[start + 12..][..3].copy_from_slice(&[8, 0, 0x45]);
        buf
    }

    fn offload_of(framing: Framing) -> Offload {
        if framing == Framing::Plain {
            Offload::NONE
        } else {
            OFFLOAD
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_frame() {
        for framing in KINDS {
            let offload = offload_of(framing);
            let mut buf = buffer(HEADROOM);
            let mut frame = Frame::new(&mut buf, HEADROOM, offload);
            let expected = frame.data()[12..].to_vec();
            let (header, body) = framing.parts(&frame);
            let parts = [header.as_bytes(), body].concat();
            let written = framing.encode(&mut frame).unwrap().to_vec();
            assert_eq!(written, parts);
            let mut read = vec![0xa5; framing.read_start()];
            read.extend(&written);
            let start = framing.read_start();
            let decoded = framing.decode(&mut read, start, written.len()).unwrap();
            let Received::Frame(frame) = decoded else {
                panic!("{framing:?}: {decoded:?}");
            };
            assert_eq!(frame.data()[12..], expected, "{framing:?}");
            assert_eq!(frame.offload(), offload);
        }
    }

    #[test]
    fn a_tun_has_no_ethernet_header_and_counts_from_the_packet() {
        let mut buf = buffer(0);
        let mut frame = Frame::new(&mut buf, 0, OFFLOAD);
        let written = Framing::Packet(OffloadSet::ALL).encode(&mut frame).unwrap();
        let header = VnetHdr::decode(written.first_chunk().unwrap());
        assert_eq!(header, VnetHdr::from(OFFLOAD).without_mac_header());
        assert_eq!(written[VnetHdr::LEN], 0x45);
        assert_eq!(written.len(), VnetHdr::LEN + 80);
    }

    #[test]
    fn a_packet_of_a_tun_gets_the_type_of_its_version() {
        let framing = Framing::Packet(OffloadSet::ALL);
        for (first, ether_type) in [(0x45, 0x0800), (0x60, 0x86dd), (0x00, 0), (0xf0, 0)] {
            let mut buf = vec![0; HEADROOM + 40];
            buf[HEADROOM] = first;
            let start = framing.read_start();
            let decoded = framing.decode(&mut buf, start, VnetHdr::LEN + 40);
            let Ok(Received::Frame(frame)) = decoded else {
                panic!("{decoded:?}");
            };
            assert_eq!(frame.data().len(), ETHERNET_LEN + 40);
            assert_eq!(frame.data()[12..14], u16::to_be_bytes(ether_type));
            assert_eq!(frame.data()[..6], TUN_NEAR_MAC.octets());
        }
    }

    #[test]
    fn less_than_a_header_is_an_error_and_a_bad_header_a_malformed_frame() {
        for framing in KINDS {
            let start = framing.read_start();
            let mut buf = vec![0xff; HEADROOM + 40];
            let short = framing.header_len().saturating_sub(1);
            let decoded = framing.decode(&mut buf, start, short);
            assert_eq!(decoded.is_err(), framing != Framing::Plain, "{framing:?}");
            let len = framing.header_len() + 40;
            let decoded = framing.decode(&mut buf, start, len).unwrap();
            let malformed = matches!(decoded, Received::Malformed(_));
            assert_eq!(malformed, framing != Framing::Plain, "{framing:?}");
        }
    }

    #[test]
    fn an_empty_packet_of_a_tun_is_a_frame_that_nobody_takes() {
        let framing = Framing::Packet(OffloadSet::ALL);
        let mut buf = vec![0; HEADROOM];
        let decoded = framing.decode(&mut buf, framing.read_start(), VnetHdr::LEN);
        let Ok(Received::Frame(frame)) = decoded else {
            panic!("{decoded:?}");
        };
        assert_eq!(frame.data().len(), ETHERNET_LEN);
        assert_eq!(frame.data()[12..], [0, 0]);
    }

    #[test]
    fn a_frame_too_short_for_an_ethernet_header_is_not_written_to_a_tun_in_one_piece() {
        let framing = Framing::Packet(OffloadSet::ALL);
        let mut buf = [0; 13];
        let mut frame = Frame::new(&mut buf, 0, Offload::NONE);
        assert_eq!(framing.encode(&mut frame), None);
        assert!(framing.parts(&frame).1.is_empty());
    }
}
