//! Traffic between two sandboxes over an event loop that does nothing but join two ports.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tapweave_device::{
    Backend, BatchHandler, Egress, EpollBackend, FileQueue, Offloading, PortQueue, Reading,
    SendError, UringBackend, Waker,
};
use tapweave_net::{Frame, GsoKind, PortNo, VnetHdrError};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, spec};
use crate::tcp;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "ping_and_tcp_pass_between_two_interfaces",
        place: Place::Outside,
        run: ping_and_tcp_pass_between_two_interfaces,
    },
    Test {
        name: "ping_and_tcp_pass_with_four_queues",
        place: Place::Outside,
        run: ping_and_tcp_pass_with_four_queues,
    },
    Test {
        name: "tcp_passes_between_interfaces_with_and_without_offloads",
        place: Place::Outside,
        run: tcp_passes_between_interfaces_with_and_without_offloads,
    },
];

/// What a wire saw.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) longest: usize,
    /// Super-frames of datagrams.
    pub(crate) of_datagrams: usize,
    pub(crate) unsupported: usize,
}

const PORTS: [PortNo; 2] = [PortNo::new(0, 0), PortNo::new(1, 0)];

impl BatchHandler for Wire {
    fn handle_batch(
        &mut self,
        ingress: PortNo,
        frames: &mut [Frame<'_>],
        egress: &mut dyn Egress,
    ) -> usize {
        let to = PORTS[usize::from(ingress == PORTS[0])];
        for frame in &mut *frames {
            self.longest = self.longest.max(frame.data().len());
            let gso = frame.offload().gso.map(|gso| gso.kind);
            self.of_datagrams += usize::from(gso == Some(GsoKind::Udp));
            if let Err(SendError::Unsupported | SendError::Failed(_)) = egress.send(to, frame) {
                self.unsupported += 1;
            }
        }
        frames.len()
    }

    fn handle_completion(
        &mut self,
        _: PortNo,
        frame_count: usize,
        _: usize,
        outcome: Result<(), SendError>,
    ) {
        if let Err(SendError::Unsupported | SendError::Failed(_)) = outcome {
            self.unsupported += frame_count;
        }
    }

    fn handle_malformed(&mut self, _: PortNo, error: VnetHdrError) {
        panic!("{error}");
    }

    fn handle_port_failure(&mut self, port: PortNo, error: std::io::Error) {
        panic!("{port}: {error}");
    }
}

/// One of each kind of event loop.
pub(crate) fn backends() -> [Box<dyn Backend>; 2] {
    [
        Box::new(EpollBackend::new(Duration::ZERO).unwrap()),
        Box::new(UringBackend::new(Duration::ZERO).unwrap()),
    ]
}

/// A running loop between two interfaces.
pub(crate) struct Loop {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<Wire>,
}

impl Loop {
    pub(crate) fn start(mut backend: Box<dyn Backend>, ports: [Vec<FileQueue>; 2]) -> Self {
        for (port, queues) in PORTS.into_iter().zip(ports) {
            for queue in queues {
                let queue: Arc<dyn PortQueue> = Arc::new(queue);
                backend.add_port(port, queue, Reading::Here).unwrap();
            }
        }
        let waker = backend.waker();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut wire = Wire::default();
            while !stopped.load(Ordering::Relaxed) {
                backend.turn(None, &mut wire).unwrap();
            }
            wire
        });
        Self {
            stop,
            waker,
            thread,
        }
    }

    pub(crate) fn stop(self) -> Wire {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        self.thread.join().unwrap()
    }
}

pub(crate) fn ping(from: &Sandbox, to: &str) {
    let words = ["-c", "3", "-i", "0.01", "-W", "2", "-s", "1400", to];
    let output = from.command("ping").args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(" 0% packet loss"), "{text}");
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Sends 64 MiB from one sandbox to the other, where each byte is checked.
pub(crate) fn transfer(from: &Sandbox, to: &Sandbox, address: &str) {
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    let mut receiver = to
        .command(this)
        .args([tcp::RECEIVER, address])
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut lines = BufReader::new(receiver.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let sender = from.command(this).args([tcp::SENDER, address]).status();
    assert!(sender.unwrap().success());
    let received = format!("received {}", tcp::TRANSFER_LEN);
    assert_eq!(lines.next().unwrap().unwrap(), received);
    assert!(receiver.0.wait().unwrap().success());
}

fn ping_and_tcp_pass_between_two_interfaces() {
    ping_and_tcp_pass(1);
}

fn ping_and_tcp_pass_with_four_queues() {
    ping_and_tcp_pass(4);
}

fn ping_and_tcp_pass(queue_count: u16) {
    let sandboxes = [
        Sandbox::with_user_namespace(),
        Sandbox::with_user_namespace(),
    ];
    let mut specs = [spec("10.9.0.2/24"), spec("10.9.0.3/24")];
    for (spec, address) in specs.iter_mut().zip(["fd09::2/64", "fd09::3/64"]) {
        spec.addresses.push(address.parse().unwrap());
        spec.queue_count = queue_count;
    }
    for backend in backends() {
        let queues = [0, 1].map(|at| attach(&sandboxes[at], &specs[at]).queues);
        let wire = Loop::start(backend, queues);
        ping(&sandboxes[0], "10.9.0.3");
        ping(&sandboxes[1], "fd09::2");
        transfer(&sandboxes[0], &sandboxes[1], "10.9.0.3:7000");
        transfer(&sandboxes[1], &sandboxes[0], "[fd09::2]:7000");
        let wire = wire.stop();
        assert_eq!(wire.unsupported, 0);
        assert!(
            wire.longest > 30_000,
            "super-frames pass whole: {}",
            wire.longest
        );
    }
}

fn tcp_passes_between_interfaces_with_and_without_offloads() {
    let sandboxes = [
        Sandbox::with_user_namespace(),
        Sandbox::with_user_namespace(),
    ];
    let mut specs = [spec("10.9.0.2/24"), spec("10.9.0.3/24")];
    for (spec, address) in specs.iter_mut().zip(["fd09::2/64", "fd09::3/64"]) {
        spec.addresses.push(address.parse().unwrap());
    }
    specs[1].offloading = Offloading::Off;
    for backend in backends() {
        let queues = [0, 1].map(|at| attach(&sandboxes[at], &specs[at]).queues);
        let wire = Loop::start(backend, queues);
        ping(&sandboxes[0], "10.9.0.3");
        transfer(&sandboxes[0], &sandboxes[1], "10.9.0.3:7000");
        transfer(&sandboxes[1], &sandboxes[0], "10.9.0.2:7000");
        transfer(&sandboxes[0], &sandboxes[1], "[fd09::3]:7000");
        let wire = wire.stop();
        assert_eq!(wire.unsupported, 0);
        assert!(
            wire.longest > 30_000,
            "there was something to cut: {}",
            wire.longest
        );
    }
}
