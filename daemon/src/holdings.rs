//! What outlives the daemon: the descriptors that a holder keeps for the next one.
//!
//! # Theory of operation
//!
//! Whoever opens something that connections depend on gives a copy to the holder ([`Holdings::keep`]) under a key that the
//! next daemon knows too: of a port, the id of its endpoint. At its start a daemon takes all that an earlier one
//! has left. Whoever is about to open something looks first whether it is there ([`Holdings::claim`]); what nobody
//! has claimed when everything that was asked for is there again is let go of ([`Holdings::release_unclaimed`]).
//! So the store decides what there is to be, and the holder only whether it has to be made anew.
//!
//! What is closed for good is taken from the holder first ([`Holdings::let_go`]): the last descriptor is that of the
//! daemon, and it is gone when the daemon has closed it. With an interface that takes the kernel 5 to 30 ms, nearly all of
//! them waiting, so what nobody has claimed is closed by many threads, while clients are served. Each takes one entry
//! at a time, and until then it may be claimed; it leaves the holder before it can be missed, so what is kept under its key from then
//! on stays.
//!
//! Without a state directory nobody would know what to claim, and there is no holder. When the holder fails, the daemon goes on and says
//! that a restart will interrupt connections.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tapweave_device::{Held, HeldKey, Holder};
use tracing::{info, warn};

use crate::state::State;

/// What a port's queues are kept as.
pub(crate) const PORT: &str = "port";
/// What a journal is kept as.
pub(crate) const JOURNAL: &str = "journal";

/// What the queues of the uplink are kept as.
pub(crate) const UPLINK: &str = "uplink";

/// What the sockets of overlays are kept as.
pub(crate) const UNDERLAY: &str = "underlay";

/// Most threads that close what nobody has claimed.
const MAX_CLOSING: usize = 64;

/// The program that is the holder: this one, even if its file has been replaced since.
const PROGRAM: &str = "/proc/self/exe";

/// What the next daemon will find.
#[derive(Debug)]
pub(crate) struct Holdings {
    holder: Option<Holder>,
    /// What an earlier daemon has left, until it is claimed or released.
    found: Mutex<BTreeMap<HeldKey, Held>>,
    /// Whether it was said that the holder is gone.
    is_gone: AtomicBool,
}

impl Holdings {
    /// Takes what an earlier daemon with the same state has left, and has everything kept from now on; for `patience`
    /// without a daemon, zero for not at all.
    pub(crate) fn open(state: &State, patience: Duration) -> Self {
        let (State::Directory(folder), false) = (state, patience.is_zero()) else {
            return Self::nothing();
        };
        match find_or_start(folder, patience) {
            Ok((holder, found)) => {
                if !found.is_empty() {
                    info!(
                        count = found.len(),
                        "an earlier daemon has left descriptors"
                    );
                }
                Self {
                    holder: Some(holder),
                    found: Mutex::new(by_key(found)),
                    is_gone: AtomicBool::new(false),
                }
            }
            Err(error) => {
                warn!("connections will not outlive this daemon: {error:#}");
                Self::nothing()
            }
        }
    }

    /// Takes what an earlier daemon has put there since this was opened: the one that is taken over from goes on until
    /// it is told to stop.
    pub(crate) fn look_again(&self) {
        let Some(holder) = &self.holder else {
            return;
        };
        match holder.take_all() {
            Ok(found) => *self.found() = by_key(found),
            Err(error) => self.check(Err(error)),
        }
    }

