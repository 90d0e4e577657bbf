//! The way out: what sandboxes reach outside of the host, and as whom.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`]. What is proved of
//! tapweave's gateway must hold of the kernel's, or the test is wrong: `once` runs it there.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tapweave_integration::peers::{self, Dns, Http, Probe};
use tapweave_integration::traffic::{self, Datagrams, Stream};
use tapweave_integration::whoami::{self, Transport, Whoami};
use tapweave_integration::{Lab, Site};

/// A path MTU below the interfaces' own, above the least of IPv6.
const NARROW: u16 = 1300;

/// Every sandbox is seen under the outside address, by TCP and UDP, and pings are answered.
fn sandboxes_are_seen_under_the_outside_address(lab: &Lab, site: &Site) -> Result<()> {
    let [v4, v6] = site.views()?;
    let server = &site.world.server;
    let _whoami = Whoami::start(lab, server, &[v4.world.server, v6.world.server], "7000")?;
    for sandbox in &site.sandboxes {
        for view in [v4, v6] {
            traffic::ping(sandbox, view.world.server, 5)?;
            for transport in Transport::ALL {
                let to = SocketAddr::new(view.world.server, 7000);
                let seen = whoami::ask(sandbox, transport, to, 0)?;
                let is_translated = view.world.translated.contains(&seen.ip());
                ensure!(is_translated, "seen as {seen} by {to}");
            }
        }
    }
    Ok(())
}

/// Payload passes unchanged both ways: TCP as a stream, UDP as single datagrams, as super-frames and in
/// fragments.
fn payload_passes_unchanged_both_ways(lab: &Lab, site: &Site) -> Result<()> {
    let server = &site.world.server;
    let a = &site.sandboxes[0];
    for view in site.views()? {
        let ip = view.world.server;
        traffic::tcp(lab, a, server, ip, 16 << 20)?;
        let mut http = Http::start(lab, server, ip, 16 << 20)?;
        http.fetch(a, view.world.translated)?;
        traffic::udp(lab, a, server, ip, 1400, Datagrams::Single)?;
        traffic::udp(lab, a, server, ip, 1400, Datagrams::Segmented)?;
        traffic::udp(lab, a, server, ip, 4000, Datagrams::Single)?;
    }
    let [v4, v6] = site.views()?;
    // Far below what any machine reaches: not a measurement, a sign of life.
    ensure!(traffic::iperf3(lab, a, server, v4.world.server, 4, 1)? > 1e7);
    ensure!(peers::iperf3_down(lab, a, server, v6.world.server)? > 1e7);
    Ok(())
}

/// A name is resolved over UDP and TCP.
fn names_are_resolved(lab: &Lab, site: &Site) -> Result<()> {
    for view in site.views()? {
        let dns = Dns::start(lab, &site.world.server, view.world.server)?;
        for sandbox in &site.sandboxes {
            dns.ask(sandbox)?;
        }
    }
    Ok(())
}

/// The way to the server shows its hops: ICMP errors come back to whom they are for.
fn the_hops_of_the_way_answer(site: &Site) -> Result<()> {
    for view in site.views()? {
        for probe in [Probe::Udp, Probe::Icmp, Probe::Tcp] {
            let hops = peers::traceroute(&site.sandboxes[0], view.world.server, probe)?;
            let said = || format!("{probe:?} to {}: {hops:?}", view.world.server);
            ensure!(hops.first() == Some(&Some(view.gateway)), said());
            ensure!(hops.contains(&Some(view.world.router)), said());
            ensure!(hops.last() == Some(&Some(view.world.server)), said());
        }
        let mtu = peers::tracepath(&site.sandboxes[0], view.world.server)?;
        ensure!(mtu == 1500, "tracepath found {mtu}");
    }
    Ok(())
}

/// When the path outside gets narrower, the sandbox is told, and a connection that is open goes on.
fn a_narrower_path_is_noticed(lab: &Lab, site: &Site) -> Result<()> {
    let (a, server) = (&site.sandboxes[0], &site.world.server);
    let [v4, v6] = site.views()?;
    let mut streams = Vec::new();
    for view in [v4, v6] {
        streams.push(Stream::start(lab, a, server, view.world.server, 128 << 20)?);
    }
    site.world.limit_mtu_to_server(NARROW)?;
    for stream in &mut streams {
        ensure!(stream.is_running()?, "the stream ended before the change");
    }
    for stream in streams {
        stream.finish().context("the path became narrower")?;
    }
    for view in [v4, v6] {
        let route = a.ip(&format!("route get {}", view.world.server))?;
        ensure!(route.contains(&format!("mtu {NARROW}")), "{route}");
        let mtu = peers::tracepath(&site.sandboxes[1], view.world.server)?;
        ensure!(mtu == NARROW, "tracepath found {mtu}");
    }
    Ok(())
}

