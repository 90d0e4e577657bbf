//! Fragments in every order, at every bound.

use core::time::Duration;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tapweave_net::{Fragment, Frame, NetworkNo, Offload, ParsedFrame, Timestamp};

use super::{FragmentDrop, FragmentLimits, Fragments, Later};
use crate::packet::FragmentPart;
use crate::packet::tests::build::{Kind, Spec, cut, ends, part};
use crate::table::Realm;

const INSIDE: Realm = Realm::of(NetworkNo(1));
const NOW: Timestamp = Timestamp::from_secs(1000);

/// What became of a fragment, and which ones were handed out.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    Followed(u8),
    Held,
    First(Vec<Vec<u8>>),
    Dropped(FragmentDrop),
}

/// Sends a frame through as the translation does; first fragments go `way`.
fn send(fragments: &Fragments<u8>, now: Timestamp, bytes: &[u8], way: u8) -> Outcome {
    let parsed = ParsedFrame::parse(bytes).unwrap();
    let part = FragmentPart::read(bytes, &parsed).unwrap();
    if parsed.fragment() == Fragment::First {
        let mut released = Vec::new();
        let mut emit = |frame: &mut Frame<'_>, parsed: &ParsedFrame, gone: u8| {
            assert_eq!(gone, way);
            assert_eq!(parsed.fragment(), Fragment::Later);
            assert_eq!(frame.headroom_len(), 32);
            released.push(frame.data().to_vec());
        };
        return match fragments.first(now, INSIDE, &part, way, &mut emit) {
            Ok(()) => Outcome::First(released),
            Err(reason) => Outcome::Dropped(reason),
        };
    }
    let mut buf = [&[0xa5; 32][..], bytes].concat();
    let frame = Frame::new(&mut buf, 32, Offload::NONE);
    match fragments.later(now, INSIDE, &part, &frame, &parsed) {
        Ok(Later::Follow(way)) => Outcome::Followed(way),
        Ok(Later::Held) => Outcome::Held,
        Err(reason) => Outcome::Dropped(reason),
    }
}

fn fragments() -> Fragments<u8> {
    Fragments::new(7, FragmentLimits::default())
}

/// A packet of 3,009 bytes behind the IP header.
fn spec(is_v6: bool) -> Spec {
    let pair = if is_v6 {
        ends("[fd00::2]:9", "[2001:db8::1]:53")
    } else {
        ends("10.0.0.2:9", "192.0.2.1:53")
    };
    Spec::new(Kind::Udp, pair, &[7; 3001])
}

#[test]
fn rfc4787_req_14_fragments_in_order_follow_the_first() {
    for is_v6 in [false, true] {
        let fragments = fragments();
        let parts = cut(&spec(is_v6), &[0, 1480, 2960]);
        assert_eq!(send(&fragments, NOW, &parts[0], 3), Outcome::First(vec![]));
        assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Followed(3));
        assert_eq!(send(&fragments, NOW, &parts[2], 0), Outcome::Followed(3));
        // All have passed: the same number may mean another packet now.
        assert_eq!(send(&fragments, NOW, &parts[0], 4), Outcome::First(vec![]));
        assert_eq!(send(&fragments, NOW, &parts[2], 0), Outcome::Followed(4));
    }
}

#[test]
fn rfc4787_req_14a_fragments_out_of_order_wait_for_the_first() {
    for is_v6 in [false, true] {
        let fragments = fragments();
        let parts = cut(&spec(is_v6), &[0, 8, 1480, 2960]);
        assert_eq!(send(&fragments, NOW, &parts[3], 0), Outcome::Held);
        assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Held);
        let released = vec![parts[3].clone(), parts[1].clone()];
        assert_eq!(
            send(&fragments, NOW, &parts[0], 3),
            Outcome::First(released)
        );
        assert_eq!(send(&fragments, NOW, &parts[2], 0), Outcome::Followed(3));
        let stats = fragments.stats();
        assert_eq!((stats.held, stats.released), (2, 2));
        assert_eq!(stats.drops, [0; FragmentDrop::COUNT]);
    }
}

