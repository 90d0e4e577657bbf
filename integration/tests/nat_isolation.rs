//! Who must not reach whom through the gateway, and who must all the same.
//!
//! ```text
//!   a   b       c
//!   |   |       |
//!    red       blue        one daemon in the host, --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`]; blue has
//! `10.212.0.0/24` and `fd77:2::/64`.

use std::net::IpAddr;

use anyhow::Result;
use tapweave_integration::Sandbox;

const BLUE: &str = "--subnet 10.212.0.0/24 --subnet fd77:2::/64 --ipv6";
const BLUE_GATEWAYS: [&str; 2] = ["10.212.0.1", "fd77:2::1"];

/// Lets a sandbox send what is for `target` to its gateway, whatever its subnet says.
fn force_by_gateway(sandbox: &Sandbox, target: IpAddr, gateway: IpAddr) -> Result<()> {
    sandbox.ip(&format!("route replace {target} via {gateway}"))?;
    Ok(())
}

#[cfg(test)]
mod named {
    use std::net::SocketAddr;

    use anyhow::{Result, ensure};
    use tapweave_integration::site::{DUAL, TUN, Translator};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::world::{self, V4, V6};
    use tapweave_integration::{Lab, Site, traffic};

    use super::{BLUE, BLUE_GATEWAYS, force_by_gateway};

