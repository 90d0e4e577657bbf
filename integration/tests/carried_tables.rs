//! What the next daemon knows without having heard it: stations, neighbours, members of groups.
//!
//! ```text
//!   a          b          c      each a namespace with eth0 and a recorder
//!   |router    |listens   |
//!          tapweave              one takes over from another, or is killed and started again
//! ```
//!
//! The station that is looked for has an address that no kernel has, so nothing but the table knows where it is.

#[cfg(test)]
mod once {
    use anyhow::{Result, ensure};
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::groups::{
        DESERTED, GROUP_V4, ask, datagram, join, wait_for_members, wait_until_limited,
    };
    use tapweave_integration::listing::rows;
    use tapweave_integration::{Cli, Lab, Segment, frame, traffic, wait};
    use tapweave_net::MacAddr;

    const A: usize = 0;
    const B: usize = 1;
    const C: usize = 2;

    const INVENTED: MacAddr = frame::mac(0x0042);

    /// Returns a listing without what is of the moment, in order.
    fn lasting(cli: &Cli, command: &str, keys: &[&str]) -> Result<Vec<String>> {
        let listing = cli.json(command)?;
        let rows = rows(&listing)?.iter();
        let mut lasting: Vec<_> = rows
            .map(|row| keys.iter().map(|key| row[key].to_string()).collect())
            .collect();
        lasting.sort();
        Ok(lasting)
    }

    /// Returns all that is to be the same before and after.
    fn tables(cli: &Cli) -> Result<[Vec<String>; 3]> {
        Ok([
            lasting(cli, "fdb show red", &["mac", "port", "kind"])?,
            lasting(cli, "neigh show red", &["address", "mac", "port"])?,
            lasting(cli, "mdb show red", &["group", "port", "kind"])?,
        ])
    }

    /// Makes the table know something of each kind, and calls `then` with the recorders.
    fn with_tables(then: impl FnOnce(&Lab, &str, Segment, &Cli) -> Result<()>) -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let network = "--subnet 10.219.0.0/24";
            let free = ["--guard=false"; 3];
            let segment = Segment::on(lab.daemon_with(&options)?, lab, network, &free)?;
            let cli = segment.cli().clone();
            traffic::announce(&segment.sandboxes[A], "eth0", INVENTED)?;
            let mut member = join(lab, &segment.sandboxes[B], &[GROUP_V4.into()])?;
            {
                let stations = segment.stations_of_everything(lab)?;
                ask(&segment.sandboxes[A])?;
                wait_for_members(&segment, GROUP_V4.into(), &["b"])?;
                wait_until_limited(&stations, A, C, DESERTED.into())?;
                settle(&stations, C)?;
            }
            let place = cli.whereabouts("red", INVENTED)?;
            ensure!(place.as_deref() == Some("red/a"), "{place:?}");
            then(lab, &options, segment, &cli)?;
            member.kill()
        })
    }

    /// Looks whether a frame to the station that nobody has heard of since reaches nobody else.
    fn expect_no_flood(stations: &[Station<'_>]) -> Result<()> {
        let frame = frame::tagged(INVENTED, stations[C].mac(), "to a station of before");
        expect_delivery(stations, C, &frame, 5, Receivers::Only(&[A]))
    }

    fn carried(cli: &Cli, what: &str) -> Result<u64> {
        Ok(cli.json("stats")?["carried"][what].as_u64().unwrap_or(0))
    }

    #[test]
    fn who_takes_over_knows_what_the_other_one_had_learned() -> Result<()> {
        with_tables(|lab, options, segment, cli| {
            let before = tables(cli)?;
            let new = lab.take_over(options, "new")?;
            ensure!(tables(cli)? == before, "{:?}, not {before:?}", tables(cli)?);
            ensure!(carried(cli, "not_restored")? == 0, "{}", cli.json("stats")?);
            let stations = segment.stations_of_everything(lab)?;
            expect_no_flood(&stations)?;
            // Those who ask are known too: c does not get what it did not ask for.
            let group = datagram(&stations[C], GROUP_V4.into(), "to those who listen");
            expect_delivery(&stations, C, &group, 5, Receivers::Only(&[A, B]))?;
            drop(stations);
            segment.daemon.ended()?;
            new.stop()
        })
    }

    #[test]
    fn a_daemon_that_follows_a_killed_one_knows_what_was_written_down() -> Result<()> {
        with_tables(|lab, options, segment, cli| {
            let Segment {
                daemon,
                sandboxes,
                endpoints,
            } = segment;
            let before = tables(cli)?;
            // What is asked for is written by the second snapshot from now on.
            let written = carried(cli, "snapshots")?;
            for round in 1..=2 {
                let mac = frame::mac(0x0100 + round);
                traffic::announce(&sandboxes[A], "eth0", mac)?;
                wait::until_true("a snapshot to be written", wait::SOON * 2, || {
                    Ok(carried(cli, "snapshots")? >= written + u64::from(round))
                })?;
            }
            daemon.kill()?;
            let next = lab.daemon_with(options)?;
            let [fdb, neighbors, groups] = tables(cli)?;
            ensure!(before[0].iter().all(|row| fdb.contains(row)), "{fdb:?}");
            ensure!([neighbors, groups] == before[1..], "{}", cli.json("stats")?);
            let pairs = sandboxes.iter().zip(&endpoints);
            let stations = pairs
                .map(|(sandbox, at)| Station::new(lab, sandbox, &at.ifname, at.mac))
                .collect::<Result<Vec<_>>>()?;
            expect_no_flood(&stations)?;
            next.stop()
        })
    }
}
