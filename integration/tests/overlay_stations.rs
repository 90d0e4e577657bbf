//! Where the stations of an overlay are, and who gets what they send to everybody.
//!
//! The topology is drawn in [`tapweave_integration::underlay`].

use std::slice::from_ref;

use anyhow::{Result, ensure};
use tapweave_integration::flood::{Station, expect_every_kind};
use tapweave_integration::underlay::{
    KernelHost, NETWORK, Segment, TapweaveHost, Underlay, with_kernel,
};
use tapweave_integration::{Lab, Sandbox, frame, traffic, wait};
use tapweave_net::MacAddr;

#[cfg(test)]
mod named {
    use super::*;

    #[test]
    fn a_flood_reaches_every_host_once_and_comes_back_from_none() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let second = KernelHost::new(lab, &underlay, segment, 2, &[1, 3])?;
            let third = KernelHost::new(lab, &underlay, segment, 3, &[1, 2])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2, 3])?;
            for station in [&second, &third] {
                traffic::ping_soon(&ours.sandbox, station.addresses()[0])?;
            }
            traffic::ping_soon(&second.station, third.addresses()[0])?;
            let stations = [
                Station::new(lab, &ours.sandbox, "eth0", ours.mac)?,
                Station::new(lab, &second.station, "eth0", second.mac)?,
                Station::new(lab, &third.station, "eth0", third.mac)?,
            ];
            for index in 0..stations.len() {
                expect_every_kind(&stations, index)?;
            }
            Ok(())
        })
    }
}

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn a_station_is_found_where_it_was_seen_last() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let second = KernelHost::new(lab, &underlay, segment, 2, &[1, 3])?;
            let third = KernelHost::new(lab, &underlay, segment, 3, &[1, 2])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2, 3])?;
            let wanderer = frame::mac(77);
            let shown = frame::tagged(MacAddr::BROADCAST, wanderer, "here");
            let show = |place: &Sandbox| traffic::send_raw(place, "eth0", 1, from_ref(&shown));
            // From host to host, to this one, and away again.
            for (place, vtep) in [
                (&second.station, Some("192.0.2.2")),
                (&third.station, Some("192.0.2.3")),
                (&ours.sandbox, None),
                (&second.station, Some("192.0.2.2")),
                (&ours.sandbox, None),
            ] {
                show(place)?;
                wait::until_true("a move", wait::SOON, || {
                    let found = ours.fdb_entry(wanderer)?;
                    let port = found["port"].as_str();
                    let want = vtep.is_none().then_some("far/sandbox1");
                    Ok(found["vtep"].as_str() == vtep && port == want)
                })?;
            }
            // A static entry stays, whoever else claims to be it.
            let cli = ours.daemon.cli();
            cli.ok(&format!("fdb add {NETWORK} {wanderer} --vtep 192.0.2.2"))?;
            let seen = Station::new(lab, &ours.sandbox, "eth0", ours.mac)?;
            show(&third.station)?;
            seen.capture()
                .wait_for(|seen| seen.equal_to(&shown).exactly(1))?;
            let found = ours.fdb_entry(wanderer)?;
            let is_kept = found["vtep"] == "192.0.2.2" && found["kind"] == "static";
            ensure!(is_kept, "{found}");
            let stranger =
                cli.refused(&format!("fdb add {NETWORK} {wanderer} --vtep 192.0.2.9"))?;
            ensure!(stranger.contains("is no peer"), "{stranger}");
            // What goes with a peer.
            cli.ok(&format!("peer rm {NETWORK} 192.0.2.2"))?;
            ensure!(ours.fdb_entry(wanderer)?.is_null());
            Ok(())
        })
    }

    #[test]
    fn an_address_that_a_station_of_another_host_has_is_not_given_away() -> Result<()> {
        Lab::run(|lab| {
            with_kernel(lab, Segment::USUAL, |_, ours, kernel| {
                let cli = ours.daemon.cli();
                for held in ["10.77.0.3/24", "10.77.0.4/24", "fd77::1:1/64"] {
                    let nodad = if held.contains(':') { "nodad" } else { "" };
                    let words = format!("address add {held} dev eth0 {nodad}");
                    kernel.station.ip(&words)?;
                }
                let late = lab.sandbox("late")?;
                let options = late.options();
                for wanted in ["--ip 10.77.0.4", "--ip6 fd77::1:1"] {
                    let request = format!("network connect {NETWORK} late {options} {wanted}");
                    let message = cli.refused(&request)?;
                    let words = format!("in use in network {NETWORK} by {}", kernel.mac);
                    ensure!(message.contains(&words), "no {words:?} in {message}");
                }
                // .1 is the other sandbox's, .2 to .4 are the station's.
                let given = cli.connect(NETWORK, &late, "")?;
                ensure!(given.ipv4()?.to_string() == "10.77.0.5", "{given:?}");
                traffic::ping_soon(&late, kernel.addresses()[0])?;
                let peer = ours.peer(Segment::USUAL.vtep(2))?;
                let conflicts = peer["counters"]["address_conflicts"].as_u64();
                ensure!(conflicts >= Some(4), "{peer}");
                Ok(())
            })
        })
    }
}
