//! The gateway of a network, which is the switch itself: it answers for its addresses, tells senders what is
//! wrong, and lets nobody into another network.
//!
//! ```text
//!   a    b                     c      each a namespace with eth0
//!   |    |                     |
//!   red ── its gateway    the gateway of blue
//! ```

#[cfg(test)]
mod everywhere {
    use std::net::IpAddr;

    use anyhow::{Context as _, Result, ensure};
    use tapweave_integration::{Lab, Sandbox, Segment, traffic};

    const SUBNETS: &str = "--subnet 10.211.0.0/24 --subnet fd11::/64";
    const GATEWAYS: [&str; 2] = ["10.211.0.1", "fd11::1"];

    fn address(text: &str) -> Result<IpAddr> {
        Ok(text.parse()?)
    }

    #[test]
    fn the_gateway_answers_pings_of_every_size_to_all_of_its_addresses() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNETS, 2)?;
            for sandbox in &segment.sandboxes {
                for gateway in GATEWAYS {
                    let gateway = address(gateway)?;
                    traffic::ping_soon(sandbox, gateway)?;
                    traffic::ping(sandbox, gateway, 20)?;
                    // In three fragments, and in 44.
                    traffic::ping_with(sandbox, gateway, 5, "-s 4000")?;
                    traffic::ping_with(sandbox, gateway, 2, "-s 65000")?;
                }
            }
            let a = &segment.sandboxes[0];
            let neighbours = a.ip("-6 neigh show dev eth0")?;
            let row = neighbours
                .lines()
                .find(|row| row.starts_with("fd11::1 "))
                .with_context(|| format!("the gateway is no neighbour: {neighbours}"))?;
            ensure!(row.contains(" router"), "{row}");
            let mac = row
                .split_whitespace()
                .skip_while(|word| *word != "lladdr")
                .nth(1)
                .context("no MAC address")?;
            ping_link_local(a, mac)
        })
    }

    /// Pings the link-local address that is made of a MAC address.
    fn ping_link_local(from: &Sandbox, mac: &str) -> Result<()> {
        let mac: tapweave_net::MacAddr = mac.parse()?;
        let bits = 0xfe80 << 112 | u128::from(mac.interface_id());
        let target = std::net::Ipv6Addr::from_bits(bits);
        from.run("ping", &format!("-n -c 1 -W 10 {target}%eth0"))?;
        Ok(())
    }

    #[test]
    fn nobody_gets_the_address_of_the_gateway_by_probing_for_it() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, SUBNETS, &["--guard=false"])?;
            let a = &segment.sandboxes[0];
            a.ip("address add fd11::1/64 dev eth0")?;
            let state = || a.ip("-6 address show dev eth0");
            tapweave_integration::wait::until_true(
                "the end of duplicate address detection",
                tapweave_integration::wait::SOON,
                || Ok(!state()?.contains("tentative ") || state()?.contains("dadfailed")),
            )?;
            ensure!(state()?.contains("dadfailed"), "{}", state()?);
            Ok(())
        })
    }

    #[test]
    fn the_gateway_is_the_first_hop_and_prohibits_the_way_into_another_network() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNETS, 1)?;
            let cli = segment.cli();
            cli.ok("network create blue --subnet 10.212.0.0/24 --subnet fd12::/64")?;
            let c = lab.sandbox("c")?;
            let blue = cli.connect("blue", &c, "")?;
            let a = &segment.sandboxes[0];
            traffic::ping_soon(a, address("fd11::1")?)?;
            for (target, gateway) in [
                (blue.ipv4()?, GATEWAYS[0]),
                (blue.ipv6()?, GATEWAYS[1]),
                (address("10.212.0.1")?, GATEWAYS[0]),
                (address("fd12::1")?, GATEWAYS[1]),
            ] {
                traffic::no_ping(a, target)?;
                let said = a.run("traceroute", &format!("-n -q 1 -w 1 -m 3 {target}"))?;
                let hop = said.lines().nth(1).unwrap_or_default();
                ensure!(hop.contains(gateway) && hop.contains("!X"), "{said}");
            }
            let dropped = cli.counters("red/a")?;
            ensure!(dropped.drops("gateway_other_network") >= 4, "{dropped:?}");
            Ok(())
        })
    }

    #[test]
    fn closed_ports_of_the_gateway_refuse_at_once() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNETS, 1)?;
            let a = &segment.sandboxes[0];
            let said = a.run("traceroute", "-n -q 1 -w 1 10.211.0.1")?;
            ensure!(said.lines().count() == 2 && !said.contains('*'), "{said}");
            let mut curl = a.command("curl");
            curl.args(["-s", "-m", "2", "http://10.211.0.1:9/"]);
            // 7: could not connect; 28 would be that nobody answered.
            let status = curl.status()?;
            ensure!(status.code() == Some(7), "{status}");
            Ok(())
        })
    }

    #[test]
    fn without_inter_container_communication_only_the_gateway_is_reached() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, &format!("{SUBNETS} --icc=false"), 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let peer = segment.ipv4(1)?;
            for sandbox in [a, b] {
                for gateway in GATEWAYS {
                    traffic::ping_soon(sandbox, address(gateway)?)?;
                }
            }
            traffic::no_ping(a, peer)?;
            // Nor by way of the gateway.
            a.ip(&format!("route add {peer}/32 via 10.211.0.1"))?;
            traffic::no_ping(a, peer)?;
            let dropped = segment.cli().counters("red/a")?;
            ensure!(dropped.drops("isolated") > 0, "{dropped:?}");
            Ok(())
        })
    }

    #[test]
    fn an_internal_network_has_a_gateway_that_forwards_nothing() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, &format!("{SUBNETS} --internal"), 2)?;
            let a = &segment.sandboxes[0];
            for gateway in GATEWAYS {
                traffic::ping_soon(a, address(gateway)?)?;
            }
            ensure!(!a.ip("route show")?.contains("default"));
            ensure!(!a.ip("-6 route show")?.contains("default"));
            a.ip("route add default via 10.211.0.1")?;
            a.ip("-6 route add default via fd11::1")?;
            for target in ["192.0.2.9", "2001:db8::9"] {
                traffic::no_ping(a, address(target)?)?;
            }
            let peer = segment.ipv4(1)?;
            traffic::ping(a, peer, 3)?;
            let dropped = segment.cli().counters("red/a")?;
            ensure!(dropped.drops("gateway_closed") >= 2, "{dropped:?}");
            Ok(())
        })
    }
}
