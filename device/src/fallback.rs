//! An event loop that goes on when its ring fails.
//!
//! The kernel can take `io_uring` away from a running process (a security module, memory that is
//! gone). The ports then move to a loop on `epoll`, in the same thread and with the same waker; frames
//! that the ring had read and not handed on are lost. Nothing moves back.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tapweave_net::PortNo;
use tracing::warn;

use crate::backend::{Backend, BatchHandler, Description, Reading, Waker};
use crate::epoll::EpollBackend;
use crate::queue::PortQueue;
use crate::source::{FrameSource, SourceNo};

/// A loop that is replaced by one on `epoll` when a turn fails.
#[derive(Debug)]
pub struct FallbackBackend<B> {
    active: Active<B>,
    busy_poll: Duration,
    /// Everything that was added and not removed, in order.
    queues: Vec<(PortNo, Arc<dyn PortQueue>, Reading)>,
    /// Likewise; the active loop owns them.
    sources: BTreeSet<SourceNo>,
}

#[derive(Debug)]
enum Active<B> {
    First(B),
    Epoll(Box<EpollBackend>),
}

impl<B: Backend> FallbackBackend<B> {
    /// Begins with `first`, which has no ports yet. `busy_poll` is for its successor.
    pub const fn new(first: B, busy_poll: Duration) -> Self {
        Self {
            active: Active::First(first),
            busy_poll,
            queues: Vec::new(),
            sources: BTreeSet::new(),
        }
    }

    fn backend(&self) -> &dyn Backend {
        match &self.active {
            Active::First(backend) => backend,
            Active::Epoll(backend) => backend.as_ref(),
        }
    }

    fn backend_mut(&mut self) -> &mut dyn Backend {
        match &mut self.active {
            Active::First(backend) => backend,
            Active::Epoll(backend) => backend.as_mut(),
        }
    }
}

impl<B: Backend> Backend for FallbackBackend<B> {
    fn description(&self) -> Description {
        self.backend().description()
    }

    fn add_port(
        &mut self,
        port: PortNo,
        queue: Arc<dyn PortQueue>,
        reading: Reading,
    ) -> io::Result<()> {
        self.backend_mut()
            .add_port(port, Arc::clone(&queue), reading)?;
        self.queues
            .retain(|(other, ..)| *other == port || other.index() != port.index());
        self.queues.push((port, queue, reading));
        Ok(())
    }

    fn remove_port(&mut self, port: PortNo) {
        self.queues.retain(|(other, ..)| *other != port);
        self.backend_mut().remove_port(port);
    }

    fn add_source(&mut self, number: SourceNo, source: Box<dyn FrameSource>) -> io::Result<()> {
        self.backend_mut().add_source(number, source)?;
        self.sources.insert(number);
        Ok(())
    }

    fn remove_source(&mut self, number: SourceNo) -> Option<Box<dyn FrameSource>> {
        self.sources.remove(&number);
        self.backend_mut().remove_source(number)
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        let Active::First(backend) = &mut self.active else {
            return self.backend_mut().turn(timeout, handler);
        };
        let Err(error) = backend.turn(timeout, handler) else {
            return Ok(());
        };
        warn!(%error, "io_uring failed: this worker goes on with epoll");
        let mut epoll = EpollBackend::with_waker(self.busy_poll, backend.waker())?;
        // Closed before anything is read anew: it would take frames away.
        for (port, ..) in &self.queues {
            backend.remove_port(*port);
        }
        for (port, queue, reading) in &self.queues {
            epoll.add_port(*port, Arc::clone(queue), *reading)?;
        }
        for number in &self.sources {
            if let Some(source) = backend.remove_source(*number) {
                epoll.add_source(*number, source)?;
            }
        }
        self.active = Active::Epoll(Box::new(epoll));
        Ok(())
    }

    fn finish(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        self.backend_mut().finish(handler)
    }

    fn waker(&self) -> Waker {
        self.backend().waker()
    }
}

