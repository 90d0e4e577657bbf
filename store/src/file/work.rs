//! What is done to the database, batch by batch, and what becomes of it when that fails.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::{Database, WriteTransaction};
use thiserror::Error;

use super::database::{self, Leases, Snapshot};
use super::error::OpenError;
use super::group::Answer;
use super::medium::Medium;
use super::records::{Tables, failed};
use crate::apply::{self, Applied};
use crate::history::History;
use crate::{Commit, Event, LeaseId, Revision, StoreError, Transaction};

/// What callers ask for.
#[derive(Debug)]
pub(super) enum Operation {
    /// A transaction.
    Commit(Transaction),
    /// A lease with a number that no other has.
    Grant {
        /// Its number.
        number: u64,
        /// How long it lasts.
        ttl: Duration,
    },
    /// The end of a lease.
    End(LeaseId),
}

/// The database, and what of it is shown.
#[derive(Debug)]
pub(super) struct Work {
    medium: Box<dyn Medium>,
    /// None: it has failed and could not be opened again.
    open: Mutex<Option<Open>>,
    /// What reads see. Moves on together with the history.
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    history: Arc<History>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    revision: Revision,
}

/// What a batch does.
#[derive(Debug)]
struct Done {
    answers: Vec<Answer>,
    /// What was changed at which revision.
    steps: Vec<(Revision, Vec<Event>)>,
    /// The last revision.
    revision: Revision,
    /// Whether there is something to write.
    is_change: bool,
}

/// Writing the file has failed.
#[derive(Debug, Error)]
#[error("cannot write {}{}", path.display(), if *is_final { "; start the program again when the disk is well" } else { "" })]
struct WriteError {
    path: PathBuf,
    /// Whether this process will not try again.
    is_final: bool,
    source: Arc<dyn Error + Send + Sync>,
}

impl Work {
    /// Opens the database of a medium. Returns the leases that it has, too.
    ///
    /// # Errors
    ///
    /// When it cannot be opened or read.
    pub(super) fn open(medium: Box<dyn Medium>) -> Result<(Self, Leases), OpenError> {
        let database = database::open(&*medium)?;
        let damaged = |error: StoreError| OpenError::Damaged {
            path: medium.file().to_owned(),
            source: Box::new(error),
        };
        let leases = Leases::of(&database).map_err(damaged)?;
        let snapshot = Snapshot::of(&database).map_err(damaged)?;
        let revision = snapshot.revision();
        let work = Self {
            medium,
            open: Mutex::new(Some(Open { database, revision })),
            snapshot: Mutex::new(Some(Arc::new(snapshot))),
            history: History::new(revision),
        };
        Ok((work, leases))
    }

    /// Returns where its file is.
    pub(super) fn path(&self) -> &Path {
        self.medium.file()
    }

