use proptest::prelude::*;

use super::*;
use crate::{Gso, GsoKind, Vid};

const HEADROOM: usize = 16;
const UNTAGGED: [u8; 20] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 1, 2, 3, 4, 5,
];
const TAGGED: [u8; 24] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0xb0, 0x64, 0x08, 0x00, 0x45, 1, 2, 3, 4, 5,
];
/// VLAN 100, priority 5, drop eligible.
const TAG: VlanTag = VlanTag::from_tci(0xb064);

fn buffer(frame: &[u8]) -> Vec<u8> {
    [&[0xa5; HEADROOM], frame].concat()
}

fn partial(start: u16) -> Offload {
    Offload {
        checksum: ChecksumOffload::Partial { start, offset: 2 },
        gso: None,
    }
}

#[test]
fn a_pushed_tag_stands_behind_the_addresses() {
    let mut buf = buffer(&UNTAGGED);
    let mut frame = Frame::new(&mut buf, HEADROOM, partial(14));
    frame.push_tag(TAG).unwrap();
    assert_eq!(frame.data(), TAGGED);
    assert_eq!(frame.offload(), partial(18));
    assert_eq!(frame.headroom_len(), HEADROOM - 4);
    assert_eq!(buf[..HEADROOM - 4], [0xa5; HEADROOM - 4]);
}

#[test]
fn a_popped_tag_leaves_the_addresses_before_the_type() {
    let mut buf = buffer(&TAGGED);
    let mut frame = Frame::new(&mut buf, HEADROOM, partial(18));
    assert_eq!(frame.pop_tag(), Ok(TAG));
    assert_eq!(frame.data(), UNTAGGED);
    assert_eq!(frame.offload(), partial(14));
    assert_eq!(frame.pop_tag(), Err(TagError::NoTag));
}

#[test]
fn a_replaced_tag_changes_two_bytes() {
    let mut buf = buffer(&TAGGED);
    let mut frame = Frame::new(&mut buf, HEADROOM, partial(18));
    let other = TAG.with_vid(Vid::MAX);
    assert_eq!(frame.replace_tag(other), Ok(TAG));
    assert_eq!(frame.data()[12..18], [0x81, 0x00, 0xbf, 0xfe, 0x08, 0x00]);
    assert_eq!(frame.replace_tag(TAG), Ok(other));
    assert_eq!((frame.data(), frame.offload()), (&TAGGED[..], partial(18)));
}

#[test]
fn only_the_outer_customer_tag_is_taken_out() {
    let double = [&TAGGED[..16], &TAGGED[12..]].concat();
    let mut buf = buffer(&double);
    let mut frame = Frame::new(&mut buf, HEADROOM, Offload::NONE);
    frame.pop_tag().unwrap();
    assert_eq!(frame.data(), TAGGED);

    let mut service = TAGGED;
    service[12..14].copy_from_slice(&[0x88, 0xa8]);
    let mut buf = buffer(&service);
    let mut frame = Frame::new(&mut buf, HEADROOM, Offload::NONE);
    assert_eq!(frame.pop_tag(), Err(TagError::NoTag));
    assert_eq!(frame.replace_tag(TAG), Err(TagError::NoTag));
    assert_eq!(frame.data(), service);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut buf = UNTAGGED;
    for headroom_less in 0..4 {
        let mut buf = buffer(&UNTAGGED);
        let mut frame = Frame::new(
            &mut buf[HEADROOM - headroom_less..],
            headroom_less,
            Offload::NONE,
        );
        assert_eq!(frame.push_tag(TAG), Err(TagError::NoHeadroom));
        assert_eq!(frame.data(), UNTAGGED);
    }
    let mut cut = Frame::new(&mut buf[..17], 4, Offload::NONE);
    assert_eq!(cut.push_tag(TAG), Err(TagError::Truncated));

    let mut buf = buffer(&UNTAGGED);
    let start = u16::MAX - 3;
    let mut frame = Frame::new(&mut buf, HEADROOM, partial(start));
    assert_eq!(frame.push_tag(TAG), Err(TagError::Checksum { start }));
    assert_eq!(
        (frame.data(), frame.offload()),
        (&UNTAGGED[..], partial(start))
    );

    let mut buf = buffer(&TAGGED);
    let mut frame = Frame::new(&mut buf, HEADROOM, partial(17));
    assert_eq!(frame.pop_tag(), Err(TagError::Checksum { start: 17 }));
    assert_eq!((frame.data(), frame.offload()), (&TAGGED[..], partial(17)));
    let mut cut = Frame::new(&mut buf[..HEADROOM + 17], HEADROOM, Offload::NONE);
    assert_eq!(cut.pop_tag(), Err(TagError::NoTag));
}

/// What may be left to do on a frame of `frame_len` bytes; no super-frame has a hint of 0xffff.
fn offload(frame_len: u16) -> impl Strategy<Value = Offload> {
    let checksum = prop_oneof![
        Just(ChecksumOffload::Complete),
        Just(ChecksumOffload::Validated),
        (14..=frame_len, 0..32_u16)
            .prop_map(|(start, offset)| ChecksumOffload::Partial { start, offset }),
    ];
    let kind = prop_oneof![
        Just(GsoKind::TcpV4),
        Just(GsoKind::TcpV6),
        Just(GsoKind::Udp)
    ];
    let gso = (kind, any::<bool>(), 1..u16::MAX, 0..u16::MAX - 4).prop_map(
        |(kind, ecn, size, header_len_hint)| Gso {
            kind,
            ecn,
            size,
            header_len_hint,
        },
    );
    (checksum, proptest::option::of(gso)).prop_map(|(checksum, gso)| Offload { checksum, gso })
}

proptest! {
    #[test]
    fn push_then_pop_gives_the_frame_back(
        (bytes, offload) in (14..2_000_u16).prop_flat_map(|len| {
            (proptest::collection::vec(any::<u8>(), usize::from(len)), offload(len))
        }),
        tci: u16,
        other: u16,
    ) {
        let (tag, other) = (VlanTag::from_tci(tci), VlanTag::from_tci(other));
        let mut buf = buffer(&bytes);
        let mut frame = Frame::new(&mut buf, HEADROOM, offload);
        frame.apply_tag(TagAction::Keep).unwrap();
        frame.apply_tag(TagAction::Push(other)).unwrap();
        frame.apply_tag(TagAction::Replace(tag)).unwrap();
        // The bytes that a checksum covers are the same ones.
        if let (
            ChecksumOffload::Partial { start: before, .. },
            ChecksumOffload::Partial { start: after, .. },
        ) = (offload.checksum, frame.offload().checksum) {
            prop_assert_eq!(&bytes[usize::from(before)..], &frame.data()[usize::from(after)..]);
        }
        prop_assert_eq!(&frame.data()[14..16], tci.to_be_bytes());
        prop_assert_eq!(&frame.data()[16..], &bytes[12..]);
        prop_assert_eq!(frame.pop_tag(), Ok(tag));
        prop_assert_eq!(frame.data(), &bytes[..]);
        prop_assert_eq!(frame.offload(), offload);
        prop_assert_eq!(frame.headroom_len(), HEADROOM);
        prop_assert!(buf[..HEADROOM - 4].iter().all(|byte| *byte == 0xa5));
    }
}
