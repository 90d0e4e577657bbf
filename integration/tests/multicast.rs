//! Who gets a frame for an IP group: those whose kernel said that it listens, and routers.
//!
//! ```text
//!   a          b          c          d      each a namespace with eth0 and a recorder
//!   |router    |          |sender    |
//!              tapweave                     network red
//! ```

#[cfg(test)]
mod once {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use anyhow::{Result, ensure};
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::groups::{
        DESERTED, GROUP_V4, GROUP_V6, ask, ask_by_old_versions, datagram, expect_some, join,
        mac_of, mdb, members, scapy, wait_for_members, wait_until_limited,
    };
    use tapweave_integration::{Lab, Segment, traffic, wait};

    const A: usize = 0;
    const B: usize = 1;
    const C: usize = 2;
    const D: usize = 3;

    const NETWORK: &str = "--subnet 10.213.0.0/24 --subnet fd00:213::/64 --ipv6";

    /// Everybody but b sends what is not its own; b is kept to its addresses, as sandboxes are.
    fn segment(lab: &Lab, options: &str) -> Result<Segment> {
        let free = "--guard=false";
        Segment::with(
            lab,
            &format!("{NETWORK} {options}"),
            &[free, "", free, free],
        )
    }

    /// Sends a datagram for `group` from c and requires that exactly these get it.
    fn expect(stations: &[Station<'_>], group: IpAddr, tag: &str, to: &[usize]) -> Result<()> {
        let frame = datagram(&stations[C], group, tag);
        expect_delivery(stations, C, &frame, 5, Receivers::Only(to))
    }

    /// Lets a ask and everybody answer.
    fn ask_from_a(segment: &Segment, stations: &[Station<'_>]) -> Result<()> {
        ask(&segment.sandboxes[A])?;
        wait_until_limited_at_d(stations)
    }

    fn wait_until_limited_at_d(stations: &[Station<'_>]) -> Result<()> {
        for group in [IpAddr::from(DESERTED), "ff15::999".parse()?] {
            wait_until_limited(stations, C, D, group)?;
        }
        Ok(())
    }

    /// Where the type of IGMP stands in a frame behind Router Alert, and that of MLD.
    const TYPE_AT: [usize; 2] = [14 + 24, 14 + 40 + 8];

    /// A kernel joins, b's, and leaves; frames follow. It speaks what `sysctl` makes it speak, and so its
    /// reports have the type `report`.
    fn kernels_join_and_leave(sysctl: &str, group: IpAddr, report: u8) -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "-o tapweave.fast_leave=true")?;
            for sandbox in &segment.sandboxes {
                if !sysctl.is_empty() {
                    sandbox.run("sysctl", &format!("-q -w {sysctl}"))?;
                }
            }
            let stations = segment.stations_of_everything(lab)?;
            expect(&stations, group, "before anybody asks", &[A, B, D])?;
            ask_from_a(&segment, &stations)?;
            expect(&stations, group, "before anybody joins", &[A])?;
            let mut member = join(lab, &segment.sandboxes[B], &[group])?;
            wait_for_members(&segment, group, &["b"])?;
            let at = TYPE_AT[usize::from(group.is_ipv6())];
            let reports = stations[A].capture().checker()?.from(stations[B].mac());
            expect_some(reports, "that report", |bytes| {
                bytes.get(at) == Some(&report)
            })?;
            expect(&stations, group, "while b listens", &[A, B])?;
            let other = join(lab, &segment.sandboxes[D], &[group])?;
            wait_for_members(&segment, group, &["b", "d"])?;
            expect(&stations, group, "while both listen", &[A, B, D])?;
            member.kill()?;
            wait_for_members(&segment, group, &["d"])?;
            expect(&stations, group, "after b left", &[A, D])?;
            drop(other);
            wait_for_members(&segment, group, &[])?;
            expect(&stations, group, "after both left", &[A])
        })
    }

    #[test]
    fn hosts_of_igmp_version_3_join_and_leave() -> Result<()> {
        kernels_join_and_leave("", GROUP_V4.into(), 0x22)
    }

    #[test]
    fn hosts_of_igmp_version_2_join_and_leave() -> Result<()> {
        kernels_join_and_leave(
            "net.ipv4.conf.eth0.force_igmp_version=2",
            GROUP_V4.into(),
            0x16,
        )
    }

    #[test]
    fn hosts_of_mld_version_2_join_and_leave() -> Result<()> {
        kernels_join_and_leave("", GROUP_V6.into(), 143)
    }

    #[test]
    fn hosts_of_mld_version_1_join_and_leave() -> Result<()> {
        kernels_join_and_leave(
            "net.ipv6.conf.eth0.force_mld_version=1",
            GROUP_V6.into(),
            131,
        )
    }

    #[test]
    fn a_host_that_joined_before_anybody_asked_is_heard_when_somebody_does() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "")?;
            let groups = [GROUP_V4.into(), GROUP_V6.into()];
            let _member = join(lab, &segment.sandboxes[B], &groups)?;
            let stations = segment.stations_of_everything(lab)?;
            ask_by_old_versions(&segment.sandboxes[A])?;
            wait_until_limited_at_d(&stations)?;
            for group in groups {
                wait_for_members(&segment, group, &["b"])?;
                expect(&stations, group, "for b", &[A, B])?;
            }
            Ok(())
        })
    }

    #[test]
    fn groups_of_the_link_are_never_limited() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "")?;
            let stations = segment.stations_of_everything(lab)?;
            let _member = join(lab, &segment.sandboxes[B], &["224.0.0.251".parse()?])?;
            ask_from_a(&segment, &stations)?;
            // Those of everybody and of a neighbour, and those by which names are asked of the link: mDNS (RFC 6762)
            // and LLMNR (RFC 4795).
            for group in [
                "224.0.0.1",
                "ff02::1",
                "ff02::1:ff99:9999",
                "224.0.0.251",
                "ff02::fb",
                "224.0.0.252",
                "ff02::1:3",
            ] {
                expect(&stations, group.parse()?, group, &[A, B, D])?;
            }
            ensure!(members(&segment, Ipv4Addr::new(224, 0, 0, 251).into())?.is_empty());
            Ok(())
        })
    }

    #[test]
    fn neighbours_find_each_other_at_once_while_groups_are_limited() -> Result<()> {
        Lab::run(|lab| {
            let mut segment = segment(lab, "")?;
            {
                let stations = segment.stations_of_everything(lab)?;
                ask_from_a(&segment, &stations)?;
            }
            for _ in 0..3 {
                segment.add(lab, "")?;
                let newest = segment.sandboxes.len() - 1;
                let ip = segment.ipv6(newest)?;
                // As soon as duplicate address detection is done, which itself is a group's affair.
                traffic::ping_soon(&segment.sandboxes[C], ip)?;
                traffic::ping(&segment.sandboxes[newest], segment.ipv6(D)?, 1)?;
                for sandbox in &segment.sandboxes {
                    sandbox.ip("neigh flush all")?;
                }
                traffic::ping(&segment.sandboxes[newest], segment.ipv6(B)?, 3)?;
                traffic::ping(&segment.sandboxes[B], ip, 3)?;
            }
            // Solicited-node groups are limited: d has one, and b does not hear of it.
            let IpAddr::V6(ip) = segment.ipv6(D)? else {
                unreachable!()
            };
            let [.., x, y, z] = ip.octets();
            let low = u16::from_be_bytes([y, z]);
            let solicited = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(x), low);
            wait_for_members(&segment, solicited.into(), &["d"])
        })
    }

    #[test]
    fn duplicate_addresses_are_found_while_groups_are_limited() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "")?;
            let stations = segment.stations_of_everything(lab)?;
            ask_from_a(&segment, &stations)?;
            let taken = segment.ipv6(B)?;
            segment.sandboxes[D].ip(&format!("addr add {taken}/64 dev eth0"))?;
            wait::until_true("the address to be found taken", wait::SOON, || {
                let shown = segment.sandboxes[D].ip("-6 addr show dev eth0")?;
                Ok(shown.contains("dadfailed"))
            })
        })
    }

    #[test]
    fn the_switch_asks_and_limits_by_itself() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "-o tapweave.querier=true")?;
            let stations = segment.stations_of_everything(lab)?;
            let groups = [GROUP_V4.into(), GROUP_V6.into()];
            let mut member = join(lab, &segment.sandboxes[B], &groups)?;
            // Ten seconds after the first query, which is how long hosts may wait.
            wait_until_limited_at_d(&stations)?;
            for group in groups {
                wait_for_members(&segment, group, &["b"])?;
                expect(&stations, group, "for b", &[B])?;
            }
            ensure!(mdb(&segment)?.iter().all(|row| row["kind"] == "temp"));
            // It asks b, by both IPs, whether somebody else listens, and then b is out.
            member.kill()?;
            for group in groups {
                wait_for_members(&segment, group, &[])?;
                expect(&stations, group, "for nobody", &[])?;
                let asked = |bytes: &[u8]| {
                    bytes.starts_with(&mac_of(group).octets())
                        && (bytes.get(23) == Some(&2) || bytes.get(62) == Some(&130))
                };
                expect_some(
                    stations[B].capture().checker()?,
                    "that ask for the group",
                    asked,
                )?;
                stations[D]
                    .capture()
                    .checker()?
                    .that("that ask", asked)
                    .none()?;
            }
            let dropped = segment.cli().counters("red/c")?.drops("no_listeners");
            ensure!(dropped >= 10, "{dropped} frames counted");
            Ok(())
        })
    }

    #[test]
    fn a_network_may_do_without() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "-o tapweave.snooping=false")?;
            let stations = segment.stations_of_everything(lab)?;
            let _member = join(lab, &segment.sandboxes[B], &[GROUP_V4.into()])?;
            ask(&segment.sandboxes[A])?;
            expect(&stations, GROUP_V4.into(), "for all", &[A, B, D])?;
            ensure!(mdb(&segment)?.is_empty());
            Ok(())
        })
    }

    #[test]
    fn queries_of_ports_can_be_refused() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "-o tapweave.query_guard=true")?;
            let stations = segment.stations_of_everything(lab)?;
            ask(&segment.sandboxes[A])?;
            settle(&stations, A)?;
            for station in &stations[1..] {
                let query = |bytes: &[u8]| bytes.starts_with(&[0x01, 0, 0x5e, 0, 0, 1]);
                station
                    .capture()
                    .checker()?
                    .that("that ask", query)
                    .none()?;
            }
            ensure!(segment.cli().counters("red/a")?.drops("query_refused") == 2);
            let rows = mdb(&segment)?;
            ensure!(rows.iter().all(|row| row["kind"] != "router"), "{rows:?}");
            expect(&stations, GROUP_V4.into(), "for all", &[A, B, D])
        })
    }

    #[test]
    fn messages_that_are_not_as_they_should_be_are_not_believed() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "")?;
            let stations = segment.stations_of_everything(lab)?;
            ask_from_a(&segment, &stations)?;
            let invalid = || -> Result<u64> {
                let shown = segment.cli().json("port show red/d")?;
                let count = shown["counters"]["mdb_invalid"].as_u64();
                Ok(count.unwrap_or_default())
            };
            let before = invalid()?;
            scapy(
                &segment.sandboxes[D],
                "
group, group6 = '239.66.0.1', 'ff15::66'
report = IGMP(type=0x16, mrcode=0, gaddr=group)
report6 = ICMPv6MLReport(mladdr=group6)
wrong = Ether(bytes(v4(group) / report))
wrong[IGMP].chksum ^= 1
wrong6 = Ether(bytes(v6(group6) / report6))
wrong6[ICMPv6MLReport].cksum ^= 1
padding = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])
alert6 = IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b'')])
more = alert6 / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])
short = bytes(v4('224.0.0.22') / IGMPv3(type=0x22) / IGMPv3mr(records=[IGMPv3gr(rtype=4, maddr=group)]))
lying = bytearray(short)
lying[14 + 24 + 7] = 9
lying[14 + 24 + 2:14 + 24 + 4] = bytes(2)
lying[14 + 24 + 2:14 + 24 + 4] = checksum(bytes(lying[14 + 24:])).to_bytes(2, 'big')
send(
    wrong,
    wrong6,
    v4(group, ttl=2) / report,
    v6(group6, hlim=255) / report6,
    v6(group6, options=padding) / report6,
    v6(group6, options=more) / report6,
    v6(group6, src='fd00:213::9') / report6,
    v4(group) / IGMP(type=0x16, mrcode=0, gaddr='10.0.0.1'),
    v4(group, frag=0, flags='MF') / report,
    Raw(bytes(lying)),
    v4('239.66.0.2') / IGMP(type=0x11, mrcode=5),
    v6('ff02::1', src='::') / ICMPv6MLQuery(mrd=500),
)
",
            )?;
            settle(&stations, D)?;
            for group in ["239.66.0.1", "ff15::66"] {
                ensure!(members(&segment, group.parse()?)?.is_empty(), "{group}");
            }
            ensure!(
                mdb(&segment)?
                    .iter()
                    .all(|row| row["kind"] != "router" || row["port"] == "red/a")
            );
            ensure!(invalid()? - before == 12, "{} counted", invalid()? - before);
            Ok(())
        })
    }

    #[test]
    fn messages_of_every_version_are_believed_in_their_vlan() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "-o tapweave.fast_leave=true")?;
            let stations = segment.stations_of_everything(lab)?;
            scapy(
                &segment.sandboxes[D],
                "
def tagged(packet):
    tag = Dot1Q(vlan=7, type=packet.type) / packet.payload
    return Ether(src=packet.src, dst=packet.dst, type=0x8100) / tag
def report3(kind, group):
    return IGMPv3(type=0x22) / IGMPv3mr(records=[IGMPv3gr(rtype=kind, maddr=group)])
def report6(kind, group):
    return ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=kind, dst=group)])
