//! Workers on wires inside the process: threads, event loop, engine and ports, but no kernel device.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tapweave_device::{
    BatchHandler, Description, EpollBackend, FrameSource, MemoryPort, PortQueue, RECV_BUF_LEN,
    Received, SourceNo, Waker,
};
use tapweave_net::{Frame, NetworkNo, Offload, OffloadSet};
use tapweave_switch::{PortConfig, SwitchConfig};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::test_switch::with_network;

const STATION_A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const STATION_B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const BROADCAST: [u8; 6] = [0xff; 6];
/// What a wire holds; more than any test sends before it receives.
const CAPACITY: usize = 2_000;

/// A switch with one network and its workers.
struct Rig {
    switch: Arc<Switch>,
    network: NetworkNo,
    workers: Workers,
    events: UnboundedReceiver<Event>,
}

/// A port of the rig, and the far end of its wire.
struct Wire {
    port: PortNo,
    readers: Readers,
    queue: Arc<dyn PortQueue>,
    far: MemoryPort,
}

impl Rig {
    fn new(worker_count: usize) -> Self {
        let (switch, network) = with_network(worker_count);
        let (event_sender, events) = unbounded_channel();
        let backend = || Ok(Box::new(EpollBackend::new(Duration::ZERO)?) as Box<dyn Backend>);
        let workers =
            Workers::start(worker_count, &switch, Clock::new(), &event_sender, backend).unwrap();
        Self {
            switch,
            network,
            workers,
            events,
        }
    }

    fn connect(&self) -> Wire {
        let (near, far) = MemoryPort::pair(CAPACITY, OffloadSet::ALL).unwrap();
        let queue: Arc<dyn PortQueue> = Arc::new(near);
        let config = PortConfig::OPEN;
        let port = self.switch.add_port(self.network, config).unwrap();
        let queues = PortQueues::one(Arc::clone(&queue));
        let readers = self.workers.add_port(port, &queues).unwrap();
        Wire {
            port,
            readers,
            queue,
            far,
        }
    }
}

impl Wire {
    fn send(&self, dst: [u8; 6], src: [u8; 6], number: u16) {
        let mut bytes = [0xa5; 60];
        bytes[..6].copy_from_slice(&dst);
        bytes[6..12].copy_from_slice(&src);
        bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
        bytes[14..16].copy_from_slice(&number.to_be_bytes());
        self.far
            .send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
            .unwrap();
    }

    /// Returns the number in the next frame that arrives; none when nothing does for a second.
    fn receive(&self) -> Option<u16> {
        let limit = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        let readiness = self.far.readiness();
        poll(&mut [PollFd::new(&readiness, PollFlags::IN)], Some(&limit)).unwrap();
        self.waiting()
    }

    /// Returns the number in a frame that has arrived already.
    fn waiting(&self) -> Option<u16> {
        let mut buf = vec![0xa5; RECV_BUF_LEN];
        match self.far.recv(&mut buf).unwrap() {
            Received::Frame(frame) => frame.data()[14..16].try_into().ok().map(u16::from_be_bytes),
            Received::Malformed(_) | Received::Empty => None,
        }
    }
}

#[test]
fn frames_pass_between_ports_that_different_workers_read() {
    let rig = Rig::new(2);
    let [a, b, c] = [rig.connect(), rig.connect(), rig.connect()];
    assert_ne!(
        a.readers, b.readers,
        "the ports are spread over the workers"
    );
    a.send(BROADCAST, STATION_A, 1);
    assert_eq!((b.receive(), c.receive()), (Some(1), Some(1)));
    b.send(STATION_A, STATION_B, 2);
    assert_eq!(a.receive(), Some(2));
    // Whatever `c` got of that was sent before `a` could answer, and is waited for by the answer.
    a.send(STATION_B, STATION_A, 3);
    assert_eq!(b.receive(), Some(3));
    assert_eq!(
        (a.waiting(), c.waiting()),
        (None, None),
        "known stations are not flooded"
    );
}