#[cfg(test)]
mod tests {
    use tapweave_net::{Frame, Offload, OffloadSet, VnetHdrError};

    use super::*;
    use crate::backend::Egress;
    use crate::memory::MemoryPort;
    use crate::queue::{RECV_BUF_LEN, Received, SendError};
    use crate::uring::UringBackend;

    const SOON: Option<Duration> = Some(Duration::ZERO);

    /// A ring that is taken away after some turns.
    struct Doomed {
        ring: UringBackend,
        turns_left: usize,
    }

    impl Backend for Doomed {
        fn description(&self) -> Description {
            self.ring.description()
        }

        fn add_port(
            &mut self,
            port: PortNo,
            queue: Arc<dyn PortQueue>,
            reading: Reading,
        ) -> io::Result<()> {
            self.ring.add_port(port, queue, reading)
        }

        fn remove_port(&mut self, port: PortNo) {
            self.ring.remove_port(port);
        }

        fn add_source(&mut self, number: SourceNo, source: Box<dyn FrameSource>) -> io::Result<()> {
            self.ring.add_source(number, source)
        }

        fn remove_source(&mut self, number: SourceNo) -> Option<Box<dyn FrameSource>> {
            self.ring.remove_source(number)
        }

        fn turn(
            &mut self,
            timeout: Option<Duration>,
            handler: &mut dyn BatchHandler,
        ) -> io::Result<()> {
            if self.turns_left == 0 {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.turns_left -= 1;
            self.ring.turn(timeout, handler)
        }

        fn finish(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
            self.ring.finish(handler)
        }

        fn waker(&self) -> Waker {
            self.ring.waker()
        }
    }

    /// Sends everything to port 1.
    struct ToPortOne;

    impl BatchHandler for ToPortOne {
        fn handle_batch(
            &mut self,
            _: PortNo,
            frames: &mut [Frame<'_>],
            egress: &mut dyn Egress,
        ) -> usize {
            for frame in &mut *frames {
                egress.send(PortNo::new(1, 0), frame).unwrap();
            }
            frames.len()
        }

        fn handle_completion(&mut self, _: PortNo, _: usize, _: usize, _: Result<(), SendError>) {}

        fn handle_malformed(&mut self, _: PortNo, error: VnetHdrError) {
            panic!("{error}");
        }

        fn handle_port_failure(&mut self, _: PortNo, error: io::Error) {
            panic!("{error}");
        }
    }

    #[test]
    fn traffic_goes_on_with_epoll_when_the_ring_fails() {
        let ring = UringBackend::new(Duration::ZERO).unwrap();
        let first = Doomed {
            ring,
            turns_left: 2,
        };
        let mut backend = FallbackBackend::new(first, Duration::ZERO);
        let far = [0, 1, 2].map(|index| {
            let (near, far) = MemoryPort::pair(100, OffloadSet::ALL).unwrap();
            let near = Arc::new(near);
            backend
                .add_port(PortNo::new(index, 0), near, Reading::Here)
                .unwrap();
            far
        });
        backend.remove_port(PortNo::new(2, 0));
        let waker = backend.waker();
        let mut arrived = Vec::new();
        for number in 0..6 {
            let mut bytes = [number; 60];
            far[0]
                .send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
                .unwrap();
            backend.turn(SOON, &mut ToPortOne).unwrap();
            let expected = if number < 2 { "io_uring" } else { "epoll" };
            assert_eq!(backend.description().name, expected);
            let mut buf = vec![0; RECV_BUF_LEN];
            while let Ok(Received::Frame(frame)) = far[1].recv(&mut buf) {
                arrived.push(frame.data()[0]);
            }
        }
        assert_eq!(arrived, [0, 1, 2, 3, 4, 5]);
        // The waker that was handed out before works on the successor.
        waker.wake();
        backend.turn(None, &mut ToPortOne).unwrap();
        let mut buf = vec![0; RECV_BUF_LEN];
        assert!(far[2].recv(&mut buf).is_err(), "the removed port stays so");
    }
}