packets = [
    v4('239.7.0.1', options=[]) / IGMP(type=0x12, mrcode=0, gaddr='239.7.0.1'),
    v4('239.7.0.2') / IGMP(type=0x16, mrcode=0, gaddr='239.7.0.2'),
    v4('224.0.0.22') / report3(4, '239.7.0.3'),
    v4('224.0.0.22') / report3(3, '239.7.0.9'),
    v6('ff15::71') / ICMPv6MLReport(mladdr='ff15::71'),
    v6('ff02::16', src='::') / report6(2, 'ff15::72'),
    # What is left is not there any more.
    v4('239.7.0.4') / IGMP(type=0x16, mrcode=0, gaddr='239.7.0.4'),
    v4('224.0.0.2') / IGMP(type=0x17, mrcode=0, gaddr='239.7.0.4'),
    v6('ff15::73') / ICMPv6MLReport(mladdr='ff15::73'),
    v6('ff02::2') / ICMPv6MLDone(mladdr='ff15::73'),
]
send(*packets, *map(tagged, packets))
",
            )?;
            settle(&stations, D)?;
            let rows = mdb(&segment)?;
            for vid in [None, Some(7)] {
                let in_vlan = rows.iter().filter(|row| {
                    let ours = row["group"].as_str().is_some_and(|group| {
                        group.starts_with("239.7.") || group.starts_with("ff15::7")
                    });
                    ours && row["vid"].as_u64() == vid && row["port"] == "red/d"
                });
                let groups: Vec<_> = in_vlan.filter_map(|row| row["group"].as_str()).collect();
                let wanted = [
                    "239.7.0.1",
                    "239.7.0.2",
                    "239.7.0.3",
                    "ff15::71",
                    "ff15::72",
                ];
                ensure!(groups == wanted, "{vid:?}: {groups:?}");
            }
            Ok(())
        })
    }

    #[test]
    fn a_flood_of_memberships_is_bounded_and_hurts_its_port_only() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, "-o tapweave.mdb_limit=800")?;
            let stations = segment.stations_of_everything(lab)?;
            ask_from_a(&segment, &stations)?;
            scapy(
                &segment.sandboxes[D],
                "
records = [IGMPv3gr(rtype=4, maddr=f'239.88.0.{n}') for n in range(150)]
send(v4('224.0.0.22') / IGMPv3(type=0x22) / IGMPv3mr(records=records))
",
            )?;
            settle(&stations, D)?;
            let rows = mdb(&segment)?;
            let of = |kind: &str| {
                let ours = rows.iter().filter(|row| row["port"] == "red/d");
                ours.filter(|row| row["kind"] == kind).count()
            };
            ensure!(
                of("temp") == 100,
                "an eighth of the table, not {}",
                of("temp")
            );
            ensure!(of("full") == 2, "once for each IP, not {}", of("full"));
            expect(&stations, "239.88.0.149".parse()?, "did not fit", &[A, D])?;
            let _member = join(lab, &segment.sandboxes[B], &[GROUP_V4.into()])?;
            wait_for_members(&segment, GROUP_V4.into(), &["b"])?;
            expect(&stations, GROUP_V4.into(), "fits", &[A, B, D])
        })
    }
}
