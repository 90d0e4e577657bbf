//! Guards and limits: what a sandbox may send, what it may not, and how that is seen.
//!
//! ```text
//!   a    b    c      each a namespace with eth0
//!   |    |    |
//!  tapweave          network red; with a subnet where guards are on by default
//! ```
//!
//! Attacks are built by scapy and sent through `AF_PACKET` as they are, so that no kernel mends them.

#[cfg(test)]
mod everywhere {
    use std::collections::BTreeMap;
    use std::fs;
    use std::net::IpAddr;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::capture::Wanted;
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::{Lab, Sandbox, Segment, frame, traffic, wait};
    use tapweave_net::{ArpOperation, ArpPacket, MacAddr};

    const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";
    const ATTACKS: &str = include_str!("../tools/attacks.py");
    /// Times that each attack is made.
    const TIMES: u64 = 3;

    const REFUSALS: [&str; 9] = [
        "guard_mac",
        "guard_ethertype",
        "guard_arp",
        "guard_ipv4",
        "guard_ipv6",
        "guard_nd",
        "guard_router",
        "guard_dhcp",
        "guard_malformed",
    ];

    /// What was refused at a port so far, by reason.
    fn refusals(segment: &Segment, port: &str) -> Result<BTreeMap<String, u64>> {
        let counters = segment.cli().counters(port)?;
        let counts = REFUSALS.map(|reason| (reason.to_owned(), counters.drops(reason)));
        Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// An ARP probe of the sandbox, which passes every guard of it.
    fn probe(mac: MacAddr, target: [u8; 4]) -> Vec<u8> {
        let arp = ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: mac,
            sender_ip: [0; 4].into(),
            target_mac: MacAddr::ZERO,
            target_ip: target.into(),
        };
        let mut bytes = frame::header(MacAddr::BROADCAST, mac, 0x0806);
        bytes.extend(arp.encode());
        bytes.resize(60, 0);
        bytes
    }

    #[test]
    fn every_attack_is_counted_by_its_reason_and_reaches_nobody() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping_soon(a, segment.ipv6(1)?)?;
            assert_eq!(refusals(&segment, "red/a")?, BTreeMap::new());
            let mut arguments = Vec::new();
            for (index, endpoint) in segment.endpoints.iter().enumerate() {
                let [ip, ip6] = [segment.ipv4(index)?, segment.ipv6(index)?];
                arguments.extend([endpoint.mac.to_string(), ip.to_string(), ip6.to_string()]);
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let listing = traffic::scapy(a, ATTACKS, &arguments)?;
            let mut expected = BTreeMap::new();
            let mut attacks = Vec::new();
            for line in listing.lines() {
                let (reason, hex) = line.split_once(' ').context("a reason and a frame")?;
                *expected.entry(reason.to_owned()).or_insert(0) += TIMES;
                attacks.push(frame::from_hex(hex)?);
            }
            ensure!(attacks.len() >= 40 && expected.len() == REFUSALS.len());

            let recorded = lab.capture(b, "eth0", Wanted::Everything)?;
            traffic::send_raw(a, "eth0", usize::try_from(TIMES)?, &attacks)?;
            // Comes behind the attacks, and passes.
            let last = probe(segment.endpoints[0].mac, [10, 211, 0, 99]);
            traffic::send_raw(a, "eth0", 1, std::slice::from_ref(&last))?;
            recorded.wait_for(|seen| seen.equal_to(&last).exactly(1))?;
            for attack in &attacks {
                recorded.checker()?.equal_to(attack).none()?;
            }
            assert_eq!(refusals(&segment, "red/a")?, expected);
            assert_eq!(refusals(&segment, "red/b")?, BTreeMap::new());
            // The table still says the truth, and the victims are reached.
            let other = segment.endpoints[1].mac;
            let place = segment.cli().whereabouts("red", other)?;
            assert_eq!(place.as_deref(), Some("red/b"));
            traffic::ping(a, segment.ipv4(1)?, 1)?;
            traffic::ping(a, segment.ipv6(1)?, 1)
        })
    }

    #[test]
    fn a_kernel_that_behaves_notices_no_guard() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping_soon(a, segment.ipv6(1)?)?;
            traffic::ping(a, segment.ipv4(1)?, 3)?;
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 1 << 20)?;
            traffic::tcp(lab, b, a, segment.ipv6(0)?, 1 << 20)?;
            // Fragments, and the addresses that the kernel has made of the MACs.
            traffic::ping_with(a, segment.ipv4(1)?, 2, "-s 4000")?;
            traffic::ping_with(a, segment.ipv6(1)?, 2, "-s 4000")?;
            let link_local = |of: &Sandbox| of.ip("-6 -o address show dev eth0 scope link");
            for sandbox in [a, b] {
                wait::until_true("the end of DAD", wait::SOON, || {
                    Ok(!link_local(sandbox)?.contains("tentative"))
                })?;
            }
            for (from, to) in [(a, b), (b, a)] {
                let addresses = link_local(to)?;
                ensure!(!addresses.contains("dadfailed"), "{addresses}");
                let address = addresses.split_whitespace().nth(3).context("an address")?;
                let address = address.split('/').next().context("an address")?;
                traffic::ping_with(from, address.parse()?, 1, "-I eth0")?;
            }
            // Listeners to groups.
            a.ip("maddress add 01:00:5e:01:02:03 dev eth0")?;
            let discover = "
