//! 802.1Q between tapweave's ports and the kernel's own VLAN interfaces, which are the peer that
//! everybody uses. They run in the virtual machine of `integration/guest/`, whose kernel has them.
//!
//! ```text
//!    trunk: eth0, eth0.10, eth0.20     a: eth0    b: eth0     each a namespace
//!              |                          |          |
//!      port: --trunk 10,20             --vlan 10  --vlan 20
//!              |                          |          |
//!           tapweave, network red, 10.211.0.0/24
//! ```
//!
//! A sandbox has one address, the one that it was given; a test lets its eth0 or one of its VLAN
//! interfaces bear it. The kernel puts a tag into a super-frame as into any other frame, so TCP shows
//! whether a tag survives with the offloads that refer to what stands behind it.

/// Needs the kernel of the guest.
#[cfg(test)]
mod guest {
    use std::net::IpAddr;

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::traffic::{self, Datagrams};
    use tapweave_integration::{Lab, Sandbox, Segment};

    const NETWORK: &str = "--subnet 10.211.0.0/24";

    /// Payload of a TCP stream in bytes, and in segments of an MTU of 1500.
    const STREAM_LEN: usize = 2 << 20;
    const STREAM_SEGMENTS: u64 = (STREAM_LEN / 1448) as u64;

    /// Options of a ping that fills an MTU of 1500 and must not be cut.
    const FULL: &str = "-M do -s 1472";

    /// Gives a sandbox the interface `eth0.VID`, which has a tag of its own for all that it sends.
    fn add_vlan(sandbox: &Sandbox, vid: u16, options: &str) -> Result<()> {
        sandbox.ip(&format!(
            "link add link eth0 name eth0.{vid} type vlan id {vid} {options}"
        ))?;
        sandbox.ip(&format!("link set eth0.{vid} up"))?;
        Ok(())
    }

    /// Lets one interface of a sandbox bear its address, and no other.
    fn bear(sandbox: &Sandbox, ifname: &str, address: IpAddr) -> Result<()> {
        for link in sandbox.ifnames()? {
            if link.starts_with("eth0") {
                sandbox.ip(&format!("-4 address flush dev {link}"))?;
            }
        }
        sandbox.ip(&format!("address add {address}/24 dev {ifname}"))?;
        Ok(())
    }

    /// Returns how many frames an interface of a sandbox has received.
    fn received(sandbox: &Sandbox, ifname: &str) -> Result<u64> {
        let links = sandbox.ip(&format!("-json -s link show dev {ifname}"))?;
        let links: serde_json::Value = serde_json::from_str(&links)?;
        links[0]["stats64"]["rx"]["packets"]
            .as_u64()
            .context("ip tells no counter")
    }

    /// Sends a stream each way and requires that at least one came as super-frames from the port.
    fn streams_in_super_frames(lab: &Lab, segment: &Segment, from: usize, to: usize) -> Result<()> {
        let (here, there) = (&segment.sandboxes[from], &segment.sandboxes[to]);
        for (here, there, port, address) in [
            (here, there, from, segment.ipv4(to)?),
            (there, here, to, segment.ipv4(from)?),
        ] {
            let port = &segment.endpoints[port].port;
            let before = segment.cli().counters(port)?.rx_frames;
            traffic::tcp(lab, here, there, address, STREAM_LEN)?;
            let came = segment.cli().counters(port)?.rx_frames - before;
            ensure!(
                came < STREAM_SEGMENTS / 2,
                "{port} sent {came} frames for {STREAM_SEGMENTS} segments"
            );
        }
        Ok(())
    }