    /// Returns what keeps nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            holder: None,
            found: Mutex::default(),
            is_gone: AtomicBool::new(false),
        }
    }

    /// Returns what has found this, and keeps nothing.
    #[cfg(test)]
    pub(crate) fn having(found: Vec<Held>) -> Self {
        Self {
            found: Mutex::new(by_key(found)),
            ..Self::nothing()
        }
    }

    /// Tells whether what is given to it is kept at all.
    pub(crate) const fn keeps_anything(&self) -> bool {
        self.holder.is_some()
    }

    /// Has copies of `fds` kept under `key`, in the place of what was.
    pub(crate) fn keep(&self, key: &HeldKey, note: &str, fds: &[BorrowedFd<'_>]) {
        if let Some(holder) = &self.holder {
            self.check(holder.put(key, note, fds));
        }
    }

    /// Has what is kept under `key` closed, if something is.
    pub(crate) fn let_go(&self, key: &HeldKey) {
        if let Some(holder) = &self.holder {
            self.check(holder.remove(key));
        }
    }

    /// Returns what an earlier daemon has left under `key`, to the first who asks. It stays kept.
    pub(crate) fn claim(&self, key: &HeldKey) -> Option<Held> {
        self.found().remove(key)
    }

    /// Closes what nobody has claimed, and returns when the kernel has done everything that follows from that.
    pub(crate) fn release_unclaimed(&self) {
        let helper_count = self.found().len().min(MAX_CLOSING).saturating_sub(1);
        thread::scope(|scope| {
            for _ in 0..helper_count {
                let helper = thread::Builder::new().name("close".to_owned());
                if helper.spawn_scoped(scope, || self.close_found()).is_err() {
                    // Those that there are do it all.
                    break;
                }
            }
            self.close_found();
        });
    }

    /// Leaves what nobody has claimed to another daemon.
    pub(crate) fn leave_unclaimed(&self) {
        self.found().clear();
    }

    /// Has nothing kept any more: who stops on purpose leaves nothing.
    pub(crate) fn end(&self) {
        if let Some(holder) = &self.holder {
            holder.quit();
            // What is let go of from now on has gone already.
            self.is_gone.store(true, Ordering::Relaxed);
        }
        self.release_unclaimed();
    }

    /// Closes one after the other what has been found, until nothing is left.
    fn close_found(&self) {
        while let Some(held) = self.take_found() {
            drop(held);
        }
    }

    /// Takes an entry that nobody has claimed, out of the holder too.
    fn take_found(&self) -> Option<Held> {
        let mut found = self.found();
        let (key, held) = found.pop_first()?;
        info!(%key, "what an earlier daemon has left is not wanted any more");
        // Still locked: who does not find it puts something else there.
        self.let_go(&key);
        drop(found);
        Some(held)
    }

    fn check(&self, outcome: std::io::Result<()>) {
        if let Err(error) = outcome
            && !self.is_gone.swap(true, Ordering::Relaxed)
        {
            warn!(%error, "the process that keeps descriptors has failed: connections will not outlive this daemon");
        }
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<HeldKey, Held>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_key(found: Vec<Held>) -> BTreeMap<HeldKey, Held> {
    let found = found.into_iter();
    found.map(|held| (held.key.clone(), held)).collect()
}

fn find_or_start(folder: &Path, patience: Duration) -> anyhow::Result<(Holder, Vec<Held>)> {
    if let Some(holder) = Holder::find(folder)? {
        // One that does not answer is on its way out, or hangs; the next one takes its place.
        match holder.take_all() {
            Ok(found) => return Ok((holder, found)),
            Err(error) => warn!(%error, "what an earlier daemon has left cannot be had"),
        }
    }
    let holder = Holder::start(folder, Path::new(PROGRAM), patience)?;
    Ok((holder, Vec::new()))
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read as _, pipe};

    use super::*;

    /// More than there are threads.
    const COUNT: usize = 3 * MAX_CLOSING;

    /// Returns what has found an entry `port/N` for each number, and what reads to the end once that is closed.
    fn found() -> (Holdings, Vec<PipeReader>) {
        let mut held = Vec::new();
        let mut ends = Vec::new();
        for number in 0..COUNT {
            let (reader, writer) = pipe().unwrap();
            held.push(Held {
                key: key(number),
                note: String::new(),
                fds: vec![writer.into()],
            });
            ends.push(reader);
        }
        (Holdings::having(held), ends)
    }

    fn key(number: usize) -> HeldKey {
        HeldKey::new(PORT, number)
    }

    fn is_closed(end: &mut PipeReader) -> bool {
        rustix::io::ioctl_fionbio(&*end, true).unwrap();
        end.read(&mut [0]).is_ok_and(|len| len == 0)
    }

    #[test]
    fn what_nobody_has_claimed_is_closed_when_the_release_returns() {
        let (holdings, ends) = found();
        let claimed = holdings.claim(&key(7)).unwrap();
        holdings.release_unclaimed();
        for (number, mut end) in ends.into_iter().enumerate() {
            assert_eq!(is_closed(&mut end), number != 7, "port {number}");
        }
        assert_eq!(claimed.key, key(7));
        assert!(holdings.claim(&key(8)).is_none());
    }

    #[test]
    fn what_is_claimed_during_the_release_is_either_had_or_closed() {
        let (holdings, ends) = found();
        let claimed: Vec<_> = thread::scope(|scope| {
            scope.spawn(|| holdings.release_unclaimed());
            let claims = (0..COUNT).rev().map(|number| holdings.claim(&key(number)));
            claims.flatten().collect()
        });
        for (number, mut end) in ends.into_iter().enumerate() {
            let is_had = claimed.iter().any(|held| held.key == key(number));
            assert_eq!(is_closed(&mut end), !is_had, "port {number}");
        }
    }

    #[test]
    fn what_is_left_to_another_daemon_is_not_released() {
        let (holdings, _ends) = found();
        holdings.leave_unclaimed();
        assert!(holdings.take_found().is_none());
    }
}
