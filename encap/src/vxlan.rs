//! The VXLAN header (RFC 7348 §5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+-----------------------------------------------+
//! |R|R|R|R|I|R|R|R|            Reserved                           |
//! +---------------+-------------------------------+---------------+
//! |                VXLAN Network Identifier (VNI) |   Reserved    |
//! +-----------------------------------------------+---------------+
//! ```
//!
//! Reserved bits are zero when sent and ignored when received; only the I flag must be set.

use core::fmt;

use crate::{Refusal, Vni};

/// What a VXLAN header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct VxlanHeader {
    /// The segment that the inner frame belongs to.
    pub vni: Vni,
}

/// "The VNI is valid."
const I_FLAG: u8 = 0x08;

impl VxlanHeader {
    /// Bytes of the header.
    pub const LEN: usize = 8;

    /// Splits the UDP payload `datagram` into what its header says and the inner frame.
    ///
    /// # Errors
    ///
    /// [`Refusal::Truncated`], [`Refusal::VxlanFlag`].
    #[inline]
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), Refusal> {
        let (header, inner) = datagram
            .split_first_chunk::<{ Self::LEN }>()
            .ok_or(Refusal::Truncated)?;
        Ok((Self::decode(*header)?, inner))
    }

    /// As [`VxlanHeader::parse`], with an inner frame that can be changed in place.
    ///
    /// # Errors
    ///
    /// As [`VxlanHeader::parse`].
    #[inline]
    pub fn parse_mut(datagram: &mut [u8]) -> Result<(Self, &mut [u8]), Refusal> {
        let (header, inner) = datagram
            .split_first_chunk_mut::<{ Self::LEN }>()
            .ok_or(Refusal::Truncated)?;
        Ok((Self::decode(*header)?, inner))
    }

    #[inline]
    const fn decode(header: [u8; Self::LEN]) -> Result<Self, Refusal> {
        let [flags, _, _, _, high, middle, low, _] = header;
        if flags & I_FLAG == 0 {
            return Err(Refusal::VxlanFlag);
        }
        let vni = Vni::from_octets([high, middle, low]);
        Ok(Self { vni })
    }

    /// Returns the bytes of the header.
    #[inline]
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [high, middle, low] = self.vni.octets();
        [I_FLAG, 0, 0, 0, high, middle, low, 0]
    }
}

impl fmt::Display for VxlanHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VXLAN, flags [I] ({I_FLAG:#04x}), vni {}", self.vni)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_bytes_of_rfc_7348() {
        let header = VxlanHeader {
            vni: Vni::from_octets([0x12, 0x34, 0x56]),
        };
        assert_eq!(header.encode(), [8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
        assert_eq!(header.to_string(), "VXLAN, flags [I] (0x08), vni 1193046");
    }

    #[test]
    fn reserved_bits_are_ignored_and_the_i_flag_is_needed() {
        let mut datagram = [0xff, 0xa5, 0xa5, 0xa5, 0, 0, 42, 0xa5, 1, 2];
        let vni = Vni::new(42).unwrap();
        let want = (VxlanHeader { vni }, &[1, 2][..]);
        assert_eq!(VxlanHeader::parse(&datagram), Ok(want));
        let parsed = VxlanHeader::parse_mut(&mut datagram).unwrap();
        assert_eq!((parsed.0, &*parsed.1), want);
        for flags in 0..=u8::MAX {
            datagram[0] = flags;
            let is_refused = VxlanHeader::parse(&datagram) == Err(Refusal::VxlanFlag);
            assert_eq!(is_refused, flags & 8 == 0, "{flags:#x}");
        }
    }

    #[test]
    fn a_header_cut_short_is_refused_at_every_length() {
        let header = VxlanHeader { vni: Vni::MAX }.encode();
        for len in 0..VxlanHeader::LEN {
            let cut = VxlanHeader::parse(&header[..len]);
            assert_eq!(cut, Err(Refusal::Truncated), "{len}");
        }
        assert_eq!(VxlanHeader::parse(&header).unwrap().1, []);
    }
}
