//! Sandboxes that end, and interfaces that go.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tapweave_device::{
    Attacher, Backend, BatchHandler, Egress, EpollBackend, NamespaceWatcher, NetNamespace,
    PortQueue, RECV_BUF_LEN, Reading, Received, SendError, UringBackend,
};
use tapweave_net::{Frame, Offload, PortNo, VnetHdrError};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, run, spec, within_a_second};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_frame_to_an_interface_that_is_down_is_refused_until_it_is_up",
        place: Place::Outside,
        run: a_frame_to_an_interface_that_is_down_is_refused_until_it_is_up,
    },
    Test {
        name: "a_deleted_interface_is_a_port_failure",
        place: Place::Outside,
        run: a_deleted_interface_is_a_port_failure,
    },
    Test {
        name: "a_namespace_lives_until_its_last_queue_is_dropped",
        place: Place::OwnNamespaces,
        run: a_namespace_lives_until_its_last_queue_is_dropped,
    },
    Test {
        name: "the_end_of_a_sandbox_process_is_noticed",
        place: Place::Outside,
        run: the_end_of_a_sandbox_process_is_noticed,
    },
    Test {
        name: "a_named_namespace_is_attached_to_and_its_deletion_noticed",
        place: Place::OwnNamespaces,
        run: a_named_namespace_is_attached_to_and_its_deletion_noticed,
    },
    Test {
        name: "a_bare_unmount_and_a_namespace_mounted_over_another_are_noticed",
        place: Place::OwnNamespaces,
        run: a_bare_unmount_and_a_namespace_mounted_over_another_are_noticed,
    },
];

fn send(queue: &dyn PortQueue) -> Result<(), SendError> {
    queue.send(&mut Frame::new(&mut [0; 60], 0, Offload::NONE))
}

fn a_frame_to_an_interface_that_is_down_is_refused_until_it_is_up() {
    let sandbox = Sandbox::with_user_namespace();
    let interface = attach(&sandbox, &spec("10.9.0.2/24"));
    let queue = &interface.queues[0];
    send(queue).unwrap();
    sandbox.ip("link set eth0 down");
    assert!(matches!(send(queue), Err(SendError::Down)));
    let mut buf = vec![0; RECV_BUF_LEN];
    // Frames that the kernel sent when the interface came up may still wait.
    while let Received::Frame(_) = queue.recv(&mut buf).unwrap() {}
    sandbox.ip("link set eth0 up");
    send(queue).unwrap();
}

#[derive(Default)]
struct Failures(Vec<PortNo>);

impl BatchHandler for Failures {
    fn handle_batch(&mut self, _: PortNo, frames: &mut [Frame<'_>], _: &mut dyn Egress) -> usize {
        frames.len()
    }

    fn handle_completion(&mut self, _: PortNo, _: usize, _: usize, _: Result<(), SendError>) {}

    fn handle_malformed(&mut self, _: PortNo, error: VnetHdrError) {
        panic!("{error}");
    }

    fn handle_port_failure(&mut self, port: PortNo, _: std::io::Error) {
        self.0.push(port);
    }
}

fn a_deleted_interface_is_a_port_failure() {
    let backends: [Box<dyn Backend>; 2] = [
        Box::new(EpollBackend::new(Duration::ZERO).unwrap()),
        Box::new(UringBackend::new(Duration::ZERO).unwrap()),
    ];
    for mut backend in backends {
        let sandbox = Sandbox::with_user_namespace();
        let mut interface = attach(&sandbox, &spec("10.9.0.2/24"));
        let queue = Arc::new(interface.queues.remove(0));
        let port = PortNo::new(0, 0);
        backend
            .add_port(
                port,
                Arc::clone(&queue) as Arc<dyn PortQueue>,
                Reading::Here,
            )
            .unwrap();
        sandbox.ip("link delete eth0");
        let mut failures = Failures::default();
        let noticed = within_a_second(|| {
            backend.turn(Some(Duration::ZERO), &mut failures).unwrap();
            !failures.0.is_empty()
        });
        assert!(noticed);
        assert!(matches!(send(&*queue), Err(SendError::Failed(_))));
        backend.turn(Some(Duration::ZERO), &mut failures).unwrap();
        assert_eq!(failures.0, [port]);
    }
}

/// A `veth` whose other end is in the sandbox tells by its end that the namespace is gone.
fn a_namespace_lives_until_its_last_queue_is_dropped() {
    let sandbox = Sandbox::with_net_namespace();
    let interface = attach(&sandbox, &spec("10.9.0.2/24"));
    let pid = sandbox.pid();
    run(&format!(
        "ip link add witness type veth peer name other netns {pid}"
    ));
    let is_there = || Path::new("/proc/sys/net/ipv4/conf/witness").exists();
    assert!(is_there());
    drop(sandbox);
    assert!(
        !within_a_second(|| !is_there()),
        "the queue holds the namespace"
    );
    drop(interface);
    assert!(
        within_a_second(|| !is_there()),
        "nothing holds the namespace"
    );
}

fn is_readable(watcher: &NamespaceWatcher) -> bool {
    let mut fds = [PollFd::new(watcher, PollFlags::IN)];
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&second)).unwrap() == 1
}

