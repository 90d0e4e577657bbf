//! Overlays between hosts: tapweave and the kernel's vxlan device, tapweave and tapweave.
//!
//! The topology is drawn in [`tapweave_integration::underlay`].

use anyhow::{Result, ensure};
use serde_json::Value;
use tapweave_integration::capture::{Wanted, dissect};
use tapweave_integration::flood::{Receivers, Station, expect_delivery};
use tapweave_integration::traffic::Datagrams;
use tapweave_integration::underlay::{
    Carrier, KernelHost, NETWORK, Segment, TapweaveHost, Underlay,
};
use tapweave_integration::{Lab, Sandbox, frame, traffic, wait};
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
        traffic::tcp(lab, a, b, to_b, 4 << 20)?;
        traffic::tcp(lab, b, a, to_a, 4 << 20)?;
        for (to_there, back) in [(1, 1000), (65_507, 65_507)] {
            traffic::udp(lab, a, b, to_b, to_there, Datagrams::Single)?;
            traffic::udp(lab, b, a, to_a, back, Datagrams::Single)?;
        }
        traffic::udp(lab, a, b, to_b, 1200, Datagrams::Segmented)?;
    }
    // Between namespaces of one kernel nobody cuts what is left to the network card, and of datagrams
    // nobody can tell later where to cut; of TCP the receiver can.
    let uncut = "tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off";
    kernel.host.run("ethtool", &format!("-K eth0 {uncut}"))?;
    for to_a in ours.addresses() {
        traffic::udp(lab, b, a, to_a, 1200, Datagrams::Segmented)?;
        traffic::tcp(lab, b, a, to_a, 4 << 20)?;
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
                traffic::all_kinds(lab, (a, to_a), (b, to_b), 60_000)?;
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
    fn an_address_that_a_station_of_another_host_has_is_not_given_away() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                let cli = ours.daemon.cli();
                for held in ["10.77.0.3/24", "10.77.0.4/24", "fd77::1:1/64"] {
                    let nodad = if held.contains(':') { "nodad" } else { "" };
                    let words = format!("address add {held} dev eth0 {nodad}");
                    kernel.station.ip(&words)?;
                }
                let late = lab.sandbox("late")?;
                let options = late.options();
                for wanted in ["--ip 10.77.0.4", "--ip6 fd77::1:1"] {
                    let request = format!("network connect {NETWORK} late {options} {wanted}");
                    let message = cli.refused(&request)?;
                    let words = format!("in use in network {NETWORK} by {}", kernel.mac);
                    ensure!(message.contains(&words), "no {words:?} in {message}");
                }
                // .1 is the other sandbox's, .2 to .4 are the station's.
                let given = cli.connect(NETWORK, &late, "")?;
                ensure!(given.ipv4()?.to_string() == "10.77.0.5", "{given:?}");
                traffic::ping_soon(&late, kernel.addresses()[0])?;
                let peer = ours.peer(Segment::USUAL.vtep(2))?;
                let conflicts = peer["counters"]["address_conflicts"].as_u64();
                ensure!(conflicts >= Some(4), "{peer}");
                Ok(())
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
            let shown = frame::tagged(MacAddr::BROADCAST, wanderer, "here");
            let show =
                |place: &Sandbox| traffic::send_raw(place, "eth0", 1, std::slice::from_ref(&shown));
            // From host to host, to this one, and away again.
            for (place, vtep) in [
                (&second.station, Some("192.0.2.2")),
                (&third.station, Some("192.0.2.3")),
                (&ours.sandbox, None),
                (&second.station, Some("192.0.2.2")),
                (&ours.sandbox, None),
            ] {
                show(place)?;
                wait::until_true("a move", wait::SOON, || {
                    let found = self::place(&ours, wanderer)?;
                    let port = found["port"].as_str();
                    let want = vtep.is_none().then_some("far/sandbox1");
                    Ok(found["vtep"].as_str() == vtep && port == want)
                })?;
            }
            // A static entry stays, whoever else claims to be it.
            let cli = ours.daemon.cli();
            cli.ok(&format!("fdb add {NETWORK} {wanderer} --vtep 192.0.2.2"))?;
            let seen = Station::new(lab, &ours.sandbox, "eth0", ours.mac)?;
            show(&third.station)?;
            seen.capture()
                .wait_for(|seen| seen.equal_to(&shown).exactly(1))?;
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
                // Five times each: VNI, bytes that are left of the payload, flags.
                let forged = "
import socket, sys
from scapy.all import Ether, IP, UDP, Raw
src, wire = sys.argv[1], socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
inner = bytes(Ether(src='02:00:00:00:00:63', dst='ff:ff:ff:ff:ff:ff', type=0x88b5) / Raw(b'tapweave forged'))
for kind in sys.argv[2:]:
    vni, cut, flags = map(int, kind.split())
    payload = (bytes([flags, 0, 0, 0]) + (vni << 8).to_bytes(4, 'big') + inner)[:cut]
    packet = bytes(IP(src=src, dst='192.0.2.1') / UDP(sport=50000, dport=4789) / Raw(payload))
    for _ in range(5):
        wire.sendto(packet, ('192.0.2.1', 0))
";
                traffic::scapy(&stranger, forged, &["192.0.2.9", "42 99 8"])?;
                ours.wait_refused("unknown_peer", 5)?;
                // Who says that he is the host itself is not heard at all (a martian source).
                traffic::scapy(&stranger, forged, &["192.0.2.1", "42 99 8"])?;
                let kinds = ["192.0.2.2", "43 99 8", "42 99 0", "42 7 8", "42 20 8"];
                traffic::scapy(&kernel.host, forged, &kinds)?;
                for reason in [
                    "unknown_vni",
                    "vxlan_flag",
                    "tunnel_truncated",
                    "inner_malformed",
                ] {
                    ours.wait_refused(reason, 5)?;
                }
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
    fn a_network_is_as_wide_as_its_underlay_leaves() -> Result<()> {
        Lab::run(|lab| {
            for (prefix, underlay_mtu, mtu) in [("narrow-", 1400, 1350), ("wide-", 9000, 8950)] {
                let segment = Segment::USUAL;
                let mut underlay = Underlay::with_prefix(lab, prefix)?;
                underlay.set_mtu(underlay_mtu);
                let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
                let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
                let port = format!("{NETWORK}/{}", ours.sandbox.name());
                let shown = ours.daemon.cli().json(&format!("port show {port}"))?;
                ensure!(shown["mtu"] == mtu, "{shown}");
                let (a, b) = (&ours.sandbox, &kernel.station);
                traffic::ping_soon(a, kernel.addresses()[0])?;
                // What just fits: the headers of IP and ICMP come on top.
                for ((to_a, to_b), headers_len) in ours
                    .addresses()
                    .into_iter()
                    .zip(kernel.addresses())
                    .zip([28, 48])
                {
                    let exactly = format!("-M do -s {}", mtu - headers_len);
                    traffic::ping_with(a, to_b, 3, &exactly)?;
                    traffic::ping_with(b, to_a, 3, &exactly)?;
                }
                let (to_a, to_b) = (ours.addresses()[1], kernel.addresses()[0]);
                traffic::tcp(lab, a, b, to_b, 4 << 20)?;
                traffic::tcp(lab, b, a, to_a, 4 << 20)?;
                traffic::udp(lab, a, b, to_b, 20_000, Datagrams::Single)?;
                let peer = ours.peer(segment.vtep(2))?;
                ensure!(
                    peer["path_mtu"] == underlay_mtu && peer["mtu"] == mtu,
                    "{peer}"
                );
                ensure!(peer["counters"]["drops"] == serde_json::json!({}), "{peer}");
            }
            Ok(())
        })
    }

    #[test]
    fn two_daemons_carry_all_traffic_over_ipv6() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = TapweaveHost::new(lab, &underlay, V6, 1, &[2])?;
            let second = TapweaveHost::new(lab, &underlay, V6, 2, &[1])?;
            let (a, b) = (&first.sandbox, &second.sandbox);
            for (to_a, to_b) in first.addresses().into_iter().zip(second.addresses()) {
                traffic::all_kinds(lab, (a, to_a), (b, to_b), 65_507)?;
            }
            let peer = first.peer(V6.vtep(2))?;
            ensure!(peer["state"] == "heard" && peer["mtu"] == 1430, "{peer}");
            Ok(())
        })
    }

    #[test]
    fn a_narrower_path_is_told_to_senders() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                let to = kernel.addresses()[0];
                traffic::ping_soon(&ours.sandbox, to)?;
                let syns = lab.capture(&kernel.station, "eth0", Wanted::Everything)?;
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
                let mut ping = ours.sandbox.command("ping");
                let options = ["-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do"];
                ping.args(options).args(["-s", "1400", &to.to_string()]);
                let said = String::from_utf8(ping.output()?.stdout)?;
                ensure!(said.contains("mtu=1350"), "{said}");
                traffic::tcp(lab, &ours.sandbox, &kernel.station, to, 4 << 20)?;
                // What the SYNs promised that came to the other side: an MTU of 1350 without headers.
                let fields = ["tcp.options.mss_val"];
                let is_syn = "tcp.flags.syn == 1 && tcp.flags.ack == 0";
                let mut promised = Vec::new();
                for row in dissect(&syns.stop()?, is_syn, &fields)? {
                    promised.extend(row.concat());
                }
                ensure!(promised == ["1310", "1290"], "{promised:?}");
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
    fn an_interface_or_a_peer_that_was_lost_is_used_again() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (V6, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let ours =
                TapweaveHost::with_options(lab, &underlay, segment, 1, &[2], "--underlay eth0")?;
            let reach = || traffic::ping_soon(&ours.sandbox, kernel.addresses()[0]);
            reach()?;
            // Its own link: the kernel takes the address and all routes away.
            ours.host.ip("link set eth0 down")?;
            ours.host.ip("link set eth0 up")?;
            let address = "2001:db8:9::1/64 dev eth0 nodad";
            ours.host.ip(&format!("address replace {address}"))?;
            reach()?;
            // Its own interface, which comes back as another one with another MAC address.
            ours.host.ip("link del eth0")?;
            wait::until_true("no underlay", wait::SOON, || {
                let stats = ours.daemon.cli().json("stats")?;
                let left = stats["underlay"]["addresses"].as_array();
                Ok(left.is_some_and(Vec::is_empty))
            })?;
            underlay.plug_in(&ours.host, 1)?;
            reach()?;
            // The peer.
            kernel.host.ip("link set vx0 down")?;
            traffic::no_ping(&ours.sandbox, kernel.addresses()[0])?;
            kernel.host.ip("link set vx0 up")?;
            reach()
        })
    }

    #[test]
    fn an_open_network_learns_its_peers_and_forgets_silent_ones() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let open = "-o tapweave.open=true -o tapweave.ageing=4s";
            let ours = TapweaveHost::with_network(lab, &underlay, segment, 1, &[], open)?;
            let cli = ours.daemon.cli();
            let has_learned = || Ok(cli.ok("peer ls")?.contains("learned"));
            // Not by scapy, which may end after the host is forgotten.
            let hello = [frame::tagged(MacAddr::BROADCAST, kernel.mac, "hello")];
            let learns = || {
                wait::until_true("a host learned", wait::SOON, || {
                    traffic::send_raw(&kernel.station, "eth0", 1, &hello)?;
                    has_learned()
                })
            };
            learns()?;
            ensure!(ours.refused("peer_not_learned")? > 0);
            // It speaks first, so it is learned again should the pause have been too long.
            let to = ours.addresses()[0];
            traffic::ping_soon(&kernel.station, to)?;
            traffic::tcp(lab, &kernel.station, &ours.sandbox, to, 1 << 20)?;
            underlay.set_link(2, "down")?;
            wait::until_true(
                "a silent peer forgotten",
                wait::SOON,
                || Ok(!has_learned()?),
            )?;
            underlay.set_link(2, "up")?;
            learns()?;
            // Who is asked for stays, and another segment on the same port is closed to it.
            let at = segment.vtep(2);
            cli.ok(&format!("peer add {NETWORK} {at}"))?;
            ensure!(ours.peer(at)?["origin"] == "static");
            cli.ok("network create closed -d overlay --vni 43 --subnet 10.78.0.0/24")?;
            kernel.host.ip(
                "link add vx1 type vxlan id 43 dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev eth0",
            )?;
            kernel.host.ip("link set vx1 up")?;
            traffic::announce(&kernel.host, "vx1", frame::mac(9))?;
            ours.wait_refused_some("peer_not_bound")
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
            ensure!(at["receive_buffer"]["asked_len"] == 8_388_608, "{port}");
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
