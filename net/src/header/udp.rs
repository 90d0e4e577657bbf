//! The UDP header (RFC 768).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |            Length             |           Checksum            |
//! +-------------------------------+-------------------------------+
//! ```
//!
//! A checksum of zero says that there is none; that is allowed over IPv4 only (RFC 8200 §8.1).

use core::fmt;

use super::{HeaderError, HeaderName};
use crate::field::{put, u16_at};

const LEN: usize = 8;

/// A UDP datagram whose header, and unless it was [cut](UdpView::parse_cut) whose payload, is there in
/// full.
#[derive(Clone, Copy, Debug)]
pub struct UdpView<'a> {
    header: &'a [u8; LEN],
    payload: &'a [u8],
}

impl<'a> UdpView<'a> {
    /// Bytes of the header.
    pub const LEN: usize = LEN;
    /// The checksum field, from the start of the header.
    pub const CHECKSUM_OFFSET: usize = 6;

    /// Views the datagram that starts at `data[0]`; what follows Length is not part of it.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Length`] when Length is below the header (zero, for IPv6 jumbograms, too),
    /// [`HeaderError::Truncated`] when the datagram is longer than `data`.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let view = Self::parse_cut(data)?;
        let len = usize::from(view.len());
        if len > data.len() {
            return Err(HeaderError::truncated(HeaderName::Udp, len, data.len()));
        }
        Ok(view)
    }

    /// Views a datagram of which only the beginning is there: in a first fragment, or quoted in an
    /// ICMP error.
    ///
    /// # Errors
    ///
    /// As [`UdpView::parse`], but only the header has to be there.
    #[inline]
    pub fn parse_cut(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, rest)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Udp,
                Self::LEN,
                data.len(),
            ));
        };
        let stated = usize::from(u16_at::<4, _>(header));
        let Some(payload_len) = stated.checked_sub(Self::LEN) else {
            return Err(HeaderError::Length {
                header: HeaderName::Udp,
                stated,
            });
        };
        Ok(Self {
            header,
            payload: rest.get(..payload_len).unwrap_or(rest),
        })
    }

    /// Returns the port that the datagram comes from.
    #[inline]
    pub fn src_port(&self) -> u16 {
        u16_at::<0, _>(self.header)
    }

    /// Returns the port that the datagram is for.
    #[inline]
    pub fn dst_port(&self) -> u16 {
        u16_at::<2, _>(self.header)
    }

    /// Returns the bytes of header and payload that the datagram states, 8 or more.
    #[inline]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a datagram has a header, so it is never empty"
    )]
    pub fn len(&self) -> u16 {
        u16_at::<4, _>(self.header)
    }

    /// Returns the checksum as it stands; zero says that there is none.
    pub fn checksum(&self) -> u16 {
        u16_at::<6, _>(self.header)
    }

    /// Returns what follows the header, up to Length.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Display for UdpView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload_len = usize::from(self.len()) - Self::LEN;
        let (src, dst) = (self.src_port(), self.dst_port());
        write!(f, "{src} > {dst}: UDP, length {payload_len}")
    }
}

/// A UDP header, to be changed in place. Setters leave the checksum as it is.
#[derive(Debug)]
pub struct UdpMut<'a> {
    header: &'a mut [u8; UdpView::LEN],
}

impl<'a> UdpMut<'a> {
    /// Opens the header that starts at `data[0]`.
    ///
    /// # Errors
    ///
    /// As [`UdpView::parse_cut`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, HeaderError> {
        UdpView::parse_cut(data)?;
        let present = data.len();
        let header = data
            .first_chunk_mut()
            .ok_or_else(|| HeaderError::truncated(HeaderName::Udp, UdpView::LEN, present))?;
        Ok(Self { header })
    }

    /// Sets the port that the datagram comes from.
    pub fn set_src_port(&mut self, port: u16) {
        put::<0, 2, _>(self.header, port.to_be_bytes());
    }

    /// Sets the port that the datagram is for.
    pub fn set_dst_port(&mut self, port: u16) {
        put::<2, 2, _>(self.header, port.to_be_bytes());
    }

    /// Sets the bytes of header and payload.
    pub fn set_len(&mut self, len: u16) {
        put::<4, 2, _>(self.header, len.to_be_bytes());
    }

    /// Sets the checksum, as [`crate::checksum::Sum::udp_checksum`] gives it.
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<6, 2, _>(self.header, checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: [u8; 14] = [
        0x04, 0xd2, 0x00, 0x35, 0x00, 0x0c, 0xbe, 0xef, 1, 2, 3, 4, 0xa5, 0xa5,
    ];

    #[test]
    fn fields_are_read_and_what_follows_length_is_left() {
        let view = UdpView::parse(&DATAGRAM).unwrap();
        assert_eq!((view.src_port(), view.dst_port()), (1234, 53));
        assert_eq!((view.len(), view.checksum()), (12, 0xbeef));
        assert_eq!(view.payload(), [1, 2, 3, 4]);
        assert_eq!(view.to_string(), "1234 > 53: UDP, length 4");
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        for len in 0..12 {
            assert!(UdpView::parse(&DATAGRAM[..len]).is_err(), "{len}");
        }
        let header = HeaderName::Udp;
        for (stated, error) in [
            (0, HeaderError::Length { header, stated: 0 }),
            (7, HeaderError::Length { header, stated: 7 }),
            (15, HeaderError::truncated(header, 15, 14)),
        ] {
            let mut datagram = DATAGRAM;
            datagram[5] = stated;
            assert_eq!(UdpView::parse(&datagram).map(|_| ()), Err(error));
        }
        let cut = UdpView::parse_cut(&DATAGRAM[..9]).unwrap();
        assert_eq!((cut.len(), cut.payload()), (12, &[1][..]));
    }

    #[test]
    fn fields_are_replaced_in_place() {
        let mut datagram = [0xa5; 8];
        let mut header = UdpMut::parse(&mut datagram).unwrap();
        header.set_src_port(1);
        header.set_dst_port(2);
        header.set_len(8);
        header.set_checksum(0x1234);
        assert_eq!(datagram, [0, 1, 0, 2, 0, 8, 0x12, 0x34]);
    }
}
