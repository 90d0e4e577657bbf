//! One operation at a time for each sandbox, any number at once for different ones.
//!
//! Making an interface takes milliseconds in a namespace, and what happens in one sandbox depends on
//! what happened there before: whether it is known, which `ethN` is next, whether it has ended. So
//! whoever changes a sandbox first takes its turn.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::Name;

/// Hands out turns by name.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<BTreeSet<Name>>,
    ended: Condvar,
}

/// The right to change one sandbox; ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    name: Name,
}

impl Turns {
    /// Waits until nobody else has the turn of `name`, and takes it.
    pub(crate) fn take(&self, name: &Name) -> Turn<'_> {
        // Names stay consistent even if a holder of the lock panicked: it is held for one operation.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while !taken.insert(name.clone()) {
            taken = self
                .ended
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Turn {
            turns: self,
            name: name.clone(),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self
            .turns
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.name);
        drop(taken);
        self.turns.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn turns_of_one_name_exclude_each_other_and_those_of_another_do_not() {
        let turns = Turns::default();
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        let inside = AtomicUsize::new(0);
        let _other = turns.take(&b);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let turn = turns.take(&a);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
    }
}