    #[test]
    fn vlan_interfaces_reach_each_other_through_ports_that_carry_everything() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, NETWORK, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            for sandbox in [a, b] {
                add_vlan(sandbox, 10, "")?;
            }
            add_vlan(a, 20, "")?;
            bear(b, "eth0.10", segment.ipv4(1)?)?;
            bear(a, "eth0.20", segment.ipv4(0)?)?;
            traffic::no_ping(a, segment.ipv4(1)?)?;
            bear(a, "eth0.10", segment.ipv4(0)?)?;
            traffic::ping_with(a, segment.ipv4(1)?, 3, FULL)?;
            streams_in_super_frames(lab, &segment, 0, 1)?;
            traffic::udp(lab, a, b, segment.ipv4(1)?, 1472, Datagrams::Single)
        })
    }

    /// Makes the sandboxes of the head of this file, the trunk with `trunk` as options.
    fn trunk_and_access(lab: &Lab, trunk: &str) -> Result<Segment> {
        let segment = Segment::with(lab, NETWORK, &[trunk, "--vlan 10", "--vlan 20"])?;
        add_vlan(&segment.sandboxes[0], 10, "")?;
        add_vlan(&segment.sandboxes[0], 20, "")?;
        Ok(segment)
    }

    #[test]
    fn a_vlan_interface_of_a_trunk_reaches_the_access_ports_of_its_vlan_and_no_other() -> Result<()>
    {
        Lab::run(|lab| {
            let segment = trunk_and_access(lab, "--trunk 10,20")?;
            let [trunk, a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let (here, at_a, at_b) = (segment.ipv4(0)?, segment.ipv4(1)?, segment.ipv4(2)?);
            for (ifname, reached, kept) in
                [("eth0.10", (a, at_a), at_b), ("eth0.20", (b, at_b), at_a)]
            {
                bear(trunk, ifname, here)?;
                traffic::ping_with(trunk, reached.1, 3, FULL)?;
                traffic::ping_with(reached.0, here, 3, FULL)?;
                traffic::no_ping(trunk, kept)?;
            }
            traffic::no_ping(a, at_b)?;
            // What has no tag belongs to no VLAN of this trunk.
            bear(trunk, "eth0", here)?;
            traffic::no_ping(trunk, at_a)?;
            let port = &segment.endpoints[0].port;
            ensure!(segment.cli().counters(port)?.drops("vlan_untagged") > 0);
            Ok(())
        })
    }

    #[test]
    fn tagged_super_frames_become_untagged_ones_and_the_reverse() -> Result<()> {
        Lab::run(|lab| {
            let segment = trunk_and_access(lab, "--trunk 10,20")?;
            let [trunk, a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            bear(trunk, "eth0.10", segment.ipv4(0)?)?;
            streams_in_super_frames(lab, &segment, 0, 1)?;
            traffic::udp(lab, trunk, a, segment.ipv4(1)?, 1472, Datagrams::Single)?;
            bear(trunk, "eth0.20", segment.ipv4(0)?)?;
            traffic::udp(lab, b, trunk, segment.ipv4(0)?, 9000, Datagrams::Single)
        })
    }

    #[test]
    fn tagged_streams_are_cut_for_a_trunk_without_offloads() -> Result<()> {
        Lab::run(|lab| {
            let segment = trunk_and_access(lab, "--trunk 10,20 --offload=false")?;
            let [trunk, a, _] = &segment.sandboxes[..] else {
                unreachable!()
            };
            bear(trunk, "eth0.10", segment.ipv4(0)?)?;
            traffic::ping_with(a, segment.ipv4(0)?, 3, FULL)?;
            traffic::tcp(lab, a, trunk, segment.ipv4(0)?, STREAM_LEN)?;
            traffic::tcp(lab, trunk, a, segment.ipv4(1)?, STREAM_LEN)
        })
    }

    #[test]
    fn the_native_vlan_of_a_trunk_has_no_tag() -> Result<()> {
        Lab::run(|lab| {
            let segment = trunk_and_access(lab, "--trunk 20 --vlan 10")?;
            let [trunk, a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let (here, at_a, at_b) = (segment.ipv4(0)?, segment.ipv4(1)?, segment.ipv4(2)?);
            bear(trunk, "eth0", here)?;
            traffic::ping_with(trunk, at_a, 3, FULL)?;
            traffic::ping_with(a, here, 3, FULL)?;
            traffic::no_ping(trunk, at_b)?;
            bear(trunk, "eth0.20", here)?;
            traffic::ping_with(b, here, 3, FULL)?;
            traffic::no_ping(trunk, at_a)
        })
    }

    #[test]
    fn priorities_pass_and_a_tag_without_a_vlan_is_none() -> Result<()> {
        Lab::run(|lab| {
            let segment = trunk_and_access(lab, "--trunk 10,20")?;
            let [trunk, a, _] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let (here, at_a) = (segment.ipv4(0)?, segment.ipv4(1)?);
            bear(trunk, "eth0.10", here)?;
            trunk.ip("link set eth0.10 type vlan egress-qos-map 0:5")?;
            traffic::ping(trunk, at_a, 3)?;

            // VID 0 with a priority: what comes back has no tag and goes to eth0, so there is no answer.
            add_vlan(a, 0, "egress-qos-map 0:5")?;
            bear(a, "eth0.0", at_a)?;
            let before = received(trunk, "eth0.10")?;
            traffic::no_ping(a, here)?;
            let came = received(trunk, "eth0.10")? - before;
            ensure!(came > 0, "no priority-tagged frame came to the trunk");
            let drops = segment.cli().counters(&segment.endpoints[1].port)?;
            ensure!(drops.drops("vlan_tagged") == 0);
            Ok(())
        })
    }

    #[test]
    fn an_access_port_takes_no_tag_from_its_sandbox() -> Result<()> {
        Lab::run(|lab| {
            let segment = trunk_and_access(lab, "--trunk 10,20")?;
            let [_, a, _] = &segment.sandboxes[..] else {
                unreachable!()
            };
            for (vid, other) in [(10, 0), (20, 2)] {
                add_vlan(a, vid, "")?;
                bear(a, &format!("eth0.{vid}"), segment.ipv4(1)?)?;
                traffic::no_ping(a, segment.ipv4(other)?)?;
            }
            let drops = segment.cli().counters(&segment.endpoints[1].port)?;
            ensure!(drops.drops("vlan_tagged") > 0);
            Ok(())
        })
    }

    #[test]
    fn a_bridge_that_filters_vlans_is_understood_behind_a_trunk() -> Result<()> {
        Lab::run(|lab| {
            let segment =
                Segment::with(lab, NETWORK, &["--trunk 10,20", "--vlan 10", "--vlan 20"])?;
            let [trunk, a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            // The address is borne by the bridge itself, untagged in VLAN 10 and then in VLAN 20.
            let here = segment.ipv4(0)?;
            let mac = segment.endpoints[0].mac;
            trunk.ip("-4 address flush dev eth0")?;
            trunk.ip(&format!(
                "link add br0 address {mac} type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0"
            ))?;
            trunk.ip("link set eth0 master br0")?;
            trunk.ip("link set br0 up")?;
            trunk.ip(&format!("address add {here}/24 dev br0"))?;
            for (vid, reached, kept) in [(10, a, b), (20, b, a)] {
                trunk.run("bridge", &format!("vlan add dev eth0 vid {vid}"))?;
                trunk.run(
                    "bridge",
                    &format!("vlan add dev br0 self vid {vid} pvid untagged"),
                )?;
                traffic::ping_soon(reached, here)?;
                traffic::no_ping(kept, here)?;
                trunk.run("bridge", &format!("vlan del dev br0 self vid {vid}"))?;
            }
            Ok(())
        })
    }
}
