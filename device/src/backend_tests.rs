//! What every event loop does, on ports in memory. Each test runs on both.

use std::thread;
use std::time::Instant;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tapweave_net::{Offload, OffloadSet};

use super::*;
use crate::epoll::{BATCH_LEN_LIMIT, EpollBackend};
use crate::file_queue::FileQueue;
use crate::framing::Framing;
use crate::memory::MemoryPort;
use crate::queue::{RECV_BUF_LEN, Received};
use crate::source::{FrameSink, Intake};
use crate::uring::UringBackend;

const SOON: Option<Duration> = Some(Duration::ZERO);

/// Sends everything to one port and notes what it saw.
#[derive(Default)]
struct Wire {
    to: Option<PortNo>,
    batches: Vec<(PortNo, usize)>,
    lost: usize,
    /// Frames that are handled of a batch; none: all.
    work: Option<usize>,
    failed: Vec<PortNo>,
}

impl BatchHandler for Wire {
    fn handle_batch(
        &mut self,
        ingress: PortNo,
        frames: &mut [Frame<'_>],
        egress: &mut dyn Egress,
    ) -> usize {
        self.batches.push((ingress, frames.len()));
        let work = self.work.unwrap_or(usize::MAX).min(frames.len());
        for frame in &mut frames[..work] {
            if let Some(to) = self.to
                && egress.send(to, frame).is_err()
            {
                self.lost += 1;
            }
        }
        work
    }

    fn handle_completion(&mut self, _: PortNo, _: usize, _: usize, _: Result<(), SendError>) {
        panic!("nothing is sent later");
    }

    fn handle_malformed(&mut self, _: PortNo, error: VnetHdrError) {
        panic!("{error}");
    }

    fn handle_port_failure(&mut self, port: PortNo, _: io::Error) {
        self.failed.push(port);
    }
}

fn port(index: u32) -> PortNo {
    PortNo::new(index, 0)
}

fn send(to: &MemoryPort, len: usize, count: usize) {
    let mut bytes = vec![7; len];
    for _ in 0..count {
        to.send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
            .unwrap();
    }
}

/// Tells whether a turn finds nothing to do and so waits until its time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "a wait can only be seen by a clock"
)]
fn is_idle(backend: &mut dyn Backend) -> bool {
    let limit = Duration::from_millis(20);
    let began = Instant::now();
    backend.turn(Some(limit), &mut Wire::default()).unwrap();
    began.elapsed() >= limit
}

fn received_count(from: &MemoryPort) -> usize {
    let mut buf = vec![0; RECV_BUF_LEN];
    let mut count = 0;
    while let Ok(Received::Frame(_)) = from.recv(&mut buf) {
        count += 1;
    }
    count
}

/// Runs `test` on each kind of event loop.
fn on_each(test: impl Fn(Box<dyn Backend>)) {
    test(Box::new(EpollBackend::new(Duration::ZERO).unwrap()));
    test(Box::new(
        EpollBackend::new(Duration::from_micros(50)).unwrap(),
    ));
    test(Box::new(UringBackend::new(Duration::ZERO).unwrap()));
    test(Box::new(
        UringBackend::new(Duration::from_micros(50)).unwrap(),
    ));
}

/// Has `backend` read `count` ports, and returns the far ends of those.
fn add_ports(backend: &mut dyn Backend, count: u32) -> Vec<MemoryPort> {
    let add = |index| {
        let (near, far) = MemoryPort::pair(1000, OffloadSet::ALL).unwrap();
        backend
            .add_port(port(index), Arc::new(near), Reading::Here)
            .unwrap();
        far
    };
    (0..count).map(add).collect()
}

#[test]
fn frames_of_one_port_reach_another_in_bounded_batches() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 2);
        let mut wire = Wire {
            to: Some(port(1)),
            ..Wire::default()
        };
        send(&far[0], 60, MAX_BATCH + 5);
        backend.turn(SOON, &mut wire).unwrap();
        backend.turn(SOON, &mut wire).unwrap();
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(wire.batches, [(port(0), MAX_BATCH), (port(0), 5)]);
        assert_eq!(received_count(&far[1]), MAX_BATCH + 5);
        assert_eq!(wire.lost, 0);
    });
}

#[test]
fn a_batch_of_super_frames_ends_when_it_is_long_enough_for_the_cache() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 1);
        let mut wire = Wire::default();
        let frame_len = 64_000;
        send(&far[0], frame_len, 10);
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(
            wire.batches,
            [(port(0), BATCH_LEN_LIMIT.div_ceil(frame_len))]
        );
    });
}

