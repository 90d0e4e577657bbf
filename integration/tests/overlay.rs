//! Overlays between hosts: tapweave and the kernel's vxlan device, tapweave and tapweave.
//!
//! The topology is drawn in [`tapweave_integration::underlay`].

use anyhow::{Result, ensure};
use serde_json::Value;
use tapweave_integration::flood::{Receivers, Station, expect_delivery};
use tapweave_integration::traffic::Datagrams;
use tapweave_integration::underlay::{
    Carrier, KernelHost, NETWORK, Segment, TapweaveHost, Underlay,
};
use tapweave_integration::{Lab, frame, traffic, wait};
use tapweave_net::MacAddr;

const V6: Segment = Segment {
    vni: 0x00ab_cdef,
    port: 8472,
    carrier: Carrier::V6,
};

/// Host 1 with tapweave, host 2 with the kernel's device.
fn with_kernel(
    lab: &Lab,
    segment: Segment,
    test: impl FnOnce(&Underlay, &TapweaveHost, &KernelHost) -> Result<()>,
) -> Result<()> {
    let underlay = Underlay::new(lab)?;
    let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
    let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
    test(&underlay, &ours, &kernel)
}

/// Pings, TCP and UDP of both families in both directions.
fn everything_passes(lab: &Lab, ours: &TapweaveHost, kernel: &KernelHost) -> Result<()> {
    let (a, b) = (&ours.sandbox, &kernel.station);
    for (to_a, to_b) in ours.addresses().into_iter().zip(kernel.addresses()) {
        traffic::ping(a, to_b, 10)?;
        traffic::ping(b, to_a, 10)?;
        traffic::tcp(lab, a, b, to_b, 8 << 20)?;
        traffic::tcp(lab, b, a, to_a, 8 << 20)?;
        for size in [1, 1000, 20_000, 60_000] {
            traffic::udp(lab, a, b, to_b, size, Datagrams::Single)?;
            traffic::udp(lab, b, a, to_a, size, Datagrams::Single)?;
        }
        traffic::udp(lab, a, b, to_b, 1200, Datagrams::Segmented)?;
    }
    // Between namespaces of one kernel nobody cuts what is left to the network card, and of datagrams
    // nobody can tell later where to cut; of TCP the receiver can.
    let uncut = "tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off";
    kernel.host.run("ethtool", &format!("-K eth0 {uncut}"))?;
    for to_a in ours.addresses() {
        traffic::udp(lab, b, a, to_a, 1200, Datagrams::Segmented)?;
        traffic::tcp(lab, b, a, to_a, 8 << 20)?;
    }
    Ok(())
}

/// Where the FDB of host 1 has a station.
fn place(ours: &TapweaveHost, mac: MacAddr) -> Result<Value> {
    let rows = ours.daemon.cli().json(&format!("fdb show {NETWORK}"))?;
    let rows = rows.as_array().cloned().unwrap_or_default();
    let row = rows
        .into_iter()
        .find(|row| row["mac"].as_str() == Some(&mac.to_string()));
    Ok(row.unwrap_or_default())
}

fn is_at_vtep(ours: &TapweaveHost, mac: MacAddr, vtep: &str) -> Result<bool> {
    Ok(place(ours, mac)?["vtep"].as_str() == Some(vtep))
}

#[cfg(test)]
mod named {
    use super::*;

