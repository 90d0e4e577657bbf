//! Replaces a field and says how checksums that cover it change.

use tapweave_net::checksum::Delta;

/// Replaces the `LEN` octets at `AT`, which begin at an even distance from the start of what is
/// summed. A field outside the header does not compile.
#[inline(always)]
pub(super) fn replace<const AT: usize, const LEN: usize, const N: usize>(
    header: &mut [u8; N],
    new: [u8; LEN],
) -> Delta {
    const { assert!(AT + LEN <= N, "the field lies outside the header") };
    let mut old = [0; LEN];
    old.copy_from_slice(&header[AT..AT + LEN]);
    header[AT..AT + LEN].copy_from_slice(&new);
    Delta::NONE.and_octets(old, new)
}

/// Replaces the 16-bit number at `at` by what `update` makes of it and returns how it changed; `None`,
/// and nothing changes, when it lies outside `bytes`.
#[inline(always)]
pub(super) fn update_u16(
    bytes: &mut [u8],
    at: usize,
    update: impl FnOnce(u16) -> u16,
) -> Option<Delta> {
    let field = bytes.get_mut(at..)?.first_chunk_mut::<2>()?;
    let old = u16::from_be_bytes(*field);
    let new = update(old);
    *field = new.to_be_bytes();
    Some(Delta::NONE.and_u16(old, new))
}