#[test]
fn a_flow_keeps_its_order() {
    let rig = Rig::new(3);
    let [a, b, _c] = [rig.connect(), rig.connect(), rig.connect()];
    let last = 1_000;
    for number in 0..=last {
        a.send(STATION_B, STATION_A, number);
    }
    assert!((0..=last).filter_map(|_| b.receive()).eq(0..=last));
}

#[test]
fn a_removed_port_is_let_go_of_before_removal_returns() {
    let rig = Rig::new(2);
    let [a, b, c] = [rig.connect(), rig.connect(), rig.connect()];
    rig.switch.remove_port(b.port).unwrap();
    rig.workers.remove_port(b.port, &b.readers);
    assert_eq!(Arc::strong_count(&b.queue), 1, "no worker holds the queue");
    let reading: usize = rig
        .workers
        .stats()
        .iter()
        .map(|worker| worker.port_count)
        .sum();
    assert_eq!(reading, 2);
    a.send(BROADCAST, STATION_A, 1);
    assert_eq!((c.receive(), b.waiting()), (Some(1), None));
}

#[test]
fn a_port_with_several_queues_is_read_by_several_workers() {
    let rig = Rig::new(2);
    let wires = [(); 4].map(|()| MemoryPort::pair(CAPACITY, OffloadSet::ALL).unwrap());
    let queues = wires.map(|(near, _far)| Arc::new(near) as Arc<dyn PortQueue>);
    let config = PortConfig::OPEN;
    let port = rig.switch.add_port(rig.network, config).unwrap();
    let queues = PortQueues::of(Vec::from(queues));
    let readers = rig.workers.add_port(port, &queues).unwrap();
    assert_eq!(readers, Readers(vec![0, 1, 0, 1]));
    rig.workers.remove_port(port, &readers);
    let mut queues = queues.read().iter();
    assert!(queues.all(|queue| Arc::strong_count(queue) == 1));
}

#[test]
fn a_port_whose_device_fails_is_reported() {
    let mut rig = Rig::new(1);
    let wire = rig.connect();
    drop(wire.far);
    assert_eq!(
        rig.events.blocking_recv(),
        Some(Event::PortFailed(wire.port))
    );
}

/// A backend whose first turn goes wrong.
struct Broken {
    waker: Waker,
    go_wrong: fn() -> io::Result<()>,
}

impl Backend for Broken {
    fn description(&self) -> Description {
        Description {
            name: "broken",
            uses: &[],
        }
    }

    fn add_port(&mut self, _: PortNo, _: Arc<dyn PortQueue>, _: Reading) -> io::Result<()> {
        Ok(())
    }

    fn remove_port(&mut self, _: PortNo) {}

    fn add_source(&mut self, _: SourceNo, _: Box<dyn FrameSource>) -> io::Result<()> {
        Ok(())
    }

    fn remove_source(&mut self, _: SourceNo) -> Option<Box<dyn FrameSource>> {
        None
    }

    fn turn(&mut self, _: Option<Duration>, _: &mut dyn BatchHandler) -> io::Result<()> {
        (self.go_wrong)()
    }

    fn finish(&mut self, _: &mut dyn BatchHandler) -> io::Result<()> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

#[test]
fn a_worker_that_ends_without_being_told_is_reported() {
    let ends: [fn() -> io::Result<()>; 2] = [|| Err(io::Error::other("no")), || panic!("no")];
    for go_wrong in ends {
        let switch = Arc::new(Switch::new(SwitchConfig {
            worker_count: 1,
            seed: 1,
        }));
        let (event_sender, mut events) = unbounded_channel();
        let backend = || {
            let waker = Waker::new()?;
            Ok(Box::new(Broken { waker, go_wrong }) as Box<dyn Backend>)
        };
        let workers = Workers::start(1, &switch, Clock::new(), &event_sender, backend).unwrap();
        assert_eq!(events.blocking_recv(), Some(Event::WorkerFailed(0)));
        let (near, _far) = MemoryPort::pair(1, OffloadSet::ALL).unwrap();
        let added = workers.add_port(PortNo::new(0, 0), &PortQueues::one(Arc::new(near)));
        assert_eq!(added.unwrap_err().to_string(), "the worker has stopped");
    }
}
