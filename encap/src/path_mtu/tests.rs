use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_secs(1000);

/// A path that takes packets up to `limit` bytes; `None` for a peer that answers nothing.
struct Path {
    limit: Option<u16>,
    /// Whether a router says why it drops.
    is_talkative: bool,
    probe_count: u32,
}

impl Path {
    fn new(limit: u16) -> Self {
        Self {
            limit: Some(limit),
            is_talkative: false,
            probe_count: 0,
        }
    }

    /// Lets the machine run until it waits for ten minutes; returns the time then.
    fn settle(&mut self, mtu: &mut PathMtu, mut now: Timestamp) -> Timestamp {
        for _ in 0..200 {
            if let Some(size) = mtu.poll_probe(now) {
                self.probe_count += 1;
                match self.limit {
                    Some(limit) if size <= limit => mtu.handle_answer(now, size),
                    Some(limit) if self.is_talkative => mtu.handle_too_big(now, limit),
                    _ => {}
                }
            }
            match mtu.poll_timeout() {
                Some(at) if at.since(now) < PathMtu::RAISE_AFTER => now = now.max(at),
                _ => return now,
            }
        }
        panic!("{mtu:?} never settles");
    }
}

#[test]
fn a_wide_path_is_proved_by_one_probe() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
    let mut path = Path::new(1500);
    path.settle(&mut mtu, START);
    assert_eq!((mtu.current(), path.probe_count), (1500, 1));
    assert_eq!(mtu.poll_timeout(), Some(START + PathMtu::RAISE_AFTER));
}

#[test]
fn a_router_that_tells_lowers_the_value_at_once() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::Off);
    mtu.handle_too_big(START, 1400);
    assert_eq!(mtu.current(), 1400);
    mtu.handle_too_big(START, 1450);
    assert_eq!(mtu.current(), 1400);
    let just_before = START + Duration::from_secs(599);
    assert_eq!((mtu.poll_probe(just_before), mtu.current()), (None, 1400));
    let expiry = START + PathMtu::RAISE_AFTER;
    assert_eq!(mtu.poll_timeout(), Some(expiry));
    assert_eq!((mtu.poll_probe(expiry), mtu.current()), (None, 1500));
    assert_eq!(mtu.poll_timeout(), None);
}

#[test]
fn no_message_lowers_the_value_below_what_every_host_takes() {
    for (underlay, least) in [(Underlay::V4, 576), (Underlay::V6, 1280)] {
        for told in [0, 68, least - 1, least] {
            let mut mtu = PathMtu::new(underlay, 1500, Probing::On);
            mtu.handle_too_big(START, told);
            assert_eq!(mtu.current(), least);
        }
        let narrow = PathMtu::new(underlay, 100, Probing::Off);
        assert_eq!(narrow.current(), least);
    }
}

#[test]
fn a_silent_black_hole_is_found_by_probing() {
    for limit in [576, 577, 1000, 1280, 1400, 1492, 1499] {
        let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
        Path::new(limit).settle(&mut mtu, START);
        assert!(mtu.current() <= limit, "{limit} {}", mtu.current());
        assert!(limit - mtu.current() <= 8, "{limit} {}", mtu.current());
    }
}

#[test]
fn a_router_that_tells_shortens_the_search() {
    let mut mtu = PathMtu::new(Underlay::V4, 9000, Probing::On);
    let mut path = Path::new(1400);
    path.is_talkative = true;
    let now = path.settle(&mut mtu, START);
    assert_eq!((mtu.current(), path.probe_count), (1400, 1));
    // Ten minutes later the largest is tried, and the router says the same again.
    path.settle(&mut mtu, now + PathMtu::RAISE_AFTER);
    assert_eq!((mtu.current(), path.probe_count), (1400, 2));
    // The path has become wider, but not as wide as the link.
    path.limit = Some(1450);
    path.settle(&mut mtu, now + PathMtu::RAISE_AFTER * 2);
    assert_eq!((mtu.current(), path.probe_count), (1450, 4));
}

