//! A part of a fragmented packet: which packet it belongs to and where in it.

use core::net::IpAddr;

use tapweave_net::{Extension, FlowKey, IpProtocol, Ipv4View, Ipv6View, Network, ParsedFrame};

use super::Unreadable;

/// What all fragments of a packet have in common, as they stand (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DatagramId {
    /// Who sent it.
    pub src: IpAddr,
    /// Who gets it.
    pub dst: IpAddr,
    /// The Identification: 16 bits over IPv4, 32 over IPv6.
    pub id: u32,
    /// What IPv4 carries, since Identifications are counted for each protocol. Zero over IPv6, where
    /// the Next Header of fragments may differ.
    pub protocol: u8,
}

/// A part of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentPart {
    /// The packet that it belongs to.
    pub datagram: DatagramId,
    /// Where its payload begins in that of the whole, in bytes: a multiple of 8.
    pub start: u32,
    /// Where its payload ends, in bytes; beyond `start`, at most 65,535.
    pub end: u32,
    /// Bytes of headers at the start of the payload: those behind IPv6's Fragment header and that of
    /// L4. Zero in a later fragment.
    pub headers_len: u32,
    /// Whether this is the last part.
    pub is_last: bool,
}

/// Largest payload of an IP packet, in bytes.
const MAX_END: usize = 65_535;

impl FragmentPart {
    /// Reads the fragment in `data`, a frame that was parsed as `parsed`.
    ///
    /// # Errors
    ///
    /// [`Unreadable::FragmentLength`]; [`Unreadable::Mismatch`] when it is no fragment.
    #[cold]
    pub fn read(data: &[u8], parsed: &ParsedFrame) -> Result<Self, Unreadable> {
        let l3 = data.get(parsed.l3_offset()..).ok_or(Unreadable::Mismatch)?;
        let (id, protocol, start, more, header_len) = match parsed.network() {
            Network::V4 => {
                let ip = Ipv4View::parse(l3)?;
                let protocol = ip.protocol().0;
                let more = ip.more_fragments();
                (
                    ip.id().into(),
                    protocol,
                    ip.fragment_offset(),
                    more,
                    ip.header_len(),
                )
            }
            Network::V6 => {
                let ip = Ipv6View::parse(l3)?;
                let header = ip
                    .upper_layer()?
                    .fragment_header
                    .ok_or(Unreadable::Mismatch)?;
                let header_len = Ipv6View::LEN + fragment_header_end(&ip);
                (header.id, 0, header.offset, header.more, header_len)
            }
            Network::Other => return Err(Unreadable::NotIp),
        };
        let (src, dst) = match *parsed.flow() {
            FlowKey::V4 { src, dst, .. } => (src.into(), dst.into()),
            FlowKey::V6 { src, dst, .. } => (src.into(), dst.into()),
            FlowKey::Link { .. } => return Err(Unreadable::NotIp),
        };
        let payload_at = parsed.l3_offset() + header_len;
        let payload_len = parsed
            .l3_end()
            .checked_sub(payload_at)
            .ok_or(Unreadable::Mismatch)?;
        let start = usize::from(start);
        let end = start + payload_len;
        if payload_len == 0 || end > MAX_END || (more && !payload_len.is_multiple_of(8)) {
            return Err(Unreadable::FragmentLength);
        }
        let headers_len = parsed
            .payload_offset()
            .map_or(0, |at| at.saturating_sub(payload_at));
        let narrow = |len| u32::try_from(len).map_err(|_long| Unreadable::FragmentLength);
        Ok(Self {
            datagram: DatagramId {
                src,
                dst,
                id,
                protocol,
            },
            start: narrow(start)?,
            end: narrow(end)?,
            headers_len: narrow(headers_len)?,
            is_last: !more,
        })
    }
}

/// Returns where the Fragment header ends, in bytes behind the fixed header.
fn fragment_header_end(ip: &Ipv6View<'_>) -> usize {
    let mut len = 0;
    for Extension { kind, bytes } in ip.extensions().flatten() {
        len += bytes.len();
        if kind == IpProtocol::FRAGMENT {
            break;
        }
    }
    len
}
