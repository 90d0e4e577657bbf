//! Frames cut at every length are read without a panic and never beyond their end.

use proptest::prelude::*;
use tapweave_net::{EthernetView, HeaderError, ParsedFrame};

use super::frames::shape;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_frame_cut_short_is_refused_at_every_length(shape in shape(40)) {
        let frame = shape.build();
        let header_len = EthernetView::parse(&frame).unwrap().payload_offset();
        for len in 0..frame.len() {
            let short = &frame[..len];
            let error = ParsedFrame::parse(short).unwrap_err();
            let is_truncated = matches!(error, HeaderError::Truncated { .. });
            prop_assert!(is_truncated, "{} {:?}", len, error);
            prop_assert_eq!(EthernetView::parse(short).is_ok(), len >= header_len);
        }
        prop_assert!(ParsedFrame::parse(&frame).is_ok());
    }
}
