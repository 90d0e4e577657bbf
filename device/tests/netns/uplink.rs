//! A sandbox whose frames leave by a TUN or a packet socket of a host.
//!
//! ```text
//!   sandbox                            host                        LAN host
//!     eth0 ── TAP ── test process ── TUN ── stack
//!     eth0 ── TAP ── test process ── packet socket on lan0 ═══════ eth0
//! ```

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tapweave_device::{
    DefaultRoutes, FileQueue, Framing, HostLink, HostWatch, PacketError, PacketSocket, PacketView,
    Tun, TunSpec, forwards, host_addresses,
};
use tapweave_net::{MacAddr, OffloadSet};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, spec, within_a_second};
use crate::traffic::{Loop, backends, ping, transfer};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "super_frames_pass_between_a_tap_and_a_tun",
        place: Place::OwnNamespaces,
        run: super_frames_pass_between_a_tap_and_a_tun,
    },
    Test {
        name: "super_frames_pass_between_a_tap_and_a_packet_socket",
        place: Place::OwnNamespaces,
        run: super_frames_pass_between_a_tap_and_a_packet_socket,
    },
    Test {
        name: "frames_wait_in_a_packet_socket_for_who_takes_it_over",
        place: Place::OwnNamespaces,
        run: frames_wait_in_a_packet_socket_for_who_takes_it_over,
    },
    Test {
        name: "a_tun_goes_with_its_queues_and_the_next_one_finds_a_name",
        place: Place::OwnNamespaces,
        run: a_tun_goes_with_its_queues_and_the_next_one_finds_a_name,
    },
    Test {
        name: "an_interface_of_the_host_is_found_and_its_news_heard",
        place: Place::OwnNamespaces,
        run: an_interface_of_the_host_is_found_and_its_news_heard,
    },
    Test {
        name: "a_station_on_a_lan_sees_no_tagged_frame_and_nothing_for_others",
        place: Place::OwnNamespaces,
        run: a_station_on_a_lan_sees_no_tagged_frame_and_nothing_for_others,
    },
];

fn an_interface_of_the_host_is_found_and_its_news_heard() {
    let host = Sandbox::with_net_namespace();
    let (_peer, index) = lan(&host);
    let watch = within(&host, || HostWatch::new().unwrap());
    let link = || within(&host, || HostLink::by_name("lan0").unwrap());
    let before = link().unwrap();
    assert_eq!((before.index, before.mtu), (index, 1500));
    assert!(within_a_second(|| link().unwrap().is_running));
    within(&host, || {
        assert_eq!(HostLink::by_name("lan1").unwrap(), None);
        assert_eq!(HostLink::by_name("lo").unwrap(), None);
        let address = (index, "10.9.0.1/24".parse().unwrap());
        assert!(host_addresses().unwrap().contains(&address));
        assert_eq!(DefaultRoutes::read().unwrap(), DefaultRoutes::default());
        assert!(!forwards("0.0.0.0".parse().unwrap()));
    });
    watch.drain().unwrap();
    host.ip("route add default via 10.9.0.3");
    host.ip("link set lan0 down");
    assert!(is_readable(&watch));
    watch.drain().unwrap();
    assert!(!link().unwrap().is_running);
    host.ip("link set lan0 up");
    host.ip("route add default via 10.9.0.3");
    let routes = within(&host, || DefaultRoutes::read().unwrap());
    assert_eq!((routes.v4, routes.v6), (true, false));
    watch.drain().unwrap();
    host.ip("link delete lan0");
    assert!(is_readable(&watch));
    assert_eq!(link(), None);
}

fn is_readable(watch: &HostWatch) -> bool {
    let mut fds = [PollFd::new(watch, PollFlags::IN)];
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&second)).unwrap() == 1
}

/// Does something in the network namespace of a sandbox.
pub(crate) fn within<T: Send>(sandbox: &Sandbox, work: impl FnOnce() -> T + Send) -> T {
    let path = format!("/proc/{}/ns/net", sandbox.pid());
    let namespace = std::fs::File::open(path).unwrap();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        worker.join().unwrap()
    })
}

fn tun(host: &Sandbox, addresses: &[&str]) -> Tun {
    let addresses = addresses.iter().map(|address| address.parse().unwrap());
    let spec = TunSpec {
        addresses: addresses.collect(),
        mtu: 1500,
        queue_count: 1,
    };
    within(host, || Tun::create(&spec).unwrap())
}

