//! The IPv4 header (RFC 791 §3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+-----------+---+-------------------------------+
//! |Version|  IHL  |   DSCP    |ECN|          Total Length         |
//! +-------+-------+-----------+---+-----+-------------------------+
//! |         Identification        |0|D|M|     Fragment Offset     |
//! +---------------+---------------+-------------------------------+
//! | Time to Live  |    Protocol   |        Header Checksum        |
//! +---------------+---------------+-------------------------------+
//! |                       Source Address                          |
//! +---------------------------------------------------------------+
//! |                    Destination Address                        |
//! +---------------------------------------------------------------+
//! |                    Options, 0 to 40 octets                    |
//! +---------------------------------------------------------------+
//! ```
//!
//! `parse` decides where the packet ends: at Total Length, never at the end of the buffer, so the
//! padding of short Ethernet frames is no payload. The header checksum is checked only on request.

use core::fmt;
use core::net::Ipv4Addr;

use super::{Fragment, HeaderError, HeaderName, IpProtocol, RawOptions};
use crate::checksum::{Delta, Sum};
use crate::field::{get, put, u8_at, u16_at};

const LEN: usize = 20;

/// An IPv4 packet whose header, and unless it was [quoted](Ipv4View::parse_quoted) whose payload, is
/// there in full.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4View<'a> {
    header: &'a [u8; LEN],
    options: &'a [u8],
    payload: &'a [u8],
}

const RESERVED: u16 = 0x8000;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

impl<'a> Ipv4View<'a> {
    /// Bytes of the header without options.
    pub const LEN: usize = LEN;
    /// Bytes of the header with the longest options.
    pub const MAX_LEN: usize = 60;

