//! Reads and writes fields of fixed-size headers, in network byte order.
//!
//! The place and the width of a field are constants, and a field that does not fit its header does
//! not compile. So a view that holds `&[u8; LEN]` was checked once, when it was parsed, and none of
//! its accessors can panic or costs a bounds check.

/// Returns the `LEN` bytes at offset `AT`.
#[inline(always)]
pub(crate) fn get<const AT: usize, const LEN: usize, const N: usize>(
    header: &[u8; N],
) -> [u8; LEN] {
    const { assert!(AT + LEN <= N, "the field lies outside the header") };
    let mut field = [0; LEN];
    field.copy_from_slice(&header[AT..AT + LEN]);
    field
}

/// Replaces the `LEN` bytes at offset `AT`.
#[inline(always)]
pub(crate) fn put<const AT: usize, const LEN: usize, const N: usize>(
    header: &mut [u8; N],
    field: [u8; LEN],
) {
    const { assert!(AT + LEN <= N, "the field lies outside the header") };
    header[AT..AT + LEN].copy_from_slice(&field);
}

/// Returns the octet at offset `AT`.
#[inline(always)]
pub(crate) fn u8_at<const AT: usize, const N: usize>(header: &[u8; N]) -> u8 {
    let [octet] = get::<AT, 1, N>(header);
    octet
}

/// Returns the 16-bit number at offset `AT`.
#[inline(always)]
pub(crate) fn u16_at<const AT: usize, const N: usize>(header: &[u8; N]) -> u16 {
    u16::from_be_bytes(get::<AT, 2, N>(header))
}

/// Returns the 32-bit number at offset `AT`.
#[inline(always)]
pub(crate) fn u32_at<const AT: usize, const N: usize>(header: &[u8; N]) -> u32 {
    u32::from_be_bytes(get::<AT, 4, N>(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_written_where_they_are_in_network_order() {
        let mut header = [0xa5; 8];
        put::<1, 4, _>(&mut header, 0x0102_0304_u32.to_be_bytes());
        assert_eq!(header, [0xa5, 1, 2, 3, 4, 0xa5, 0xa5, 0xa5]);
        assert_eq!(u32_at::<1, _>(&header), 0x0102_0304);
        assert_eq!(u16_at::<3, _>(&header), 0x0304);
        assert_eq!(u8_at::<7, _>(&header), 0xa5);
    }
}