#[test]
fn a_busy_port_waits_for_its_turn_like_all_others() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 3);
        send(&far[0], 60, 200);
        send(&far[1], 60, 1);
        send(&far[2], 60, 1);
        let mut wire = Wire::default();
        backend.turn(SOON, &mut wire).unwrap();
        wire.batches.sort_unstable();
        assert_eq!(
            wire.batches,
            [(port(0), MAX_BATCH), (port(1), 1), (port(2), 1)]
        );
    });
}

#[test]
fn what_a_handler_leaves_is_presented_again_in_order_after_other_ports_had_their_turn() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 3);
        let mut wire = Wire {
            to: Some(port(2)),
            work: Some(2),
            ..Wire::default()
        };
        for number in 0..5 {
            let mut bytes = [number; 60];
            far[0]
                .send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
                .unwrap();
        }
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(wire.batches, [(port(0), 5)]);
        send(&far[0], 60, 1);
        send(&far[1], 60, 1);
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(wire.batches[1..], [(port(0), 3), (port(1), 1)]);
        // Ends at once although nothing is readable: one frame is left.
        backend.turn(None, &mut wire).unwrap();
        assert_eq!(wire.batches[3..], [(port(0), 1), (port(0), 1)]);
        let mut buf = vec![0; RECV_BUF_LEN];
        let mut order = Vec::new();
        while let Ok(Received::Frame(frame)) = far[2].recv(&mut buf) {
            order.push(frame.data()[0]);
        }
        assert_eq!(order, [0, 1, 2, 3, 7, 4, 7]);
    });
}

#[test]
fn what_is_left_of_a_port_goes_with_it() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 2);
        let mut wire = Wire {
            work: Some(1),
            ..Wire::default()
        };
        send(&far[0], 60, 3);
        backend.turn(SOON, &mut wire).unwrap();
        backend.remove_port(port(0));
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(wire.batches, [(port(0), 3)]);
    });
}

#[test]
fn a_loop_that_finishes_has_handled_what_it_took_and_takes_nothing_more() {
    on_each(|mut backend| {
        let (near, far) = MemoryPort::pair(10, OffloadSet::ALL).unwrap();
        let near = Arc::new(near);
        let queue = Arc::clone(&near) as Arc<dyn PortQueue>;
        backend.add_port(port(0), queue, Reading::Here).unwrap();
        let mut wire = Wire {
            work: Some(1),
            ..Wire::default()
        };
        send(&far, 60, 3);
        backend.turn(SOON, &mut wire).unwrap();
        send(&far, 60, 2);
        backend.finish(&mut wire).unwrap();
        assert_eq!(wire.batches, [(port(0), 3), (port(0), 2), (port(0), 1)]);
        assert_eq!(received_count(&near), 2);
    });
}

#[test]
fn what_the_kernel_has_read_ahead_is_handled_when_a_loop_finishes() {
    on_each(|mut backend| {
        let flags = SocketFlags::NONBLOCK;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap();
        let next = near.try_clone().unwrap();
        let queue = Arc::new(FileQueue::new(near, Framing::Plain));
        backend.add_port(port(0), queue, Reading::Here).unwrap();
        let mut wire = Wire::default();
        // The request to read is with the kernel now, if the loop has such.
        backend.turn(SOON, &mut wire).unwrap();
        for _ in 0..5 {
            rustix::io::write(&far, &[7; 60]).unwrap();
        }
        backend.finish(&mut wire).unwrap();
        let handled: usize = wire.batches.iter().map(|(_, count)| count).sum();
        let mut left = 0;
        while rustix::io::read(&next, &mut [0; 60]).is_ok() {
            left += 1;
        }
        assert_eq!(handled + left, 5, "{handled} handled, {left} left");
    });
}

#[test]
fn the_waker_ends_a_wait_from_another_thread_and_only_once() {
    on_each(|mut backend| {
        let waker = backend.waker();
        let thread = thread::spawn(move || {
            backend.turn(None, &mut Wire::default()).unwrap();
            is_idle(backend.as_mut())
        });
        waker.wake();
        assert!(thread.join().unwrap());
    });
}

#[test]
fn a_number_of_another_generation_finds_no_port() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 1);
        let (near, new_far) = MemoryPort::pair(10, OffloadSet::ALL).unwrap();
        let successor = PortNo::new(0, 1);
        backend
            .add_port(successor, Arc::new(near), Reading::Here)
            .unwrap();
        assert!(
            received_count(&far[0]) == 0 && far[0].recv(&mut vec![0; RECV_BUF_LEN]).is_err(),
            "the old port's queue was let go"
        );
        send(&new_far, 60, 1);
        let mut wire = Wire {
            to: Some(port(0)),
            ..Wire::default()
        };
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(
            (wire.batches.as_slice(), wire.lost),
            (&[(successor, 1)][..], 1)
        );
        backend.remove_port(port(0));
        wire.to = Some(successor);
        send(&new_far, 60, 1);
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(received_count(&new_far), 1, "the successor is still there");
    });
}