#[cfg(test)]
mod named {
    use tapweave_integration::site::Translator;

    use super::*;

    #[test]
    fn sandboxes_reach_the_world() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &["", ""])?;
            site.settle()?;
            sandboxes_are_seen_under_the_outside_address(lab, &site)?;
            names_are_resolved(lab, &site)?;
            the_hops_of_the_way_answer(&site)?;
            a_narrower_path_is_noticed(lab, &site)
        })
    }

    #[test]
    fn payload_passes_the_gateway_unchanged() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &["", ""])?;
            site.settle()?;
            payload_passes_unchanged_both_ways(lab, &site)
        })
    }
}

#[cfg(test)]
mod once {
    use std::collections::BTreeSet;

    use tapweave_integration::site::{DUAL, Translator};

    use super::*;

    /// Of each prefix the host has the first address, and tapweave the others: here 13 in each family.
    const MANY: &str = "--uplink tun:203.0.113.0/28,2001:db8:113::/124";

    #[test]
    fn sandboxes_share_several_outside_addresses_and_each_keeps_to_its_own() -> Result<()> {
        Lab::run(|lab| {
            // That all draw one of 13 addresses happens once in 13^4 times, in both families once in 10^8.
            let site = Site::tapweave(lab, MANY, DUAL, &[""; 5])?;
            site.settle()?;
            let views = site.views()?;
            let servers = views.map(|view| view.world.server);
            let _whoami = Whoami::start(lab, &site.world.server, &servers, "7000")?;
            let mut all = BTreeSet::new();
            for sandbox in &site.sandboxes {
                for view in views {
                    let mut own = BTreeSet::new();
                    for transport in Transport::ALL {
                        let to = SocketAddr::new(view.world.server, 7000);
                        own.insert(whoami::ask(sandbox, transport, to, 0)?.ip());
                    }
                    ensure!(own.len() == 1, "{} is seen as {own:?}", sandbox.name());
                    all.append(&mut own);
                }
            }
            for view in views {
                let outside = view.world.translated;
                ensure!(all.iter().any(|it| outside.contains(it)), "{all:?}");
            }
            ensure!(all.len() > 2, "all are seen as {all:?}");
            Ok(())
        })
    }

    /// What may differ from a TUN: next hops are asked for, and frames have to fit the link.
    #[test]
    fn sandboxes_reach_the_world_from_a_place_on_the_lan() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::TapweaveNic, &["", ""])?;
            site.settle()?;
            sandboxes_are_seen_under_the_outside_address(lab, &site)?;
            let (a, server) = (&site.sandboxes[0], &site.world.server);
            for view in site.views()? {
                let ip = view.world.server;
                traffic::tcp(lab, a, server, ip, 8 << 20)?;
                Http::start(lab, server, ip, 8 << 20)?.fetch(a, view.world.translated)?;
                traffic::udp(lab, a, server, ip, 1400, Datagrams::Segmented)?;
                // In fragments.
                traffic::udp(lab, a, server, ip, 4000, Datagrams::Single)?;
            }
            site.world.limit_mtu_to_server(NARROW)?;
            for view in site.views()? {
                let mtu = peers::tracepath(&site.sandboxes[1], view.world.server)?;
                ensure!(mtu == NARROW, "tracepath found {mtu}");
                traffic::tcp(lab, a, server, view.world.server, 8 << 20)?;
            }
            Ok(())
        })
    }

    #[test]
    fn the_kernel_lets_sandboxes_out() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Kernel, &["", ""])?;
            site.settle()?;
            sandboxes_are_seen_under_the_outside_address(lab, &site)?;
            payload_passes_unchanged_both_ways(lab, &site)?;
            names_are_resolved(lab, &site)?;
            the_hops_of_the_way_answer(&site)?;
            a_narrower_path_is_noticed(lab, &site)
        })
    }
}
