//! The IPv6 header (RFC 8200 §3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+---------------+---------------------------------------+
//! |Version| Traffic Class |              Flow Label               |
//! +-------+---------------+-------+---------------+---------------+
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! +-------------------------------+---------------+---------------+
//! |                    Source Address, 16 octets                  |
//! +---------------------------------------------------------------+
//! |                 Destination Address, 16 octets                |
//! +---------------------------------------------------------------+
//! ```
//!
//! What follows may be extension headers: [`Ipv6View::upper_layer`] walks them. Jumbograms (RFC 2675)
//! are not supported: a Payload Length of zero means that nothing follows.

use core::fmt;
use core::net::Ipv6Addr;

use super::{Extensions, HeaderError, HeaderName, IpProtocol, UpperLayer};
use crate::field::{get, put, u8_at, u16_at, u32_at};

const LEN: usize = 40;

/// An IPv6 packet whose header, and unless it was [quoted](Ipv6View::parse_quoted) whose payload, is
/// there in full.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6View<'a> {
    header: &'a [u8; LEN],
    payload: &'a [u8],
}

impl<'a> Ipv6View<'a> {
    /// Bytes of the header without extension headers.
    pub const LEN: usize = LEN;
    /// Extension headers that are walked at most. RFC 8200 §4.1 knows seven in its recommended order,
    /// each once but Destination Options; mobility, HIP and Shim6 exclude each other.
    pub const MAX_EXTENSIONS: usize = 8;

    /// Views the packet that starts at `data[0]`; what follows Payload Length is padding.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Version`]; [`HeaderError::Truncated`] when the packet is longer than `data`.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let view = Self::parse_quoted(data)?;
        let total_len = Self::LEN + usize::from(view.payload_len());
        if total_len > data.len() {
            return Err(HeaderError::truncated(
                HeaderName::Ipv6,
                total_len,
                data.len(),
            ));
        }
        Ok(view)
    }

    /// Views a packet that may be cut short after its header, as ICMP errors quote them
    /// (RFC 4443 §3).
    ///
    /// # Errors
    ///
    /// As [`Ipv6View::parse`], but only the header has to be there.
    #[inline]
    pub fn parse_quoted(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, rest)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Ipv6,
                Self::LEN,
                data.len(),
            ));
        };
        let version = u8_at::<0, _>(header) >> 4;
        if version != 6 {
            return Err(HeaderError::Version {
                header: HeaderName::Ipv6,
                version,
            });
        }
        let payload_len = usize::from(u16_at::<4, _>(header));
        Ok(Self {
            header,
            payload: rest.get(..payload_len).unwrap_or(rest),
        })
    }

    /// Returns the traffic class: DSCP and ECN.
    pub fn traffic_class(&self) -> u8 {
        let [high, low] = get::<0, 2, _>(self.header);
        (high << 4) | (low >> 4)
    }

    /// Returns the Differentiated Services code point (RFC 2474 §3), 0 to 63.
    pub fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// Returns the ECN field (RFC 3168 §5), 0 to 3.
    pub fn ecn(&self) -> u8 {
        self.traffic_class() & 0x03
    }

    /// Returns the flow label, 20 bits (RFC 6437).
    pub fn flow_label(&self) -> u32 {
        u32_at::<0, _>(self.header) & 0x000f_ffff
    }

    /// Returns the bytes after the header that the packet states, extension headers included.
    #[inline]
    pub fn payload_len(&self) -> u16 {
        u16_at::<4, _>(self.header)
    }

    /// Returns what follows the header: an extension header or the upper layer.
    #[inline]
    pub fn next_header(&self) -> IpProtocol {
        IpProtocol(u8_at::<6, _>(self.header))
    }

    /// Returns the hops that are left.
    pub fn hop_limit(&self) -> u8 {
        u8_at::<7, _>(self.header)
    }

    /// Returns the address that the packet comes from.
    #[inline]
    pub fn src(&self) -> Ipv6Addr {
        Ipv6Addr::from(get::<8, 16, _>(self.header))
    }

    /// Returns the address that the packet is for: the next one on its way if it has a Routing header.
    #[inline]
    pub fn dst(&self) -> Ipv6Addr {
        Ipv6Addr::from(get::<24, 16, _>(self.header))
    }

    /// Returns what follows the header, extension headers included, without padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Walks the extension headers.
    #[inline]
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.next_header(), self.payload)
    }

    /// Walks the extension headers to what they carry.
    ///
    /// # Errors
    ///
    /// What [`Extensions`] yields: a header cut short or misplaced, or too many of them.
    #[inline]
    pub fn upper_layer(&self) -> Result<UpperLayer<'a>, HeaderError> {
        self.extensions().upper_layer()
    }
}

