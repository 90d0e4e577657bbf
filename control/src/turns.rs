//! One operation at a time for each sandbox, any number at once for different ones.
//!
//! Making an interface takes milliseconds in a namespace, and what happens in one sandbox depends on
//! what happened there before: whether it is known, which `ethN` is next, whether it has ended. So
//! whoever changes a sandbox first takes its turn.
//!
//! A turn is waited for by a thread, of which there are few, and root of a sandbox can hold up what is
//! done in it. So an operation that a request has waited [`PATIENCE`] for is *stuck* until it ends: the
//! requests that wait for it are refused, and new ones do not wait. As many requests as there are may
//! wait for each other. What has happened is not refused: the end of a sandbox waits as long as it takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{ControlError, Name};

/// How long one operation is waited for. It needs milliseconds, hundreds of them on a machine that is
/// swapping.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hands out turns by name.
#[derive(Debug)]
pub(crate) struct Turns {
    taken: Mutex<Operations>,
    patience: Duration,
}

type Operations = BTreeMap<Name, Operation>;

/// What is being done in a sandbox.
#[derive(Debug, Default)]
struct Operation {
    /// Notified when the operation has ended or is stuck. No two operations have the same.
    changed: Arc<Condvar>,
    is_stuck: bool,
}

/// The right to change one sandbox; ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    name: Name,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            taken: Mutex::default(),
            patience: PATIENCE,
        }
    }
}

impl Turns {
    /// Waits until nobody else has the turn of `name`, and takes it.
    pub(crate) fn take(&self, name: &Name) -> Turn<'_> {
        let mut taken = self.taken();
        while let Some(operation) = taken.get(name) {
            let changed = Arc::clone(&operation.changed);
            taken = changed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        self.begin(taken, name)
    }

    /// As [`Turns::take`], unless the operation that has the turn is stuck.
    ///
    /// # Errors
    ///
    /// [`ControlError::SandboxBusy`].
    pub(crate) fn request(&self, name: &Name) -> Result<Turn<'_>, ControlError> {
        let mut taken = self.taken();
        while let Some(operation) = taken.get(name) {
            if operation.is_stuck {
                return Err(ControlError::SandboxBusy {
                    sandbox: name.clone(),
                });
            }
            let changed = Arc::clone(&operation.changed);
            let is_going_on = |taken: &mut Operations| {
                taken.get(name).is_some_and(|operation| {
                    Arc::ptr_eq(&operation.changed, &changed) && !operation.is_stuck
                })
            };
            let (waited, timeout) = changed
                .wait_timeout_while(taken, self.patience, is_going_on)
                .unwrap_or_else(PoisonError::into_inner);
            taken = waited;
            if let Some(operation) = taken.get_mut(name)
                && timeout.timed_out()
            {
                operation.is_stuck = true;
                changed.notify_all();
            }
        }
        Ok(self.begin(taken, name))
    }

    fn begin(&self, mut taken: MutexGuard<'_, Operations>, name: &Name) -> Turn<'_> {
        taken.insert(name.clone(), Operation::default());
        Turn {
            turns: self,
            name: name.clone(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Operations> {
        // Names stay consistent even if a holder of the lock panicked: it is held for one operation.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let ended = self.turns.taken().remove(&self.name);
        if let Some(operation) = ended {
            operation.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn turns_of_one_name_exclude_each_other_and_those_of_another_do_not() {
        let turns = Turns::default();
        let a = name("a");
        let inside = AtomicUsize::new(0);
        let _other = turns.take(&name("b"));
        let with_turn = |turn: Turn<'_>| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
            drop(turn);
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        with_turn(turns.take(&a));
                        with_turn(turns.request(&a).unwrap());
                    }
                });
            }
        });
    }

    #[test]
    fn requests_do_not_wait_for_a_stuck_operation_and_what_has_happened_does() {
        let turns = Turns {
            patience: Duration::from_millis(1),
            ..Turns::default()
        };
        let a = name("a");
        let stuck = turns.take(&a);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let refusal = turns.request(&a).unwrap_err().to_string();
                    assert!(refusal.contains("sandbox a is busy"), "{refusal}");
                });
            }
        });
        // Stuck by now, so that even a patient one is refused at once.
        turns.request(&a).unwrap_err();
        drop(turns.request(&name("b")).unwrap());
        thread::scope(|scope| {
            scope.spawn(|| drop(turns.take(&a)));
            drop(stuck);
        });
        drop(turns.request(&a).unwrap());
    }
}
