//! The way in: published ports, from outside and by hairpin.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`]. What is proved of
//! tapweave's gateway must hold of the kernel's, or the test is wrong: `once` runs it there.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tapweave_integration::whoami::{self, Transport, Whoami};
use tapweave_integration::{Lab, Sandbox, Site, traffic};

/// The port of `a` that is published under the same number, for TCP and UDP.
const PUBLISHED: u16 = 7100;

/// A client outside reaches the published port and is seen with its own address and port; other ports are
/// not reached.
fn clients_outside_are_seen_as_themselves(lab: &Lab, site: &Site) -> Result<()> {
    let _whoami = whoami_in_a(lab, site)?;
    let client = &site.world.client;
    for (view, source_port) in site.views()?.into_iter().zip([40_004, 40_006]) {
        for transport in Transport::ALL {
            let seen = whoami::ask(
                client,
                transport,
                SocketAddr::new(view.outside, PUBLISHED),
                source_port,
            )?;
            let own = SocketAddr::new(view.world.client, source_port);
            ensure!(seen == own, "seen as {seen} and not as {own}");
            let other = SocketAddr::new(view.outside, PUBLISHED + 1);
            whoami::no_answer(client, transport, other)?;
        }
    }
    Ok(())
}

/// A sandbox reaches the published port by the outside address, the publisher itself too, and is seen
/// with the outside address (RFC 4787 REQ-9).
fn sandboxes_reach_it_by_the_outside_address(lab: &Lab, site: &Site) -> Result<()> {
    let _whoami = whoami_in_a(lab, site)?;
    for view in site.views()? {
        for sandbox in &site.sandboxes {
            for transport in Transport::ALL {
                let seen = whoami::ask(
                    sandbox,
                    transport,
                    SocketAddr::new(view.outside, PUBLISHED),
                    0,
                )?;
                let is_translated = view.world.translated.contains(&seen.ip());
                ensure!(is_translated, "seen as {seen}");
            }
        }
    }
    Ok(())
}

/// A stream of bytes into a sandbox arrives unchanged, from outside and by hairpin.
fn payload_comes_in_unchanged(lab: &Lab, site: &Site) -> Result<()> {
    let a = &site.sandboxes[0];
    for view in site.views()? {
        for from in [&site.world.client, &site.sandboxes[1]] {
            traffic::tcp_by(lab, from, a, [view.a, view.outside], 16 << 20)?;
        }
    }
    Ok(())
}

fn whoami_in_a(lab: &Lab, site: &Site) -> Result<Whoami> {
    let [v4, v6] = site.views()?;
    let a: &Sandbox = &site.sandboxes[0];
    let ports = format!("{PUBLISHED}-{}", PUBLISHED + 1);
    Whoami::start(lab, a, &[v4.a, v6.a], &ports)
}

#[cfg(test)]
mod named {
    use std::net::IpAddr;

    use tapweave_integration::site::Translator;

    use super::*;

    const BOTH: &str = "-p 7100:7100 -p 7100:7100/udp";

    #[test]
    fn published_ports_are_reached_from_outside_and_inside() -> Result<()> {
        Lab::run(|lab| {
            let options = [&format!("{BOTH} -p 5201:5201"), ""];
            let site = Site::new(lab, Translator::Tapweave, &options)?;
            site.settle()?;
            clients_outside_are_seen_as_themselves(lab, &site)?;
            sandboxes_reach_it_by_the_outside_address(lab, &site)?;
            payload_comes_in_unchanged(lab, &site)
        })
    }

