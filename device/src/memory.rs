//! A port without a kernel device: two ends of a wire inside the process.
//!
//! For tests, and for programs that embed the switch and bring their own frames. What is sent on one
//! end is received on the other, in order, with what was left to do on it. The wire holds a bounded
//! number of frames each way and refuses more, as a device does.
//!
//! An end is *readable* (its `eventfd` counts 1) exactly while a frame waits or the other end is gone;
//! the `eventfd` changes under the same lock as the queue, so neither can be seen without the other.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use tapweave_net::{Frame, Offload, OffloadSet};

use crate::queue::{HEADROOM, MAX_FRAME_LEN, PortQueue, Received, SendError};

/// One end of a wire inside the process.
#[derive(Debug)]
pub struct MemoryPort {
    incoming: Arc<Lane>,
    outgoing: Arc<Lane>,
    offloads: OffloadSet,
}

impl MemoryPort {
    /// Returns the two ends of a wire that holds `capacity` frames each way and whose frames may have
    /// `offloads` left to do.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn pair(capacity: usize, offloads: OffloadSet) -> io::Result<(Self, Self)> {
        let there = Arc::new(Lane::new(capacity)?);
        let back = Arc::new(Lane::new(capacity)?);
        let near = Self {
            incoming: Arc::clone(&back),
            outgoing: Arc::clone(&there),
            offloads,
        };
        let far = Self {
            incoming: there,
            outgoing: back,
            offloads,
        };
        Ok((near, far))
    }
}

impl PortQueue for MemoryPort {
    fn offloads(&self) -> OffloadSet {
        self.offloads
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.incoming.readable.as_fd()
    }

    fn recv<'b>(&self, buf: &'b mut [u8]) -> io::Result<Received<'b>> {
        let mut lane = self.incoming.lock();
        let Some((bytes, offload)) = lane.frames.pop_front() else {
            return match lane.state {
                Wire::Joined => Ok(Received::Empty),
                Wire::Cut => Err(io::ErrorKind::NotConnected.into()),
            };
        };
        if lane.frames.is_empty() && lane.state == Wire::Joined {
            self.incoming.clear_readable();
        }
        drop(lane);
        let end = HEADROOM + bytes.len();
        let Some(place) = buf.get_mut(HEADROOM..end) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        place.copy_from_slice(&bytes);
        let buf = buf.get_mut(..end).unwrap_or_default();
        Ok(Received::Frame(Frame::new(buf, HEADROOM, offload)))
    }

    fn send(&self, frame: &mut Frame<'_>) -> Result<(), SendError> {
        if frame.data().len() > MAX_FRAME_LEN {
            return Err(SendError::Unsupported);
        }
        let mut lane = self.outgoing.lock();
        if lane.state == Wire::Cut {
            return Err(SendError::Failed(io::ErrorKind::NotConnected.into()));
        }
        if lane.frames.len() >= self.outgoing.capacity {
            return Err(SendError::Full);
        }
        if lane.frames.is_empty() {
            self.outgoing.set_readable();
        }
        lane.frames
            .push_back((frame.data().to_vec(), frame.offload()));
        Ok(())
    }
}

impl Drop for MemoryPort {
    fn drop(&mut self) {
        for lane in [&self.incoming, &self.outgoing] {
            lane.lock().state = Wire::Cut;
            lane.set_readable();
        }
    }
}

/// One direction of the wire.
#[derive(Debug)]
struct Lane {
    queue: Mutex<LaneQueue>,
    capacity: usize,
    readable: OwnedFd,
}

#[derive(Debug)]
struct LaneQueue {
    frames: VecDeque<(Vec<u8>, Offload)>,
    state: Wire,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Joined,
    Cut,
}

impl Lane {
    fn new(capacity: usize) -> io::Result<Self> {
        let queue = LaneQueue {
            frames: VecDeque::new(),
            state: Wire::Joined,
        };
        Ok(Self {
            queue: Mutex::new(queue),
            capacity,
            readable: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, LaneQueue> {
        // Nothing under the lock can leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_readable(&self) {
        // Can only fail by being readable already.
        let _readable = rustix::io::write(&self.readable, &1_u64.to_ne_bytes());
    }

    fn clear_readable(&self) {
        // Can only fail by being clear already.
        let _clear = rustix::io::read(&self.readable, &mut [0; 8]);
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::queue::RECV_BUF_LEN;

    fn is_readable(port: &MemoryPort) -> bool {
        let readiness = port.readiness();
        let mut fds = [PollFd::new(&readiness, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    fn send(port: &MemoryPort, bytes: &[u8]) -> Result<(), SendError> {
        let mut bytes = bytes.to_vec();
        port.send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
    }

    #[test]
    fn frames_come_out_of_the_other_end_in_order_and_with_headroom() {
        let (near, far) = MemoryPort::pair(4, OffloadSet::ALL).unwrap();
        assert!(!is_readable(&far));
        send(&near, &[1; 60]).unwrap();
        send(&near, &[2; 61]).unwrap();
        let mut buf = vec![0xa5; RECV_BUF_LEN];
        for (fill, len) in [(1, 60), (2, 61)] {
            assert!(is_readable(&far));
            let Ok(Received::Frame(frame)) = far.recv(&mut buf) else {
                panic!("no frame");
            };
            assert_eq!(frame.data(), vec![fill; len]);
            assert_eq!(frame.headroom_len(), HEADROOM);
        }
        assert!(!is_readable(&far));
        assert!(matches!(far.recv(&mut buf), Ok(Received::Empty)));
        assert!(!is_readable(&near));
    }

    #[test]
    fn a_full_wire_refuses_and_takes_again_when_there_is_room() {
        let (near, far) = MemoryPort::pair(1, OffloadSet::EMPTY).unwrap();
        send(&near, &[0; 60]).unwrap();
        assert!(matches!(send(&near, &[0; 60]), Err(SendError::Full)));
        let mut buf = vec![0; RECV_BUF_LEN];
        assert!(matches!(far.recv(&mut buf), Ok(Received::Frame(_))));
        send(&near, &[0; 60]).unwrap();
        assert!(is_readable(&far));
    }

    #[test]
    fn when_an_end_is_dropped_the_other_reads_what_waits_and_then_fails() {
        let (near, far) = MemoryPort::pair(4, OffloadSet::EMPTY).unwrap();
        send(&near, &[7; 60]).unwrap();
        drop(near);
        let mut buf = vec![0; RECV_BUF_LEN];
        assert!(matches!(far.recv(&mut buf), Ok(Received::Frame(_))));
        assert!(is_readable(&far));
        far.recv(&mut buf).unwrap_err();
        assert!(matches!(send(&far, &[0; 60]), Err(SendError::Failed(_))));
    }

    #[test]
    fn a_frame_beyond_the_longest_is_refused() {
        let (near, _far) = MemoryPort::pair(1, OffloadSet::EMPTY).unwrap();
        let refused = send(&near, &vec![0; MAX_FRAME_LEN + 1]);
        assert!(matches!(refused, Err(SendError::Unsupported)));
        send(&near, &vec![0; MAX_FRAME_LEN]).unwrap();
    }
}
