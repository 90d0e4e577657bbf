//! Checksums against smoltcp and against themselves.

use proptest::prelude::*;
use tapweave_net::checksum::{Delta, Sum};

proptest! {
    #[test]
    fn the_sum_is_that_of_smoltcp(data in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(Sum::of(&data).fold(), smoltcp::wire::checksum::data(&data));
    }

    #[test]
    fn an_update_equals_the_sum_over_the_changed_data(
        mut data in prop::collection::vec(any::<u8>(), 20..200),
        at in any::<prop::sample::Index>(),
        new in any::<u16>(),
    ) {
        // Never all zero, like every header (RFC 1624 §3).
        data[0] |= 1;
        let at = 2 + at.index((data.len() - 3) / 2) * 2;
        let before = Sum::of(&data).checksum();
        let old = u16::from_be_bytes([data[at], data[at + 1]]);
        data[at..at + 2].copy_from_slice(&new.to_be_bytes());
        let after = Sum::of(&data);
        let delta = Delta::NONE.and_u16(old, new);
        prop_assert_eq!(delta.apply(before), after.checksum());
        prop_assert_eq!(delta.apply_partial(!before), after.fold());
        if before != 0 {
            prop_assert_eq!(delta.apply_udp(before), after.udp_checksum());
        }
    }

    #[test]
    fn a_delta_of_wide_fields_is_that_of_its_words(old in any::<[u8; 16]>(), new in any::<[u8; 16]>()) {
        let wide = Delta::NONE.and_v6(old.into(), new.into());
        let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let words = (0..16).step_by(2).fold(Delta::NONE, |delta, at| {
            delta.and_u16(word(&old, at), word(&new, at))
        });
        for checksum in [1, 0x1234, 0xfffe] {
            prop_assert_eq!(wide.apply(checksum), words.apply(checksum));
        }
    }
}