    /// Views the packet that starts at `data[0]`; what follows Total Length is padding.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Version`], [`HeaderError::Length`] when IHL or Total Length is below the header,
    /// [`HeaderError::Truncated`] when the packet is longer than `data`.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let view = Self::parse_quoted(data)?;
        let total_len = usize::from(view.total_len());
        if total_len > data.len() {
            return Err(HeaderError::truncated(
                HeaderName::Ipv4,
                total_len,
                data.len(),
            ));
        }
        Ok(view)
    }

    /// Views a packet that may be cut short after its header, as ICMP errors quote them
    /// (RFC 792; RFC 1812 §4.3.2.3).
    ///
    /// # Errors
    ///
    /// As [`Ipv4View::parse`], but only the header has to be there.
    #[inline]
    pub fn parse_quoted(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, rest)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Ipv4,
                Self::LEN,
                data.len(),
            ));
        };
        let version = u8_at::<0, _>(header) >> 4;
        if version != 4 {
            return Err(HeaderError::Version {
                header: HeaderName::Ipv4,
                version,
            });
        }
        let header_len = usize::from(u8_at::<0, _>(header) & 0x0f) * 4;
        let total_len = usize::from(u16_at::<2, _>(header));
        let Some(options_len) = header_len.checked_sub(Self::LEN) else {
            return Err(HeaderError::Length {
                header: HeaderName::Ipv4,
                stated: header_len,
            });
        };
        let Some(payload_len) = total_len.checked_sub(header_len) else {
            return Err(HeaderError::Length {
                header: HeaderName::Ipv4,
                stated: total_len,
            });
        };
        let Some((options, rest)) = rest.split_at_checked(options_len) else {
            return Err(HeaderError::truncated(
                HeaderName::Ipv4,
                header_len,
                data.len(),
            ));
        };
        Ok(Self {
            header,
            options,
            payload: rest.get(..payload_len).unwrap_or(rest),
        })
    }

    /// Returns the bytes of the header with its options, 20 to 60.
    #[inline]
    pub const fn header_len(&self) -> usize {
        Self::LEN + self.options.len()
    }

    /// Returns the Differentiated Services code point (RFC 2474 §3), 0 to 63.
    pub fn dscp(&self) -> u8 {
        u8_at::<1, _>(self.header) >> 2
    }

    /// Returns the ECN field (RFC 3168 §5), 0 to 3.
    pub fn ecn(&self) -> u8 {
        u8_at::<1, _>(self.header) & 0x03
    }

    /// Returns the octet of DSCP and ECN, which IPv6 calls the traffic class.
    #[inline]
    pub fn traffic_class(&self) -> u8 {
        u8_at::<1, _>(self.header)
    }

    /// Returns the bytes of header and payload that the packet states.
    #[inline]
    pub fn total_len(&self) -> u16 {
        u16_at::<2, _>(self.header)
    }

    /// Returns the Identification, which only has a meaning in fragments (RFC 6864 §4).
    pub fn id(&self) -> u16 {
        u16_at::<4, _>(self.header)
    }

    /// Tells whether the packet must not be fragmented.
    pub fn dont_fragment(&self) -> bool {
        u16_at::<6, _>(self.header) & DONT_FRAGMENT != 0
    }

    /// Tells whether the flag that must be zero is not (RFC 791 §3.1).
    pub fn reserved_flag(&self) -> bool {
        u16_at::<6, _>(self.header) & RESERVED != 0
    }

    /// Tells whether further fragments follow this one.
    pub fn more_fragments(&self) -> bool {
        u16_at::<6, _>(self.header) & MORE_FRAGMENTS != 0
    }

    /// Returns where the payload belongs in the whole one, in bytes: a multiple of 8 below 65,536.
    pub fn fragment_offset(&self) -> u16 {
        (u16_at::<6, _>(self.header) & FRAGMENT_OFFSET) << 3
    }

    /// Returns which part of a packet this is.
    #[inline]
    pub fn fragment(&self) -> Fragment {
        let field = u16_at::<6, _>(self.header);
        Fragment::from_fields(field & FRAGMENT_OFFSET, field & MORE_FRAGMENTS != 0)
    }

    /// Returns the hops that are left.
    pub fn ttl(&self) -> u8 {
        u8_at::<8, _>(self.header)
    }

    /// Returns what the payload is.
    #[inline]
    pub fn protocol(&self) -> IpProtocol {
        IpProtocol(u8_at::<9, _>(self.header))
    }

    /// Returns the header checksum as it stands.
    pub fn checksum(&self) -> u16 {
        u16_at::<10, _>(self.header)
    }

    /// Tells whether the header checksum is right.
    pub fn verify_checksum(&self) -> bool {
        let sum = Sum::of(self.header).and_bytes(self.options);
        sum.fold() == 0xffff
    }

    /// Returns the address that the packet comes from.
    #[inline]
    pub fn src(&self) -> Ipv4Addr {
        Ipv4Addr::from(get::<12, 4, _>(self.header))
    }

    /// Returns the address that the packet is for.
    #[inline]
    pub fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::from(get::<16, 4, _>(self.header))
    }

    /// Walks the options.
    pub const fn options(&self) -> RawOptions<'a> {
        RawOptions::new(self.options, HeaderName::Ipv4Option)
    }

    /// Returns what follows the header, without padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Display for Ipv4View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (self.src(), self.dst());
        write!(
            f,
            "IP {src} > {dst}: {}, ttl {}",
            self.protocol(),
            self.ttl()
        )?;
        write!(f, ", id {}, length {}", self.id(), self.total_len())?;
        if self.fragment().is_part() {
            let more = if self.more_fragments() { "+" } else { "" };
            write!(f, ", offset {}{more}", self.fragment_offset())?;
        }
        Ok(())
    }
}

/// An IPv4 header, to be changed in place.
///
/// Setters leave the checksum as it is: update it by a [delta](crate::checksum::Delta) or compute it
/// anew with [`Ipv4Mut::fill_checksum`].
#[derive(Debug)]
pub struct Ipv4Mut<'a> {
    header: &'a mut [u8; Ipv4View::LEN],
    options: &'a mut [u8],
}

