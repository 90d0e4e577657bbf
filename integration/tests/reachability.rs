//! Two sandboxes in one network reach each other with everything that a kernel's stack sends.
//!
//! ```text
//!   a    b      each a namespace with eth0, addresses from the network's subnet
//!   |    |
//!  tapweave     network red
//! ```

#[cfg(test)]
mod everywhere {
    use anyhow::Result;
    use serde_json::Value;
    use tapweave_integration::traffic::{self, Datagrams};
    use tapweave_integration::{Lab, Sandbox, Segment};

    const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";

    /// Returns what the kernel tells of an interface.
    fn link(sandbox: &Sandbox, ifname: &str) -> Result<Value> {
        let links = sandbox.links()?;
        let link = links.into_iter().find(|link| link["ifname"] == ifname);
        Ok(link.unwrap_or_default())
    }

    #[test]
    fn ipv4_and_ipv6_pings_are_answered_once_each() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping(a, segment.ipv4(1)?, 20)?;
            traffic::ping(b, segment.ipv4(0)?, 20)?;
            traffic::ping_soon(a, segment.ipv6(1)?)?;
            traffic::ping(a, segment.ipv6(1)?, 20)?;
            traffic::ping(b, segment.ipv6(0)?, 20)
        })
    }

    #[test]
    fn tcp_payload_arrives_unchanged_over_ipv4_and_ipv6() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 32 << 20)?;
            traffic::ping_soon(a, segment.ipv6(1)?)?;
            traffic::tcp(lab, b, a, segment.ipv6(0)?, 32 << 20)
        })
    }

    #[test]
    fn udp_datagrams_arrive_unchanged_and_in_order() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let (v4, v6) = (segment.ipv4(1)?, segment.ipv6(1)?);
            traffic::udp(lab, a, b, v4, 1, Datagrams::Single)?;
            traffic::udp(lab, a, b, v4, 1472, Datagrams::Single)?;
            // Larger than the MTU: in fragments.
            traffic::udp(lab, a, b, v4, 4000, Datagrams::Single)?;
            traffic::udp(lab, a, b, v4, 1472, Datagrams::Segmented)?;
            traffic::ping_soon(a, v6)?;
            traffic::udp(lab, a, b, v6, 1452, Datagrams::Single)?;
            traffic::udp(lab, a, b, v6, 1452, Datagrams::Segmented)
        })
    }

    #[test]
    fn iperf3_runs_one_and_four_streams() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            for streams in [1, 4] {
                let rate = traffic::iperf3(lab, a, b, segment.ipv4(1)?, streams, 1)?;
                // Far below what any machine reaches: not a measurement, a sign of life.
                assert!(rate > 1e7, "{streams} streams: {rate} bit/s");
            }
            Ok(())
        })
    }

    #[test]
    fn one_and_four_queues_carry_parallel_streams() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["--queues 1", "--queues 4", "--queues 4"])?;
            let [a, b, c] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let queues = |sandbox| -> Result<Value> {
                Ok(link(sandbox, "eth0")?["linkinfo"]["info_data"]["numqueues"].clone())
            };
            assert_eq!(queues(b)?, 4);
            assert_eq!(queues(c)?, 4);
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 16 << 20)?;
            traffic::tcp(lab, b, c, segment.ipv4(2)?, 16 << 20)?;
            traffic::tcp(lab, c, a, segment.ipv4(0)?, 16 << 20)?;
            assert!(traffic::iperf3(lab, b, c, segment.ipv4(2)?, 4, 1)? > 1e7);
            Ok(())
        })
    }

    #[test]
    fn the_mtu_is_that_of_the_network_and_full_packets_pass() -> Result<()> {
        Lab::run(|lab| {
            for mtu in [1500, 9000] {
                let options = format!("--subnet 10.211.0.0/24 --mtu {mtu}");
                let segment = Segment::new(lab, &options, 2)?;
                let [a, b] = &segment.sandboxes[..] else {
                    unreachable!()
                };
                assert_eq!(link(a, "eth0")?["mtu"], mtu);
                // IPv4 and ICMP headers take 28 bytes.
                let full = format!("-M do -s {}", mtu - 28);
                traffic::ping_with(a, segment.ipv4(1)?, 5, &full)?;
                // It is not sent, and no answer is worth waiting for.
                let too_long = format!("-M do -W 1 -s {}", mtu - 27);
                let error = traffic::ping_with(a, segment.ipv4(1)?, 1, &too_long).unwrap_err();
                assert!(format!("{error:#}").contains("0 received"), "{error:#}");
                traffic::tcp(lab, a, b, segment.ipv4(1)?, 8 << 20)?;
                segment.daemon.stop()?;
            }
            Ok(())
        })
    }

    #[test]
    fn a_sandbox_in_two_networks_has_two_interfaces_that_both_work() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet 10.211.0.0/24", 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let cli = segment.cli();
            cli.ok("network create blue --subnet 10.212.0.0/24")?;
            let second = cli.connect("blue", a, "")?;
            assert_eq!(second.ifname, "eth1");
            let other = lab.sandbox("other")?;
            cli.connect("blue", &other, "")?;
            traffic::ping(b, segment.ipv4(0)?, 3)?;
            traffic::ping(&other, second.ipv4()?, 3)?;
            assert_eq!(a.ifnames()?, ["lo", "eth0", "eth1"]);
            cli.ok("network disconnect red a")?;
            assert_eq!(a.ifnames()?, ["lo", "eth1"]);
            traffic::ping(&other, second.ipv4()?, 3)
        })
    }

    #[test]
    fn addresses_mac_and_name_of_the_interface_are_those_asked_for() -> Result<()> {
        Lab::run(|lab| {
            let options = "--ip 10.211.0.77 --ip6 fd77:1::77 --mac 02:11:22:33:44:55 --ifname lan7";
            let segment = Segment::with(lab, DUAL, &[options, ""])?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let link = link(a, "lan7")?;
            assert_eq!(link["address"], "02:11:22:33:44:55");
            let flags = link["flags"].to_string();
            assert!(
                flags.contains("\"UP\"") && flags.contains("LOWER_UP"),
                "{flags}"
            );
            let addresses: Value = serde_json::from_str(&a.ip("-json address show dev lan7")?)?;
            let addresses = addresses[0]["addr_info"].as_array().into_iter().flatten();
            let addresses: Vec<_> = addresses
                .map(|address| (address["local"].as_str(), address["prefixlen"].as_u64()))
                .collect();
            assert!(
                addresses.contains(&(Some("10.211.0.77"), Some(24))),
                "{addresses:?}"
            );
            assert!(
                addresses.contains(&(Some("fd77:1::77"), Some(64))),
                "{addresses:?}"
            );
            traffic::ping(b, "10.211.0.77".parse()?, 3)?;
            traffic::ping_soon(b, "fd77:1::77".parse()?)
        })
    }

    /// Ids are hexadecimal numbers, and so are many short names.
    #[test]
    fn a_new_sandbox_may_be_called_like_the_beginning_of_anothers_id() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 1)?;
            let known = segment.cli().json("sandbox ls")?;
            let id = known[0]["id"].as_str().expect("a sandbox has an id");
            for len in [2, 4] {
                let namesake = lab.sandbox(&id[..len])?;
                let endpoint = segment.cli().connect("red", &namesake, "")?;
                assert_eq!(endpoint.port, format!("red/{}", &id[..len]));
                traffic::ping(&segment.sandboxes[0], endpoint.ipv4()?, 2)?;
            }
            Ok(())
        })
    }

    #[test]
    fn a_process_sandbox_and_the_default_kind_reach_each_other() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 1)?;
            let process = lab.process_sandbox("process")?;
            let endpoint = segment.cli().connect("red", &process, "")?;
            traffic::ping(&segment.sandboxes[0], endpoint.ipv4()?, 3)?;
            traffic::tcp(
                lab,
                &process,
                &segment.sandboxes[0],
                segment.ipv4(0)?,
                4 << 20,
            )
        })
    }

    #[test]
    fn sandboxes_in_user_namespaces_of_their_own_reach_each_other_and_the_default_kind()
    -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 1)?;
            let (first, second) = (
                lab.foreign_sandbox("first")?,
                lab.foreign_sandbox("second")?,
            );
            let to_first = segment.cli().connect("red", &first, "")?.ipv4()?;
            let to_second = segment.cli().connect("red", &second, "")?.ipv4()?;
            traffic::ping(&segment.sandboxes[0], to_first, 3)?;
            traffic::ping(&first, to_second, 3)?;
            traffic::tcp(lab, &second, &first, to_first, 4 << 20)?;
            segment.daemon.stop()?;
            assert_eq!(first.ifnames()?, ["lo"]);
            assert_eq!(second.ifnames()?, ["lo"]);
            Ok(())
        })
    }
}