    /// Returns the past.
    pub(super) const fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Returns what the last commit left.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] while the database cannot be opened again.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        if let Some(snapshot) = &*self.shown() {
            return Ok(Arc::clone(snapshot));
        }
        self.reopen(&mut self.slot())?;
        let shown = self.shown().clone();
        shown.ok_or_else(|| failed(redb::Error::DatabaseClosed))
    }

    /// Does a batch of operations, each after the other, and waits once for the disk.
    pub(super) fn run(&self, batch: &[Operation]) -> Vec<Answer> {
        let mut slot = self.slot();
        if let Err(error) = self.reopen(&mut slot) {
            return all(batch, &error);
        }
        let Some(open) = &mut *slot else {
            return all(batch, &failed(redb::Error::DatabaseClosed));
        };
        let transaction = match open.database.begin_write() {
            Ok(transaction) => transaction,
            Err(error) => return self.recover(&mut slot, batch, None, failed(error)),
        };
        let done = match apply_all(&transaction, open.revision, batch) {
            Ok(done) => done,
            Err(error) => {
                drop(transaction);
                return self.recover(&mut slot, batch, None, error);
            }
        };
        if !done.is_change {
            return match transaction.abort() {
                Ok(()) => done.answers,
                Err(error) => self.recover(&mut slot, batch, None, failed(error)),
            };
        }
        if let Err(error) = transaction.commit() {
            return self.recover(&mut slot, batch, Some(done), failed(error));
        }
        match Snapshot::of(&open.database) {
            Ok(snapshot) => {
                open.revision = done.revision;
                self.publish(snapshot, done.steps);
                done.answers
            }
            Err(error) => self.recover(&mut slot, batch, Some(done), error),
        }
    }

    /// Goes on after a failure. `done` is what a commit would have done that may have been made.
    fn recover(
        &self,
        slot: &mut Option<Open>,
        batch: &[Operation],
        done: Option<Done>,
        error: StoreError,
    ) -> Vec<Answer> {
        let before = slot.take().map(|it| it.revision);
        self.shown().take();
        let source = Arc::new(self.write_error(error));
        let reopened = self.reopen(slot);
        let after = slot.as_ref().map(|it| it.revision);
        match done {
            Some(done) if reopened.is_ok() && after == Some(done.revision) && after != before => {
                done.answers
            }
            Some(_) if reopened.is_err() => all(batch, &StoreError::OutcomeUnknown { source }),
            _ => all(batch, &StoreError::Unavailable { source }),
        }
    }

    /// Opens the database again if it is closed, unless that could lose what was acknowledged.
    fn reopen(&self, slot: &mut Option<Open>) -> Result<(), StoreError> {
        if slot.is_some() {
            return Ok(());
        }
        let unavailable = |source| StoreError::Unavailable { source };
        if self.medium.has_lost_writes() {
            let lost = io::Error::other("the disk failed to keep what was written");
            return Err(unavailable(Arc::new(
                self.write_error(failed(redb::Error::Io(lost))),
            )));
        }
        let database = database::reopen(&*self.medium).map_err(|it| unavailable(Arc::new(it)))?;
        let snapshot = Snapshot::of(&database)?;
        let revision = snapshot.revision();
        *slot = Some(Open { database, revision });
        self.publish(snapshot, Vec::new());
        Ok(())
    }

    /// Shows what a commit left, and what it changed.
    fn publish(&self, snapshot: Snapshot, steps: Vec<(Revision, Vec<Event>)>) {
        let mut shown = self.shown();
        for (revision, events) in steps {
            self.history.push(revision, events);
        }
        self.history.forget_unless_at(snapshot.revision());
        *shown = Some(Arc::new(snapshot));
    }

    fn write_error(&self, error: StoreError) -> WriteError {
        WriteError {
            path: self.medium.file().to_owned(),
            is_final: self.medium.has_lost_writes(),
            source: if let StoreError::Unavailable { source } | StoreError::Damaged { source } =
                error
            {
                source
            } else {
                Arc::new(error)
            },
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the same answer to all operations of a batch.
fn all(batch: &[Operation], error: &StoreError) -> Vec<Answer> {
    batch.iter().map(|_| Err(error.clone())).collect()
}

/// Does what a batch asks for, without a commit.
fn apply_all(
    transaction: &WriteTransaction,
    before: Revision,
    batch: &[Operation],
) -> Result<Done, StoreError> {
    let mut tables = Tables::open(transaction).map_err(failed)?;
    let mut done = Done {
        answers: Vec::with_capacity(batch.len()),
        steps: Vec::new(),
        revision: before,
        is_change: false,
    };
    for operation in batch {
        let next = done.revision.next();
        let applied = match operation {
            Operation::Commit(asked) => apply::transaction(&mut tables, asked, next),
            Operation::Grant { number, ttl } => {
                done.is_change = true;
                tables
                    .add_lease(*number, *ttl)
                    .map(|()| Applied::Changed(Vec::new()))
                    .map_err(failed)
            }
            Operation::End(lease) => {
                let ended = apply::end_of_lease(&mut tables, lease);
                done.is_change |= ended.is_ok();
                ended
            }
        };
        done.answers.push(match applied {
            Ok(Applied::Changed(events)) => {
                if !events.is_empty() {
                    done.revision = next;
                    done.is_change = true;
                    done.steps.push((next, events));
                }
                Ok(Commit::Done(done.revision))
            }
            Ok(Applied::Conflict(key)) => Ok(Commit::Conflict { key }),
            // Nothing was changed by it, and the others go on.
            Err(error @ StoreError::NoSuchLease { .. }) => Err(error),
            Err(error) => return Err(error),
        });
    }
    if done.revision != before {
        tables.set_revision(done.revision).map_err(failed)?;
    }
    Ok(done)
}
