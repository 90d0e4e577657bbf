//! Overlays over wide, narrow and narrowed paths, be these told of or not.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]; where a path says nothing, its bridge drops what is too
//! long for a host, or routers do.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use serde_json::Value;
use tapweave_integration::capture::{Wanted, promised_mss};
use tapweave_integration::daemon::Daemon;
use tapweave_integration::routed::{RoutedHost, Tunnel};
use tapweave_integration::traffic::Datagrams;
use tapweave_integration::underlay::{
    KernelHost, NETWORK, Segment, TapweaveHost, TooLong, Underlay, with_kernel,
};
use tapweave_integration::{Lab, Sandbox, traffic, wait};

/// What the narrow link takes. The widest of what a search may end at, since every size that is lost takes three seconds.
const WIDTH: u16 = 1496;

/// Has messages that are cut on the way be cut before it.
fn cut_at(host: &Sandbox) -> Result<()> {
    host.run("ethtool", "-K eth0 tx-udp-segmentation off")?;
    let uncut = "tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off";
    host.run("ethtool", &format!("-K eth0 {uncut}")).map(drop)
}

/// Waits until a daemon has found out what the path to its only peer takes, at most eight bytes less than it does; returns
/// what it leaves for a network.
fn wait_found(daemon: &Daemon) -> Result<u16> {
    let mut peer = Value::Null;
    wait::until_true("the width of the path", wait::SOON, || {
        peer = daemon.cli().json(&format!("peer ls {NETWORK}"))?[0].take();
        let found = peer["path_mtu"].as_u64().unwrap_or_default();
        Ok((u64::from(WIDTH) - 8..=WIDTH.into()).contains(&found))
    })?;
    Ok(serde_json::from_value(peer["mtu"].take())?)
}

/// Requires that a sender of a packet of 1450 bytes is told what fits.
fn expect_told(from: &Sandbox, to: IpAddr, mtu: u16) -> Result<()> {
    let mut ping = from.command("ping");
    ping.args(["-n", "-c", "1", "-W", "5", "-M", "do"]);
    let payload_len = if to.is_ipv4() { "1422" } else { "1402" };
    ping.args(["-s", payload_len, &to.to_string()]);
    // A kernel that knows it already complains elsewhere than one that is told now.
    let output = ping.output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    let said = said.replace(' ', "");
    ensure!(said.contains(&format!("mtu={mtu}")), "{said}");
    Ok(())
}

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

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
    fn a_narrower_path_is_told_to_senders() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                let to = kernel.addresses()[0];
                traffic::ping_soon(&ours.sandbox, to)?;
                let syns = lab.capture(&kernel.station, "eth0", Wanted::Everything)?;
                ours.host
                    .ip("route replace 192.0.2.0/24 dev eth0 src 192.0.2.1 mtu lock 1400")?;
                expect_told(&ours.sandbox, to, 1350)?;
                traffic::tcp(lab, &ours.sandbox, &kernel.station, to, 4 << 20)?;
                let from = ours.addresses()[0];
                traffic::tcp(lab, &kernel.station, &ours.sandbox, from, 4 << 20)?;
                let to = kernel.addresses()[1];
                expect_told(&ours.sandbox, to, 1350)?;
                traffic::tcp(lab, &ours.sandbox, &kernel.station, to, 4 << 20)?;
                // An MTU of 1350 without the headers of IP and TCP.
                ensure!(promised_mss(&syns.stop()?)? == ["1310", "1290"]);
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
    fn black_holes_are_found_by_vteps_and_by_gateways() -> Result<()> {
        Lab::run(|lab| {
            let (segment, mut underlay) = (Segment::USUAL, Underlay::new(lab)?);
            // A bridge that drops what is too long.
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
            underlay.narrow(2, WIDTH)?;
            // Routers, of whose messages none arrives.
            underlay.put_behind_routers(lab, 4, WIDTH, TooLong::Dropped)?;
            let third = RoutedHost::new(lab, &underlay, Tunnel::FOU, 3, &[4])?;
            let fourth = RoutedHost::new(lab, &underlay, Tunnel::FOU, 4, &[3])?;
            for host in [&ours.host, &kernel.host, &third.host, &fourth.host] {
                cut_at(host)?;
            }
            let (a, b, to_b) = (&ours.sandbox, &kernel.station, kernel.addresses()[0]);
            let (c, d, to_d) = (&third.sandbox, &fourth.sandbox, fourth.addresses());
            traffic::ping_soon(a, to_b)?;
            traffic::ping_soon(c, to_d[0])?;
            let mtu = wait_found(&ours.daemon)?;
            expect_told(a, to_b, mtu)?;
            traffic::ping_with(a, to_b, 2, &format!("-M do -s {}", mtu - 28))?;
            traffic::tcp(lab, a, b, to_b, 1 << 20)?;
            traffic::tcp(lab, b, a, ours.addresses()[0], 1 << 20)?;
            for host in [&third, &fourth] {
                wait_found(&host.daemon)?;
            }
            traffic::tcp(lab, c, d, to_d[0], 1 << 20)?;
            traffic::tcp(lab, c, d, to_d[1], 1 << 20)?;
            traffic::tcp(lab, d, c, third.addresses()[0], 1 << 20)
        })
    }

    #[test]
    fn a_router_that_says_what_its_link_takes_is_believed() -> Result<()> {
        Lab::run(|lab| {
            let (segment, mut underlay) = (Segment::USUAL, Underlay::new(lab)?);
            underlay.put_behind_routers(lab, 2, 1400, TooLong::Told)?;
            let first = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
            let second = TapweaveHost::new(lab, &underlay, segment, 2, &[1])?;
            for (from, to, far) in [(&first, &second, 2), (&second, &first, 1)] {
                let (a, address) = (&from.sandbox, to.addresses()[0]);
                traffic::ping_soon(a, address)?;
                // The first packet that is too long brings the message, or a probe did before.
                wait::until_true("the router to be heard", wait::SOON, || {
                    traffic::answers_with(a, address, "-M do -s 1422 -W 0.2")?;
                    Ok(from.peer(segment.vtep(far))?["path_mtu"] == 1400)
                })?;
                for address in to.addresses() {
                    expect_told(a, address, 1350)?;
                    traffic::tcp(lab, a, &to.sandbox, address, 1 << 20)?;
                }
            }
            Ok(())
        })
    }
}