    #[test]
    fn a_kernel_host_and_tapweave_carry_all_traffic_over_ipv4() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                everything_passes(lab, ours, kernel)?;
                let peer = ours.peer(Segment::USUAL.vtep(2))?;
                ensure!(peer["state"] == "heard" && peer["mtu"] == 1450, "{peer}");
                ensure!(peer["counters"]["drops"] == serde_json::json!({}), "{peer}");
                ensure!(is_at_vtep(ours, kernel.mac, "192.0.2.2")?);
                Ok(())
            })
        })
    }

    #[test]
    fn a_flood_reaches_every_host_once_and_comes_back_from_none() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let second = KernelHost::new(lab, &underlay, segment, 2, &[1, 3])?;
            let third = KernelHost::new(lab, &underlay, segment, 3, &[1, 2])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2, 3])?;
            for station in [&second, &third] {
                traffic::ping_soon(&ours.sandbox, station.addresses()[0])?;
            }
            traffic::ping_soon(&second.station, third.addresses()[0])?;
            let stations = [
                Station::new(lab, &ours.sandbox, "eth0", ours.mac)?,
                Station::new(lab, &second.station, "eth0", second.mac)?,
                Station::new(lab, &third.station, "eth0", third.mac)?,
            ];
            for (index, from) in stations.iter().enumerate() {
                let broadcast = frame::tagged(MacAddr::BROADCAST, from.mac(), &format!("b{index}"));
                expect_delivery(&stations, index, &broadcast, 20, Receivers::AllOthers)?;
                let group = MacAddr::new([0x01, 0x00, 0x5e, 1, 2, 3]);
                let multicast = frame::tagged(group, from.mac(), &format!("m{index}"));
                expect_delivery(&stations, index, &multicast, 20, Receivers::AllOthers)?;
                let unknown = frame::tagged(frame::mac(99), from.mac(), &format!("u{index}"));
                expect_delivery(&stations, index, &unknown, 20, Receivers::AllOthers)?;
                let to = (index + 1) % stations.len();
                let unicast = frame::tagged(stations[to].mac(), from.mac(), &format!("s{index}"));
                expect_delivery(&stations, index, &unicast, 20, Receivers::Only(&[to]))?;
            }
            Ok(())
        })
    }

    #[test]
    fn two_daemons_carry_all_traffic_and_keep_their_segments_apart() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let first = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
            let options = "--underlay 192.0.2.2 --workers 2";
            let second = TapweaveHost::with_options(lab, &underlay, segment, 2, &[1], options)?;
            let (a, b) = (&first.sandbox, &second.sandbox);
            for (to_a, to_b) in first.addresses().into_iter().zip(second.addresses()) {
                traffic::ping_soon(a, to_b)?;
                traffic::tcp(lab, a, b, to_b, 8 << 20)?;
                traffic::tcp(lab, b, a, to_a, 8 << 20)?;
                traffic::udp(lab, a, b, to_b, 1200, Datagrams::Segmented)?;
                traffic::udp(lab, b, a, to_a, 60_000, Datagrams::Single)?;
            }
            let others = [&first, &second].map(|host| {
                let cli = host.daemon.cli();
                cli.ok("network create other -d overlay --vni 43 --subnet 10.78.0.0/24")?;
                let sandbox = lab.sandbox(&format!("other-{}", host.sandbox.name()))?;
                let last = if host.mac == first.mac { 2 } else { 3 };
                let endpoint = cli.connect("other", &sandbox, &format!("--ip 10.78.0.{last}"))?;
                Ok::<_, anyhow::Error>((sandbox, endpoint))
            });
            let [third, fourth] = others;
            let ((third, _), (_fourth, far)) = (third?, fourth?);
            // The hosts are peers in the first network only.
            traffic::no_ping(&third, far.ipv4()?)?;
            first.daemon.cli().ok("peer add other 192.0.2.2")?;
            traffic::no_ping(&third, far.ipv4()?)?;
            second.wait_refused_some("peer_not_bound")?;
            second.daemon.cli().ok("peer add other 192.0.2.1")?;
            traffic::ping_soon(&third, far.ipv4()?)?;
            let taken = first
                .daemon
                .cli()
                .refused("network create third -d overlay --vni 43 --subnet 10.79.0.0/24")?;
            ensure!(taken.contains("belongs to another network"), "{taken}");
            Ok(())
        })
    }
}

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn a_kernel_host_and_tapweave_carry_all_traffic_over_ipv6() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, V6, |_, ours, kernel| {
                everything_passes(lab, ours, kernel)
            })
        })
    }

    #[test]
    fn a_station_is_found_where_it_was_seen_last() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let second = KernelHost::new(lab, &underlay, segment, 2, &[1, 3])?;
            let third = KernelHost::new(lab, &underlay, segment, 3, &[1, 2])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2, 3])?;
            let wanderer = frame::mac(77);
            for (kernel, vtep) in [(&second, "192.0.2.2"), (&third, "192.0.2.3")] {
                traffic::announce(&kernel.station, "eth0", wanderer)?;
                wait::until_true("a move", wait::SOON, || is_at_vtep(&ours, wanderer, vtep))?;
            }
            // A static entry stays, whoever else claims to be it.
            let cli = ours.daemon.cli();
            cli.ok(&format!("fdb add {NETWORK} {wanderer} --vtep 192.0.2.2"))?;
            traffic::announce(&third.station, "eth0", wanderer)?;
            ensure!(is_at_vtep(&ours, wanderer, "192.0.2.2")?);
            ensure!(place(&ours, wanderer)?["kind"] == "static");
            let stranger =
                cli.refused(&format!("fdb add {NETWORK} {wanderer} --vtep 192.0.2.9"))?;
            ensure!(stranger.contains("is no peer"), "{stranger}");
            // What goes with a peer.
            cli.ok(&format!("peer rm {NETWORK} 192.0.2.2"))?;
            ensure!(place(&ours, wanderer)?.is_null());
            Ok(())
        })
    }

    #[test]
    fn nobody_but_a_peer_gets_anything_in() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |underlay, ours, kernel| {
                let stranger = underlay.host(lab, 9)?;
                traffic::ping_soon(&ours.sandbox, kernel.addresses()[0])?;
                let capture = Station::new(lab, &ours.sandbox, "eth0", ours.mac)?;
                let forged = "
import sys
from scapy.all import Ether, IP, UDP, VXLAN, Raw, conf, L3RawSocket, send
src, dst, port, vni, cut, flags = sys.argv[1:]
inner = bytes(Ether(src='02:00:00:00:00:63', dst='ff:ff:ff:ff:ff:ff', type=0x88b5) / Raw(b'tapweave forged'))
header = bytes([int(flags), 0, 0, 0]) + (int(vni) << 8).to_bytes(4, 'big')
payload = (header + inner)[:int(cut)]
send(IP(src=src, dst=dst) / UDP(sport=50000, dport=int(port)) / Raw(payload), count=5, verbose=False)
";
                let send = |from: &tapweave_integration::Sandbox,
                            src: &str,
                            vni: &str,
                            cut: &str,
                            flags: &str| {
                    traffic::scapy(from, forged, &[src, "192.0.2.1", "4789", vni, cut, flags])
                };
                send(&stranger, "192.0.2.9", "42", "99", "8")?;
                ours.wait_refused("unknown_peer", 5)?;
                send(&kernel.host, "192.0.2.2", "43", "99", "8")?;
                ours.wait_refused("unknown_vni", 5)?;
                send(&kernel.host, "192.0.2.2", "42", "99", "0")?;
                ours.wait_refused("vxlan_flag", 5)?;
                send(&kernel.host, "192.0.2.2", "42", "7", "8")?;
                ours.wait_refused("tunnel_truncated", 5)?;
                send(&kernel.host, "192.0.2.2", "42", "20", "8")?;
                ours.wait_refused("inner_malformed", 5)?;
                let noise = "
import random, socket, sys
random.seed(int(sys.argv[1]))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(('192.0.2.2', 0))
for _ in range(2000):
    sender.sendto(random.randbytes(random.choice((0, 1, 8, 9, 22, 60, 200, 1400))), ('192.0.2.1', 4789))
";
                traffic::scapy(&kernel.host, noise, &["7"])?;
                wait::until_true("all noise refused", wait::SOON, || {
                    Ok(ours.refused_in_all()? == 2025)
                })?;
                capture.capture().checker()?.none()?;
                traffic::ping(&ours.sandbox, kernel.addresses()[0], 5)
            })
        })
    }

    #[test]
    fn a_narrower_path_is_told_to_senders() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                let to = kernel.addresses()[0];
                traffic::ping_soon(&ours.sandbox, to)?;
                ours.host
                    .ip("route replace 192.0.2.0/24 dev eth0 src 192.0.2.1 mtu lock 1400")?;
                let mut ping = ours.sandbox.command("ping");
                ping.args([
                    "-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400",
                ]);
                let said = String::from_utf8(ping.arg(to.to_string()).output()?.stdout)?;
                ensure!(said.contains("mtu = 1350"), "{said}");
                traffic::tcp(lab, &ours.sandbox, &kernel.station, to, 4 << 20)?;
                let from = ours.addresses()[0];
                traffic::tcp(lab, &kernel.station, &ours.sandbox, from, 4 << 20)?;
                let to = kernel.addresses()[1];
                traffic::tcp(lab, &ours.sandbox, &kernel.station, to, 4 << 20)?;
                let peer = ours.peer(Segment::USUAL.vtep(2))?;
                ensure!(peer["path_mtu"] == 1400 && peer["mtu"] == 1350, "{peer}");
                ours.host
                    .ip("route replace 192.0.2.0/24 dev eth0 src 192.0.2.1")?;
                wait::until_true("a wider path", wait::SOON, || {
                    Ok(ours.peer(Segment::USUAL.vtep(2))?["path_mtu"] == 1500)
                })
            })
        })
    }

    #[test]
    fn what_was_cut_off_comes_back_by_itself() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let ours =
                TapweaveHost::with_options(lab, &underlay, segment, 1, &[2], "--underlay eth0")?;
            let to = kernel.addresses()[0];
            traffic::ping_soon(&ours.sandbox, to)?;
            underlay.set_link(2, "down")?;
            traffic::no_ping(&ours.sandbox, to)?;
            underlay.set_link(2, "up")?;
            traffic::ping_soon(&ours.sandbox, to)?;
            // The interface gets another address, which the kernel's host is told of.
            ours.host.ip("address del 192.0.2.1/24 dev eth0")?;
            ours.host.ip("address add 192.0.2.5/24 dev eth0")?;
            kernel.host.run(
                "bridge",
                "fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.5",
            )?;
            traffic::ping_soon(&ours.sandbox, to)?;
            traffic::tcp(
                lab,
                &kernel.station,
                &ours.sandbox,
                ours.addresses()[0],
                1 << 20,
            )
        })
    }

    #[test]
    fn traffic_passes_whatever_the_underlay_offers() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                for features in [
                    "tx-udp-segmentation off",
                    "tx off",
                    "tx on tx-udp-segmentation on gro off",
                ] {
                    for host in [&ours.host, &kernel.host] {
                        host.run("ethtool", &format!("-K eth0 {features}"))?;
                    }
                    let (a, b) = (&ours.sandbox, &kernel.station);
                    traffic::tcp(lab, a, b, kernel.addresses()[0], 2 << 20)?;
                    traffic::tcp(lab, b, a, ours.addresses()[0], 2 << 20)?;
                    traffic::udp(lab, a, b, kernel.addresses()[1], 1200, Datagrams::Segmented)?;
                }
                Ok(())
            })
        })
    }

    #[test]
    fn an_overlay_says_what_it_needs() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[])?;
            let cli = ours.daemon.cli();
            for (arguments, reason) in [
                ("create x -d overlay --subnet 10.1.0.0/24", "needs --vni"),
                ("create x -d overlay --vni 1", "needs --subnet"),
                ("create x --vni 1", "for overlay networks only"),
                (
                    "create x -d overlay --vni 1 --subnet 10.1.0.0/24 --encap gue",
                    "--vni is not for encapsulation gue",
                ),
                (
                    "create x -d overlay --vni 1 --subnet 10.1.0.0/24 -o tapweave.querier=true",
                    "not for overlay",
                ),
                (
                    "create x -d overlay --vni 16777216 --subnet 10.1.0.0/24",
                    "16777215",
                ),
            ] {
                let said = cli.refused(&format!("network {arguments}"))?;
                ensure!(said.contains(reason), "{arguments}: {said}");
            }
            for (arguments, reason) in [
                ("add far 192.0.2.1", "address of this host"),
                ("add far 224.0.0.1", "not the address of one host"),
                ("add far 2001:db8:9::2", "no IPv6 address"),
                ("add near 192.0.2.2", "no network"),
                ("rm far 192.0.2.2", "is no peer"),
            ] {
                let said = cli.refused(&format!("peer {arguments}"))?;
                ensure!(said.contains(reason), "{arguments}: {said}");
            }
            cli.ok("network create near --subnet 10.1.0.0/24")?;
            let said = cli.refused("peer add near 192.0.2.2")?;
            ensure!(said.contains("is no overlay"), "{said}");
            let port = cli.json("port show far/sandbox1")?;
            let at = &port["underlay"]["addresses"][0];
            ensure!(at["segmentation"] == true && at["gro"] == true, "{port}");
            ensure!(at["receive_buffer"]["asked_len"] == 8 << 20, "{port}");
            let shown = cli.ok("port show far/sandbox1")?;
            ensure!(shown.contains("192.0.2.1 port 4789"), "{shown}");
            ensure!(shown.contains("  UDP_SEGMENT"), "{shown}");
            cli.ok("peer add far 192.0.2.2 --port 8472")?;
            let said = cli.refused("peer add far 192.0.2.2")?;
            ensure!(said.contains("already"), "{said}");
            let text = cli.ok("peer ls")?;
            ensure!(
                text.contains("192.0.2.2") && text.contains("unheard"),
                "{text}"
            );
            cli.ok("network disconnect far sandbox1")?;
            // The peer goes with the network, and the port is free again.
            cli.ok("network rm far")?;
            cli.ok("network create again -d overlay --vni 42 --subnet 10.2.0.0/24")?;
            Ok(())
        })
    }
}