impl<'a> Ipv4Mut<'a> {
    /// Opens the header that starts at `data[0]`.
    ///
    /// # Errors
    ///
    /// As [`Ipv4View::parse_quoted`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, HeaderError> {
        let view = Ipv4View::parse_quoted(data)?;
        let options_len = view.options.len();
        let present = data.len();
        let truncated = HeaderError::truncated(HeaderName::Ipv4, Ipv4View::LEN, present);
        let (header, rest) = data.split_first_chunk_mut().ok_or(truncated)?;
        let options = rest.get_mut(..options_len).ok_or(truncated)?;
        Ok(Self { header, options })
    }

    /// Sets the ECN field (RFC 3168 §5), of which the low two bits count.
    pub fn set_ecn(&mut self, ecn: u8) {
        let [field] = get::<1, 1, _>(self.header);
        put::<1, 1, _>(self.header, [(field & !0x03) | (ecn & 0x03)]);
    }

    /// Sets the traffic class, DSCP and ECN, and brings the header checksum up to date by what changed
    /// (RFC 1624): a checksum that was wrong stays wrong.
    pub fn remark(&mut self, class: u8) {
        let old = u16_at::<0, _>(self.header);
        put::<1, 1, _>(self.header, [class]);
        let delta = Delta::NONE.and_u16(old, u16_at::<0, _>(self.header));
        self.set_checksum(delta.apply(u16_at::<10, _>(self.header)));
    }

    /// Sets the bytes of header and payload.
    pub fn set_total_len(&mut self, len: u16) {
        put::<2, 2, _>(self.header, len.to_be_bytes());
    }

    /// Sets the Identification.
    pub fn set_id(&mut self, id: u16) {
        put::<4, 2, _>(self.header, id.to_be_bytes());
    }

    /// Sets the hops that are left.
    pub fn set_ttl(&mut self, ttl: u8) {
        put::<8, 1, _>(self.header, [ttl]);
    }

    /// Sets the header checksum.
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<10, 2, _>(self.header, checksum.to_be_bytes());
    }

    /// Sets the address that the packet comes from.
    pub fn set_src(&mut self, addr: Ipv4Addr) {
        put::<12, 4, _>(self.header, addr.octets());
    }

    /// Sets the address that the packet is for.
    pub fn set_dst(&mut self, addr: Ipv4Addr) {
        put::<16, 4, _>(self.header, addr.octets());
    }

    /// Computes the header checksum and stores it.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let sum = Sum::of(self.header).and_bytes(self.options);
        self.set_checksum(sum.checksum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::RawOption;

    /// A made-up packet: four bytes of payload, two of padding, and a checksum that counts for nothing.
    const PACKET: [u8; 26] = [
        0x45, 0x00, 0x00, 0x18, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0xbc, 0xc0, 0xa8, 0x00,
        0x01, 0xc0, 0xa8, 0x00, 0xc7, 1, 2, 3, 4, 0xa5, 0xa5,
    ];

    #[test]
    fn remarking_keeps_a_right_checksum_right_and_a_wrong_one_wrong() {
        for (is_right, class) in [(true, 0xb9), (false, 0xb9), (true, 0), (false, 0xff)] {
            let mut packet = PACKET;
            Ipv4Mut::parse(&mut packet).unwrap().fill_checksum();
            packet[11] ^= u8::from(!is_right);
            Ipv4Mut::parse(&mut packet).unwrap().remark(class);
            let view = Ipv4View::parse(&packet).unwrap();
            assert_eq!(view.traffic_class(), class);
            assert_eq!(view.verify_checksum(), is_right, "{class}");
        }
    }

    #[test]
    fn fields_are_read_and_padding_is_no_payload() {
        let view = Ipv4View::parse(&PACKET).unwrap();
        assert_eq!(view.header_len(), 20);
        assert_eq!((view.dscp(), view.ecn()), (0, 0));
        assert_eq!(view.total_len(), 24);
        assert!(view.dont_fragment() && !view.more_fragments());
        assert_eq!(view.fragment(), Fragment::Whole);
        assert_eq!((view.ttl(), view.protocol()), (64, IpProtocol::UDP));
        assert_eq!(view.src(), Ipv4Addr::new(192, 168, 0, 1));
        assert_eq!(view.dst(), Ipv4Addr::new(192, 168, 0, 199));
        assert_eq!(view.payload(), [1, 2, 3, 4]);
        assert_eq!(
            view.to_string(),
            "IP 192.168.0.1 > 192.168.0.199: UDP, ttl 64, id 0, length 24"
        );
    }

    #[test]
    fn the_checksum_of_the_usual_textbook_header_verifies() {
        let mut header = PACKET;
        header[3] = 0x73;
        header[10..12].copy_from_slice(&[0xb8, 0x61]);
        assert!(Ipv4View::parse_quoted(&header).unwrap().verify_checksum());
        header[11] = 0x62;
        assert!(!Ipv4View::parse_quoted(&header).unwrap().verify_checksum());
    }

    #[test]
    fn the_checksum_covers_the_options() {
        let mut packet = [0xa5; 28];
        packet[..20].copy_from_slice(&PACKET[..20]);
        packet[0] = 0x46;
        packet[3] = 28;
        // Router Alert (RFC 2113).
        packet[20..24].copy_from_slice(&[0x94, 4, 0, 0]);
        assert!(!Ipv4View::parse(&packet).unwrap().verify_checksum());
        Ipv4Mut::parse(&mut packet).unwrap().fill_checksum();
        let view = Ipv4View::parse(&packet).unwrap();
        assert!(view.verify_checksum());
        assert_eq!(view.payload(), [0xa5; 4]);
        let option = RawOption {
            kind: 0x94,
            data: &[0, 0],
        };
        assert_eq!(view.options().collect::<Vec<_>>(), [Ok(option)]);
        packet[23] = 1;
        assert!(!Ipv4View::parse(&packet).unwrap().verify_checksum());
    }

    #[test]
    fn fragments_are_told_apart() {
        let mut packet = PACKET;
        for (field, fragment, offset) in [
            (0x2000_u16, Fragment::First, 0),
            (0x2001, Fragment::Later, 8),
            (0x1fff, Fragment::Later, 65_528),
            (0x8000, Fragment::Whole, 0),
        ] {
            packet[6..8].copy_from_slice(&field.to_be_bytes());
            let view = Ipv4View::parse(&packet).unwrap();
            assert_eq!(
                (view.fragment(), view.fragment_offset()),
                (fragment, offset)
            );
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let error = |at: usize, value: u8| {
            let mut packet = PACKET;
            packet[at] = value;
            Ipv4View::parse(&packet).map(|_| ()).unwrap_err()
        };
        let header = HeaderName::Ipv4;
        assert_eq!(error(0, 0x65), HeaderError::Version { header, version: 6 });
        assert_eq!(error(0, 0x44), HeaderError::Length { header, stated: 16 });
        assert_eq!(error(0, 0x47), HeaderError::Length { header, stated: 24 });
        assert_eq!(error(3, 19), HeaderError::Length { header, stated: 19 });
        assert_eq!(error(3, 27), HeaderError::truncated(header, 27, 26));
        for len in 0..24 {
            assert!(Ipv4View::parse(&PACKET[..len]).is_err(), "{len}");
        }
        let quoted = Ipv4View::parse_quoted(&PACKET[..22]).unwrap();
        assert_eq!(quoted.payload(), [1, 2]);
    }

    #[test]
    fn fields_are_replaced_in_place() {
        let mut packet = PACKET;
        let mut header = Ipv4Mut::parse(&mut packet).unwrap();
        header.set_src(Ipv4Addr::new(10, 0, 0, 1));
        header.set_dst(Ipv4Addr::new(10, 0, 0, 2));
        header.set_ttl(63);
        header.set_id(7);
        header.set_total_len(22);
        header.set_ecn(3);
        header.fill_checksum();
        let view = Ipv4View::parse(&packet).unwrap();
        assert_eq!(
            view.to_string(),
            "IP 10.0.0.1 > 10.0.0.2: UDP, ttl 63, id 7, length 22"
        );
        assert_eq!(view.ecn(), 3);
        assert!(view.verify_checksum());
        assert_eq!(view.payload(), [1, 2]);
    }
}
