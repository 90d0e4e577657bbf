//! Overlays whose hosts route to each other's subnets: FOU, GUE and IPIP between daemons, and against
//! scapy.
//!
//! The topology is drawn in [`tapweave_integration::routed`].

use anyhow::{Result, ensure};
use tapweave_integration::capture::{Wanted, promised_mss};
use tapweave_integration::cli::binary;
use tapweave_integration::process::Background;
use tapweave_integration::routed::{RoutedHost, Tunnel};
use tapweave_integration::underlay::{Carrier, Underlay};
use tapweave_integration::{Daemon, Lab, traffic, wait};

/// Hosts 1 and 2, each with a daemon.
fn with_two(
    lab: &Lab,
    tunnel: Tunnel,
    test: impl FnOnce(&Underlay, &RoutedHost, &RoutedHost) -> Result<()>,
) -> Result<()> {
    let underlay = Underlay::new(lab)?;
    let first = RoutedHost::new(lab, &underlay, tunnel, 1, &[2])?;
    let second = RoutedHost::new(lab, &underlay, tunnel, 2, &[1])?;
    test(&underlay, &first, &second)
}

/// All kinds of traffic between the sandboxes of both hosts, over IPv4 and IPv6.
fn everything_passes(lab: &Lab, first: &RoutedHost, second: &RoutedHost) -> Result<()> {
    let (a, b) = (&first.sandbox, &second.sandbox);
    for (to_a, to_b) in first.addresses().into_iter().zip(second.addresses()) {
        traffic::all_kinds(lab, (a, to_a), (b, to_b), 20_000)?;
    }
    Ok(())
}

#[cfg(test)]
mod named {
    use super::*;