#[test]
fn a_path_that_stays_as_it_is_is_proved_again_without_a_dip() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
    let mut path = Path::new(1400);
    let mut now = path.settle(&mut mtu, START);
    let proved = mtu.current();
    now = now + PathMtu::RAISE_AFTER;
    for _ in 0..40 {
        if let Some(size) = mtu.poll_probe(now)
            && size <= 1400
        {
            mtu.handle_answer(now, size);
        }
        assert!((proved..=1400).contains(&mtu.current()));
        now = now + PathMtu::PROBE_TIMEOUT;
    }
    // Narrower than what was proved: found from the bottom.
    path.limit = Some(900);
    path.settle(&mut mtu, now + PathMtu::RAISE_AFTER);
    assert!((892..=900).contains(&mtu.current()));
}

#[test]
fn a_path_that_becomes_wider_is_used_after_ten_minutes() {
    let mut mtu = PathMtu::new(Underlay::V6, 1500, Probing::On);
    let mut path = Path::new(1300);
    let now = path.settle(&mut mtu, START);
    assert!((1292..=1300).contains(&mtu.current()));
    path.limit = Some(1500);
    path.settle(&mut mtu, now + PathMtu::RAISE_AFTER);
    assert_eq!(mtu.current(), 1500);
}

#[test]
fn a_peer_that_answers_nothing_proves_nothing() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
    let mut path = Path::new(1500);
    path.limit = None;
    let now = path.settle(&mut mtu, START);
    assert_eq!((mtu.current(), path.probe_count), (1500, 6));
    // What a router says counts, and expires.
    mtu.handle_too_big(now, 1400);
    assert_eq!(mtu.current(), 1400);
    path.settle(&mut mtu, now + PathMtu::RAISE_AFTER);
    assert_eq!(mtu.current(), 1500);
}

#[test]
fn what_was_proved_outlasts_a_peer_that_is_down_for_one_round() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
    let mut path = Path::new(1400);
    let mut now = path.settle(&mut mtu, START);
    let proved = mtu.current();
    path.limit = None;
    for want in [proved, 1500] {
        now = path.settle(&mut mtu, now + PathMtu::RAISE_AFTER);
        assert_eq!(mtu.current(), want);
    }
}

#[test]
fn answers_that_nobody_waits_for_count_for_nothing() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
    mtu.handle_answer(START, 9000);
    mtu.handle_answer(START, 600);
    assert_eq!(mtu.current(), 1500);
    mtu.handle_too_big(START, 1400);
    mtu.handle_answer(START, 1500);
    assert_eq!(mtu.current(), 1400);
}

#[test]
fn another_link_begins_anew() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500, Probing::On);
    mtu.handle_too_big(START, 1400);
    mtu.handle_link_mtu(Underlay::V6, 9000);
    assert_eq!(mtu.current(), 9000);
    assert_eq!(mtu.poll_probe(START), Some(9000));
}

proptest! {
    /// Whatever happens, the value is between the least and the link's, and polling ends.
    #[test]
    fn the_value_stays_within_its_bounds(
        v6 in any::<bool>(),
        link in any::<u16>(),
        events in prop::collection::vec((0_u8..4, any::<u16>(), 0_u64..700), 0..60),
    ) {
        let underlay = if v6 { Underlay::V6 } else { Underlay::V4 };
        let mut mtu = PathMtu::new(underlay, link, Probing::On);
        let mut now = START;
        let mut probed = 0;
        for (event, size, secs) in events {
            now = now + Duration::from_secs(secs);
            match event {
                0 => mtu.handle_too_big(now, size),
                1 => mtu.handle_answer(now, probed),
                2 => mtu.handle_answer(now, size),
                _ => probed = mtu.poll_probe(now).unwrap_or(probed),
            }
            let least = underlay.min_path_mtu();
            prop_assert!((least..=link.max(least)).contains(&mtu.current()));
        }
    }

    /// On a path that says nothing the search ends with at most 8 bytes given away.
    #[test]
    fn every_search_ends_close_below_the_limit(limit in 1280_u16..=9000, link in 1280_u16..=9000) {
        let mut mtu = PathMtu::new(Underlay::V6, link, Probing::On);
        Path::new(limit).settle(&mut mtu, START);
        let best = limit.min(link);
        prop_assert!(mtu.current() <= best && best - mtu.current() <= 8);
    }
}