    #[test]
    fn the_host_reaches_published_ports() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &[BOTH])?;
            site.settle()?;
            let _whoami = whoami_in_a(lab, &site)?;
            for view in site.views()? {
                for transport in Transport::ALL {
                    let to = SocketAddr::new(view.outside, PUBLISHED);
                    whoami::ask(&site.world.host, transport, to, 0)?;
                }
            }
            Ok(())
        })
    }

    #[test]
    fn ranges_and_single_addresses_are_published() -> Result<()> {
        Lab::run(|lab| {
            let options = "-p 7200-7203:7300-7303 -p 203.0.113.2:7400:7300/udp";
            let site = Site::new(lab, Translator::Tapweave, &[options])?;
            site.settle()?;
            let [v4, v6] = site.views()?;
            let a = &site.sandboxes[0];
            let _whoami = Whoami::start(lab, a, &[v4.a, v6.a], "7300-7303")?;
            let client = &site.world.client;
            for view in [v4, v6] {
                for port in 7200..=7203 {
                    let to = SocketAddr::new(view.outside, port);
                    let seen = whoami::ask(client, Transport::Tcp, to, 0)?;
                    ensure!(seen.ip() == view.world.client, "seen as {seen}");
                }
                let beyond = SocketAddr::new(view.outside, 7204);
                whoami::no_answer(client, Transport::Tcp, beyond)?;
            }
            let bound = SocketAddr::new(v4.outside, 7400);
            whoami::ask(client, Transport::Udp, bound, 0)?;
            let other_family = SocketAddr::new(v6.outside, 7400);
            whoami::no_answer(client, Transport::Udp, other_family)
        })
    }

    #[test]
    fn a_port_that_is_taken_is_refused_with_the_name_of_its_holder() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &[BOTH])?;
            let b = lab.sandbox("b")?;
            let connect = format!("network connect red b {}", b.options());
            let cli = site.cli()?;
            let refusal = cli.refused(&format!("{connect} -p 7099-7100:80-81"))?;
            ensure!(
                refusal.contains("7100") && refusal.contains("red/a"),
                "{refusal}"
            );
            ensure!(
                b.ifnames()? == ["lo"],
                "an interface was left: {:?}",
                b.ifnames()?
            );
            let foreign = cli.refused(&format!("{connect} -p 192.0.2.2:80:80"))?;
            ensure!(foreign.contains("203.0.113.2"), "{foreign}");
            // When its holder is gone it is free.
            cli.ok("network disconnect red a")?;
            cli.ok(&format!("{connect} -p 7100:7100"))?;
            Ok(())
        })
    }

    #[test]
    fn what_is_published_ends_with_its_sandbox() -> Result<()> {
        Lab::run(|lab| {
            let mut site = Site::new(lab, Translator::Tapweave, &[BOTH])?;
            site.settle()?;
            let outside: IpAddr = site.views()?[0].outside;
            let to = SocketAddr::new(outside, PUBLISHED);
            let client = &site.world.client;
            let whoami = whoami_in_a(lab, &site)?;
            whoami::ask(client, Transport::Tcp, to, 0)?;
            site.cli()?.ok("network disconnect red a")?;
            whoami::no_answer(client, Transport::Tcp, to)?;
            drop(whoami);
            // A sandbox that comes back with the same port is found at once.
            site.sandboxes.clear();
            site.addresses.clear();
            site.add(lab, BOTH)?;
            site.settle()?;
            let _whoami = whoami_in_a(lab, &site)?;
            whoami::ask(&site.world.client, Transport::Tcp, to, 0)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod once {
    use std::net::IpAddr;

    use tapweave_integration::site::{DUAL, Translator};

    use super::*;

    /// Of each prefix the host has the first address, and tapweave the others: here 13 in each family.
    const MANY: &str = "--uplink tun:203.0.113.0/28,2001:db8:113::/124";

    #[test]
    fn of_several_outside_addresses_each_is_published_on_as_asked() -> Result<()> {
        Lab::run(|lab| {
            let options = "-p 7100:7100 -p 203.0.113.5:7200:7101 -p [2001:db8:113::5]:7200:7101";
            let site = Site::tapweave(lab, MANY, DUAL, &[options])?;
            site.settle()?;
            let _whoami = whoami_in_a(lab, &site)?;
            let client = &site.world.client;
            for (view, prefix) in site
                .views()?
                .into_iter()
                .zip(["203.0.113.", "2001:db8:113::"])
            {
                let at = |last: &str, l4_port| -> Result<SocketAddr> {
                    let ip: IpAddr = format!("{prefix}{last}").parse()?;
                    Ok(SocketAddr::new(ip, l4_port))
                };
                for last in ["2", "5", "9"] {
                    let seen = whoami::ask(client, Transport::Tcp, at(last, 7100)?, 0)?;
                    ensure!(seen.ip() == view.world.client, "seen as {seen}");
                }
                whoami::ask(client, Transport::Tcp, at("5", 7200)?, 0)?;
                for last in ["2", "9"] {
                    whoami::no_answer(client, Transport::Tcp, at(last, 7200)?)?;
                }
            }
            Ok(())
        })
    }

    #[test]
    fn ports_are_published_from_a_place_on_the_lan() -> Result<()> {
        Lab::run(|lab| {
            let options = ["-p 7100:7100 -p 7100:7100/udp -p 5201:5201", ""];
            let site = Site::new(lab, Translator::TapweaveNic, &options)?;
            site.settle()?;
            clients_outside_are_seen_as_themselves(lab, &site)?;
            sandboxes_reach_it_by_the_outside_address(lab, &site)?;
            payload_comes_in_unchanged(lab, &site)
        })
    }

    #[test]
    fn the_kernel_lets_clients_in() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Kernel, &["", ""])?;
            for transport in Transport::ALL {
                site.publish_in_kernel(0, transport.name(), PUBLISHED)?;
            }
            site.publish_in_kernel(0, "tcp", 5201)?;
            site.settle()?;
            clients_outside_are_seen_as_themselves(lab, &site)?;
            sandboxes_reach_it_by_the_outside_address(lab, &site)?;
            payload_comes_in_unchanged(lab, &site)
        })
    }
}