#[test]
fn a_failing_port_is_reported_once_and_not_read_again() {
    on_each(|mut backend| {
        let mut far = add_ports(backend.as_mut(), 2);
        drop(far.remove(0));
        let mut wire = Wire::default();
        for _ in 0..3 {
            backend.turn(SOON, &mut wire).unwrap();
        }
        assert_eq!(wire.failed, [port(0)]);
        assert!(is_idle(backend.as_mut()));
    });
}

#[test]
fn a_port_that_is_read_elsewhere_can_be_sent_to_but_is_not_read() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 1);
        let (near, elsewhere) = MemoryPort::pair(10, OffloadSet::ALL).unwrap();
        backend
            .add_port(port(5), Arc::new(near), Reading::Elsewhere)
            .unwrap();
        send(&elsewhere, 60, 1);
        send(&far[0], 60, 1);
        let mut wire = Wire {
            to: Some(port(5)),
            ..Wire::default()
        };
        backend.turn(SOON, &mut wire).unwrap();
        assert_eq!(wire.batches, [(port(0), 1)]);
        assert_eq!(received_count(&elsewhere), 1);
    });
}

#[test]
fn all_queues_of_a_port_are_read() {
    on_each(|mut backend| {
        let far = add_ports(backend.as_mut(), 1);
        let (second, second_far) = MemoryPort::pair(10, OffloadSet::ALL).unwrap();
        backend
            .add_port(port(0), Arc::new(second), Reading::Here)
            .unwrap();
        send(&far[0], 60, 1);
        send(&second_far, 60, 2);
        let mut wire = Wire::default();
        backend.turn(SOON, &mut wire).unwrap();
        wire.batches.sort_unstable();
        assert_eq!(wire.batches, [(port(0), 1), (port(0), 2)]);
        backend.remove_port(port(0));
        far[0].recv(&mut vec![0; RECV_BUF_LEN]).unwrap_err();
        second_far.recv(&mut vec![0; RECV_BUF_LEN]).unwrap_err();
    });
}

/// Yields the frames that wait on a wire in memory, two at a time, as if they came from ports 5 and 6 in
/// turn.
#[derive(Debug)]
struct Pairs(MemoryPort);

impl FrameSource for Pairs {
    fn readiness(&self) -> BorrowedFd<'_> {
        self.0.readiness()
    }

    fn receive(&mut self, sink: &mut dyn FrameSink) -> Intake {
        let [mut first, mut second] = [(); 2].map(|()| vec![0; RECV_BUF_LEN]);
        for index in [5, 6] {
            let pair = [self.0.recv(&mut first), self.0.recv(&mut second)];
            let [Ok(Received::Frame(first)), Ok(Received::Frame(second))] = pair else {
                return Intake::Drained;
            };
            sink.deliver(port(index), &mut [first, second]);
        }
        Intake::More
    }
}

#[test]
fn frames_of_a_source_come_from_its_ports() {
    on_each(|mut backend| {
        let (near, far) = MemoryPort::pair(100, OffloadSet::ALL).unwrap();
        backend
            .add_source(SourceNo(3), Box::new(Pairs(near)))
            .unwrap();
        send(&far, 60, 6);
        let mut wire = Wire::default();
        while wire.batches.len() < 3 {
            backend.turn(None, &mut wire).unwrap();
        }
        assert_eq!(wire.batches, [(port(5), 2), (port(6), 2), (port(5), 2)]);
        assert!(is_idle(backend.as_mut()));
        send(&far, 60, 2);
        while wire.batches.len() < 4 {
            backend.turn(None, &mut wire).unwrap();
        }
        let removed = backend.remove_source(SourceNo(3));
        assert!(removed.is_some());
        assert!(backend.remove_source(SourceNo(3)).is_none());
        send(&far, 60, 2);
        assert!(is_idle(backend.as_mut()));
    });
}

#[test]
fn a_source_waits_while_a_handler_has_left_frames_of_its_ports() {
    on_each(|mut backend| {
        let (near, far) = MemoryPort::pair(100, OffloadSet::ALL).unwrap();
        backend
            .add_source(SourceNo(0), Box::new(Pairs(near)))
            .unwrap();
        send(&far, 60, 6);
        let mut wire = Wire {
            work: Some(1),
            ..Wire::default()
        };
        while wire.batches.len() < 6 {
            backend.turn(SOON, &mut wire).unwrap();
        }
        let both_ports = [(port(5), 2), (port(6), 2), (port(5), 1), (port(6), 1)];
        assert_eq!(wire.batches[..4], both_ports);
        assert_eq!(wire.batches[4..], [(port(5), 2), (port(5), 1)]);
        assert!(is_idle(backend.as_mut()));
    });
}
