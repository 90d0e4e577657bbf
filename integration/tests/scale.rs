//! Many ports, and what a daemon costs that has nothing to do.
//!
//! ```text
//!   a  b  …      10 or 100 namespaces, each with eth0
//!   |  |  |
//!  tapweave      network red
//! ```

#[cfg(test)]
mod everywhere {
    use std::time::Duration;

    use anyhow::Result;
    use tapweave_integration::flood::{Receivers, Station, expect_delivery};
    use tapweave_integration::{Lab, Segment, frame, traffic, wait};
    use tapweave_net::MacAddr;

    #[test]
    fn a_hundred_ports_flood_and_reach_each_other() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(
                lab,
                "--subnet 10.211.0.0/24 -o tapweave.dad=false",
                &["--guard=false"; 100],
            )?;
            let listing = segment.cli().json("port ls red")?;
            assert_eq!(listing.as_array().map(Vec::len), Some(100));
            for (from, to) in [(0, 99), (99, 50), (50, 1)] {
                traffic::ping(&segment.sandboxes[from], segment.ipv4(to)?, 3)?;
            }
            let some: Vec<_> = [0, 1, 50, 99]
                .into_iter()
                .map(|index| {
                    let mac = segment.endpoints[index].mac;
                    Station::new(lab, &segment.sandboxes[index], "eth0", mac)
                })
                .collect::<Result<_>>()?;
            let flood = frame::tagged(MacAddr::BROADCAST, some[0].mac(), "flood");
            expect_delivery(&some, 0, &flood, 10, Receivers::AllOthers)?;
            // The others were not recorded, but counted.
            for endpoint in &segment.endpoints[1..] {
                let sent = segment.cli().counters(&endpoint.port)?.tx_frames;
                assert!(sent >= 10, "{} got {sent}", endpoint.port);
            }
            Ok(())
        })
    }

    #[test]
    fn ten_idle_ports_cost_thirty_megabytes_at_most_and_no_processor_time() -> Result<()> {
        Lab::run(|lab| {
            let mut segment = Segment::new(lab, "--subnet 10.211.0.0/24", 0)?;
            for _ in 0..10 {
                segment.add(lab, "")?;
            }
            for sandbox in &segment.sandboxes {
                // Otherwise ten stacks solicit routers and report multicast groups for a while.
                sandbox.run("sysctl", "-q -w net.ipv6.conf.all.disable_ipv6=1")?;
            }
            traffic::ping(&segment.sandboxes[0], segment.ipv4(9)?, 3)?;
            let resident = segment.daemon.stats()?.resident_len;
            // Of 21 MB seen, 11 are pages of the program itself and 8 the buffers of the ring.
            assert!(resident <= 30 << 20, "{resident} bytes are resident");
            wait::until_true(
                "a second without a tick of processor time",
                wait::SOON,
                || {
                    let ticks = segment.daemon.stats()?.ticks;
                    let idle = wait::stays_true("idle", Duration::from_secs(1), || {
                        Ok(segment.daemon.stats()?.ticks == ticks)
                    });
                    Ok(idle.is_ok())
                },
            )
        })
    }
}

#[cfg(test)]
mod once {
    use anyhow::{Result, ensure};
    use tapweave_integration::steady::Steady;
    use tapweave_integration::{Lab, Segment, listing, traffic};

    #[test]
    fn a_hundred_interfaces_are_there_again_after_a_kill_and_after_a_takeover() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let daemon = lab.daemon_with(&options)?;
            let network = "--subnet 10.211.0.0/24 -o tapweave.dad=false";
            let mut segment = Segment::on(daemon, lab, network, &["--guard=false"; 100])?;
            let address = segment.ipv4(99)?;
            let [first, .., last] = &segment.sandboxes[..] else {
                unreachable!()
            };
            let mut transfer = Steady::start(lab, first, last, address)?;
            transfer.progress()?;
            let cli = segment.daemon.cli().clone();
            let links = segment.sandboxes.iter().map(|it| it.ip("link show eth0"));
            let before: Vec<_> = links.collect::<Result<_>>()?;
            for is_planned in [false, true] {
                segment.daemon = if is_planned {
                    let new = lab.take_over(&options, "new")?;
                    segment.daemon.ended()?;
                    new
                } else {
                    segment.daemon.kill()?;
                    lab.daemon_with(&options)?
                };
                transfer.progress()?;
                let ports = cli.json("port ls red")?;
                let up = listing::rows(&ports)?
                    .iter()
                    .filter(|it| it["state"] == "up");
                ensure!(up.count() == 100, "not all are up: {ports}");
                for (from, to) in [(0, 99), (99, 50), (50, 1)] {
                    traffic::ping_soon(&segment.sandboxes[from], segment.ipv4(to)?)?;
                }
            }
            let links = segment.sandboxes.iter().map(|it| it.ip("link show eth0"));
            let after: Vec<_> = links.collect::<Result<_>>()?;
            ensure!(after == before, "interfaces have changed");
            transfer.finish()?;
            segment.daemon.stop()
        })
    }
}
