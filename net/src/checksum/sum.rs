//! The one's complement sum (RFC 1071).
//!
//! The sum is associative and does not care about byte order (RFC 1071 §2), so 32-bit words are added
//! in the order of the machine into 64-bit accumulators, and carries are folded once at the end. The
//! loop has no carry chain, which lets the compiler use vector instructions.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::IpProtocol;

/// A one's complement sum under way.
///
/// Pieces may be added in any order, but each piece must begin at an even distance from the start of
/// what is summed; [`Sum::and_odd_bytes`] takes one that begins at an odd distance. A piece of odd
/// length counts as if a zero octet followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum(u64);

/// Bytes after which the accumulators are folded: 2^31 words of 32 bits cannot overflow 64 bits.
const FOLD_AFTER_LEN: usize = 1 << 20;

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Returns the sum of `data`.
    #[inline]
    pub fn of(data: &[u8]) -> Self {
        Self::ZERO.and_bytes(data)
    }

    /// Adds `data`, which begins at an even distance.
    #[inline]
    #[must_use]
    pub fn and_bytes(self, data: &[u8]) -> Self {
        data.chunks(FOLD_AFTER_LEN)
            .fold(self, |sum, block| sum.and(Self(words(block))))
    }

    /// Adds `data`, which begins at an odd distance.
    #[inline]
    #[must_use]
    pub fn and_odd_bytes(self, data: &[u8]) -> Self {
        self.and(Self(u64::from(fold(words(data)).swap_bytes())))
    }

    /// Adds a 16-bit number.
    #[inline]
    #[must_use]
    pub const fn and_u16(self, value: u16) -> Self {
        self.and(Self(value.to_be() as u64))
    }

    /// Adds another sum.
    #[inline]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Self(sum + carry as u64)
    }

    /// Returns the sum of the pseudo-header of TCP or UDP over IPv4 (RFC 9293 §3.1, RFC 768).
    /// `len` is that of L4 header and payload in bytes.
    #[inline]
    pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, len: u16) -> Self {
        Self::of(&src.octets())
            .and_bytes(&dst.octets())
            .and_u16(u16::from(protocol.0))
            .and_u16(len)
    }

    /// Returns the sum of the pseudo-header of upper layers over IPv6 (RFC 8200 §8.1). `protocol` is
    /// that of the upper layer, not of an extension header; `len` that of its header and payload.
    #[inline]
    pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: IpProtocol, len: u32) -> Self {
        Self::of(&src.octets())
            .and_bytes(&dst.octets())
            .and_bytes(&len.to_be_bytes())
            .and_u16(u16::from(protocol.0))
    }

    /// Returns the sum in 16 bits, not inverted: what a partial checksum field holds, and 0xffff
    /// over data that includes a right checksum.
    #[inline]
    pub const fn fold(self) -> u16 {
        u16::from_be(fold(self.0))
    }

    /// Returns the inverted sum: what a checksum field holds.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// Returns the inverted sum with 0xffff for zero, because a UDP checksum of zero says that there
    /// is none (RFC 768; RFC 8200 §8.1).
    #[inline]
    pub const fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// Adds the 32-bit words of `data` in the order of the machine. Up to 2^31 of them.
#[inline]
fn words(data: &[u8]) -> u64 {
    let (words, tail) = data.as_chunks::<4>();
    let sum = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum::<u64>();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    sum + u64::from(u32::from_ne_bytes(last))
}

/// Folds carries into 16 bits, in the order of the machine. Non-zero stays non-zero.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "four rounds leave no bit above the sixteenth"
)]
const fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word (RFC 1071 §4.1).
    fn slow(data: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in data.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&data).fold(), 0xddf2);
        assert_eq!(Sum::of(&data).checksum(), !0xddf2);
    }

    #[test]
    fn every_length_and_every_cut_sums_to_the_same() {
        let data: Vec<u8> = (0..77_u8).map(|i| i.wrapping_mul(151) ^ 0xa5).collect();
        for len in 0..data.len() {
            let data = &data[..len];
            let whole = slow(data);
            assert_eq!(Sum::of(data).fold(), whole, "{len}");
            for cut in 0..len {
                let (head, tail) = data.split_at(cut);
                let sum = if cut % 2 == 0 {
                    Sum::of(tail).and_bytes(head)
                } else {
                    Sum::of(head).and_odd_bytes(tail)
                };
                assert_eq!(sum.fold(), whole, "{len} {cut}");
            }
        }
    }

    #[test]
    fn carries_are_never_lost() {
        for len in [2, 4, 6, 40, 1500, 65_535, (1 << 20) + 3] {
            assert_eq!(
                Sum::of(&vec![0xff; len]).fold(),
                slow(&vec![0xff; len]),
                "{len}"
            );
        }
        let full = Sum(u64::MAX);
        assert_eq!(full.and(full).fold(), 0xffff);
        assert_eq!(full.and_u16(1).fold(), 1);
    }

    #[test]
    fn only_the_sum_of_zeroes_is_zero() {
        assert_eq!(Sum::of(&[0; 10]).fold(), 0);
        assert_eq!(Sum::of(&[0xff; 10]).fold(), 0xffff);
        assert_eq!(Sum::of(&[0xff, 0xfe, 0, 1]).udp_checksum(), 0xffff);
        assert_eq!(Sum::of(&[0xff, 0xfe, 0, 2]).udp_checksum(), 0xfffe);
    }

    #[test]
    fn the_pseudo_header_of_ipv4_is_what_rfc_9293_draws() {
        // A SYN from 10.0.2.15:48338 to 10.0.2.2:80 without options, put together by hand.
        let segment = [
            0xbc, 0xd2, 0x00, 0x50, 0x1f, 0x2e, 0x3d, 0x4c, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0,
            0, 0, 0,
        ];
        let src = Ipv4Addr::new(10, 0, 2, 15);
        let dst = Ipv4Addr::new(10, 0, 2, 2);
        let pseudo = Sum::pseudo_v4(src, dst, IpProtocol::TCP, 20);
        let by_hand = [10, 0, 2, 15, 10, 0, 2, 2, 0, 6, 0, 20];
        assert_eq!(pseudo.fold(), slow(&by_hand));
        let checksum = pseudo.and_bytes(&segment).checksum();
        assert_eq!(checksum, !slow(&[&by_hand[..], &segment].concat()));
    }
}
