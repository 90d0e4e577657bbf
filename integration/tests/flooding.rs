//! Who gets a frame, counted exactly: everybody else, one, or nobody.
//!
//! ```text
//!   a    b    c    d      each a namespace with eth0 and a recorder of test frames
//!   |    |    |    |
//!     tapweave            network red, without subnet
//! ```

#[cfg(test)]
mod everywhere {
    use anyhow::Result;
    use tapweave_integration::flood::{Receivers, expect_delivery, settle};
    use tapweave_integration::{Lab, Segment, frame, wait};
    use tapweave_net::MacAddr;

    /// `01-80-C2-00-00-NN`.
    const fn reserved(last: u8) -> MacAddr {
        MacAddr::new([0x01, 0x80, 0xc2, 0, 0, last])
    }

    #[test]
    fn group_and_unknown_frames_reach_every_other_port_exactly_once() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 4)?;
            let stations = segment.stations(lab)?;
            let destinations = [
                MacAddr::BROADCAST,
                MacAddr::new([0x01, 0x00, 0x5e, 0x01, 0x02, 0x03]),
                MacAddr::new([0x33, 0x33, 0, 0, 0, 0x42]),
                frame::mac(0x0999),
                // The first address behind the reserved ones.
                reserved(0x10),
            ];
            for (sender, destination) in destinations.into_iter().enumerate() {
                let sender = sender % stations.len();
                let tag = format!("to {destination}");
                let flooded = frame::tagged(destination, stations[sender].mac(), &tag);
                expect_delivery(&stations, sender, &flooded, 50, Receivers::AllOthers)?;
            }
            Ok(())
        })
    }

    #[test]
    fn frames_to_a_known_station_reach_only_its_port() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 4)?;
            let stations = segment.stations(lab)?;
            settle(&stations, 3)?;
            let known = frame::tagged(stations[3].mac(), stations[0].mac(), "known");
            expect_delivery(&stations, 0, &known, 50, Receivers::Only(&[3]))
        })
    }

    #[test]
    fn frames_to_reserved_groups_are_dropped_and_counted() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 4)?;
            let stations = segment.stations(lab)?;
            let before = segment
                .cli()
                .counters("red/a")?
                .drops("reserved_destination");
            for last in 0x00..=0x0f {
                let tag = format!("reserved {last}");
                stations[0].send(1, &[frame::tagged(reserved(last), stations[0].mac(), &tag)])?;
            }
            settle(&stations, 0)?;
            for station in &stations {
                for last in 0x00..=0x0f {
                    station.capture().checker()?.to(reserved(last)).none()?;
                }
            }
            let after = segment
                .cli()
                .counters("red/a")?
                .drops("reserved_destination");
            assert_eq!(after - before, 16);
            Ok(())
        })
    }

    #[test]
    fn frames_to_a_station_behind_the_same_port_go_nowhere() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            let stations = segment.stations(lab)?;
            let neighbour = frame::mac(0x0042);
            stations[0].send(1, &[frame::tagged(MacAddr::BROADCAST, neighbour, "here")])?;
            settle(&stations, 0)?;
            let near = frame::tagged(neighbour, stations[0].mac(), "near");
            expect_delivery(&stations, 0, &near, 7, Receivers::Nobody)?;
            assert_eq!(segment.cli().counters("red/a")?.drops("same_port"), 7);
            Ok(())
        })
    }

    #[test]
    fn a_group_or_zero_source_is_dropped_counted_and_not_learned() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            let stations = segment.stations(lab)?;
            let group = MacAddr::new([0x03, 0x7e, 0x57, 0, 0, 1]);
            for (source, reason) in [
                (group, "source_group"),
                (MacAddr::BROADCAST, "source_group"),
                (MacAddr::ZERO, "source_zero"),
            ] {
                let before = segment.cli().counters("red/a")?.drops(reason);
                let bad = frame::tagged(MacAddr::BROADCAST, source, &format!("from {source}"));
                expect_delivery(&stations, 0, &bad, 3, Receivers::Nobody)?;
                assert_eq!(segment.cli().counters("red/a")?.drops(reason) - before, 3);
                assert_eq!(segment.cli().whereabouts("red", source)?, None);
            }
            Ok(())
        })
    }

    #[test]
    fn the_counters_of_the_ports_agree_with_what_was_sent_and_seen() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            // Nothing but test frames: no router solicitations, no multicast reports.
            for sandbox in &segment.sandboxes {
                sandbox.run("sysctl", "-q -w net.ipv6.conf.all.disable_ipv6=1")?;
            }
            let stations = segment.stations(lab)?;
            settle(&stations, 0)?;
            let counters = || -> Result<Vec<_>> {
                let ports = segment.endpoints.iter();
                ports.map(|e| segment.cli().counters(&e.port)).collect()
            };
            let before = counters()?;
            let flood = frame::tagged(MacAddr::BROADCAST, stations[0].mac(), "count me");
            stations[0].send(100, std::slice::from_ref(&flood))?;
            for station in &stations[1..] {
                station
                    .capture()
                    .wait_for(|seen| seen.equal_to(&flood).exactly(100))?;
            }
            wait::until_true("the counters to agree", wait::SOON, || {
                let after = counters()?;
                let grown = |n: usize| {
                    let (after, before) = (&after[n], &before[n]);
                    (
                        after.rx_frames - before.rx_frames,
                        after.tx_frames - before.tx_frames,
                    )
                };
                Ok([grown(0), grown(1), grown(2)] == [(100, 0), (0, 100), (0, 100)])
            })
        })
    }
}