from scapy.all import BOOTP, DHCP, IP, UDP, Ether, get_if_hwaddr, sendp
mac = get_if_hwaddr('eth0')
discover = BOOTP(chaddr=bytes.fromhex(mac.replace(':', ''))) / DHCP(
    options=[('message-type', 'discover'), 'end'])
sendp(Ether(src=mac, dst='ff:ff:ff:ff:ff:ff') / IP(src='0.0.0.0', dst='255.255.255.255')
      / UDP(sport=68, dport=67) / discover, iface='eth0', verbose=False)
";
            traffic::scapy(a, discover, &[])?;
            // The server at the gateway hears it, and has nothing to give to an interface that has its addresses.
            wait::until_true("the DHCP server", wait::SOON, || {
                let server = segment.cli().json("lease show red")?;
                Ok(server["drops"]["fixed"] == 1)
            })?;
            for port in ["red/a", "red/b"] {
                assert_eq!(refusals(&segment, port)?, BTreeMap::new(), "{port}");
            }
            Ok(())
        })
    }

    #[test]
    fn an_address_that_a_sandbox_gives_itself_is_refused_until_it_is_allowed() -> Result<()> {
        Lab::run(|lab| {
            let allowed = "--allow-address 10.211.0.200 --allow-address fd77:1::200/120";
            let segment = Segment::with(lab, DUAL, &["", allowed, ""])?;
            let [a, b, c] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping_soon(c, segment.ipv6(0)?)?;
            a.ip("address add 10.211.0.100/24 dev eth0")?;
            b.ip("address add 10.211.0.200/24 dev eth0")?;
            b.ip("-6 address add fd77:1::2ff/64 dev eth0")?;
            let [secret, shown]: [IpAddr; 2] = ["10.211.0.100".parse()?, "10.211.0.200".parse()?];
            traffic::no_ping(c, secret)?;
            assert!(refusals(&segment, "red/a")?.contains_key("guard_arp"));
            traffic::ping(c, shown, 1)?;
            traffic::ping_soon(c, "fd77:1::2ff".parse()?)?;
            assert_eq!(refusals(&segment, "red/b")?, BTreeMap::new());

            let cli = segment.cli();
            let shown = cli.json("port show red/b")?;
            assert_eq!(shown["guard"], true);
            let listed = &shown["allowed_addresses"];
            assert_eq!(listed[0], "10.211.0.200/32");
            assert_eq!(listed[1], "fd77:1::200/120");
            assert!(
                cli.ok("port show red/b")?
                    .contains("on, allows 10.211.0.200/32,")
            );
            Ok(())
        })
    }

    #[test]
    fn without_the_guard_a_sandbox_may_send_anything() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["--guard=false", ""])?;
            let spoofed = frame::tagged(MacAddr::BROADCAST, frame::mac(7), "spoofed");
            let recorded = lab.capture(&segment.sandboxes[1], "eth0", Wanted::TestFrames)?;
            traffic::send_raw(
                &segment.sandboxes[0],
                "eth0",
                2,
                std::slice::from_ref(&spoofed),
            )?;
            recorded.wait_for(|seen| seen.equal_to(&spoofed).exactly(2))?;
            let cli = segment.cli();
            assert_eq!(cli.json("port show red/a")?["guard"], false);
            assert_eq!(cli.json("port show red/b")?["guard"], true);
            assert_eq!(
                cli.whereabouts("red", frame::mac(7))?.as_deref(),
                Some("red/a")
            );
            Ok(())
        })
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 0)?;
            let sandbox = lab.sandbox("a")?;
            let cli = segment.cli();
            let connect = format!("network connect red a {}", sandbox.options());
            for (options, word) in [
                ("--guard=false --allow-address 10.9.0.1", "--allow-address"),
                ("--allow-address 10.9.0.1/16", "10.9.0.0/16"),
            ] {
                let said = cli.refused(&format!("{connect} {options}"))?;
                ensure!(said.contains(word), "{said}");
            }
            for options in [
                "--locked --sticky",
                "--locked --mac-limit 1",
                "--mac-limit 0",
                "--allow-address nowhere",
            ] {
                cli.misused(&format!("{connect} {options}"))?;
            }
            let said = cli.refused("network create blue -o tapweave.storm=lots")?;
            ensure!(said.contains("broadcast:N"), "{said}");
            Ok(())
        })
    }

    #[test]
    fn refusals_are_logged_once_for_each_port_and_reason() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 1)?;
            let log = lab.file("daemon.log");
            let lines = |reason: &str| -> Result<usize> {
                let text = fs::read_to_string(&log)?;
                let said = |line: &&str| line.contains("refused") && line.contains(reason);
                Ok(text.lines().filter(said).count())
            };
            let spoofed = frame::tagged(MacAddr::BROADCAST, frame::mac(7), "spoofed");
            let own = segment.endpoints[0].mac;
            let unknown = frame::tagged(MacAddr::BROADCAST, own, "unknown");
            for _ in 0..3 {
                let attacks = [spoofed.clone(), unknown.clone()];
                traffic::send_raw(&segment.sandboxes[0], "eth0", 100, &attacks)?;
                wait::until_true("the refusals to be logged", wait::SOON, || {
                    Ok(lines("guard_mac")? == 1 && lines("guard_ethertype")? == 1)
                })?;
            }
            let counters = segment.cli().counters("red/a")?;
            assert_eq!(counters.drops("guard_mac"), 300);
            assert_eq!(counters.drops("guard_ethertype"), 300);
            Ok(())
        })
    }

    /// Lets invented stations say something behind a port.
    fn appear(station: &Station<'_>, macs: &[MacAddr]) -> Result<()> {
        let hello = |mac: &MacAddr| frame::tagged(MacAddr::BROADCAST, *mac, "here I am");
        station.send(1, &macs.iter().map(hello).collect::<Vec<_>>())
    }

    #[test]
    fn a_port_at_its_mac_limit_takes_no_further_station() -> Result<()> {
        Lab::run(|lab| {
            // The sandbox's own MAC is one of the two.
            let segment = Segment::with(lab, "--subnet none", &["--mac-limit 2", "", ""])?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            settle(&stations, 0)?;
            let [first, second] = [frame::mac(1), frame::mac(2)];
            appear(&stations[0], &[first, second, second])?;
            settle(&stations, 0)?;
            assert_eq!(cli.whereabouts("red", first)?.as_deref(), Some("red/a"));
            assert_eq!(cli.whereabouts("red", second)?, None);
            assert_eq!(cli.counters("red/a")?.drops("mac_limit"), 2);
            // It cannot take over a station either.
            appear(&stations[1], &[second])?;
            settle(&stations, 1)?;
            appear(&stations[0], &[second])?;
            settle(&stations, 0)?;
            assert_eq!(cli.whereabouts("red", second)?.as_deref(), Some("red/b"));
            assert_eq!(cli.counters("red/a")?.drops("mac_limit"), 3);
            // One that moves away makes room.
            appear(&stations[1], &[first])?;
            settle(&stations, 1)?;
            appear(&stations[0], &[second])?;
            settle(&stations, 0)?;
            assert_eq!(cli.whereabouts("red", second)?.as_deref(), Some("red/a"));
            Ok(())
        })
    }

    #[test]
    fn a_sticky_station_stays_where_it_was_learned() -> Result<()> {
        Lab::run(|lab| {
            let network = "--subnet none -o tapweave.ageing=1s";
            let segment = Segment::with(lab, network, &["--sticky", "", ""])?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            let mac = frame::mac(1);
            let to_it = |tag: &str| frame::tagged(mac, stations[2].mac(), tag);
            appear(&stations[0], &[mac])?;
            settle(&stations, 0)?;
            let place = || cli.whereabouts("red", mac);
            let is_kept = || Ok(place()?.as_deref() == Some("red/a"));
            wait::stays_true("the station is known", Duration::from_secs(2), is_kept)?;
            let rows = cli.fdb("red")?;
            let row = rows.iter().find(|row| row.mac == mac);
            assert!(row.is_some_and(|row| row.kind == "sticky"), "{rows:?}");
            appear(&stations[1], &[mac, mac])?;
            settle(&stations, 1)?;
            assert_eq!(cli.counters("red/b")?.drops("sticky_elsewhere"), 2);
            expect_delivery(&stations, 2, &to_it("sticky"), 3, Receivers::Only(&[0]))?;
            // Until it is flushed.
            cli.ok("fdb flush red")?;
            appear(&stations[1], &[mac])?;
            settle(&stations, 1)?;
            assert_eq!(place()?.as_deref(), Some("red/b"));
            Ok(())
        })
    }

    #[test]
    fn a_locked_port_lets_its_own_mac_and_static_ones_send() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, "--subnet none", &["--locked", "", ""])?;
            let cli = segment.cli();
            let stations = segment.stations(lab)?;
            // The markers have the own MAC.
            settle(&stations, 0)?;
            let [mac, other] = [frame::mac(1), frame::mac(2)];
            appear(&stations[0], &[mac, other])?;
            settle(&stations, 0)?;
            assert_eq!(cli.counters("red/a")?.drops("locked"), 2);
            assert_eq!(cli.whereabouts("red", mac)?, None);
            cli.ok(&format!("fdb add red {mac} --port red/a"))?;
            let hello = frame::tagged(MacAddr::BROADCAST, mac, "let in");
            expect_delivery(&stations, 0, &hello, 3, Receivers::AllOthers)?;
            appear(&stations[0], &[other])?;
            settle(&stations, 0)?;
            assert_eq!(cli.counters("red/a")?.drops("locked"), 3);
            assert_eq!(cli.json("port show red/a")?["locked"], true);
            Ok(())
        })
    }

    #[test]
    fn a_storm_is_cut_to_its_limit_and_other_frames_pass() -> Result<()> {
        Lab::run(|lab| {
            let network = "--subnet none -o tapweave.storm=multicast:10000,unknown:50";
            let segment = Segment::new(lab, network, 3)?;
            let stations = segment.stations(lab)?;
            settle(&stations, 1)?;
            let unknown = frame::tagged(frame::mac(9), stations[0].mac(), "storm");
            let sent = 500;
            stations[0].send(sent, std::slice::from_ref(&unknown))?;
            settle(&stations, 0)?;
            let dropped = segment.cli().counters("red/a")?.drops("storm_unknown");
            let passed = sent - usize::try_from(dropped)?;
            // A second's worth at once, and then what the time that it took has given back.
            ensure!((50..sent).contains(&passed), "{passed} of {sent} passed");
            for station in &stations[1..] {
                let seen = station.capture().checker()?;
                seen.equal_to(&unknown).exactly(passed)?;
            }
            // Known unicast and broadcasts are not limited here, nor is another port.
            let known = frame::tagged(stations[1].mac(), stations[0].mac(), "known");
            expect_delivery(&stations, 0, &known, sent, Receivers::Only(&[1]))?;
            let everybody = frame::tagged(MacAddr::BROADCAST, stations[0].mac(), "everybody");
            expect_delivery(&stations, 0, &everybody, sent, Receivers::AllOthers)?;
            let elsewhere = frame::tagged(frame::mac(9), stations[1].mac(), "elsewhere");
            expect_delivery(&stations, 1, &elsewhere, 20, Receivers::AllOthers)?;
            assert_eq!(segment.cli().counters("red/b")?.drops("storm_unknown"), 0);
            Ok(())
        })
    }
}