    #[test]
    fn two_daemons_route_all_traffic_through_fou() -> Result<()> {
        Lab::run(|lab| {
            with_two(lab, Tunnel::FOU, |_, first, second| {
                everything_passes(lab, first, second)?;
                let peers = first.daemon.cli().json("peer ls far")?;
                let peer = &peers[0];
                ensure!(peer["state"] == "heard" && peer["mtu"] == 1472, "{peer}");
                ensure!(peer["subnets"][1] == "fd81:2::/64", "{peer}");
                ensure!(peer["counters"]["drops"] == serde_json::json!({}), "{peer}");
                Ok(())
            })
        })
    }
}

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn two_daemons_route_all_traffic_through_gue_over_ipv6() -> Result<()> {
        let tunnel = Tunnel {
            encap: "gue",
            carrier: Carrier::V6,
        };
        Lab::run(|lab| {
            with_two(lab, tunnel, |_, first, second| {
                everything_passes(lab, first, second)?;
                let link = first.sandbox.ip("link show eth0")?;
                ensure!(link.contains(&format!("mtu {}", tunnel.mtu())), "{link}");
                Ok(())
            })
        })
    }

    #[test]
    fn two_daemons_route_all_traffic_through_ipip() -> Result<()> {
        let tunnel = Tunnel {
            encap: "ipip",
            carrier: Carrier::V4,
        };
        Lab::run(|lab| {
            with_two(lab, tunnel, |underlay, first, second| {
                everything_passes(lab, first, second)?;
                let peers = first.daemon.cli().json("peer ls far")?;
                let peer = &peers[0];
                ensure!(peer["port"].is_null() && peer["mtu"] == 1480, "{peer}");
                // A raw socket hears everybody.
                let stranger = underlay.host(lab, 9)?;
                let forged = "
from scapy.all import ICMP, IP, send
inner = IP(src='10.81.2.2', dst='10.81.1.2') / ICMP()
send(IP(src='192.0.2.9', dst='192.0.2.1') / inner, count=5, verbose=False)
";
                traffic::scapy(&stranger, forged, &[])?;
                first.wait_refused("unknown_peer", 5)
            })
        })
    }

    #[test]
    fn two_daemons_route_through_ipip_over_ipv6() -> Result<()> {
        let tunnel = Tunnel {
            encap: "ipip",
            carrier: Carrier::V6,
        };
        Lab::run(|lab| {
            with_two(lab, tunnel, |_, first, second| {
                let (a, b) = (&first.sandbox, &second.sandbox);
                for to_b in second.addresses() {
                    traffic::ping_soon(a, to_b)?;
                    traffic::tcp(lab, a, b, to_b, 1 << 20)?;
                }
                Ok(())
            })
        })
    }

    #[test]
    fn without_the_right_to_raw_sockets_ipip_is_refused_and_says_so() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let host = underlay.host(lab, 1)?;
            let mut command = host.command("setpriv");
            command.args(["--bounding-set", "-net_raw"]).arg(binary()?);
            let daemon = Daemon::under(
                command,
                "--underlay 192.0.2.1",
                &lab.file("1.sock"),
                &lab.file("daemon1.log"),
            )?;
            let create = "network create far -d overlay --subnet 10.81.1.0/24 --encap";
            let said = daemon.cli().refused(&format!("{create} ipip"))?;
            ensure!(said.contains("CAP_NET_RAW"), "{said}");
            daemon.cli().ok(&format!("{create} fou"))?;
            daemon.stop()
        })
    }

    #[test]
    fn gateways_are_hops_and_answer_for_themselves() -> Result<()> {
        Lab::run(|lab| {
            with_two(lab, Tunnel::FOU, |_, first, second| {
                let (a, gateways) = (&first.sandbox, second.gateway());
                let families = second.addresses().into_iter().zip(first.gateway());
                for ((target, near), far) in families.zip(gateways) {
                    traffic::ping_soon(a, target)?;
                    traffic::ping(a, far, 3)?;
                    let said = a.run("traceroute", &format!("-n -q 1 -w 1 -m 4 {target}"))?;
                    let hops: Vec<_> = said
                        .lines()
                        .skip(1)
                        .filter_map(|line| line.split_whitespace().nth(1))
                        .map(str::to_owned)
                        .collect();
                    let want = [near, far, target].map(|hop| hop.to_string());
                    ensure!(hops == want, "{said}");
                }
                // What is behind no host is not routed to one, and hears so from the gateway.
                let mut ping = a.command("ping");
                ping.args(["-n", "-c", "1", "-W", "1", "10.81.9.2"]);
                let said = String::from_utf8(ping.output()?.stdout)?;
                ensure!(!said.contains("1 received"), "{said}");
                Ok(())
            })
        })
    }

    #[test]
    fn a_narrower_path_is_told_to_senders() -> Result<()> {
        Lab::run(|lab| {
            with_two(lab, Tunnel::FOU, |_, first, second| {
                let (a, b) = (&first.sandbox, &second.sandbox);
                let [to_b, to_b6] = second.addresses();
                traffic::ping_soon(a, to_b)?;
                let syns = lab.capture(b, "eth0", Wanted::Everything)?;
                first
                    .host
                    .ip("route replace 192.0.2.0/24 dev eth0 src 192.0.2.1 mtu lock 1400")?;
                wait::until_true("the narrower path", wait::SOON, || {
                    let peers = first.daemon.cli().json("peer ls far")?;
                    Ok(peers[0]["path_mtu"] == 1400 && peers[0]["mtu"] == 1372)
                })?;
                for (target, payload) in [(to_b, 1400), (to_b6, 1380)] {
                    let mut ping = a.command("ping");
                    ping.args(["-n", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do"]);
                    ping.args(["-s", &payload.to_string(), &target.to_string()]);
                    let said = String::from_utf8(ping.output()?.stdout)?;
                    ensure!(said.contains("1372"), "{said}");
                }
                // What may be cut is cut by the gateway.
                traffic::ping_with(a, to_b, 3, "-M dont -s 1440")?;
                traffic::tcp(lab, a, b, to_b, 2 << 20)?;
                traffic::tcp(lab, a, b, to_b6, 2 << 20)?;
                // 1372 bytes without the headers of IP and TCP.
                ensure!(promised_mss(&syns.stop()?)? == ["1332", "1312"]);
                traffic::tcp(lab, b, a, first.addresses()[0], 2 << 20)
            })
        })
    }

    /// Sends five inner ICMP echo requests in FOU for each argument: outer source, inner source and destination, and bytes
    /// of the payload of UDP that are sent.
    const FORGED: &str = "
import sys
from scapy.all import ICMP, IP, IPv6, ICMPv6EchoRequest, UDP, Raw, send
for kind in sys.argv[1:]:
    outer, src, dst, cut = kind.split()
    inner = IPv6(src=src, dst=dst) / ICMPv6EchoRequest() if ':' in src else IP(src=src, dst=dst) / ICMP()
    payload = bytes(inner / Raw(b'forged'))[:int(cut)]
    send(IP(src=outer, dst='192.0.2.1') / UDP(sport=50000, dport=5555) / Raw(payload), count=5, verbose=False)
";

    #[test]
    fn nobody_but_a_peer_gets_anything_in_and_only_for_its_own_subnets() -> Result<()> {
        Lab::run(|lab| {
            with_two(lab, Tunnel::FOU, |underlay, first, second| {
                let stranger = underlay.host(lab, 9)?;
                traffic::ping_soon(&first.sandbox, second.addresses()[0])?;
                let peer = &second.host;
                let kinds = ["192.0.2.9 10.81.2.2 10.81.1.2 99"];
                traffic::scapy(&stranger, FORGED, &kinds)?;
                let kinds = [
                    "10.81.1.3 10.81.1.2 99",
                    "fd81:9::2 fd81:1::2 99",
                    "10.81.2.2 203.0.113.1 99",
                    "10.81.2.2 10.81.1.2 30",
                    "10.81.2.2 10.81.1.2 0",
                ];
                let kinds = kinds.map(|kind| format!("192.0.2.2 {kind}"));
                traffic::scapy(peer, FORGED, &kinds.each_ref().map(|it| &**it))?;
                for (reason, count) in [
                    ("unknown_peer", 5),
                    ("inner_source", 10),
                    ("inner_destination", 5),
                    ("inner_malformed", 5),
                    ("tunnel_truncated", 5),
                ] {
                    first.wait_refused(reason, count)?;
                }
                let noise = "
import random, socket
random.seed(7)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(('192.0.2.2', 0))
for _ in range(500):
    sender.sendto(bytes([random.choice((0x45, 0x60, 0xa5))]) + random.randbytes(random.choice((0, 19, 39, 60, 1400))), ('192.0.2.1', 5555))
";
                traffic::scapy(peer, noise, &[])?;
                wait::until_true("all noise refused", wait::SOON, || {
                    let stats = first.daemon.cli().json("stats")?;
                    let refused = stats["underlay"]["refused"].as_object().cloned();
                    let counts = refused.into_iter().flatten();
                    let sum: u64 = counts.filter_map(|(_, count)| count.as_u64()).sum();
                    Ok(sum == 530)
                })?;
                traffic::ping(&first.sandbox, second.addresses()[1], 3)
            })
        })
    }

    /// Is a peer by itself: answers an echo request in FOU, and prints what it saw of it: outer TTL
    /// and DF, inner TTL, ECN of both.
    const PEER: &str = "
from scapy.all import ICMP, IP, UDP, Raw, AsyncSniffer, send
def answer(packet):
    inner = IP(bytes(packet[UDP].payload))
    print(packet[IP].ttl, packet[IP].flags, inner.ttl, packet[IP].tos & 3, inner.tos & 3, flush=True)
    reply = IP(src=inner.dst, dst=inner.src, tos=1, ttl=9) / ICMP(type=0, id=inner[ICMP].id, seq=inner[ICMP].seq) / inner[ICMP].payload
    send(IP(src='192.0.2.2', dst='192.0.2.1', tos=3) / UDP(sport=50000, dport=5555) / reply, verbose=False)
sniffer = AsyncSniffer(filter='udp dst port 5555 and src 192.0.2.1', iface='eth0', prn=answer, started_callback=lambda: print('ready', flush=True))
sniffer.start()
sniffer.join()
";

    #[test]
    fn scapy_is_a_peer_and_congestion_on_the_way_reaches_the_sandbox() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = RoutedHost::new(lab, &underlay, Tunnel::FOU, 1, &[2])?;
            let second = underlay.host(lab, 2)?;
            let mut command = second.command("/usr/bin/python3");
            let mut peer = Background::start(command.args(["-c", PEER]), &lab.file("peer.log"))?;
            peer.line("ready")?;
            let ask = "
from scapy.all import ICMP, IP, sr1
reply = sr1(IP(dst='10.81.2.2', tos=1) / ICMP(id=7, seq=1) / b'hello', timeout=5, verbose=False)
print(reply.src, reply.ttl, reply.tos, bytes(reply[ICMP].payload))
";
            let said = traffic::scapy(&first.sandbox, ask, &[])?;
            // One hop of nine, and the mark that the outer header met on the way.
            ensure!(said.trim() == "10.81.2.2 8 3 b'hello'", "{said}");
            let seen = peer.line("64 ")?;
            ensure!(seen == "64 DF 63 1 1", "{seen}");
            Ok(())
        })
    }
}