    #[test]
    fn networks_reach_each_other_only_by_what_is_published() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &[""])?;
            let cli = site.cli()?;
            cli.ok(&format!("network create blue {BLUE}"))?;
            let c = world::station(lab, "c")?;
            let endpoint = cli.connect("blue", &c, "-p 7100:7100 -p 7100:7100/udp")?;
            site.settle()?;
            traffic::ping_soon(&c, V4.server)?;
            let [v4, v6] = site.views()?;
            let a = &site.sandboxes[0];
            let targets = [endpoint.ipv4()?, endpoint.ipv6()?];
            let _whoami = Whoami::start(lab, &c, &targets, "7100")?;
            for (view, (target, gateway)) in [v4, v6]
                .into_iter()
                .zip(targets.into_iter().zip(BLUE_GATEWAYS))
            {
                traffic::no_ping(a, target)?;
                traffic::no_ping(a, gateway.parse()?)?;
                traffic::no_ping(&c, view.a)?;
                traffic::no_ping(&c, view.gateway)?;
                traffic::ping(a, view.gateway, 3)?;
                for transport in Transport::ALL {
                    whoami::no_answer(a, transport, SocketAddr::new(target, 7100))?;
                    whoami::ask(a, transport, SocketAddr::new(view.outside, 7100), 0)?;
                }
            }
            Ok(())
        })
    }

    #[test]
    fn an_internal_network_has_no_way_out_or_in() -> Result<()> {
        Lab::run(|lab| {
            let network = format!("{DUAL} --internal");
            let site = Site::tapweave(lab, TUN, &network, &["", ""])?;
            let [v4, v6] = site.views()?;
            let a = &site.sandboxes[0];
            for view in [v4, v6] {
                traffic::ping_soon(a, view.b)?;
                traffic::ping_soon(a, view.gateway)?;
                // Without a route the kernel would already refuse.
                force_by_gateway(a, view.world.server, view.gateway)?;
                force_by_gateway(a, view.outside, view.gateway)?;
                force_by_gateway(a, view.world.host, view.gateway)?;
                traffic::no_ping(a, view.world.server)?;
                traffic::no_ping(a, view.outside)?;
                traffic::no_ping(a, view.world.host)?;
            }
            Ok(())
        })
    }

    #[test]
    fn without_icc_only_the_gateway_is_reached() -> Result<()> {
        Lab::run(|lab| {
            let network = format!("{DUAL} --icc=false");
            let site = Site::tapweave(lab, TUN, &network, &["", "-p 7100:7100"])?;
            site.settle()?;
            let [v4, v6] = site.views()?;
            let (a, b) = (&site.sandboxes[0], &site.sandboxes[1]);
            let _whoami = Whoami::start(lab, b, &[v4.b, v6.b], "7100")?;
            for view in [v4, v6] {
                traffic::ping(a, view.gateway, 3)?;
                traffic::ping(a, view.world.server, 3)?;
                traffic::no_ping(a, view.b)?;
                force_by_gateway(a, view.b, view.gateway)?;
                traffic::no_ping(a, view.b)?;
                whoami::no_answer(a, Transport::Tcp, SocketAddr::new(view.b, 7100))?;
                // What is published is meant for everybody.
                whoami::ask(a, Transport::Tcp, SocketAddr::new(view.outside, 7100), 0)?;
            }
            Ok(())
        })
    }

    #[test]
    fn without_masquerade_the_outside_sees_the_sandboxes_themselves() -> Result<()> {
        Lab::run(|lab| {
            let network = format!("{DUAL} --masquerade=false");
            let site = Site::tapweave(lab, TUN, &network, &[""])?;
            let [v4, v6] = site.views()?;
            let stats = site.cli()?.json("stats")?;
            let ifname = stats["uplink"]["ifname"].as_str().unwrap_or_default();
            for (view, subnet) in [(v4, "10.211.0.0/24"), (v6, "fd77:1::/64")] {
                let (router, host) = (&site.world.router, &site.world.host);
                router.ip(&format!("route add {subnet} via {}", view.world.host))?;
                host.ip(&format!("route add {subnet} dev {ifname}"))?;
            }
            site.settle()?;
            let server = &site.world.server;
            let _whoami = Whoami::start(lab, server, &[V4.server, V6.server], "7000")?;
            for view in [v4, v6] {
                let to = SocketAddr::new(view.world.server, 7000);
                for transport in Transport::ALL {
                    let seen = whoami::ask(&site.sandboxes[0], transport, to, 0)?;
                    ensure!(seen.ip() == view.a, "seen as {seen}");
                }
                traffic::ping(server, view.a, 3)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod once {
    use std::net::SocketAddr;

    use anyhow::Result;
    use tapweave_integration::site::{DUAL, TUN};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::{Lab, Site, traffic, world};

    use super::{BLUE, BLUE_GATEWAYS, force_by_gateway};

    /// Neither by the other's gateway nor by what it publishes, and not from there either.
    #[test]
    fn an_internal_network_and_an_open_one_do_not_reach_each_other() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::tapweave(lab, TUN, &format!("{DUAL} --internal"), &[""])?;
            let cli = site.cli()?;
            cli.ok(&format!("network create blue {BLUE}"))?;
            let c = world::station(lab, "c")?;
            let endpoint = cli.connect("blue", &c, "-p 7100:7100")?;
            let a = &site.sandboxes[0];
            let of_c = [endpoint.ipv4()?, endpoint.ipv6()?];
            let _whoami = Whoami::start(lab, &c, &of_c, "7100")?;
            for (place, view) in site.views()?.into_iter().enumerate() {
                let blue_gateway = BLUE_GATEWAYS[place].parse()?;
                // Both have a way to their own gateway, and the open one to the outside.
                traffic::ping_soon(a, view.gateway)?;
                traffic::ping_soon(&c, view.world.server)?;
                for target in [of_c[place], blue_gateway, view.outside] {
                    force_by_gateway(a, target, view.gateway)?;
                    traffic::no_ping(a, target)?;
                }
                let published = SocketAddr::new(view.outside, 7100);
                whoami::ask(&site.world.client, Transport::Tcp, published, 0)?;
                whoami::no_answer(a, Transport::Tcp, published)?;
                for target in [view.a, view.gateway] {
                    force_by_gateway(&c, target, blue_gateway)?;
                    traffic::no_ping(&c, target)?;
                }
            }
            Ok(())
        })
    }
}
