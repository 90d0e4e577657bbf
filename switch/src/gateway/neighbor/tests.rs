use super::*;
use crate::LearnedNeighbor;

const START: Timestamp = Timestamp::from_secs(100);
const A: u128 = 0xfd00 << 112 | 0xa;

fn after(secs: u64) -> Timestamp {
    START + Duration::from_secs(secs)
}

fn place(last: u8) -> Place {
    Place {
        mac: MacAddr::new([2, 0, 0, 0, 0, last]),
        vid: Vid::new(u16::from(last)).ok(),
    }
}

fn table() -> Neighbors {
    Neighbors::new(7)
}

/// Polls every quarter of a second and returns when somebody was asked for, in seconds from the start.
fn questions(neighbors: &Neighbors, from: u64, to: u64) -> Vec<u64> {
    let ticks = from * 4..to * 4;
    let asked = ticks.filter(|tick| {
        let now = START + Duration::from_millis(tick * 250);
        !neighbors.poll(now, 8).is_empty()
    });
    asked.map(|tick| tick / 4).collect()
}

#[test]
fn a_wanted_neighbour_is_asked_for_three_times_and_then_fails_for_a_while() {
    let neighbors = table();
    assert_eq!(neighbors.find(A, START), Found::Wanted);
    neighbors.want(A, START);
    neighbors.want(A, START);
    assert_eq!(questions(&neighbors, 0, 3), [0, 1, 2]);
    assert_eq!(neighbors.find(A, after(3)), Found::Wanted);
    assert_eq!(questions(&neighbors, 3, 4), []);
    assert_eq!(neighbors.find(A, after(4)), Found::Failed);
    assert_eq!(questions(&neighbors, 4, 9), []);
    assert_eq!(neighbors.find(A, after(9)), Found::Wanted);
    neighbors.want(A, after(9));
    assert_eq!(questions(&neighbors, 9, 10), [9]);
}

#[test]
fn an_answer_makes_it_reachable_and_use_keeps_it_so() {
    let neighbors = table();
    neighbors.want(A, START);
    assert_eq!(questions(&neighbors, 0, 1), [0]);
    neighbors.hear(A, place(1), Claim::Answered, after(1));
    assert_eq!(neighbors.find(A, after(1)), Found::Here(place(1)));
    assert_eq!(questions(&neighbors, 1, 31), []);
    // Nobody used it since: nobody asks.
    assert_eq!(questions(&neighbors, 31, 40), []);
    assert_eq!(neighbors.find(A, after(40)), Found::Here(place(1)));
    let question = neighbors.poll(after(40), 8);
    assert_eq!(
        question,
        [Question {
            bits: A,
            vid: place(1).vid
        }]
    );
    neighbors.hear(A, place(2), Claim::Answered, after(41));
    assert_eq!(neighbors.find(A, after(41)), Found::Here(place(2)));
    assert_eq!(questions(&neighbors, 41, 71), []);
}

#[test]
fn one_that_answers_no_more_is_used_until_three_questions_went_without_answer() {
    let neighbors = table();
    neighbors.hear(A, place(1), Claim::Asked, START);
    for second in 0..33 {
        assert_eq!(
            neighbors.find(A, after(second)),
            Found::Here(place(1)),
            "{second}"
        );
        let asks = second >= 30;
        assert_eq!(
            questions(&neighbors, second, second + 1).len(),
            usize::from(asks)
        );
    }
    assert_eq!(questions(&neighbors, 33, 34), []);
    assert_eq!(neighbors.find(A, after(34)), Found::Failed);
}

#[test]
fn one_that_nobody_uses_is_forgotten() {
    let neighbors = table();
    neighbors.hear(A, place(1), Claim::Asked, START);
    assert_eq!(questions(&neighbors, 0, 299), []);
    assert_eq!(neighbors.peek(A), Found::Here(place(1)));
    assert_eq!(questions(&neighbors, 299, 301), []);
    assert_eq!(neighbors.peek(A), Found::Wanted);
}