/// Needs the kernel of the guest, which has FOU and IP in IP.
#[cfg(test)]
mod guest {
    use std::fs;
    use std::net::IpAddr;

    use tapweave_integration::Sandbox;

    use super::*;

    /// Host 2 with devices of the kernel, whose addresses are those of the sandbox that a daemon would
    /// have there.
    fn kernel_host(lab: &Lab, underlay: &Underlay, commands: &[&str]) -> Result<Sandbox> {
        let host = underlay.host(lab, 2)?;
        host.ip("address add 10.81.2.2/24 dev lo")?;
        host.ip("address add fd81:2::2/64 dev lo nodad")?;
        for command in commands {
            host.ip(command)?;
        }
        Ok(host)
    }

    /// Pings and streams between the sandbox of host 1 and the kernel's host.
    fn passes(
        lab: &Lab,
        first: &RoutedHost,
        kernel: &Sandbox,
        pairs: &[[IpAddr; 2]],
    ) -> Result<()> {
        for &[to_first, to_kernel] in pairs {
            traffic::ping_soon(&first.sandbox, to_kernel)?;
            traffic::ping(kernel, to_first, 3)?;
            traffic::tcp(lab, &first.sandbox, kernel, to_kernel, 256 << 10)?;
            traffic::tcp(lab, kernel, &first.sandbox, to_first, 256 << 10)?;
        }
        let peers = first.daemon.cli().json("peer ls far")?;
        ensure!(peers[0]["state"] == "heard", "{peers}");
        Ok(())
    }

