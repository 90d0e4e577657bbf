//! Group commit: who waits for the disk together.
//!
//! There is no thread of its own. A caller that finds nobody leading leads: it takes all that waits, its
//! own request among them, to the disk, hands out the answers and stops leading. What came meanwhile is
//! taken by one of those who wait for it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::work::Operation;
use crate::{Commit, StoreError};

/// What becomes of one operation.
pub(super) type Answer = Result<Commit, StoreError>;

/// Operations that wait, and answers that wait for their callers.
#[derive(Debug, Default)]
pub(super) struct Group {
    queue: Mutex<Queue>,
    /// Notified when a batch was answered.
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// The ticket of the next operation.
    next: u64,
    waiting: Vec<(u64, Operation)>,
    answers: BTreeMap<u64, Answer>,
    led: bool,
}

impl Group {
    /// Has an operation done together with all that wait, by `run`, which answers each in turn.
    pub(super) fn submit(
        &self,
        operation: Operation,
        run: impl Fn(&[Operation]) -> Vec<Answer>,
    ) -> Answer {
        let mut queue = self.queue();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push((ticket, operation));
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            if queue.led {
                queue = self
                    .answered
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.led = true;
            let (tickets, operations): (_, Vec<_>) = queue.waiting.drain(..).unzip();
            drop(queue);
            let mut lead = Lead {
                group: self,
                tickets,
                answers: Vec::new(),
            };
            lead.answers = run(&operations);
            drop(lead);
            queue = self.queue();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that leads. When it stops, by a panic too, all that it took are answered.
struct Lead<'a> {
    group: &'a Group,
    tickets: Vec<u64>,
    answers: Vec<Answer>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut answers = self.answers.drain(..);
        let mut queue = self.group.queue();
        for ticket in self.tickets.drain(..) {
            let answer = answers.next().unwrap_or_else(|| Err(interrupted()));
            queue.answers.insert(ticket, answer);
        }
        queue.led = false;
        drop(queue);
        self.group.answered.notify_all();
    }
}

fn interrupted() -> StoreError {
    StoreError::OutcomeUnknown {
        source: Arc::new(io::Error::other("the thread that wrote has panicked")),
    }
}