proptest! {
    #[test]
    fn fragments_in_any_order_all_go_the_way_of_the_first(
        order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
        is_v6 in any::<bool>(),
    ) {
        let fragments = fragments();
        let parts = cut(&spec(is_v6), &[0, 400, 800, 1200, 1600, 2000, 2400, 2800]);
        let mut gone = 0;
        for index in order {
            match send(&fragments, NOW, &parts[index], 3) {
                Outcome::Followed(way) => {
                    prop_assert_eq!(way, 3);
                    gone += 1;
                }
                Outcome::First(released) => gone += 1 + released.len(),
                Outcome::Held => {}
                Outcome::Dropped(reason) => panic!("{reason}"),
            }
        }
        prop_assert_eq!(gone, 8);
        // Nothing is left of it.
        fragments.poll_expiry(NOW + Duration::from_secs(100));
        prop_assert_eq!(fragments.stats().drops, [0; FragmentDrop::COUNT]);
    }
}

#[test]
fn a_packet_is_told_from_others_by_realm_addresses_number_and_protocol() {
    let parts = cut(&spec(false), &[0, 1480]);
    let fragments = fragments();
    send(&fragments, NOW, &parts[0], 3);
    let mut others = vec![parts[1].clone(); 3];
    others[0][14 + 5] ^= 1;
    others[1][14 + 9] = 6;
    others[2][14 + 19] ^= 1;
    for other in others {
        assert_eq!(send(&fragments, NOW, &other, 0), Outcome::Held);
    }
    let parsed = ParsedFrame::parse(&parts[1]).unwrap();
    let part = FragmentPart::read(&parts[1], &parsed).unwrap();
    let mut buf = parts[1].clone();
    let frame = Frame::new(&mut buf, 0, Offload::NONE);
    for realm in [Realm::OUTSIDE, Realm::of(NetworkNo(2))] {
        let outcome = fragments.later(NOW, realm, &part, &frame, &parsed);
        assert_eq!(outcome, Ok(Later::Held));
    }
    assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Followed(3));
}

#[test]
fn a_duplicate_is_dropped_alone() {
    let fragments = fragments();
    let parts = cut(&spec(false), &[0, 1480, 2960]);
    let duplicate = Outcome::Dropped(FragmentDrop::Duplicate);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Held);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), duplicate);
    let released = vec![parts[1].clone()];
    assert_eq!(
        send(&fragments, NOW, &parts[0], 3),
        Outcome::First(released)
    );
    assert_eq!(send(&fragments, NOW, &parts[0], 3), duplicate);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), duplicate);
    assert_eq!(send(&fragments, NOW, &parts[2], 0), Outcome::Followed(3));
}

#[test]
fn rfc5722_a_packet_with_overlapping_fragments_is_refused_as_a_whole() {
    for is_v6 in [false, true] {
        let spec = spec(is_v6);
        let parts = cut(&spec, &[0, 1480, 2960]);
        let overlapping = part(&spec, 1472, &[0; 16], false);
        let overlap = Outcome::Dropped(FragmentDrop::Overlap);
        let refused = Outcome::Dropped(FragmentDrop::Refused);

        // After the first one, and before it.
        let fragments = fragments();
        send(&fragments, NOW, &parts[0], 3);
        assert_eq!(send(&fragments, NOW, &overlapping, 0), overlap);
        assert_eq!(send(&fragments, NOW, &parts[1], 0), refused);
        assert_eq!(send(&fragments, NOW, &parts[0], 3), refused);

        let fragments = self::fragments();
        assert_eq!(send(&fragments, NOW, &overlapping, 0), Outcome::Held);
        assert_eq!(send(&fragments, NOW, &parts[0], 3), overlap);
        assert_eq!(send(&fragments, NOW, &parts[1], 0), refused);
        assert_eq!(fragments.stats().dropped(FragmentDrop::Refused), 2);
    }
}