    fn pairs(first: &RoutedHost) -> Result<[[IpAddr; 2]; 2]> {
        let [v4, v6] = first.addresses();
        Ok([[v4, "10.81.2.2".parse()?], [v6, "fd81:2::2".parse()?]])
    }

    /// Until Linux 6.11 a message was cut for devices with checksum offload only (`EIO`).
    #[test]
    fn a_kernel_that_cuts_no_messages_is_told_of_once_and_all_traffic_passes() -> Result<()> {
        Lab::run(|lab| {
            with_two(lab, Tunnel::FOU, |_, first, second| {
                let segmentation = || {
                    let shown = first.daemon.cli().json("port show far/sandbox1")?;
                    Ok::<_, anyhow::Error>(shown["underlay"]["addresses"][0].clone())
                };
                let before = segmentation()?;
                ensure!(before["segmentation"] == true, "{before}");
                first.host.run("ethtool", "-K eth0 tx off")?;
                let (a, b) = (&first.sandbox, &second.sandbox);
                for to_b in second.addresses() {
                    traffic::tcp(lab, a, b, to_b, 1 << 20)?;
                }
                traffic::tcp(lab, b, a, first.addresses()[0], 1 << 20)?;
                let after = segmentation()?;
                let reason = after["segmentation_refusal"].as_str().unwrap_or_default();
                let is_refused = after["segmentation"] == false && reason.contains("os error 5");
                ensure!(is_refused, "{after}");
                let said = first.daemon.cli().ok("port show far/sandbox1")?;
                let line = said.lines().find(|line| line.contains("UDP_SEGMENT"));
                ensure!(line.is_some_and(|line| line.contains(reason)), "{said}");
                let log = fs::read_to_string(lab.file("daemon1.log"))?;
                let complaints = log.matches("cannot cut messages").count();
                ensure!(complaints == 1, "{log}");
                Ok(())
            })
        })
    }

