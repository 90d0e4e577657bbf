//! The forwarding table as users see it: what is learned, forgotten, moved, set and limited.
//!
//! ```text
//!   a    b    c      each a namespace with eth0
//!   |    |    |
//!  tapweave          network red, without subnet where invented stations are used
//! ```
//!
//! Invented stations have addresses that no kernel has, so that nothing else refreshes them.

#[cfg(test)]
mod everywhere {
    use anyhow::Result;
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::{Lab, Segment, frame, traffic, wait};
    use tapweave_net::MacAddr;

    const INVENTED: MacAddr = frame::mac(0x0042);

    /// Lets an invented station say something behind a port.
    fn appear(station: &Station<'_>, mac: MacAddr) -> Result<()> {
        station.send(1, &[frame::tagged(MacAddr::BROADCAST, mac, "here I am")])
    }

    #[test]
    fn a_ping_leaves_both_stations_in_the_table() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet 10.211.0.0/24", 2)?;
            let cli = segment.cli();
            traffic::ping(&segment.sandboxes[0], segment.ipv4(1)?, 1)?;
            for (endpoint, port) in segment.endpoints.iter().zip(["red/a", "red/b"]) {
                let rows = cli.fdb("red")?;
                let row = rows.iter().find(|row| row.mac == endpoint.mac);
                let row = row.expect("both stations spoke");
                assert_eq!((row.port.as_str(), row.kind.as_str()), (port, "learned"));
                assert_eq!(row.network, "red");
            }
            Ok(())
        })
    }

    #[test]
    fn a_station_that_is_silent_is_forgotten_and_flooded_to_again() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none -o tapweave.ageing=1s", 3)?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            appear(&stations[0], INVENTED)?;
            wait::until_true("the station to be learned", wait::SOON, || {
                Ok(cli.whereabouts("red", INVENTED)?.as_deref() == Some("red/a"))
            })?;
            wait::until_true("the station to be forgotten", wait::SOON, || {
                Ok(cli.whereabouts("red", INVENTED)?.is_none())
            })?;
            let unknown = frame::tagged(INVENTED, stations[1].mac(), "forgotten");
            expect_delivery(&stations, 1, &unknown, 5, Receivers::AllOthers)
        })
    }

    #[test]
    fn a_station_that_moves_is_followed_by_table_and_traffic() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            for (step, place) in [0, 1, 0].into_iter().enumerate() {
                traffic::announce(&segment.sandboxes[place], "eth0", INVENTED)?;
                settle(&stations, place)?;
                let expected = segment.endpoints[place].port.clone();
                assert_eq!(cli.whereabouts("red", INVENTED)?, Some(expected));
                let to_it = frame::tagged(INVENTED, stations[2].mac(), &format!("step {step}"));
                expect_delivery(&stations, 2, &to_it, 5, Receivers::Only(&[place]))?;
            }
            Ok(())
        })
    }

    #[test]
    fn a_static_entry_stays_where_it_was_put_until_it_is_deleted() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            cli.ok(&format!("fdb add red {INVENTED} --port red/b"))?;
            let to_it = |tag: &str| frame::tagged(INVENTED, stations[0].mac(), tag);
            expect_delivery(&stations, 0, &to_it("put"), 5, Receivers::Only(&[1]))?;
            // An impostor does not get its traffic.
            appear(&stations[2], INVENTED)?;
            settle(&stations, 2)?;
            expect_delivery(&stations, 0, &to_it("impostor"), 5, Receivers::Only(&[1]))?;
            cli.ok("fdb flush red")?;
            let rows = cli.fdb("red")?;
            let row = rows.iter().find(|row| row.mac == INVENTED);
            assert!(
                row.is_some_and(|row| row.kind == "static" && row.port == "red/b"),
                "{rows:?}"
            );
            cli.ok(&format!("fdb del red {INVENTED}"))?;
            expect_delivery(&stations, 0, &to_it("deleted"), 5, Receivers::AllOthers)
        })
    }

    #[test]
    fn flushing_forgets_what_was_learned_and_traffic_floods() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            appear(&stations[1], INVENTED)?;
            settle(&stations, 1)?;
            let to_it = |tag: &str| frame::tagged(INVENTED, stations[0].mac(), tag);
            expect_delivery(&stations, 0, &to_it("known"), 5, Receivers::Only(&[1]))?;
            cli.ok("fdb flush red")?;
            assert_eq!(cli.whereabouts("red", INVENTED)?, None);
            expect_delivery(&stations, 0, &to_it("flushed"), 5, Receivers::AllOthers)
        })
    }

    #[test]
    fn a_disconnected_port_takes_its_stations_with_it() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 3)?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            appear(&stations[1], INVENTED)?;
            settle(&stations, 1)?;
            assert_eq!(cli.whereabouts("red", INVENTED)?.as_deref(), Some("red/b"));
            cli.ok("network disconnect red b")?;
            let left = cli.fdb("red")?;
            assert!(left.iter().all(|row| row.port != "red/b"), "{left:?}");
            assert!(left.iter().all(|row| row.mac != INVENTED), "{left:?}");
            Ok(())
        })
    }

    /// One port invents far more stations than the table holds.
    #[test]
    fn a_full_table_is_bounded_and_one_port_cannot_push_out_the_others() -> Result<()> {
        Lab::run(|lab| {
            let limit = 16;
            let segment = Segment::new(
                lab,
                &format!("--subnet none -o tapweave.fdb_limit={limit}"),
                3,
            )?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            appear(&stations[1], INVENTED)?;
            settle(&stations, 1)?;
            let spray: Vec<_> = (0x1000..0x1000 + 20 * limit)
                .map(|number| frame::tagged(stations[1].mac(), frame::mac(number), "spray"))
                .collect();
            stations[0].send(1, &spray)?;
            settle(&stations, 0)?;
            let rows = cli.fdb("red")?;
            assert!(rows.len() <= usize::from(limit), "{} entries", rows.len());
            assert_eq!(cli.whereabouts("red", INVENTED)?.as_deref(), Some("red/b"));
            let to_it = frame::tagged(INVENTED, stations[2].mac(), "still known");
            expect_delivery(&stations, 2, &to_it, 5, Receivers::Only(&[1]))?;
            // A port that has less than its share still gets a place.
            let newcomer = frame::mac(0x0043);
            appear(&stations[2], newcomer)?;
            settle(&stations, 2)?;
            assert_eq!(cli.whereabouts("red", newcomer)?.as_deref(), Some("red/c"));
            assert!(cli.fdb("red")?.len() <= usize::from(limit));
            Ok(())
        })
    }
}
