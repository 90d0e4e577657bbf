//! Which subnets and addresses a network gives out by itself, and which it never does.

#[cfg(test)]
mod everywhere {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use anyhow::Result;
    use tapweave_integration::{Lab, Segment, traffic};

    /// Eight addresses, of which the gateway and the two auxiliary ones are not given out.
    const SMALL_RANGE: &str = "--subnet 10.211.0.0/24 --ip-range 10.211.0.64/29 \
        --gateway 10.211.0.65 --aux-address dns=10.211.0.64 --aux-address printer=10.211.0.70";

    /// What is left of the range.
    const LEFT: [u8; 5] = [66, 67, 68, 69, 71];

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 211, 0, last])
    }

    fn given(segment: &Segment) -> Result<BTreeSet<IpAddr>> {
        (0..segment.sandboxes.len())
            .map(|index| segment.ipv4(index))
            .collect()
    }

    #[test]
    fn a_range_is_given_out_without_gateway_and_auxiliary_addresses_until_none_is_left()
    -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SMALL_RANGE, LEFT.len())?;
            assert_eq!(given(&segment)?, LEFT.map(address).into());
            let (a, b) = (&segment.sandboxes[0], segment.ipv4(LEFT.len() - 1)?);
            traffic::ping(a, b, 3)?;

            let one_more = lab.sandbox("one-more")?;
            let cli = segment.cli();
            let request = format!("network connect red one-more {}", one_more.options());
            let message = cli.refused(&request)?;
            for word in ["10.211.0.64/29", "no address is free"] {
                assert!(message.contains(word), "no {word:?} in {message:?}");
            }
            assert_eq!(one_more.ifnames()?, ["lo"]);

            // Outside of the range everything is free for who asks for it.
            cli.connect("red", &one_more, "--ip 10.211.0.200")?;
            traffic::ping(a, address(200), 3)
        })
    }

    #[test]
    fn an_address_that_was_given_back_is_given_out_again_when_no_other_is_left() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SMALL_RANGE, LEFT.len())?;
            let cli = segment.cli();
            let freed = segment.ipv4(2)?;
            cli.ok("network disconnect red c")?;
            let next = lab.sandbox("next")?;
            assert_eq!(cli.connect("red", &next, "")?.ipv4()?, freed);
            traffic::ping(&segment.sandboxes[0], freed, 3)
        })
    }

    #[test]
    fn the_gateway_and_auxiliary_addresses_are_refused_to_who_asks_for_them() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SMALL_RANGE, 0)?;
            let a = lab.sandbox("a")?;
            for (last, holder) in [(65, "gateway"), (64, "dns"), (70, "printer")] {
                let address = address(last);
                let options = a.options();
                let request = format!("network connect red a {options} --ip {address}");
                let message = segment.cli().refused(&request)?;
                for word in [&*address.to_string(), holder] {
                    assert!(message.contains(word), "no {word:?} in {message:?}");
                }
            }
            assert_eq!(a.ifnames()?, ["lo"]);
            Ok(())
        })
    }
}

/// Needs to change the namespace that the daemon is in.
#[cfg(test)]
mod named {
    use anyhow::Result;
    use serde_json::Value;
    use tapweave_integration::{Daemon, Lab, Sandbox, cli, listing};

    fn daemon_in(lab: &Lab, host: &Sandbox) -> Result<Daemon> {
        let command = host.command(&cli::binary()?.to_string_lossy());
        Daemon::start_with(command, &lab.file("daemon.sock"), &lab.file("daemon.log"))
    }

    /// Makes a network without saying which subnet, and returns the one it got.
    fn chosen(daemon: &Daemon, name: &str) -> Result<String> {
        daemon.cli().ok(&format!("network create {name}"))?;
        let inspected = daemon.cli().json(&format!("network inspect {name}"))?;
        let network = listing::rows(&inspected)?.first().cloned();
        let config = network.unwrap_or(Value::Null)["IPAM"]["Config"][0].clone();
        Ok(listing::text(&config, "Subnet")?.to_owned())
    }

    #[test]
    fn a_subnet_that_the_host_has_an_address_in_is_not_chosen() -> Result<()> {
        Lab::run(|lab| {
            let host = lab.sandbox("host")?;
            let daemon = daemon_in(lab, &host)?;
            host.ip("address add 10.192.0.77/24 dev lo")?;
            assert_eq!(chosen(&daemon, "red")?, "10.192.1.0/24");
            assert_eq!(chosen(&daemon, "blue")?, "10.192.2.0/24");
            daemon.stop()
        })
    }

    #[test]
    fn subnets_that_the_host_has_a_route_to_are_not_chosen() -> Result<()> {
        Lab::run(|lab| {
            let host = lab.sandbox("host")?;
            let daemon = daemon_in(lab, &host)?;
            host.ip("route add 10.192.0.0/24 dev lo")?;
            // In a table of their own, as a VPN has them: a part of one subnet, and all of two.
            host.ip("route add 10.192.1.128/26 dev lo table 100")?;
            host.ip("route add 10.192.2.0/23 dev lo table 100")?;
            // Its end of a VPN is one address, whose route is in the table `local`.
            host.ip("address add 10.192.5.1 peer 192.0.2.1/32 dev lo")?;
            // In the place of the default route, as `redirect-gateway def1` has it.
            host.ip("route add 0.0.0.0/1 dev lo")?;
            assert_eq!(chosen(&daemon, "red")?, "10.192.4.0/24");
            // What has become free is chosen.
            host.ip("route del 10.192.0.0/24 dev lo")?;
            assert_eq!(chosen(&daemon, "blue")?, "10.192.0.0/24");
            assert_eq!(chosen(&daemon, "green")?, "10.192.6.0/24");
            daemon.stop()
        })
    }
}
