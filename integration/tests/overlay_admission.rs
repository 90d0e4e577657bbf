//! Who may send into an overlay, and what its commands refuse.
//!
//! The topology is drawn in [`tapweave_integration::underlay`].

use anyhow::{Result, ensure};
use tapweave_integration::flood::Station;
use tapweave_integration::underlay::{
    KernelHost, NETWORK, Segment, TapweaveHost, Underlay, with_kernel,
};
use tapweave_integration::{Lab, frame, traffic, wait};
use tapweave_net::MacAddr;

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn nobody_but_a_peer_gets_anything_in() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |underlay, ours, kernel| {
                let stranger = underlay.host(lab, 9)?;
                traffic::ping_soon(&ours.sandbox, kernel.addresses()[0])?;
                let capture = Station::new(lab, &ours.sandbox, "eth0", ours.mac)?;
                let reasons = [
                    "unknown_peer",
                    "unknown_vni",
                    "vxlan_flag",
                    "tunnel_truncated",
                    "inner_malformed",
                ];
                // The kernel's host speaks for itself too, and may have before it was a peer.
                let before: Result<Vec<u64>> =
                    reasons.iter().map(|reason| ours.refused(reason)).collect();
                let (before, before_in_all) = (before?, ours.refused_in_all()?);
                // Five times each: outer source, VNI, bytes that are left of the payload, flags.
                let forged = "
import socket, sys
from scapy.all import Ether, IP, UDP, Raw
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
inner = bytes(Ether(src='02:00:00:00:00:63', dst='ff:ff:ff:ff:ff:ff', type=0x88b5) / Raw(b'tapweave forged'))
for kind in sys.argv[1:]:
    src, *numbers = kind.split()
    vni, cut, flags = map(int, numbers)
    payload = (bytes([flags, 0, 0, 0]) + (vni << 8).to_bytes(4, 'big') + inner)[:cut]
    packet = bytes(IP(src=src, dst='192.0.2.1') / UDP(sport=50000, dport=4789) / Raw(payload))
    for _ in range(5):
        wire.sendto(packet, ('192.0.2.1', 0))
";
                // Who says that he is the host itself is not heard at all (a martian source).
                let kinds = ["192.0.2.9 42 99 8", "192.0.2.1 42 99 8"];
                traffic::scapy(&stranger, forged, &kinds)?;
                let kinds = ["43 99 8", "42 99 0", "42 7 8", "42 20 8"];
                let kinds = kinds.map(|kind| format!("192.0.2.2 {kind}"));
                traffic::scapy(&kernel.host, forged, &kinds.each_ref().map(|it| &**it))?;
                for (reason, before) in reasons.into_iter().zip(before) {
                    ours.wait_refused(reason, before + 5)?;
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
                    Ok(ours.refused_in_all()? == before_in_all + 2025)
                })?;
                capture.capture().checker()?.none()?;
                traffic::ping(&ours.sandbox, kernel.addresses()[0], 5)
            })
        })
    }

    #[test]
    fn an_open_network_learns_its_peers_and_forgets_silent_ones() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let open = "-o tapweave.open=true -o tapweave.ageing=2s";
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
