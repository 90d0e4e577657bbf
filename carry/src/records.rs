//! Records of one length, one after the other.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a section holds: each of its records is read and written as it is.
pub(crate) trait Record:
    FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned
{
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned> Record for T {}

/// Returns the records that `bytes` are; none if they are no whole number of them.
pub(crate) fn records<R: Record>(bytes: &[u8]) -> Option<&[R]> {
    <[R]>::ref_from_bytes(bytes).ok()
}

/// Adds a record.
pub(crate) fn add<R: Record>(to: &mut Vec<u8>, record: &R) {
    to.extend_from_slice(record.as_bytes());
}
