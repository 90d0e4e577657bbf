//! All workers together: who reads which queue, and changes that every worker has to know.
//!
//! Every worker can write to every port, because the worker that reads a frame also writes it. A
//! queue is read by one worker only, the one with the fewest queues, so that a flow keeps its order.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tapweave_control::datapath::WorkerStats;
use tapweave_device::{Backend, FrameSource, Reading, SourceNo};
use tapweave_net::PortNo;
use tapweave_switch::Switch;
use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::event::Event;
use crate::forward::{Forwarder, WorkerCounters};
use crate::port_queues::PortQueues;
use crate::worker::{Pending, Worker};

/// The workers of one daemon.
#[derive(Debug)]
pub(crate) struct Workers {
    slots: Vec<Slot>,
    /// Held while readers are chosen; never by a worker.
    choosing: Mutex<()>,
    last_source: AtomicU32,
}

#[derive(Debug)]
struct Slot {
    worker: Worker,
    /// Queues that it reads.
    reading_count: AtomicUsize,
}

/// Who reads the queues of one port: for each queue the number of a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Readers(Vec<usize>);

impl Workers {
    /// Starts `count` workers on `switch`, each with a back end of its own, which report to `events`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses an event loop or a thread.
    pub(crate) fn start(
        count: usize,
        switch: &Arc<Switch>,
        clock: Clock,
        events: &UnboundedSender<Event>,
        backend: impl Fn() -> io::Result<Box<dyn Backend>>,
    ) -> io::Result<Self> {
        let start = |number| {
            let counters = Arc::new(WorkerCounters::default());
            let forwarder = Forwarder::new(
                switch.pipeline(number),
                clock,
                Arc::clone(&counters),
                events.clone(),
            );
            let worker = Worker::start(number, backend()?, forwarder, counters)?;
            Ok(Slot {
                worker,
                reading_count: AtomicUsize::new(0),
            })
        };
        let slots = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            slots,
            choosing: Mutex::new(()),
            last_source: AtomicU32::new(0),
        })
    }

    /// Makes the queues of a port known to every worker, which may write to it from then on, and has each of them read by
    /// one.
    ///
    /// # Errors
    ///
    /// When a worker could not add a queue; then no worker knows the port.
    pub(crate) fn add_port(&self, port: PortNo, queues: &PortQueues) -> io::Result<Readers> {
        let readers = self.choose_readers(queues.read().len());
        let mut pending = Vec::new();
        // What is added first is written to.
        if let Some(written) = queues.written() {
            let add = |slot: &Slot| {
                let queue = Arc::clone(written);
                slot.worker.add_port(port, queue, Reading::Elsewhere)
            };
            pending.extend(self.slots.iter().map(add));
        }
        for (queue, &reader) in queues.read().iter().zip(&readers.0) {
            if let Some(slot) = self.slots.get(reader) {
                pending.push(slot.worker.add_port(port, Arc::clone(queue), Reading::Here));
            }
        }
        let added = pending.into_iter().try_for_each(|answer| answer.wait()?);
        if let Err(error) = added {
            self.remove_port(port, &readers);
            return Err(error);
        }
        Ok(readers)
    }

    /// Returns how many workers there are.
    pub(crate) const fn count(&self) -> usize {
        self.slots.len()
    }

    /// Has one worker read a source, and returns the source's number.
    ///
    /// # Errors
    ///
    /// When the worker could not add it.
    pub(crate) fn add_source(
        &self,
        worker: usize,
        source: Box<dyn FrameSource>,
    ) -> io::Result<SourceNo> {
        let slot = self.slots.get(worker).ok_or(io::ErrorKind::NotFound)?;
        let number = SourceNo(self.last_source.fetch_add(1, Ordering::Relaxed));
        slot.worker.add_source(number, source).wait()??;
        Ok(number)
    }

    /// Takes a source away from its worker, and closes it.
    pub(crate) fn remove_source(&self, worker: usize, number: SourceNo) {
        if let Some(slot) = self.slots.get(worker) {
            // A worker that has stopped reads nothing any more.
            drop(slot.worker.remove_source(number).wait());
        }
    }

    /// Takes a port away from every worker, and returns when none of them uses it any more.
    pub(crate) fn remove_port(&self, port: PortNo, readers: &Readers) {
        for &reader in &readers.0 {
            if let Some(slot) = self.slots.get(reader) {
                slot.reading_count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let pending: Vec<_> = self
            .slots
            .iter()
            .map(|slot| slot.worker.remove_port(port))
            .collect();
        for answer in pending {
            // A worker that has stopped uses nothing any more.
            let _ignored = answer.wait();
        }
    }

    /// Has nothing forwarded until [`Workers::go_on`].
    pub(crate) fn hold(&self) {
        for slot in &self.slots {
            slot.worker.hold();
        }
    }

    /// Has frames forwarded again.
    pub(crate) fn go_on(&self) {
        for slot in &self.slots {
            slot.worker.go_on();
        }
    }

    /// Stops all workers for good, and returns when none of them reads or writes any more.
    pub(crate) fn stop(&self) {
        for slot in &self.slots {
            slot.worker.stop();
        }
    }

    /// Asks every worker whether it makes progress; returns the questions with the workers' numbers.
    pub(crate) fn probe(&self) -> Vec<(usize, Pending<()>)> {
        let slots = self.slots.iter().enumerate();
        slots
            .map(|(number, slot)| (number, slot.worker.probe()))
            .collect()
    }

    /// Returns what every worker did so far.
    pub(crate) fn stats(&self) -> Vec<WorkerStats> {
        let stats = |(number, slot): (usize, &Slot)| {
            let counters = slot.worker.counters();
            let backend = slot.worker.backend();
            WorkerStats {
                worker: number,
                backend: backend.name.to_owned(),
                backend_uses: backend.uses.iter().map(ToString::to_string).collect(),
                port_count: slot.reading_count.load(Ordering::Relaxed),
                wakeups: counters.wakeups.load(Ordering::Relaxed),
                batches: counters.batches.load(Ordering::Relaxed),
                frames: counters.frames.load(Ordering::Relaxed),
            }
        };
        self.slots.iter().enumerate().map(stats).collect()
    }

    fn choose_readers(&self, queue_count: usize) -> Readers {
        let _choosing = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        let choose = |_queue| {
            let load = |slot: &Slot| slot.reading_count.load(Ordering::Relaxed);
            let (number, slot) = self
                .slots
                .iter()
                .enumerate()
                .min_by_key(|(_, slot)| load(slot))?;
            slot.reading_count.fetch_add(1, Ordering::Relaxed);
            Some(number)
        };
        Readers((0..queue_count).filter_map(choose).collect())
    }
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
