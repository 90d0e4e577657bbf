//! What overlays carry between hosts: tapweave and the kernel's vxlan device, tapweave and tapweave.
//!
//! The topology is drawn in [`tapweave_integration::underlay`].

use std::net::IpAddr;

use anyhow::{Result, ensure};
use tapweave_integration::routed::{RoutedHost, Tunnel};
use tapweave_integration::sequence::Sequence;
use tapweave_integration::traffic::Datagrams;
use tapweave_integration::underlay::{KernelHost, Segment, TapweaveHost, Underlay, with_kernel};
use tapweave_integration::{Lab, Sandbox, listing, traffic, wait};

/// Numbered flows, enough for every worker to have some.
const FLOWS: u64 = 16;

/// Far more frames than a daemon and the kernels send by themselves.
const BUSY: u64 = 100;

/// Bytes of numbered datagrams, about a thousand each, whose order tells something.
const ENOUGH_LEN: u64 = 8 << 20;

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
                ensure!(ours.fdb_entry(kernel.mac)?["vtep"] == "192.0.2.2");
                let link = ours.sandbox.ip("-d link show dev eth0")?;
                ensure!(link.contains("gso_max_segs 44 "), "{link}");
                Ok(())
            })
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
            with_kernel(lab, Segment::OVER_V6, |_, ours, kernel| {
                everything_passes(lab, ours, kernel)
            })
        })
    }

    #[test]
    fn two_daemons_carry_all_traffic_over_ipv6() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = TapweaveHost::new(lab, &underlay, Segment::OVER_V6, 1, &[2])?;
            let second = TapweaveHost::new(lab, &underlay, Segment::OVER_V6, 2, &[1])?;
            let (a, b) = (&first.sandbox, &second.sandbox);
            for (to_a, to_b) in first.addresses().into_iter().zip(second.addresses()) {
                traffic::all_kinds(lab, (a, to_a), (b, to_b), 65_507)?;
            }
            let peer = first.peer(Segment::OVER_V6.vtep(2))?;
            ensure!(peer["state"] == "heard" && peer["mtu"] == 1430, "{peer}");
            Ok(())
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

    /// Sends numbered datagrams of several flows until some thousand arrived; none may overtake another of its flow.
    fn flows_keep_their_order(
        lab: &Lab,
        (from, to): (&Sandbox, &Sandbox),
        address: IpAddr,
    ) -> Result<()> {
        let sequence = Sequence::start(lab, from, to, address, FLOWS)?;
        let (start, _) = to.carried_len("eth0")?;
        wait::until_true("numbered datagrams", wait::SOON, || {
            Ok(to.carried_len("eth0")?.0 >= start + ENOUGH_LEN)
        })?;
        let outcome = sequence.finish()?;
        ensure!(outcome.flows == FLOWS, "{outcome:?}");
        let late = outcome.late + outcome.answered_late;
        ensure!(late == 0, "overtaken on the way: {outcome:?}");
        Ok(())
    }

    #[test]
    fn a_flow_keeps_its_order_between_daemons_with_several_workers() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let host = |number, peers: &[u8]| {
                let options = format!("--underlay {} --workers 2", segment.vtep(number));
                TapweaveHost::with_options(lab, &underlay, segment, number, peers, &options)
            };
            let [first, second] = [host(1, &[2])?, host(2, &[1])?];
            let ends = (&first.sandbox, &second.sandbox);
            for address in second.addresses() {
                traffic::ping_soon(ends.0, address)?;
                flows_keep_their_order(lab, ends, address)?;
            }
            // By every worker, so that the order was not that of one.
            for host in [&first, &second] {
                let stats = host.daemon.cli().json("stats")?;
                let workers = listing::rows(&stats["workers"])?;
                ensure!(workers.len() == 2, "{stats}");
                for worker in workers {
                    ensure!(listing::number(worker, "frames")? > BUSY, "{worker}");
                }
            }
            Ok(())
        })
    }

    #[test]
    fn a_flow_keeps_its_order_between_gateways_with_several_workers() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let host = |number, peers: &[u8]| {
                let tunnel = Tunnel::FOU;
                RoutedHost::with_options(lab, &underlay, tunnel, number, peers, "--workers 2")
            };
            let [first, second] = [host(1, &[2])?, host(2, &[1])?];
            let ends = (&first.sandbox, &second.sandbox);
            for address in second.addresses() {
                traffic::ping_soon(ends.0, address)?;
                flows_keep_their_order(lab, ends, address)?;
            }
            Ok(())
        })
    }
}
