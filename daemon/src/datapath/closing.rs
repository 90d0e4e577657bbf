//! How an interface is taken out of its namespace: its last descriptors are closed, and what the kernel does after the
//! interface has gone is waited for by another thread.
//!
//! The interface has gone after about a millisecond, its memory is free after 5 to 30 (see [`InterfaceSight`]). A
//! client that takes a sandbox out of a network waits for the first only, and several interfaces go at the same time.
//!
//! Others may have descriptors of the same interface for a moment longer: a daemon that was taken over from, and the kernel
//! those of a ring that is being closed. They are waited for too: a sandbox that is connected again at once would find the
//! name of its interface taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use tapweave_device::InterfaceSight;
use tracing::warn;

use crate::port_queues::PortQueues;

/// Most threads that close descriptors at a time. With 30 ms each they take 2,000 interfaces a second.
const MAX_CLOSING: usize = 64;

/// How soon it is looked whether the interface has gone, and how long is waited at most before it is looked again: the
/// wait doubles each time, so that many who wait leave the processors to those that they wait for.
const FIRST_WAIT: Duration = Duration::from_micros(100);
const LONGEST_WAIT: Duration = Duration::from_millis(2);

/// How often, [`LONGEST_WAIT`] apart, it is looked whether others have closed theirs: for a second.
const LOOKS: u32 = 500;

/// The descriptors that are being closed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    under_way: Arc<AtomicUsize>,
}

impl Closing {
    /// Closes the queues of a port, and returns when its interface has gone; without `sight`, when the kernel has done
    /// everything.
    pub(super) fn close(&self, queues: PortQueues, sight: Option<&InterfaceSight>) {
        let Some(sight) = sight else {
            return;
        };
        match self.take_place() {
            Some(place) => close_beside(queues, place, sight),
            None => drop(queues),
        }
        for _ in 0..LOOKS {
            if !sight.is_there() {
                return;
            }
            thread::park_timeout(LONGEST_WAIT);
        }
        warn!("an interface stays in its sandbox: another process has descriptors of it");
    }

    fn take_place(&self) -> Option<Place> {
        let taken = self
            .under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < MAX_CLOSING).then_some(count + 1)
            });
        taken.ok().map(|_count| Place(Arc::clone(&self.under_way)))
    }
}

/// Closes the queues on a thread of their own, and returns when they are closed or the interface has gone.
fn close_beside(queues: PortQueues, place: Place, sight: &InterfaceSight) {
    let (closed, closing) = sync_channel::<()>(1);
    let close = move || {
        drop(queues);
        drop((closed, place));
    };
    // Without a thread the queues have been closed with the closure.
    let _no_thread = thread::Builder::new().name("close".to_owned()).spawn(close);
    let mut wait = FIRST_WAIT;
    while sight.is_there() {
        if closing.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

/// One of those under way.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