fn the_end_of_a_sandbox_process_is_noticed() {
    let sandbox = Sandbox::with_user_namespace();
    let path = format!("/proc/{}/ns/net", sandbox.pid());
    let mut watcher = NamespaceWatcher::new().unwrap();
    let id = watcher
        .watch(&NetNamespace::open_path(Path::new(&path)).unwrap())
        .unwrap();
    let _interface = attach(&sandbox, &spec("10.9.0.2/24"));
    assert_eq!(watcher.take_ended().unwrap(), []);
    drop(sandbox);
    assert!(is_readable(&watcher));
    assert_eq!(watcher.take_ended().unwrap(), [id]);
}

fn a_named_namespace_is_attached_to_and_its_deletion_noticed() {
    run("mount -t tmpfs tmpfs /run");
    run("ip netns add blue");
    run("ip netns add green");
    let blue = NetNamespace::open_path(Path::new("/var/run/netns/blue")).unwrap();
    let green = NetNamespace::open_path(Path::new("/run/netns/green")).unwrap();
    assert_ne!(blue.id(), green.id());
    let mut watcher = NamespaceWatcher::new().unwrap();
    let id = watcher.watch(&blue).unwrap();
    watcher.watch(&green).unwrap();
    let interface = Attacher::default()
        .attach(&blue, &spec("10.9.0.2/24"))
        .unwrap();
    run("ip netns exec blue ip link show eth0 up");
    assert_eq!(watcher.take_ended().unwrap(), []);
    run("ip netns delete blue");
    assert!(is_readable(&watcher));
    assert_eq!(watcher.take_ended().unwrap(), [id]);
    watcher.watch(&blue).unwrap_err();
    drop(interface);
}

fn a_bare_unmount_and_a_namespace_mounted_over_another_are_noticed() {
    run("mount -t tmpfs tmpfs /run");
    run("ip netns add blue");
    run("ip netns add green");
    let mut watcher = NamespaceWatcher::new().unwrap();
    let [blue, green] = ["/run/netns/blue", "/run/netns/green"].map(|path| {
        let namespace = NetNamespace::open_path(Path::new(path)).unwrap();
        watcher.watch(&namespace).unwrap()
    });
    assert_eq!(watcher.take_ended().unwrap(), []);
    run("umount /run/netns/blue");
    assert!(is_readable(&watcher));
    assert_eq!(watcher.take_ended().unwrap(), [blue]);
    run("mount --bind /proc/self/ns/net /run/netns/green");
    assert!(is_readable(&watcher));
    assert_eq!(watcher.take_ended().unwrap(), [green]);
}