    #[test]
    fn a_kernel_with_fou_and_tapweave_route_to_each_other() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = RoutedHost::new(lab, &underlay, Tunnel::FOU, 1, &[2])?;
            let kernel = kernel_host(
                lab,
                &underlay,
                &[
                    "fou add port 5555 ipproto 4",
                    "link add tun4 type ipip remote 192.0.2.1 local 192.0.2.2 ttl 64 encap fou encap-sport auto encap-dport 5555",
                    "link set tun4 up mtu 1472",
                    "route add 10.81.1.0/24 dev tun4 src 10.81.2.2",
                ],
            )?;
            let [v4, _] = pairs(&first)?;
            passes(lab, &first, &kernel, &[v4])
        })
    }

    #[test]
    fn a_kernel_with_gue_takes_both_families_on_one_port() -> Result<()> {
        let tunnel = Tunnel {
            encap: "gue",
            carrier: Carrier::V4,
        };
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = RoutedHost::new(lab, &underlay, tunnel, 1, &[2])?;
            // What it sends is of variant 1, which is FOU to the port of GUE.
            let kernel = kernel_host(
                lab,
                &underlay,
                &[
                    "fou add port 6080 gue",
                    "link add tun4 type ipip remote 192.0.2.1 local 192.0.2.2 ttl 64 encap fou encap-sport auto encap-dport 6080",
                    "link set tun4 up mtu 1472",
                    "route add 10.81.1.0/24 dev tun4 src 10.81.2.2",
                    "link add tun6 type sit remote 192.0.2.1 local 192.0.2.2 ttl 64 encap fou encap-sport auto encap-dport 6080",
                    "link set tun6 up mtu 1472",
                    "-6 route add fd81:1::/64 dev tun6 src fd81:2::2",
                ],
            )?;
            passes(lab, &first, &kernel, &pairs(&first)?)
        })
    }

    #[test]
    fn a_kernel_with_ip_in_ip_and_tapweave_route_to_each_other() -> Result<()> {
        let tunnel = Tunnel {
            encap: "ipip",
            carrier: Carrier::V4,
        };
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = RoutedHost::new(lab, &underlay, tunnel, 1, &[2])?;
            // The daemon's kernel has the modules too, and would complain of packets for no device of its.
            for (name, kind) in [("sink4", "ipip"), ("sink6", "sit")] {
                let ends = "remote 192.0.2.2 local 192.0.2.1";
                first
                    .host
                    .ip(&format!("link add {name} type {kind} {ends}"))?;
                first.host.ip(&format!("link set {name} up"))?;
            }
            let kernel = kernel_host(
                lab,
                &underlay,
                &[
                    "link add tun4 type ipip remote 192.0.2.1 local 192.0.2.2 ttl 64",
                    "link set tun4 up mtu 1480",
                    "route add 10.81.1.0/24 dev tun4 src 10.81.2.2",
                    "link add tun6 type sit remote 192.0.2.1 local 192.0.2.2 ttl 64",
                    "link set tun6 up mtu 1480",
                    "-6 route add fd81:1::/64 dev tun6 src fd81:2::2",
                ],
            )?;
            passes(lab, &first, &kernel, &pairs(&first)?)
        })
    }
}
