use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_secs(1000);

/// A path that takes packets up to `limit` bytes; `None` for a peer that answers nothing.
struct Path {
    limit: Option<u16>,
    probe_count: u32,
    now: Timestamp,
}

impl Path {
    fn new(limit: u16) -> Self {
        Self {
            limit: Some(limit),
            probe_count: 0,
            now: START,
        }
    }

    /// Lets the machine run until it waits for its next round.
    fn settle(&mut self, mtu: &mut PathMtu) {
        for _ in 0..200 {
            if let Some(size) = mtu.poll_probe(self.now) {
                self.probe_count += 1;
                if self.limit.is_some_and(|limit| size <= limit) {
                    mtu.handle_answer(self.now, size);
                }
            }
            let at = mtu.poll_timeout();
            if at.since(self.now) >= PathMtu::CONFIRM_AFTER {
                return;
            }
            self.now = self.now.max(at);
        }
        panic!("{mtu:?} never settles");
    }

    /// Lets the machine run for so many minutes and then settle.
    fn pass(&mut self, mtu: &mut PathMtu, minutes: u64) {
        let end = self.now + Duration::from_mins(minutes);
        while mtu.poll_timeout() <= end {
            self.now = self.now.max(mtu.poll_timeout());
            self.settle(mtu);
        }
        self.now = self.now.max(end);
    }
}

#[test]
fn a_wide_path_is_proved_by_one_probe_a_minute() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1500);
    path.settle(&mut mtu);
    assert_eq!((mtu.current(), path.probe_count), (1500, 1));
    assert_eq!(mtu.poll_timeout(), START + PathMtu::CONFIRM_AFTER);
    path.pass(&mut mtu, 30);
    assert_eq!((mtu.current(), path.probe_count), (1500, 31));
}

#[test]
fn no_ceiling_lowers_the_value_below_what_every_host_takes() {
    for (underlay, least) in [(Underlay::V4, 576), (Underlay::V6, 1280)] {
        for told in [0, 68, least - 1, least] {
            let mut mtu = PathMtu::new(underlay, 1500);
            mtu.handle_ceiling(told);
            assert_eq!(mtu.current(), least);
            assert_eq!(PathMtu::new(underlay, told).current(), least);
        }
    }
}

#[test]
fn a_silent_black_hole_is_found_by_probing() {
    for limit in [576, 577, 1000, 1280, 1400, 1492, 1499] {
        let mut mtu = PathMtu::new(Underlay::V4, 1500);
        let mut path = Path::new(limit);
        path.settle(&mut mtu);
        assert!(mtu.current() <= limit, "{limit} {}", mtu.current());
        assert!(limit - mtu.current() <= 8, "{limit} {}", mtu.current());
        // The value is one that passes from the first small answer on.
        let mut mtu = PathMtu::new(Underlay::V4, 1500);
        let mut now = START;
        while mtu.current() == 1500 {
            if let Some(size) = mtu.poll_probe(now).filter(|size| *size <= limit) {
                mtu.handle_answer(now, size);
            }
            now = now.max(mtu.poll_timeout());
        }
        let wait = PathMtu::PROBE_TIMEOUT * u32::from(PathMtu::MAX_PROBES);
        let sizes_lost = if limit < 1350 { 2 } else { 1 };
        assert_eq!(now.since(START), wait * sizes_lost, "{limit}");
    }
}

#[test]
fn what_was_lost_three_times_is_tried_once_more_when_less_is_answered() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let (mut sizes, mut now) = (Vec::new(), START);
    while sizes.len() < 6 {
        if let Some(size) = mtu.poll_probe(now) {
            sizes.push(size);
            if size <= 1400 {
                mtu.handle_answer(now, size);
            }
        }
        now = now.max(mtu.poll_timeout());
    }
    assert_eq!(sizes, [1500, 1500, 1500, 1350, 1500, 1425]);
    assert_eq!(now.since(START), PathMtu::PROBE_TIMEOUT * 5);
}