/// Has `from` send 20 datagrams of 1,000 bytes as one, and `to` receive them one by one.
fn send_datagrams(from: &Sandbox, to: &Sandbox, address: &str) {
    const RECEIVER: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 7001)); s.settimeout(5); print('ready', flush=True)
lens = [len(s.recv(65536)) for _ in range(20)]
assert lens == [1000] * 20, lens
print('received')";
    const SENDER: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)
s.sendto(bytes(20000), (sys.argv[1], 7001))";
    let mut receiver = to
        .command("python3")
        .args(["-c", RECEIVER])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let sender = from
        .command("python3")
        .args(["-c", SENDER, address])
        .status();
    assert!(sender.unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "received");
    assert!(receiver.wait().unwrap().success());
}

fn offloads(queue: &FileQueue) -> OffloadSet {
    let framing = queue.framing();
    assert_ne!(framing, Framing::Plain);
    framing.offloads()
}

fn super_frames_pass_between_a_tap_and_a_tun() {
    let (sandbox, host) = (Sandbox::with_net_namespace(), Sandbox::with_net_namespace());
    let mut spec = spec("10.9.0.2/24");
    spec.addresses.push("fd09::2/64".parse().unwrap());
    for backend in backends() {
        let inner = attach(&sandbox, &spec);
        // Nobody answers ARP and ND here.
        sandbox.ip("neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev eth0");
        sandbox.ip("neigh add fd09::1 lladdr 02:00:00:00:00:01 dev eth0");
        let tun = tun(&host, &["10.9.0.1/24", "fd09::1/64"]);
        assert_eq!(offloads(&tun.queues[0]), offloads(&inner.queues[0]));
        let wire = Loop::start(backend, [inner.queues, tun.queues]);
        ping(&sandbox, "10.9.0.1");
        ping(&host, "fd09::2");
        transfer(&sandbox, &host, "10.9.0.1:7000");
        transfer(&host, &sandbox, "[fd09::2]:7000");
        send_datagrams(&sandbox, &host, "10.9.0.1");
        send_datagrams(&host, &sandbox, "10.9.0.2");
        let wire = wire.stop();
        assert!(
            wire.longest > 30_000,
            "super-frames pass whole: {}",
            wire.longest
        );
        assert!(wire.of_datagrams >= 2);
    }
}

/// A LAN between a host and another one, each with one end of a `veth` pair.
fn lan(host: &Sandbox) -> (Sandbox, u32) {
    let peer = Sandbox::with_net_namespace();
    let pid = peer.pid();
    host.ip(&format!(
        "link add lan0 type veth peer name eth0 netns {pid}"
    ));
    host.ip("address add 10.9.0.1/24 dev lan0");
    host.ip("link set lan0 up");
    peer.ip("address add 10.9.0.3/24 dev eth0");
    peer.ip("address add fd09::3/64 dev eth0 nodad");
    peer.ip("link set eth0 up");
    let link = &host.ip_json("link show lan0")[0];
    let index = link["ifindex"].as_u64().unwrap();
    (peer, u32::try_from(index).unwrap())
}

fn station(host: &Sandbox, index: u32, mac: MacAddr) -> FileQueue {
    within(host, || {
        let socket = PacketSocket::open(index, PacketView::Station(mac)).unwrap();
        let [.., high, middle, low] = mac.octets();
        socket
            .join_group(MacAddr::new([0x33, 0x33, 0xff, high, middle, low]))
            .unwrap();
        socket.into_queue()
    })
}

fn super_frames_pass_between_a_tap_and_a_packet_socket() {
    let (sandbox, host) = (Sandbox::with_net_namespace(), Sandbox::with_net_namespace());
    let (peer, index) = lan(&host);
    let mut spec = spec("10.9.0.2/24");
    spec.addresses.push("fd09::2/64".parse().unwrap());
    for backend in backends() {
        let inner = attach(&sandbox, &spec);
        let queue = station(&host, index, spec.mac);
        assert_eq!(offloads(&queue), OffloadSet::ALL);
        let wire = Loop::start(backend, [inner.queues, vec![queue]]);
        ping(&sandbox, "10.9.0.3");
        ping(&peer, "fd09::2");
        ping(&host, "10.9.0.3");
        transfer(&sandbox, &peer, "10.9.0.3:7000");
        transfer(&peer, &sandbox, "[fd09::2]:7000");
        transfer(&peer, &host, "10.9.0.1:7000");
        send_datagrams(&sandbox, &peer, "10.9.0.3");
        send_datagrams(&peer, &sandbox, "10.9.0.2");
        let wire = wire.stop();
        assert_eq!(wire.unsupported, 0);
        assert!(
            wire.longest > 30_000,
            "super-frames pass whole: {}",
            wire.longest
        );
        assert!(wire.of_datagrams >= 2);
    }
}