#[test]
fn rfc3128_no_fragment_overwrites_a_tcp_header() {
    // The header is in the first fragment; another one says that it goes on at offset 8.
    let spec = Spec::new(Kind::Tcp, spec(false).ends, &[7; 100]);
    let first = &cut(&spec, &[0, 40])[0];
    let evil = part(&spec, 8, &[0xff; 16], false);
    for order in [[first, &evil], [&evil, first]] {
        let fragments = fragments();
        let outcomes = order.map(|bytes| send(&fragments, NOW, bytes, 3));
        let is_dropped = |outcome: &Outcome| matches!(outcome, Outcome::Dropped(_));
        // Contained in the first one it is a duplicate; the first one after it overlaps.
        assert!(is_dropped(&outcomes[1]), "{outcomes:?}");
    }
}

#[test]
fn a_part_beyond_the_last_one_is_refused() {
    let fragments = fragments();
    let spec = spec(false);
    let parts = cut(&spec, &[0, 1480]);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Held);
    let beyond = part(&spec, 4000, &[0; 8], false);
    let overlap = Outcome::Dropped(FragmentDrop::Overlap);
    assert_eq!(send(&fragments, NOW, &beyond, 0), overlap);
}

#[test]
fn parts_with_too_many_gaps_are_refused() {
    let fragments = fragments();
    let spec = spec(false);
    for island in 1..=8 {
        let bytes = part(&spec, island * 16, &[0; 8], false);
        assert_eq!(send(&fragments, NOW, &bytes, 0), Outcome::Held);
    }
    let bytes = part(&spec, 9 * 16, &[0; 8], false);
    let scattered = Outcome::Dropped(FragmentDrop::Scattered);
    assert_eq!(send(&fragments, NOW, &bytes, 0), scattered);
    assert_eq!(fragments.stats().dropped(FragmentDrop::Refused), 8);
}

#[test]
fn when_the_first_is_dropped_the_others_are_too() {
    let fragments = fragments();
    let parts = cut(&spec(false), &[0, 1480, 2960]);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Held);
    let parsed = ParsedFrame::parse(&parts[0]).unwrap();
    let first = FragmentPart::read(&parts[0], &parsed).unwrap();
    fragments.refuse(NOW, INSIDE, &first);
    let refused = Outcome::Dropped(FragmentDrop::Refused);
    assert_eq!(send(&fragments, NOW, &parts[2], 0), refused);
    assert_eq!(fragments.stats().dropped(FragmentDrop::Refused), 2);

    // A forged first fragment that is dropped takes nothing from one that went.
    let fragments = self::fragments();
    send(&fragments, NOW, &parts[0], 3);
    fragments.refuse(NOW, INSIDE, &first);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Followed(3));
}

#[test]
fn a_packet_is_forgotten_after_its_time() {
    let fragments = fragments();
    let parts = cut(&spec(false), &[0, 1480, 2960]);
    let late = NOW + Duration::from_secs(30);
    assert_eq!(send(&fragments, NOW, &parts[1], 0), Outcome::Held);
    fragments.poll_expiry(NOW + Duration::from_secs(29));
    assert_eq!(fragments.stats().dropped(FragmentDrop::Expired), 0);
    fragments.poll_expiry(late);
    assert_eq!(fragments.stats().dropped(FragmentDrop::Expired), 1);

    send(&fragments, late, &parts[0], 3);
    let later = late + Duration::from_secs(30);
    // Not swept yet, and not found either.
    assert_eq!(send(&fragments, later, &parts[1], 0), Outcome::Held);
}