#[test]
fn what_the_kernel_hears_counts_at_once_and_is_checked() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1400);
    assert_eq!(mtu.poll_probe(START), Some(1500));
    // A router has said so, because of the probe.
    mtu.handle_ceiling(1400);
    assert_eq!(mtu.current(), 1400);
    path.settle(&mut mtu);
    assert_eq!((mtu.current(), path.probe_count), (1400, 1));
    // The kernel has forgotten it, and the path is wider now.
    path.limit = Some(1500);
    mtu.handle_ceiling(1500);
    path.settle(&mut mtu);
    assert_eq!((mtu.current(), path.probe_count), (1500, 2));
    // Said again is nothing new.
    let before = mtu;
    mtu.handle_ceiling(1500);
    assert_eq!(mtu, before);
}

#[test]
fn a_ceiling_that_rises_does_not_raise_what_was_found_to_be_less() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1300);
    path.settle(&mut mtu);
    let proved = mtu.current();
    mtu.handle_ceiling(9000);
    assert_eq!(mtu.current(), proved);
    path.settle(&mut mtu);
    assert!((1292..=1300).contains(&mtu.current()));
}

#[test]
fn a_path_that_stays_as_it_is_is_proved_again_without_a_dip() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1400);
    path.settle(&mut mtu);
    let proved = mtu.current();
    for _ in 0..1500 {
        if let Some(size) = mtu.poll_probe(path.now)
            && size <= 1400
        {
            mtu.handle_answer(path.now, size);
        }
        assert!((proved..=1400).contains(&mtu.current()));
        path.now = path.now + PathMtu::PROBE_TIMEOUT;
    }
}

#[test]
fn a_path_that_becomes_narrower_is_noticed_within_a_minute() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1500);
    path.settle(&mut mtu);
    path.limit = Some(900);
    path.now = path.now + PathMtu::CONFIRM_AFTER;
    path.settle(&mut mtu);
    assert!((892..=900).contains(&mtu.current()));
    path.limit = Some(700);
    path.now = path.now + PathMtu::CONFIRM_AFTER;
    path.settle(&mut mtu);
    assert!((692..=700).contains(&mtu.current()));
}

#[test]
fn a_path_that_becomes_wider_is_used_after_ten_minutes() {
    let mut mtu = PathMtu::new(Underlay::V6, 1500);
    let mut path = Path::new(1300);
    path.settle(&mut mtu);
    path.limit = Some(1500);
    path.pass(&mut mtu, 9);
    assert!((1292..=1300).contains(&mtu.current()));
    path.pass(&mut mtu, 2);
    assert_eq!(mtu.current(), 1500);
}

#[test]
fn a_peer_that_answers_nothing_proves_nothing() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1500);
    path.limit = None;
    path.settle(&mut mtu);
    assert_eq!((mtu.current(), path.probe_count), (1500, 9));
}

#[test]
fn what_was_proved_outlasts_a_silence_of_less_than_ten_minutes() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1400);
    path.settle(&mut mtu);
    let proved = mtu.current();
    path.limit = None;
    path.pass(&mut mtu, 8);
    assert_eq!(mtu.current(), proved);
    path.pass(&mut mtu, 4);
    assert_eq!(mtu.current(), 1500);
}

#[test]
fn answers_that_nobody_waits_for_count_for_nothing() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    for size in [9000, 600, 1500] {
        mtu.handle_answer(START, size);
    }
    assert_eq!((mtu.current(), mtu.probed()), (1500, None));
    assert_eq!(mtu.poll_probe(START), Some(1500));
    mtu.handle_ceiling(1400);
    mtu.handle_answer(START, 1500);
    assert_eq!(mtu.current(), 1400);
}

#[test]
fn what_was_lost_for_a_moment_is_tried_again_at_once() {
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    let mut now = START;
    for _ in 0..3 {
        assert_eq!(mtu.poll_probe(now), Some(1500));
        now = now + PathMtu::PROBE_TIMEOUT;
    }
    let mut path = Path::new(1500);
    path.now = now;
    path.settle(&mut mtu);
    assert_eq!((mtu.current(), path.probe_count), (1500, 2));
}

