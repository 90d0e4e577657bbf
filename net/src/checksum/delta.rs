//! Changing a checksum by what changed under it (RFC 1624).
//!
//! Equation 3, `HC' = ~(~HC + ~m + m')`, is linear: the terms `~m + m'` of several fields add up to
//! one delta, and the same delta serves every checksum that covers those fields. NAT computes it once
//! per flow and direction and then touches two bytes per checksum and packet.
//!
//! Equation 3 never yields -0 (0xffff) out of a checksum that was right over data that is not all
//! zero, where equation 2 of RFC 1141 did (RFC 1624 §3). Over data that is all zero after the change,
//! it yields 0 where the full sum yields 0xffff; IP headers and pseudo-headers are never all zero.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::Sum;

/// How fields that a checksum covers have changed.
///
/// Each field must begin at an even distance from the start of what is summed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delta(Sum);

impl Delta {
    /// Nothing changed.
    pub const NONE: Self = Self(Sum::ZERO);

    /// Adds a 16-bit field that was `old` and is `new`.
    #[inline]
    #[must_use]
    pub const fn and_u16(self, old: u16, new: u16) -> Self {
        Self(self.0.and_u16(!old).and_u16(new))
    }

    /// Adds a 32-bit field that was `old` and is `new`.
    #[inline]
    #[must_use]
    pub fn and_u32(self, old: u32, new: u32) -> Self {
        self.and_octets(old.to_be_bytes(), new.to_be_bytes())
    }

    /// Adds an IPv4 address that was `old` and is `new`.
    #[inline]
    #[must_use]
    pub fn and_v4(self, old: Ipv4Addr, new: Ipv4Addr) -> Self {
        self.and_octets(old.octets(), new.octets())
    }

    /// Adds an IPv6 address that was `old` and is `new`.
    #[inline]
    #[must_use]
    pub fn and_v6(self, old: Ipv6Addr, new: Ipv6Addr) -> Self {
        self.and_octets(old.octets(), new.octets())
    }

    /// Adds what another delta says.
    #[inline]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0.and(other.0))
    }

    /// Adds a field of an even number of octets that was `old` and is `new`. One of odd length does not
    /// compile.
    #[inline]
    #[must_use]
    pub fn and_octets<const N: usize>(self, old: [u8; N], new: [u8; N]) -> Self {
        const {
            assert!(
                N.is_multiple_of(2),
                "a field of odd length shifts what follows"
            );
        };
        Self(self.0.and_bytes(&old.map(|octet| !octet)).and_bytes(&new))
    }

    /// Returns what a checksum that was `checksum` is after the change. For IPv4 headers, TCP and ICMP.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        self.0.and_u16(!checksum).checksum()
    }

    /// Returns what a UDP checksum that was `checksum` is after the change: zero ("no checksum") stays
    /// zero, and a result of zero becomes 0xffff (RFC 768).
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        self.0.and_u16(!checksum).udp_checksum()
    }

    /// Returns what the field of a [partial](crate::ChecksumOffload::Partial) checksum that held `sum`
    /// holds after the change.
    ///
    /// The field covers the pseudo-header only, so the delta must be of addresses (and the length),
    /// never of ports or anything else behind the start of the checksum.
    #[inline]
    #[must_use]
    pub const fn apply_partial(self, sum: u16) -> u16 {
        self.0.and_u16(sum).fold()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_1624_come_out_right() {
        // §4: the old header sums to 0x5555 + 0xcd7a = 0x22d0 with its carry, so HC is 0xdd2f. The
        // field goes from 0x5555 to 0x3285; equation 2 says 0xffff, the right answer is 0.
        let delta = Delta::NONE.and_u16(0x5555, 0x3285);
        assert_eq!(Sum::ZERO.and_u16(0xcd7a).and_u16(0x5555).checksum(), 0xdd2f);
        assert_eq!(delta.apply(0xdd2f), 0x0000);
        assert_eq!(Sum::ZERO.and_u16(0xcd7a).and_u16(0x3285).checksum(), 0);
        assert_eq!(delta.apply_udp(0xdd2f), 0xffff);
    }

    #[test]
    fn no_change_changes_nothing() {
        for checksum in 0..=u16::MAX {
            let same = Delta::NONE.and_u16(checksum, checksum);
            // 0xffff and 0 are the same number; a checksum that was right is never 0xffff.
            let want = if checksum == 0xffff { 0 } else { checksum };
            assert_eq!(same.apply(checksum), want);
        }
        assert_eq!(Delta::NONE.and_u16(1, 1).apply_udp(0xffff), 0xffff);
    }

    #[test]
    fn a_udp_datagram_without_checksum_stays_without() {
        assert_eq!(Delta::NONE.and_u16(1, 2).apply_udp(0), 0);
    }

    #[test]
    fn a_partial_sum_follows_the_addresses() {
        let [a, b, c] = [1, 2, 3].map(|host| Ipv4Addr::new(10, 255, 7, host));
        let sum = |src| Sum::pseudo_v4(src, c, crate::IpProtocol::TCP, 1500).fold();
        let delta = Delta::NONE.and_v4(a, b);
        assert_eq!(delta.apply_partial(sum(a)), sum(b));
        assert_eq!(delta.apply(!sum(a)), !sum(b));
    }
}