#[test]
fn a_source_may_hold_so_many_bytes_and_others_still_find_room() {
    let fragments = fragments();
    let mut spec = spec(false);
    let held = |spec: &Spec, id: u16| {
        let mut bytes = part(spec, 1480, &[0; 1480], true);
        bytes[14 + 4..14 + 6].copy_from_slice(&id.to_be_bytes());
        send(&fragments, NOW, &bytes, 0)
    };
    let full = Outcome::Dropped(FragmentDrop::HeldBytes);
    // 256 KiB a shard, half of it for a source, of fragments of 1,546 bytes with headroom: 84. But
    // no more than 32 packets of a source: older ones give way.
    for id in 0..200 {
        assert_eq!(held(&spec, id), Outcome::Held);
    }
    assert_eq!(fragments.stats().dropped(FragmentDrop::Evicted), 200 - 32);
    // One packet of many parts.
    let fragments = self::fragments();
    let outcomes: Vec<_> = (1..40_u16)
        .map(|index| {
            let start = usize::from(index) * 1600;
            send(&fragments, NOW, &part(&spec, start, &[0; 1600], false), 0)
        })
        .collect();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Held));
    let fragments = Fragments::new(
        7,
        FragmentLimits {
            held_len: 16 * 10_000,
            ..FragmentLimits::default()
        },
    );
    let send_part = |spec: &Spec, index: usize| {
        send(
            &fragments,
            NOW,
            &part(spec, index * 1600, &[0; 1600], false),
            0,
        )
    };
    for index in 1..=3 {
        assert_eq!(send_part(&spec, index), Outcome::Held);
    }
    assert_eq!(send_part(&spec, 4), full);
    // Whatever shard another source is in, it finds room.
    spec.ends = ends("10.0.0.3:9", "192.0.2.1:53");
    assert_eq!(send_part(&spec, 1), Outcome::Held);
}

#[test]
fn many_sources_do_not_exceed_the_bounds() {
    let fragments = fragments();
    for host in 0..5000_u32 {
        let [.., high, low] = host.to_be_bytes();
        let pair = ends(&format!("10.9.{high}.{low}:9"), "192.0.2.1:53");
        let spec = Spec::new(Kind::Udp, pair, &[]);
        send(&fragments, NOW, &part(&spec, 8, &[0; 8], true), 0);
    }
    let count: usize = fragments
        .shards
        .iter()
        .map(|shard| shard.lock().unwrap().len())
        .sum();
    assert_eq!(count, 1024);
    assert_eq!(
        fragments.stats().dropped(FragmentDrop::Evicted),
        5000 - 1024
    );
}

#[test]
fn workers_share_the_state() {
    const PACKETS: u16 = 300;
    let fragments = fragments();
    let gone = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4_u8 {
            let (fragments, gone) = (&fragments, &gone);
            scope.spawn(move || {
                let pair = ends(&format!("10.0.{worker}.2:9"), "192.0.2.1:53");
                let spec = Spec::new(Kind::Udp, pair, &[7; 3001]);
                let mut parts = cut(&spec, &[0, 1480, 2960]);
                for id in 0..PACKETS {
                    parts.rotate_left(1);
                    for bytes in &mut parts {
                        bytes[14 + 4..14 + 6].copy_from_slice(&id.to_be_bytes());
                        match send(fragments, NOW, bytes, worker) {
                            Outcome::Followed(way) => {
                                assert_eq!(way, worker);
                                gone.fetch_add(1, Ordering::Relaxed);
                            }
                            Outcome::First(released) => {
                                gone.fetch_add(1 + released.len(), Ordering::Relaxed);
                            }
                            Outcome::Held => {}
                            Outcome::Dropped(reason) => {
                                assert_ne!(reason, FragmentDrop::Overlap);
                            }
                        }
                    }
                }
            });
        }
    });
    fragments.poll_expiry(NOW + Duration::from_secs(30));
    let dropped: u64 = fragments.stats().drops.iter().sum();
    let gone = u64::try_from(gone.into_inner()).unwrap();
    assert_eq!(gone + dropped, u64::from(PACKETS) * 4 * 3);
}
