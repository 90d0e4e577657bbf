//! Overlays that flood to a multicast group of the underlay.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]; its bridge gives every host what is sent to a group.

use std::slice::from_ref;

use anyhow::{Result, ensure};
use tapweave_integration::capture::{Wanted, dissect};
use tapweave_integration::flood::{COPIES, Station, expect_every_kind};
use tapweave_integration::traffic::Datagrams;
use tapweave_integration::underlay::{KernelHost, NETWORK, Segment, TapweaveHost, Underlay};
use tapweave_integration::{Lab, Sandbox, frame, traffic, wait};
use tapweave_net::MacAddr;

const GROUP: &str = "239.1.1.1";
const GROUP_V6: &str = "ff05::77";

/// Waits until a host hears a group, or does not.
fn wait_joined(host: &Sandbox, group: &str, is_joined: bool) -> Result<()> {
    let what = format!("{group} joined: {is_joined}");
    wait::until_true(&what, wait::SOON, || {
        let groups = host.ip("maddr show dev eth0")?;
        let mut words = groups.split_whitespace();
        Ok(words.any(|word| word == group) == is_joined)
    })
}

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn a_flood_goes_to_the_group_once_and_comes_from_peers_only() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let group = format!("group {GROUP}");
            let in_group =
                |number| KernelHost::with_options(lab, &underlay, segment, number, &group);
            let options = format!("-o tapweave.group={GROUP}");
            let host = |number, peers: &[u8]| {
                TapweaveHost::with_network(lab, &underlay, segment, number, peers, &options)
            };
            let third = in_group(3)?;
            let [first, second] = [host(1, &[2, 3])?, host(2, &[1, 3])?];
            for other in [second.addresses()[0], third.addresses()[0]] {
                traffic::ping_soon(&first.sandbox, other)?;
            }
            traffic::ping_soon(&second.sandbox, third.addresses()[0])?;
            let stations = [
                Station::new(lab, &first.sandbox, "eth0", first.mac)?,
                Station::new(lab, &second.sandbox, "eth0", second.mac)?,
                Station::new(lab, &third.station, "eth0", third.mac)?,
            ];
            // What comes in at another host than the sender's.
            let at_third = lab.capture(&third.host, "eth0", Wanted::Everything)?;
            let at_first = lab.capture(&first.host, "eth0", Wanted::Everything)?;
            for index in 0..stations.len() {
                expect_every_kind(&stations, index)?;
            }
            for (wire, senders) in [(at_third, &[1, 2][..]), (at_first, &[3])] {
                let flooded = "vxlan && eth.type == 0x88b5";
                let rows = dissect(&wire.stop()?, flooded, &["ip.src", "ip.dst", "ip.ttl"])?;
                for sender in senders {
                    let sender = segment.vtep(*sender).to_string();
                    let sent = rows.iter().filter(|row| row[0] == [&*sender]);
                    let (to_group, copies): (Vec<_>, Vec<_>) =
                        sent.partition(|row| row[1] == [GROUP]);
                    // All but what was for the next station, and markers.
                    ensure!(to_group.len() >= 3 * COPIES, "{rows:?}");
                    ensure!(to_group.iter().all(|row| row[2] == ["1"]), "{rows:?}");
                    ensure!(copies.len() <= COPIES, "{rows:?}");
                }
            }
            // Of the group, but no peer.
            let stranger = in_group(4)?;
            let forged = frame::tagged(MacAddr::BROADCAST, stranger.mac, "forged");
            traffic::send_raw(&stranger.station, "eth0", 5, from_ref(&forged))?;
            for (ours, station) in [&first, &second].into_iter().zip(&stations) {
                ours.wait_refused_some("unknown_peer")?;
                station.capture().checker()?.equal_to(&forged).none()?;
            }
            let shown = first.peer(GROUP.parse()?)?;
            ensure!(
                shown["origin"] == "group" && shown["mtu"] == 1450,
                "{shown}"
            );
            let cli = first.daemon.cli();
            let kept = cli.refused(&format!("peer rm {NETWORK} {GROUP}"))?;
            ensure!(kept.contains("goes with it"), "{kept}");
            let group = "create x -d overlay --vni 9 --subnet 10.1.0.0/24 -o tapweave.group";
            for (group, reason) in [
                (
                    format!("{group}=192.0.2.9"),
                    "the address of a multicast group",
                ),
                (format!("{group}=ff05::1"), "no IPv6 address"),
            ] {
                let said = cli.refused(&format!("network {group}"))?;
                ensure!(said.contains(reason), "{said}");
            }
            // It is left with the network.
            wait_joined(&first.host, GROUP, true)?;
            cli.ok(&format!(
                "network disconnect {NETWORK} {}",
                first.sandbox.name()
            ))?;
            cli.ok(&format!("network rm {NETWORK}"))?;
            wait_joined(&first.host, GROUP, false)
        })
    }

    #[test]
    fn the_hosts_behind_a_group_are_learned_by_an_open_network() -> Result<()> {
        Lab::run(|lab| {
            let over_v6 = (Segment::OVER_V6, "v6-", GROUP_V6);
            for (segment, prefix, group) in [(Segment::USUAL, "v4-", GROUP), over_v6] {
                let underlay = Underlay::with_prefix(lab, prefix)?;
                let options = format!("group {group}");
                let kernel = KernelHost::with_options(lab, &underlay, segment, 2, &options)?;
                let options = format!("-o tapweave.group={group} -o tapweave.open=true");
                let ours = TapweaveHost::with_network(lab, &underlay, segment, 1, &[], &options)?;
                let (a, b) = (&ours.sandbox, &kernel.station);
                for (to_a, to_b) in ours.addresses().into_iter().zip(kernel.addresses()) {
                    traffic::ping_soon(a, to_b)?;
                    traffic::tcp(lab, a, b, to_b, 1 << 20)?;
                    traffic::tcp(lab, b, a, to_a, 1 << 20)?;
                    traffic::udp(lab, a, b, to_b, 20_000, Datagrams::Single)?;
                }
                let learned = ours.peer(segment.vtep(2))?;
                ensure!(learned["origin"] == "learned", "{learned}");
                // What comes out of the group is received once, by its own socket too.
                let station = Station::new(lab, a, "eth0", ours.mac)?;
                let hello = frame::tagged(MacAddr::BROADCAST, kernel.mac, "hello");
                traffic::send_raw(b, "eth0", 20, from_ref(&hello))?;
                let last = frame::tagged(MacAddr::BROADCAST, kernel.mac, "last");
                traffic::send_raw(b, "eth0", 1, from_ref(&last))?;
                let seen = station.capture();
                seen.wait_for(|seen| seen.equal_to(&last).exactly(1))?;
                seen.checker()?.equal_to(&hello).exactly(20)?;
            }
            Ok(())
        })
    }

    #[test]
    fn a_group_is_joined_again_where_the_underlay_is_now() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let options = format!("group {GROUP}");
            let kernel = KernelHost::with_options(lab, &underlay, segment, 2, &options)?;
            let ours = TapweaveHost::with_daemon_and_network(
                lab,
                &underlay,
                segment,
                1,
                &[2],
                ["--underlay eth0", &format!("-o tapweave.group={GROUP}")],
            )?;
            let reach = || traffic::ping_soon(&kernel.station, ours.addresses()[0]);
            reach()?;
            // It comes back as another interface, with the same address.
            ours.host.ip("link del eth0")?;
            underlay.plug_in(&ours.host, 1)?;
            wait_joined(&ours.host, GROUP, true)?;
            kernel.station.ip("neigh flush all")?;
            reach()
        })
    }
}
