//! ARP and ND suppression in overlay networks: which questions travel to other hosts, and who answers the others.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]: host 1 with tapweave and sandboxes, host 2 with the
//! kernel's vxlan device and a station. scapy makes the questions, so nothing here is encoded by tapweave.

use anyhow::{Context, Result, ensure};
use tapweave_integration::flood::{Station, settle};
use tapweave_integration::underlay::{KernelHost, NETWORK, Segment, TapweaveHost, Underlay};
use tapweave_integration::{Lab, Sandbox, traffic, wait};
use tapweave_net::MacAddr;

/// Prints the frames of `MAC [KIND:TARGET]…`: those of each kind and target in a line, separated by blanks.
const FRAMES: &str = "
import sys
from scapy.all import ARP, Ether, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, in6_getnsma, in6_getnsmac, inet_ntop, inet_pton
from socket import AF_INET6
mac = sys.argv[1]
for kind, target in (argument.split(':') for argument in sys.argv[2:]):
    target4, target6 = '10.77.0.' + target, 'fd77::' + target
    group = in6_getnsma(inet_pton(AF_INET6, target6))
    to, nd = in6_getnsmac(group), inet_ntop(AF_INET6, group)
    source4, source6, claimed = '10.77.0.1', 'fd77::1', mac
    if kind == 'probe':
        source4, source6 = '0.0.0.0', '::'
    if kind == 'forged':
        claimed = '02:00:00:00:00:63'
    arp = Ether(src=mac, dst='ff:ff:ff:ff:ff:ff') / ARP(op=1, hwsrc=claimed, psrc=source4, pdst=target4)
    frames = [bytes(arp).hex()]
    if target != '1' or kind == 'probe':
        ns = Ether(src=mac, dst=to) / IPv6(src=source6, dst=nd, hlim=255) / ICMPv6ND_NS(tgt=target6)
        if kind != 'probe':
            ns = ns / ICMPv6NDOptSrcLLAddr(lladdr=claimed)
        frames.append(bytes(ns).hex())
    print(*frames)
";

/// How often each question is asked.
const COUNT: usize = 10;

/// Host 1 with tapweave and a second sandbox, `near`; host 2 with the kernel's device.
struct World {
    ours: TapweaveHost,
    near: Sandbox,
    near_mac: MacAddr,
    kernel: KernelHost,
    _underlay: Underlay,
}

fn world(lab: &Lab, options: &str) -> Result<World> {
    let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
    let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
    let ours = TapweaveHost::with_network(lab, &underlay, segment, 1, &[2], options)?;
    let near = lab.sandbox("near")?;
    let endpoint = ours
        .daemon
        .cli()
        .connect(NETWORK, &near, "--ip 10.77.0.3 --ip6 fd77::3")?;
    Ok(World {
        ours,
        near,
        near_mac: endpoint.mac,
        kernel,
        _underlay: underlay,
    })
}

/// Returns the frames that host 1's sandbox asks with, a list for each kind and target.
fn questions(world: &World, asked: &[&str]) -> Result<Vec<Vec<Vec<u8>>>> {
    let mac = world.ours.mac.to_string();
    let arguments = [&[mac.as_str()], asked].concat();
    let printed = traffic::scapy(&world.ours.sandbox, FRAMES, &arguments)?;
    let octets = |word: &str| {
        let pairs = word.as_bytes().chunks(2);
        let octets = pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
        octets.collect::<Result<Vec<_>>>()
    };
    let lines = printed.lines();
    lines
        .map(|line| line.split_whitespace().map(octets).collect())
        .collect()
}

/// Returns how many questions of host 1's sandbox were answered and how many flooded.
fn counts(ours: &TapweaveHost) -> Result<(u64, u64)> {
    let port = ours
        .daemon
        .cli()
        .json(&format!("port show {NETWORK}/{}", ours.sandbox.name()))?;
    let count = |name: &str| port["counters"][name].as_u64().context("no such counter");
    Ok((count("neighbors_answered")?, count("neighbors_flooded")?))
}

