//! What IGMPv3 (RFC 3376 §4) and MLDv2 (RFC 3810 §5) have in common: group records, and times written
//! as small floating-point numbers.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |  Record Type  | Aux Data Len  |     Number of Sources (N)     |
//! +---------------+---------------+-------------------------------+
//! |       Multicast Address: 4 octets in IGMPv3, 16 in MLDv2      |
//! +---------------------------------------------------------------+
//! |       N source addresses, then Aux Data Len * 4 octets        |
//! +---------------------------------------------------------------+
//! ```
//!
//! The addresses of the sources are stepped over and only counted: who reads them here forwards by
//! group.

use core::fmt;
use core::marker::PhantomData;

use super::{HeaderError, HeaderName};
use crate::field::{get, u8_at, u16_at};

/// Octets of a record before the group's address.
const FIXED_LEN: usize = 4;

/// What a group record says (RFC 3376 §4.2.12, RFC 3810 §5.2.12).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// Answer to a query: the host listens to the named sources only.
    pub const MODE_IS_INCLUDE: Self = Self(1);
    /// Answer to a query: the host listens to all but the named sources.
    pub const MODE_IS_EXCLUDE: Self = Self(2);
    /// From now on the host listens to the named sources only; to none of them when there are none.
    pub const CHANGE_TO_INCLUDE: Self = Self(3);
    /// From now on the host listens to all but the named sources.
    pub const CHANGE_TO_EXCLUDE: Self = Self(4);
    /// The host listens to the named sources too.
    pub const ALLOW_NEW_SOURCES: Self = Self(5);
    /// The host does not listen to the named sources any more.
    pub const BLOCK_OLD_SOURCES: Self = Self(6);
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::MODE_IS_INCLUDE => "is_in",
            Self::MODE_IS_EXCLUDE => "is_ex",
            Self::CHANGE_TO_INCLUDE => "to_in",
            Self::CHANGE_TO_EXCLUDE => "to_ex",
            Self::ALLOW_NEW_SOURCES => "allow",
            Self::BLOCK_OLD_SOURCES => "block",
            Self(other) => return write!(f, "record type {other}"),
        })
    }
}

impl fmt::Debug for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a report says about one group. `A` is its address: [`Ipv4Addr`](core::net::Ipv4Addr) or
/// [`Ipv6Addr`](core::net::Ipv6Addr).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupRecord<A> {
    /// What is said. A kind that is not known is to be ignored (RFC 3376 §4.2.12).
    pub kind: RecordKind,
    /// The group, as it stands: not necessarily a multicast address.
    pub group: A,
    /// How many sources are named.
    pub source_count: u16,
}

impl<A: fmt::Display> fmt::Display for GroupRecord<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[gaddr {} {}", self.group, self.kind)?;
        write!(f, ", {} source(s)]", self.source_count)
    }
}

/// Walks the group records of a report; stops after the last one that the report announces, or after
/// the first that is cut short. Each step takes at least eight octets, so a walk is bounded.
#[derive(Clone, Debug)]
pub struct GroupRecords<'a, A, const LEN: usize> {
    rest: &'a [u8],
    left_count: u16,
    header: HeaderName,
    address: PhantomData<A>,
}

impl<'a, A, const LEN: usize> GroupRecords<'a, A, LEN> {
    /// Walks `count` records at the start of `bytes`; errors name `header`.
    pub(crate) const fn new(bytes: &'a [u8], count: u16, header: HeaderName) -> Self {
        Self {
            rest: bytes,
            left_count: count,
            header,
            address: PhantomData,
        }
    }
}

impl<A: From<[u8; LEN]>, const LEN: usize> GroupRecords<'_, A, LEN> {
    fn take(&mut self) -> Result<GroupRecord<A>, HeaderError> {
        let present = self.rest.len();
        let short = |needed| HeaderError::truncated(self.header, needed, present);
        let (fixed, rest) = self
            .rest
            .split_first_chunk::<FIXED_LEN>()
            .ok_or_else(|| short(FIXED_LEN + LEN))?;
        let (group, rest) = rest
            .split_first_chunk::<LEN>()
            .ok_or_else(|| short(FIXED_LEN + LEN))?;
        let source_count = u16_at::<2, _>(fixed);
        let skipped = usize::from(source_count) * LEN + usize::from(u8_at::<1, _>(fixed)) * 4;
        self.rest = rest
            .get(skipped..)
            .ok_or_else(|| short(FIXED_LEN + LEN + skipped))?;
        Ok(GroupRecord {
            kind: RecordKind(u8_at::<0, _>(fixed)),
            group: A::from(get::<0, LEN, LEN>(group)),
            source_count,
        })
    }
}