#[test]
fn nobody_gets_an_entry_by_answering_unasked() {
    let neighbors = table();
    neighbors.hear(A, place(1), Claim::Answered, START);
    neighbors.hear(A, place(1), Claim::AnsweredGently, START);
    assert_eq!(neighbors.find(A, START), Found::Wanted);
}

#[test]
fn an_answer_that_does_not_override_leaves_a_known_mac_alone() {
    let neighbors = table();
    neighbors.hear(A, place(1), Claim::Asked, START);
    neighbors.hear(A, place(2), Claim::AnsweredGently, after(1));
    assert_eq!(neighbors.find(A, START), Found::Here(place(1)));
    neighbors.hear(A, place(2), Claim::Answered, after(1));
    assert_eq!(neighbors.find(A, START), Found::Here(place(2)));
}

#[test]
fn a_scan_does_not_push_out_those_that_answer() {
    let neighbors = table();
    let known = BUCKETS * WAYS / 4;
    let address = |number: usize| A + number as u128;
    for number in 0..known {
        neighbors.hear(address(number), place(1), Claim::Asked, START);
    }
    let here = |now| {
        let found = (0..known).map(|number| neighbors.find(address(number), now));
        found
            .filter(|found| matches!(found, Found::Here(_)))
            .count()
    };
    let before = here(START);
    assert!(before > known * 9 / 10, "{before}");
    for number in known..100 * known {
        neighbors.want(address(number), START);
    }
    assert_eq!(here(START), before);
    // What answers takes the place of what was only wanted.
    let scanned = address(99 * known);
    neighbors.hear(scanned, place(3), Claim::Asked, after(1));
    assert_eq!(neighbors.find(scanned, after(1)), Found::Here(place(3)));
}

#[test]
fn no_more_than_the_limit_is_asked_at_a_time() {
    let neighbors = table();
    for number in 0..64 {
        neighbors.want(A + number, START);
    }
    let asked: Vec<_> = (0..4).map(|_| neighbors.poll(START, 8).len()).collect();
    assert_eq!(asked, [8; 4]);
}

#[test]
fn readers_never_see_a_mix_of_two_entries() {
    let neighbors = table();
    let (first, second) = (place(1), place(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                neighbors.hear(A, first, Claim::Asked, START);
                neighbors.hear(A, second, Claim::Asked, after(1));
            }
        });
        for _ in 0..20_000 {
            match neighbors.find(A, START) {
                Found::Here(place) => assert!(place == first || place == second),
                Found::Wanted => {}
                Found::Failed => panic!("nobody asked"),
            }
        }
    });
}

#[test]
fn what_was_found_goes_on_in_another_table_with_its_age() {
    let neighbors = table();
    neighbors.hear(A, place(1), Claim::Asked, START);
    neighbors.find(A, after(10));
    neighbors.want(A + 1, START);
    let learned = neighbors.learned();
    assert_eq!(learned.len(), 1, "{learned:?}");
    let next = table();
    assert_eq!(next.learned(), []);
    assert!(next.restore(&learned[0], after(20)));
    assert!(!next.restore(&learned[0], after(20)), "it is there");
    assert_eq!(next.learned(), learned);
    assert_eq!(next.peek(A), Found::Here(place(1)));
    // As in the first: it was used, and is asked when it has not been heard for 30 s.
    assert_eq!(questions(&next, 20, 33), [30, 31, 32]);
}

#[test]
fn what_was_found_anew_or_is_unused_for_long_stays_out() {
    let neighbors = table();
    neighbors.hear(A, place(1), Claim::Asked, START);
    let learned = neighbors.learned();
    let next = table();
    assert!(!next.restore(&learned[0], after(300)));
    next.hear(A, place(2), Claim::Asked, START);
    assert!(!next.restore(&learned[0], START));
    assert_eq!(next.peek(A), Found::Here(place(2)));
    // Of a bucket, as many as it has places, and none that is there gives way.
    let many = (0..10_000_u128).map(|number| LearnedNeighbor {
        address: crate::gateway::prefix::address(number << 64 | A),
        ..learned[0]
    });
    let restored = many.filter(|one| next.restore(one, START)).count();
    assert!(restored < BUCKETS * WAYS);
    assert_eq!(next.peek(A), Found::Here(place(2)));
}
