//! The runs of one batch, at most one of each flow and port at a time.
//!
//! A slot is used once a batch: what has left stays where it is until the batch ends, so a device may
//! write it then. The table grows to its capacity as batches need it and allocates nothing after that.
//! When it is full, frames that would start a run pass as they are.

use super::class::{Candidate, FlowHash, FrameClass};
use super::run::{Appended, Run};
use crate::{Offload, PortNo};

/// The runs of one batch.
#[derive(Debug)]
pub struct RunTable {
    /// What the used slots hold, side by side because they are searched for every frame. `None`: it
    /// has left.
    names: Vec<Option<Name>>,
    /// The slots, of which the first `names.len()` are used.
    runs: Vec<Run>,
    capacity: usize,
    headroom_len: usize,
}

/// A port and a flow that leaves through it.
type Name = (PortNo, FlowHash);

/// What became of a frame that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It is in a run and leaves with it.
    Kept,
    /// It is to be sent as it is, now.
    Passed,
}

impl RunTable {
    /// Returns an empty table for `capacity` runs in a batch, whose frames have `headroom_len` bytes
    /// free before them. Each run that was ever needed holds [`Run::MAX_LEN`] bytes of address space;
    /// of memory it holds as much as its longest super-frame was.
    pub const fn new(capacity: usize, headroom_len: usize) -> Self {
        Self {
            names: Vec::new(),
            runs: Vec::new(),
            capacity,
            headroom_len,
        }
    }

    /// Offers the next frame of the batch, which leaves through `to`, with what is left to do on it.
    ///
    /// Calls `leave` with every run that has to be sent before the frame, or before whatever is offered
    /// next. Copies what it keeps; sums the payload of what it merges, unless the checksum is partial.
    #[inline]
    pub fn offer(
        &mut self,
        to: PortNo,
        frame: &[u8],
        offload: Offload,
        leave: &mut dyn FnMut(PortNo, &mut Run),
    ) -> Offered {
        match FrameClass::of(frame, offload) {
            FrameClass::Candidate(candidate) => return self.keep(to, &candidate, leave),
            FrameClass::Single(flow) => {
                if let Some(place) = self.find((to, flow)) {
                    self.dismiss(place, leave);
                }
            }
            FrameClass::Barrier => {
                for place in 0..self.names.len() {
                    if matches!(self.names.get(place), Some(Some((port, _))) if *port == to) {
                        self.dismiss(place, leave);
                    }
                }
            }
            FrameClass::Foreign => {}
        }
        Offered::Passed
    }

    /// Calls `leave` with every run that is left, in the order of their first frames. For the end of
    /// a batch.
    #[inline]
    pub fn dismiss_all(&mut self, leave: &mut dyn FnMut(PortNo, &mut Run)) {
        for place in 0..self.names.len() {
            self.dismiss(place, leave);
        }
    }

    /// Makes room for a new batch. What left in the last one may be overwritten from now on.
    #[inline]
    pub fn clear(&mut self) {
        self.names.clear();
    }
}

impl RunTable {
    #[inline]
    fn keep(
        &mut self,
        to: PortNo,
        candidate: &Candidate<'_>,
        leave: &mut dyn FnMut(PortNo, &mut Run),
    ) -> Offered {
        let name = (to, candidate.flow());
        if let Some(place) = self.find(name)
            && let Some(run) = self.runs.get_mut(place)
        {
            let appended = run.append(candidate);
            if appended != Appended::Open {
                self.dismiss(place, leave);
            }
            if appended != Appended::Refused {
                return Offered::Kept;
            }
        }
        self.start(name, candidate)
    }

    #[inline]
    fn start(&mut self, name: Name, first: &Candidate<'_>) -> Offered {
        let place = self.names.len();
        if place >= self.capacity {
            return Offered::Passed;
        }
        if self.runs.len() == place {
            self.grow();
        }
        let Some(run) = self.runs.get_mut(place) else {
            return Offered::Passed;
        };
        run.start(first);
        self.names.push(Some(name));
        Offered::Kept
    }

    #[cold]
    fn grow(&mut self) {
        self.names.reserve_exact(self.capacity - self.names.len());
        self.runs.reserve_exact(self.capacity - self.runs.len());
        self.runs.push(Run::new(self.headroom_len));
    }

    /// Returns the slot of a run that has not left. The newest is looked at first: bursts are common.
    #[inline]
    fn find(&self, name: Name) -> Option<usize> {
        self.names.iter().rposition(|other| *other == Some(name))
    }

    /// Makes a run leave, unless it has.
    #[inline]
    fn dismiss(&mut self, place: usize, leave: &mut dyn FnMut(PortNo, &mut Run)) {
        if let Some((to, _)) = self.names.get_mut(place).and_then(Option::take)
            && let Some(run) = self.runs.get_mut(place)
        {
            leave(to, run);
        }
    }
}