impl<A: From<[u8; LEN]>, const LEN: usize> Iterator for GroupRecords<'_, A, LEN> {
    type Item = Result<GroupRecord<A>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left_count = self.left_count.checked_sub(1)?;
        let record = self.take();
        if record.is_err() {
            self.left_count = 0;
        }
        Some(record)
    }
}

/// Returns the number that an octet stands for: itself below 128, otherwise a mantissa of four bits and
/// an exponent of three (RFC 3376 §4.1.1 and §4.1.7, RFC 3810 §5.1.9).
pub(crate) const fn expand_u8(code: u8) -> u32 {
    if code < 0x80 {
        return code as u32;
    }
    ((code & 0x0f) as u32 | 0x10) << (((code >> 4) & 0x07) + 3)
}

/// Returns the number that two octets stand for: itself below 32,768, otherwise a mantissa of twelve bits
/// and an exponent of three (RFC 3810 §5.1.3).
pub(crate) const fn expand_u16(code: u16) -> u32 {
    if code < 0x8000 {
        return code as u32;
    }
    ((code & 0x0fff) as u32 | 0x1000) << (((code >> 12) & 0x07) + 3)
}

/// Returns the octet for the largest number that one can stand for and that is at most `value`: the
/// reverse of [`expand_u8`].
pub(crate) const fn shrink_u8(value: u32) -> u8 {
    let mut code = u8::MAX;
    while expand_u8(code) > value {
        code -= 1;
    }
    code
}

/// Returns the two octets for the largest number that they can stand for and that is at most `value`:
/// the reverse of [`expand_u16`].
pub(crate) const fn shrink_u16(value: u32) -> u16 {
    let mut exponent = 0;
    let mut mantissa = value;
    if value < 0x8000 {
        #[expect(clippy::cast_possible_truncation, reason = "just compared")]
        return value as u16;
    }
    while mantissa >> 3 > 0x1fff {
        mantissa >>= 1;
        exponent += 1;
    }
    if exponent > 7 {
        return u16::MAX;
    }
    let mantissa = ((mantissa >> 3) & 0x0fff) as u16;
    0x8000 | (exponent << 12) | mantissa
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    type Records<'a> = GroupRecords<'a, Ipv4Addr, 4>;

    #[test]
    fn numbers_below_the_threshold_stand_for_themselves() {
        assert!((0..128).all(|code| expand_u8(code) == u32::from(code)));
        assert!((0..32_768).all(|code| expand_u16(code) == u32::from(code)));
    }

    #[test]
    fn larger_numbers_have_a_mantissa_and_an_exponent() {
        assert_eq!((expand_u8(0x80), expand_u8(0xff)), (128, 31_744));
        assert_eq!(
            (expand_u16(0x8000), expand_u16(0xffff)),
            (32_768, 8_387_584)
        );
    }

    #[test]
    fn every_code_comes_back_from_its_number() {
        assert!((0..=u8::MAX).all(|code| shrink_u8(expand_u8(code)) == code));
        assert!((0..=u16::MAX).all(|code| shrink_u16(expand_u16(code)) == code));
    }

    #[test]
    fn a_number_between_two_codes_gets_the_lower_one() {
        assert_eq!(shrink_u8(135), 0x80);
        assert_eq!(shrink_u8(u32::MAX), 0xff);
        assert_eq!(shrink_u16(32_775), 0x8000);
        assert_eq!(shrink_u16(u32::MAX), 0xffff);
    }

    #[test]
    fn sources_and_auxiliary_data_are_stepped_over() {
        let bytes = [
            &[4, 2, 0, 1, 239, 1, 1, 1][..],
            &[10, 0, 0, 1],
            &[0xa5; 8],
            &[6, 0, 0, 0, 239, 1, 1, 2],
        ]
        .concat();
        let records: Result<Vec<_>, _> = Records::new(&bytes, 2, HeaderName::Igmp).collect();
        let texts: Vec<_> = records.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "[gaddr 239.1.1.1 to_ex, 1 source(s)]",
                "[gaddr 239.1.1.2 block, 0 source(s)]"
            ]
        );
    }

    #[test]
    fn a_record_cut_short_is_told_once_and_ends_the_walk() {
        let bytes = [4, 1, 0, 1, 239, 1, 1, 1, 10, 0, 0, 1, 1, 2, 3, 4];
        for len in 0..bytes.len() {
            let mut records = Records::new(&bytes[..len], 9, HeaderName::Igmp);
            assert!(records.next().unwrap().is_err(), "{len}");
            assert_eq!(records.next(), None);
        }
        assert_eq!(Records::new(&bytes, 9, HeaderName::Igmp).count(), 2);
    }
}