/// Tells whether a frame is an ARP reply or a neighbor advertisement that says `mac`.
fn is_answer(bytes: &[u8], mac: MacAddr) -> bool {
    let is_arp = bytes.get(12..14) == Some(&[0x08, 0x06]) && bytes.get(20..22) == Some(&[0, 2]);
    let is_nd = bytes.get(12..14) == Some(&[0x86, 0xdd]) && bytes.get(54) == Some(&136);
    (is_arp && bytes.get(22..28) == Some(&mac.octets()))
        || (is_nd && bytes.get(80..86) == Some(&mac.octets()))
}

#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn questions_for_neighbours_that_are_known_are_answered_and_the_others_travel() -> Result<()> {
        Lab::run(|lab| {
            let world = world(lab, "")?;
            let (ours, kernel) = (&world.ours, &world.kernel);
            // Nobody has this address, so only tapweave can answer.
            let far = MacAddr::new([2, 0, 0, 0, 0, 0x4d]);
            for address in ["10.77.0.77", "fd77::77"] {
                let cli = ours.daemon.cli();
                cli.ok(&format!("neigh add {NETWORK} {address} {far}"))?;
            }
            let stations = [
                Station::of_everything(lab, &ours.sandbox, "eth0", ours.mac)?,
                Station::of_everything(lab, &kernel.station, "eth0", kernel.mac)?,
            ];
            let asked = [
                ("question:77", Some(far)),
                ("question:3", Some(world.near_mac)),
                ("question:99", None),
                ("probe:77", None),
                ("forged:77", None),
                // An announcement, and a probe for what is known to be its own.
                ("question:1", None),
                ("probe:1", None),
            ];
            let frames = questions(&world, &asked.map(|(words, _)| words))?;
            for (frames, (_, answered_by)) in frames.iter().zip(asked) {
                stations[0].send(COUNT, frames)?;
                settle(&stations, 0)?;
                let expected = if answered_by.is_some() { 0 } else { COUNT };
                for frame in frames {
                    let there = stations[1].capture().checker()?;
                    there.equal_to(frame).exactly(expected)?;
                }
                if let Some(mac) = answered_by {
                    let here = stations[0].capture().checker()?;
                    here.from(mac)
                        .that("answers", |it| is_answer(it, mac))
                        .exactly(COUNT * frames.len())?;
                }
            }
            // Nothing but the questions was answered, and what was no question was not counted.
            let here = stations[0].capture().checker()?;
            here.that("answers", |it| is_answer(it, far))
                .exactly(2 * COUNT)?;
            let (answered, flooded) = counts(ours)?;
            ensure!(answered == 4 * COUNT as u64, "{answered} answered");
            ensure!(flooded >= 2 * COUNT as u64, "{flooded} flooded");
            Ok(())
        })
    }

    #[test]
    fn stations_find_each_other_without_asking_and_duplicates_are_still_found() -> Result<()> {
        Lab::run(|lab| {
            let world = world(lab, "")?;
            let (ours, kernel) = (&world.ours, &world.kernel);
            let cli = ours.daemon.cli();
            let station = Station::of_everything(lab, &kernel.station, "eth0", kernel.mac)?;
            for address in kernel.addresses() {
                cli.ok(&format!("neigh add {NETWORK} {address} {}", kernel.mac))?;
                traffic::ping_soon(&ours.sandbox, address)?;
            }
            for address in ["10.77.0.3", "fd77::3"] {
                traffic::ping_soon(&ours.sandbox, address.parse()?)?;
            }
            // To a group: a question to one station is that station's.
            let mac = ours.mac;
            let asked = station.capture().checker()?.from(mac);
            asked
                .that("ask everybody", |it| {
                    let is_group = it.first().is_some_and(|octet| octet & 1 == 1);
                    let is_arp = it.get(12..14) == Some(&[0x08, 0x06]);
                    let is_nd = it.get(12..14) == Some(&[0x86, 0xdd]) && it.get(54) == Some(&135);
                    is_group && (is_arp || is_nd)
                })
                .none()?;
            let shown = cli.json(&format!("neigh show {NETWORK}"))?;
            let row = |address: &str| {
                let mut rows = shown.as_array().into_iter().flatten();
                let found = rows.find(|row| row["address"] == address);
                found.cloned().unwrap_or_default()
            };
            let (far, near) = (row("10.77.0.2"), row("fd77::3"));
            ensure!(
                far["kind"] == "static" && far["vtep"] == "192.0.2.2",
                "{shown}"
            );
            ensure!(
                near["kind"] == "sandbox" && near["port"] == format!("{NETWORK}/near"),
                "{shown}"
            );

            // An address that another station has, known here as that station's.
            let sandbox = &ours.sandbox;
            let flags = |address: &str| {
                let shown = sandbox.ip(&format!("-6 -o address show dev eth0 to {address}"))?;
                Ok::<_, anyhow::Error>(shown)
            };
            sandbox.set_option("ipv6/conf/eth0/accept_dad", "1")?;
            sandbox.ip("address add fd77::2/64 dev eth0")?;
            wait::until_true("a duplicate", wait::SOON, || {
                Ok(flags("fd77::2")?.contains("dadfailed"))
            })?;
            // Its own, which is known here too.
            sandbox.ip("address del fd77::2/64 dev eth0")?;
            sandbox.ip("address del fd77::1/64 dev eth0")?;
            sandbox.ip("address add fd77::1/64 dev eth0")?;
            wait::until_true("an address", wait::SOON, || {
                let shown = flags("fd77::1")?;
                Ok(!shown.contains("tentative") && shown.contains("fd77::1"))
            })?;
            ensure!(!flags("fd77::1")?.contains("dadfailed"));
            Ok(())
        })
    }

    #[test]
    fn suppression_is_an_option_of_overlays() -> Result<()> {
        Lab::run(|lab| {
            let world = world(lab, "-o tapweave.suppression=false")?;
            let (ours, kernel) = (&world.ours, &world.kernel);
            let stations = [
                Station::of_everything(lab, &ours.sandbox, "eth0", ours.mac)?,
                Station::of_everything(lab, &kernel.station, "eth0", kernel.mac)?,
            ];
            let frames = questions(&world, &["question:3"])?.concat();
            stations[0].send(COUNT, &frames)?;
            settle(&stations, 0)?;
            for frame in &frames {
                let there = stations[1].capture().checker()?;
                there.equal_to(frame).exactly(COUNT)?;
            }
            ensure!(counts(ours)? == (0, 0));
            let cli = ours.daemon.cli();
            let add = "neigh add far 10.77.0.77 02:00:00:00:00:4d";
            let said = cli.refused(add)?;
            ensure!(said.contains("tapweave.suppression=true"), "{said}");
            let said = cli.refused("network create near -o tapweave.suppression=true")?;
            ensure!(said.contains("for overlay networks only"), "{said}");
            let subnet = "--subnet 10.78.0.0/24 --gateway 10.78.0.254";
            cli.ok(&format!("network create other -d overlay --vni 7 {subnet}"))?;
            cli.connect("other", &world.near, "--ip 10.78.0.3")?;
            for (arguments, reason) in [
                (
                    "add other 10.78.0.3 02:00:00:00:00:4d",
                    "the address of other/near",
                ),
                ("add other 10.78.0.254 02:00:00:00:00:4d", "of the gateway"),
                (
                    "add other 10.78.0.9 01:00:5e:00:00:01",
                    "not the address of a station",
                ),
                (
                    "add other 224.0.0.1 02:00:00:00:00:4d",
                    "not the address of a host",
                ),
                ("rm other 10.78.0.9", "nothing was stated"),
            ] {
                let said = cli.refused(&format!("neigh {arguments}"))?;
                ensure!(said.contains(reason), "{arguments}: {said}");
            }
            cli.ok("neigh add other fe80::9 02:00:00:00:00:4d --router")?;
            let shown = cli.ok("neigh show")?;
            ensure!(shown.contains("static, router"), "{shown}");
            cli.ok("neigh rm other fe80::9")?;
            Ok(())
        })
    }
}
