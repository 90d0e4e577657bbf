//! What every store must pass.
//!
//! A store calls [`conformance!`](crate::conformance!) in its tests, with an expression that makes a
//! [`Subject`]: an empty store and the way in which time passes for it. Each check is a test of its own,
//! and gets a store of its own. The checks demand what [`Store`] promises and nothing more:
//! a watch may leave out values that were replaced, forget, and a lease may end late.

mod leases;
mod model;
mod races;
mod values;
mod watches;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use leases::{
    keys_end_with_their_lease, leases_end_when_they_are_not_kept_alive, revoked_leases_are_gone,
};
pub use model::random_transactions_do_what_a_map_does;
pub use races::{
    of_many_claims_one_wins, swaps_of_many_threads_lose_nothing, transactions_are_seen_whole,
};
pub use values::{
    comparisons_mean_what_they_say, folders_are_read_in_order_at_one_revision,
    limits_are_those_of_every_store, transactions_are_made_whole_or_not_at_all,
    values_carry_their_revisions,
};
pub use watches::{
    a_watch_and_its_range_lead_to_what_is_there, a_watch_tells_of_its_folder_alone,
    a_watch_waits_no_longer_than_it_is_told, an_observer_that_falls_behind_can_start_again,
    what_was_never_there_is_not_watched,
};

use crate::{Batch, Event, Key, LeaseId, Prefix, Range, Store, Versioned};

/// A store to be checked.
pub struct Subject {
    /// The store, in which nothing is yet.
    pub store: Arc<dyn Store>,
    /// Lets time pass for it: waits, or moves the clock that it was given.
    pub pass: Box<dyn Fn(Duration)>,
    /// How many random runs are affordable.
    pub runs: u32,
    /// What else must live as long as the store, such as its directory.
    pub keep: Box<dyn std::any::Any>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.store).finish()
    }
}

/// Makes one test of each check, in a module of this name, for the store that an expression makes.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $subject:expr) => {
        mod $name {
            $crate::conformance!(@checks $subject;
                values_carry_their_revisions,
                transactions_are_made_whole_or_not_at_all,
                comparisons_mean_what_they_say,
                limits_are_those_of_every_store,
                folders_are_read_in_order_at_one_revision,
                random_transactions_do_what_a_map_does,
                swaps_of_many_threads_lose_nothing,
                of_many_claims_one_wins,
                transactions_are_seen_whole,
                a_watch_tells_of_its_folder_alone,
                a_watch_waits_no_longer_than_it_is_told,
                a_watch_and_its_range_lead_to_what_is_there,
                what_was_never_there_is_not_watched,
                an_observer_that_falls_behind_can_start_again,
                keys_end_with_their_lease,
                leases_end_when_they_are_not_kept_alive,
                revoked_leases_are_gone,
            );
        }
    };
    (@checks $subject:expr; $($check:ident,)*) => {
        $(
            #[test]
            fn $check() -> Result<(), $crate::StoreError> {
                $crate::conformance::$check(&$subject)
            }
        )*
    };
}

/// What an observer knows of a folder.
type Seen = BTreeMap<Key, Versioned>;

#[expect(clippy::expect_used, reason = "the texts are constants of the checks")]
fn key(text: &str) -> Key {
    Key::new(text).expect("the checks write proper keys")
}

fn below(text: &str) -> Prefix {
    Prefix::below(&key(text))
}

fn seen(range: Range) -> Seen {
    let entries = range.entries.into_iter();
    entries.map(|it| (it.key, it.value)).collect()
}

fn see(seen: &mut Seen, batch: Batch) {
    for event in batch.events {
        match event {
            Event::Put { key, value } => {
                seen.insert(key, value);
            }
            Event::Deleted { key } => {
                seen.remove(&key);
            }
        }
    }
}

fn no_lease() -> LeaseId {
    LeaseId::new("none-of-this-name")
}