fn a_tun_goes_with_its_queues_and_the_next_one_finds_a_name() {
    let host = Sandbox::with_net_namespace();
    let first = tun(&host, &["10.9.0.1/24"]);
    let second = tun(&host, &["10.9.1.1/24"]);
    assert_eq!(
        [first.ifname.as_str(), second.ifname.as_str()],
        ["tapweave0", "tapweave1"]
    );
    let routes = host.ip_json("route show dev tapweave0");
    assert_eq!(routes[0]["dst"], "10.9.0.0/24");
    drop(first);
    assert!(within_a_second(|| host.ifnames() == ["lo", "tapweave1"]));
    assert_eq!(tun(&host, &[]).ifname, "tapweave0");
}

fn a_station_on_a_lan_sees_no_tagged_frame_and_nothing_for_others() {
    const SENDER: &str = "import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
own, other = bytes.fromhex('020000000002'), bytes.fromhex('020000000009')
source = bytes.fromhex('020000000003')
rest = b'\\x88\\xb5' + bytes(46)
s.send(other + source + rest)
s.send(own + source + b'\\x81\\x00\\x00\\x05' + rest)
s.send(own + source + rest)";
    let host = Sandbox::with_net_namespace();
    let (peer, index) = lan(&host);
    let mac = MacAddr::new([2, 0, 0, 0, 0, 2]);
    let queue = station(&host, index, mac);
    let sender = peer.command("python3").args(["-c", SENDER]).status();
    assert!(sender.unwrap().success());
    let mut buf = vec![0; tapweave_device::RECV_BUF_LEN];
    let mut seen = Vec::new();
    within_a_second(|| {
        use tapweave_device::{PortQueue, Received};
        while let Received::Frame(frame) = queue.recv(&mut buf).unwrap() {
            if frame.data()[12..14] == [0x88, 0xb5] || frame.data()[..6] == mac.octets() {
                seen.push(frame.data()[..14].to_vec());
            }
        }
        !seen.is_empty()
    });
    let expected = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0x88, 0xb5];
    assert_eq!(seen, [expected]);
    let expected_drops = tapweave_device::take_overflow_count(&queue).unwrap();
    assert_eq!(expected_drops, 0);
}

fn frames_wait_in_a_packet_socket_for_who_takes_it_over() {
    const SENDER: &str = "import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
s.send(bytes.fromhex('02000000000202000000000388b5') + bytes(46))";
    let host = Sandbox::with_net_namespace();
    let (peer, index) = lan(&host);
    let mac = MacAddr::new([2, 0, 0, 0, 0, 2]);
    let view = PacketView::Station(mac);
    let first = station(&host, index, mac);
    let copy = || first.as_fd().try_clone_to_owned().unwrap();
    let (held, elsewhere, foreign) = (copy(), copy(), copy());
    drop(first);
    let sender = peer.command("python3").args(["-c", SENDER]).status();
    assert!(sender.unwrap().success());
    // This thread is in another namespace than the interface.
    let refused = PacketSocket::adopt(foreign, index, view);
    assert!(matches!(refused, Err(PacketError::Other)), "{refused:?}");
    let queue = within(&host, || {
        let refused = PacketSocket::adopt(elsewhere, index + 1, view);
        assert!(matches!(refused, Err(PacketError::Other)), "{refused:?}");
        PacketSocket::adopt(held, index, view).unwrap().into_queue()
    });
    let mut buf = vec![0; tapweave_device::RECV_BUF_LEN];
    let has_come = within_a_second(|| {
        use tapweave_device::{PortQueue, Received};
        while let Received::Frame(frame) = queue.recv(&mut buf).unwrap() {
            if frame.data()[12..14] == [0x88, 0xb5] {
                return true;
            }
        }
        false
    });
    assert!(has_come);
}
