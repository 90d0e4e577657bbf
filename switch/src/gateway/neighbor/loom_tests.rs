//! The table under loom, which runs each test once for every order of its atomic operations, within a
//! bound on how often a thread is interrupted, and for every value that a load may return.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tapweave-switch --release --lib loom
//! ```
//!
//! There is one bucket here, of two places.

use std::sync::Arc;

use loom::thread;
use tapweave_net::{MacAddr, Timestamp};

use super::{Claim, Found, Neighbors, Place};

const NOW: Timestamp = Timestamp::from_secs(100);
const ADDRESS: u128 = 0xfd00_0000_0000_0000_0000_0000_0000_0001;

/// Runs `test` in every order with at most two interruptions.
fn check(test: impl Fn(Arc<Neighbors>) + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || test(Arc::new(Neighbors::new(1))));
}

/// Runs `work` in another thread.
fn meanwhile<T: 'static>(
    neighbors: &Arc<Neighbors>,
    work: impl FnOnce(&Neighbors) -> T + 'static,
) -> thread::JoinHandle<T> {
    let neighbors = Arc::clone(neighbors);
    thread::spawn(move || work(&neighbors))
}

/// Where a neighbour is; the two halves of the number are alike, so that one of another place shows.
fn place(number: u64) -> Place {
    Place {
        mac: MacAddr::from_u64(0x0200_0000_0000 | number << 24 | number),
        vid: None,
    }
}

#[test]
fn a_neighbour_is_never_seen_at_a_mixture_of_two_places() {
    check(|neighbors| {
        let writers = [1, 2].map(|number| {
            meanwhile(&neighbors, move |neighbors| {
                neighbors.hear(ADDRESS, place(number), Claim::Asked, NOW);
            })
        });
        let is_sound = |found| matches!(found, Found::Wanted | Found::Here(_));
        let is_known = |found| {
            [1, 2]
                .map(|number| Found::Here(place(number)))
                .contains(&found)
        };
        let found = neighbors.find(ADDRESS, NOW);
        assert!(is_sound(found) && (found == Found::Wanted || is_known(found)));
        for writer in writers {
            writer.join().unwrap();
        }
        // One of them at least had its say.
        assert!(is_known(neighbors.find(ADDRESS, NOW)));
    });
}

#[test]
fn who_is_wanted_by_two_workers_is_asked_for_and_found_when_it_answers() {
    check(|neighbors| {
        let other = meanwhile(&neighbors, |neighbors| neighbors.want(ADDRESS, NOW));
        neighbors.want(ADDRESS, NOW);
        other.join().unwrap();
        let asked = neighbors.poll(NOW, 8);
        // Each may have taken a place, which costs a question more.
        assert!(matches!(asked.len(), 1 | 2));
        assert!(asked.iter().all(|question| question.bits == ADDRESS));
        neighbors.hear(ADDRESS, place(1), Claim::Answered, NOW);
        assert_eq!(neighbors.find(ADDRESS, NOW), Found::Here(place(1)));
    });
}

#[test]
fn an_answer_while_the_question_is_counted_leaves_one_of_the_two() {
    check(|neighbors| {
        neighbors.want(ADDRESS, NOW);
        let control = meanwhile(&neighbors, |neighbors| neighbors.poll(NOW, 8).len());
        neighbors.hear(ADDRESS, place(1), Claim::Answered, NOW);
        let asked = control.join().unwrap();
        match neighbors.find(ADDRESS, NOW) {
            Found::Here(found) => assert_eq!(found, place(1)),
            // The answer met the place being written; the next question brings another.
            Found::Wanted => assert_eq!(asked, 1),
            Found::Failed => panic!("it has answered"),
        }
    });
}

#[test]
fn a_poll_meanwhile_does_not_forget_who_is_wanted() {
    check(|neighbors| {
        let worker = meanwhile(&neighbors, |neighbors| neighbors.want(ADDRESS, NOW));
        let early = neighbors.poll(NOW, 8);
        worker.join().unwrap();
        let late = neighbors.poll(NOW, 8);
        assert_eq!(early.len() + late.len(), 1);
    });
}