proptest! {
    /// Whatever happens, the value is between the least and the ceiling.
    #[test]
    fn the_value_stays_within_its_bounds(
        v6 in any::<bool>(),
        ceiling in any::<u16>(),
        events in prop::collection::vec((0_u8..4, any::<u16>(), 0_u64..700), 0..60),
    ) {
        let underlay = if v6 { Underlay::V6 } else { Underlay::V4 };
        let mut mtu = PathMtu::new(underlay, ceiling);
        let (mut now, mut probed, mut ceiling) = (START, 0, ceiling);
        for (event, size, secs) in events {
            now = now + Duration::from_secs(secs);
            match event {
                0 => {
                    ceiling = size;
                    mtu.handle_ceiling(size);
                }
                1 => mtu.handle_answer(now, probed),
                2 => mtu.handle_answer(now, size),
                _ => probed = mtu.poll_probe(now).unwrap_or(probed),
            }
            let least = underlay.min_path_mtu();
            prop_assert!((least..=ceiling.max(least)).contains(&mtu.current()));
        }
    }

    /// On a path that says nothing the search ends with at most 8 bytes given away.
    #[test]
    fn every_search_ends_close_below_the_limit(
        limit in 1280_u16..=9000,
        ceiling in 1280_u16..=9000,
    ) {
        let mut mtu = PathMtu::new(Underlay::V6, ceiling);
        Path::new(limit).settle(&mut mtu);
        let best = limit.min(ceiling);
        prop_assert!(mtu.current() <= best && best - mtu.current() <= 8);
    }
}

#[test]
fn what_was_found_goes_on_in_another_machine_and_is_checked() {
    let mut old = PathMtu::new(Underlay::V4, 1500);
    assert_eq!(old.found(), None);
    let mut path = Path::new(1400);
    path.settle(&mut old);
    let found = old.found().unwrap();
    assert_eq!(found.size, old.current());
    let mut new = PathMtu::new(Underlay::V4, 1500);
    new.resume(found, path.now);
    assert_eq!((new.current(), new.found()), (old.current(), Some(found)));
    path.probe_count = 0;
    path.settle(&mut new);
    assert_eq!((new.current(), path.probe_count), (old.current(), 1));
    // A path that has become wider is noticed at the time that the old one would have.
    path.limit = Some(1500);
    path.pass(&mut new, 11);
    assert_eq!((new.current(), new.found()), (1500, None));
}

#[test]
fn a_search_that_is_under_way_goes_on_in_another_machine() {
    let mut old = PathMtu::new(Underlay::V4, 1500);
    let mut path = Path::new(1400);
    while old.current() == 1500 {
        if let Some(size) = old.poll_probe(path.now).filter(|size| *size <= 1400) {
            old.handle_answer(path.now, size);
        }
        path.now = path.now.max(old.poll_timeout());
    }
    let found = old.found().unwrap();
    assert_eq!((found.size, old.current()), (1350, 1350));
    let mut new = PathMtu::new(Underlay::V4, 1500);
    new.resume(found, path.now);
    assert_eq!(new.current(), 1350, "nothing is sent into the black hole");
    path.settle(&mut new);
    assert!((1392..=1400).contains(&new.current()), "{}", new.current());
    assert_eq!(
        new.found().unwrap().raise_at,
        path.now + PathMtu::RAISE_AFTER
    );
}

#[test]
fn what_cannot_be_or_is_old_is_not_gone_on_with() {
    let found = FoundPath {
        size: 1400,
        answered: START,
        raise_at: START + PathMtu::RAISE_AFTER,
    };
    for size in [0, 100, 1500, u16::MAX] {
        let mut mtu = PathMtu::new(Underlay::V4, 1500);
        mtu.resume(FoundPath { size, ..found }, START);
        assert_eq!(mtu.current(), 1500, "{size}");
    }
    let mut mtu = PathMtu::new(Underlay::V4, 1500);
    mtu.resume(found, START + PathMtu::RAISE_AFTER);
    assert_eq!(mtu.current(), 1500);
}
