//! Paths that take less than the underlay's links and say nothing of it.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]; its bridge drops what is too long for a host.

use anyhow::{Result, ensure};
use serde_json::Value;
use tapweave_integration::daemon::Daemon;
use tapweave_integration::routed::{RoutedHost, Tunnel};
use tapweave_integration::underlay::{KernelHost, NETWORK, Segment, TapweaveHost, Underlay};
use tapweave_integration::{Lab, Sandbox, traffic, wait};

/// What the path takes.
const WIDTH: u64 = 1492;

/// Narrows the path to host 2. Messages that are cut on the way are cut before it.
fn narrow(underlay: &Underlay, hosts: [&Sandbox; 2]) -> Result<()> {
    for host in hosts {
        host.run("ethtool", "-K eth0 tx-udp-segmentation off")?;
        let uncut = "tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off";
        host.run("ethtool", &format!("-K eth0 {uncut}"))?;
    }
    underlay.narrow(2, u16::try_from(WIDTH)?)
}

/// Waits until a daemon has found out what the path to its only peer takes: at most eight bytes less.
fn wait_found(daemon: &Daemon) -> Result<Value> {
    let mut peer = Value::Null;
    wait::until_true("the width of the path", wait::SOON, || {
        peer = daemon.cli().json(&format!("peer ls {NETWORK}"))?[0].take();
        let found = peer["path_mtu"].as_u64().unwrap_or_default();
        Ok((WIDTH - 8..=WIDTH).contains(&found))
    })?;
    Ok(peer)
}

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn a_black_hole_between_vteps_is_found_and_its_width_told() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
            narrow(&underlay, [&ours.host, &kernel.host])?;
            let (a, b, to_b) = (&ours.sandbox, &kernel.station, kernel.addresses()[0]);
            traffic::ping_soon(a, to_b)?;
            let peer = wait_found(&ours.daemon)?;
            let mtu = peer["mtu"].as_u64().unwrap_or_default();
            ensure!(Some(mtu + 50) == peer["path_mtu"].as_u64(), "{peer}");
            let mut ping = a.command("ping");
            ping.args(["-n", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do"]);
            ping.args(["-s", "1422", &to_b.to_string()]);
            let said = String::from_utf8(ping.output()?.stdout)?;
            ensure!(said.contains(&format!("mtu = {mtu}")), "{said}");
            let fits = format!("-M do -s {}", mtu - 28);
            traffic::ping_with(a, to_b, 2, &fits)?;
            traffic::tcp(lab, a, b, to_b, 1 << 20)?;
            traffic::tcp(lab, b, a, ours.addresses()[0], 1 << 20)
        })
    }

    #[test]
    fn a_black_hole_between_gateways_is_found_by_both() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let first = RoutedHost::new(lab, &underlay, Tunnel::FOU, 1, &[2])?;
            let second = RoutedHost::new(lab, &underlay, Tunnel::FOU, 2, &[1])?;
            narrow(&underlay, [&first.host, &second.host])?;
            let (a, b) = (&first.sandbox, &second.sandbox);
            let [to_b, to_b6] = second.addresses();
            traffic::ping_soon(a, to_b)?;
            for host in [&first, &second] {
                wait_found(&host.daemon)?;
            }
            traffic::tcp(lab, a, b, to_b, 1 << 20)?;
            traffic::tcp(lab, a, b, to_b6, 1 << 20)?;
            traffic::tcp(lab, b, a, first.addresses()[0], 1 << 20)
        })
    }
}
