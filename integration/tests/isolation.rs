//! Who must not reach whom: other networks, and isolated ports of the same network.
//!
//! ```text
//!   a    b       c    d      each a namespace with eth0
//!   |    |       |    |
//!   network      network     one daemon
//!     red         blue
//! ```

#[cfg(test)]
mod everywhere {
    use std::net::IpAddr;

    use anyhow::Result;
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::{Lab, Sandbox, Segment, frame, traffic, wait};
    use tapweave_net::MacAddr;

    const SUBNET: &str = "--subnet 10.211.0.0/24";

    #[test]
    fn networks_do_not_hear_each_other_even_with_the_same_macs_and_addresses() -> Result<()> {
        Lab::run(|lab| {
            let (first, second) = ("--mac 02:00:00:00:00:01", "--mac 02:00:00:00:00:02");
            let segment = Segment::with(lab, "--subnet none", &[first, second])?;
            let cli = segment.cli();
            cli.ok("network create blue --subnet none")?;
            let (c, d) = (lab.sandbox("c")?, lab.sandbox("d")?);
            let twin_c = cli.connect("blue", &c, first)?;
            let twin_d = cli.connect("blue", &d, second)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            for (sandbox, address) in [(a, "1"), (b, "2"), (&c, "1"), (&d, "2")] {
                sandbox.ip(&format!("address add 10.9.0.{address}/24 dev eth0"))?;
            }

            let red = segment.stations(lab)?;
            let blue = [
                Station::new(lab, &c, "eth0", twin_c.mac)?,
                Station::new(lab, &d, "eth0", twin_d.mac)?,
            ];
            let flood = frame::tagged(MacAddr::BROADCAST, red[0].mac(), "red flood");
            expect_delivery(&red, 0, &flood, 20, Receivers::AllOthers)?;
            let known = frame::tagged(red[1].mac(), red[0].mac(), "red known");
            expect_delivery(&red, 0, &known, 20, Receivers::AllOthers)?;
            settle(&blue, 0)?;
            for station in &blue {
                let seen = station.capture().checker()?;
                seen.clone().equal_to(&flood).none()?;
                seen.equal_to(&known).none()?;
            }

            // The same question in both networks gets the answer of its own.
            let peer: IpAddr = "10.9.0.2".parse()?;
            traffic::ping(a, peer, 5)?;
            traffic::ping(&c, peer, 5)?;
            cli.ok("network disconnect blue d")?;
            traffic::no_ping(&c, peer)?;
            traffic::ping(a, peer, 5)
        })
    }

    #[test]
    fn networks_with_subnets_of_their_own_do_not_reach_each_other() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 2)?;
            segment
                .cli()
                .ok("network create blue --subnet 10.212.0.0/24")?;
            let c = lab.sandbox("c")?;
            let c_ip = segment.cli().connect("blue", &c, "")?.ipv4()?;
            let a = &segment.sandboxes[0];
            // On-link by force, so that only the switch is in the way.
            a.ip("route add 10.212.0.0/24 dev eth0")?;
            c.ip("route add 10.211.0.0/24 dev eth0")?;
            traffic::no_ping(a, c_ip)?;
            traffic::no_ping(&c, segment.ipv4(0)?)?;
            traffic::ping(a, segment.ipv4(1)?, 3)
        })
    }

    #[test]
    fn without_icc_no_frame_passes_between_sandboxes() -> Result<()> {
        Lab::run(|lab| {
            let network = format!("{SUBNET} --icc=false");
            let segment = Segment::with(lab, &network, &["--guard=false"; 3])?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            let to_b = frame::tagged(stations[1].mac(), stations[0].mac(), "to b");
            let to_all = frame::tagged(MacAddr::BROADCAST, stations[0].mac(), "to all");
            // b is in the table, so that the frame to it is decided on and not flooded.
            stations[1].send(
                1,
                &[frame::tagged(MacAddr::BROADCAST, stations[1].mac(), "b")],
            )?;
            wait::until_true("b to be learned", wait::SOON, || {
                Ok(cli.whereabouts("red", stations[1].mac())?.is_some())
            })?;
            stations[0].send(10, &[to_all.clone(), to_b.clone()])?;
            // When the last frame is counted, the broadcasts before it have been decided on.
            wait::until_true("ten frames to be refused", wait::SOON, || {
                Ok(cli.counters("red/a")?.drops("isolated") >= 10)
            })?;
            for station in &stations {
                let seen = station.capture().checker()?;
                seen.clone().equal_to(&to_b).none()?;
                seen.equal_to(&to_all).none()?;
            }
            traffic::no_ping(&segment.sandboxes[0], segment.ipv4(1)?)
        })
    }

    #[test]
    fn isolated_ports_reach_open_ports_but_not_each_other() -> Result<()> {
        Lab::run(|lab| {
            // No guard lets test frames pass.
            let isolated = "--isolated --guard=false";
            let segment = Segment::with(lab, SUBNET, &[isolated, isolated, "--guard=false"])?;
            let [a, b, c]: &[Sandbox] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping(a, segment.ipv4(2)?, 3)?;
            traffic::ping(c, segment.ipv4(0)?, 3)?;
            traffic::ping(b, segment.ipv4(2)?, 3)?;
            traffic::no_ping(a, segment.ipv4(1)?)?;
            traffic::no_ping(b, segment.ipv4(0)?)?;

            let stations = segment.stations(lab)?;
            let flood = frame::tagged(MacAddr::BROADCAST, stations[0].mac(), "from a");
            stations[0].send(10, std::slice::from_ref(&flood))?;
            stations[2]
                .capture()
                .wait_for(|seen| seen.equal_to(&flood).exactly(10))?;
            // From the open port everybody hears it, and by then b would have heard a as well.
            let open = frame::tagged(MacAddr::BROADCAST, stations[2].mac(), "from c");
            expect_delivery(&stations, 2, &open, 10, Receivers::AllOthers)?;
            stations[1].capture().checker()?.equal_to(&flood).none()
        })
    }
}