impl fmt::Display for Ipv6View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IP6 {} > {}: ", self.src(), self.dst())?;
        for extension in self.extensions().flatten() {
            write!(f, "{} ", extension.kind)?;
        }
        if let Ok(upper) = self.upper_layer() {
            write!(f, "{}, ", upper.protocol)?;
        }
        write!(
            f,
            "hlim {}, length {}",
            self.hop_limit(),
            self.payload_len()
        )
    }
}

/// An IPv6 header, to be changed in place. It has no checksum of its own.
#[derive(Debug)]
pub struct Ipv6Mut<'a> {
    header: &'a mut [u8; Ipv6View::LEN],
}

impl<'a> Ipv6Mut<'a> {
    /// Opens the header that starts at `data[0]`.
    ///
    /// # Errors
    ///
    /// As [`Ipv6View::parse_quoted`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, HeaderError> {
        Ipv6View::parse_quoted(data)?;
        let present = data.len();
        let header = data
            .first_chunk_mut()
            .ok_or_else(|| HeaderError::truncated(HeaderName::Ipv6, Ipv6View::LEN, present))?;
        Ok(Self { header })
    }

    /// Sets the traffic class: DSCP and ECN.
    pub fn set_traffic_class(&mut self, class: u8) {
        let [high, low] = get::<0, 2, _>(self.header);
        let field = [(high & 0xf0) | (class >> 4), (class << 4) | (low & 0x0f)];
        put::<0, 2, _>(self.header, field);
    }

    /// Sets the bytes after the header, extension headers included.
    pub fn set_payload_len(&mut self, len: u16) {
        put::<4, 2, _>(self.header, len.to_be_bytes());
    }

    /// Sets the hops that are left.
    pub fn set_hop_limit(&mut self, hops: u8) {
        put::<7, 1, _>(self.header, [hops]);
    }

    /// Sets the address that the packet comes from.
    pub fn set_src(&mut self, addr: Ipv6Addr) {
        put::<8, 16, _>(self.header, addr.octets());
    }

    /// Sets the address that the packet is for.
    pub fn set_dst(&mut self, addr: Ipv6Addr) {
        put::<24, 16, _>(self.header, addr.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut packet = vec![0x6b, 0x71, 0x23, 0x45, 0, 4, 17, 64];
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        packet.extend([1, 2, 3, 4, 0xa5, 0xa5]);
        packet
    }

    #[test]
    fn fields_are_read_and_padding_is_no_payload() {
        let packet = packet();
        let view = Ipv6View::parse(&packet).unwrap();
        assert_eq!(view.traffic_class(), 0xb7);
        assert_eq!((view.dscp(), view.ecn()), (0x2d, 3));
        assert_eq!(view.flow_label(), 0x12345);
        assert_eq!(view.payload_len(), 4);
        assert_eq!(view.next_header(), IpProtocol::UDP);
        assert_eq!(view.payload(), [1, 2, 3, 4]);
        assert_eq!(
            view.to_string(),
            "IP6 fd00::1 > fd00::2: UDP, hlim 64, length 4"
        );
    }

    #[test]
    fn lengths_and_versions_that_cannot_be_are_refused() {
        let mut packet = packet();
        for len in 0..44 {
            assert!(Ipv6View::parse(&packet[..len]).is_err(), "{len}");
        }
        let quoted = Ipv6View::parse_quoted(&packet[..41]).unwrap();
        assert_eq!(quoted.payload(), [1]);
        packet[5] = 7;
        assert_eq!(
            Ipv6View::parse(&packet).map(|_| ()),
            Err(HeaderError::truncated(HeaderName::Ipv6, 47, 46))
        );
        packet[0] = 0x45;
        let version = HeaderError::Version {
            header: HeaderName::Ipv6,
            version: 4,
        };
        assert_eq!(Ipv6View::parse(&packet).map(|_| ()), Err(version));
    }

    #[test]
    fn fields_are_replaced_in_place() {
        let mut packet = packet();
        let mut header = Ipv6Mut::parse(&mut packet).unwrap();
        header.set_traffic_class(0x48);
        header.set_payload_len(2);
        header.set_hop_limit(9);
        header.set_src(Ipv6Addr::LOCALHOST);
        header.set_dst(Ipv6Addr::UNSPECIFIED);
        let view = Ipv6View::parse(&packet).unwrap();
        assert_eq!(view.traffic_class(), 0x48);
        assert_eq!(view.flow_label(), 0x12345);
        assert_eq!(view.to_string(), "IP6 ::1 > ::: UDP, hlim 9, length 2");
    }
}
