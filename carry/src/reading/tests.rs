//! What is read of whole, damaged and strange files.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tapweave_encap::FoundPath;
use tapweave_nat::table::{Endpoint, Entry, Realm, Tuple};
use tapweave_net::{IpProtocol, MacAddr, NetworkNo, PortNo, Timestamp, Vid};
use tapweave_smoke::Source;
use tapweave_switch::{Family, Group};

use super::*;
use crate::container::{HEADER_LEN, SECTION_HEADER_LEN, add_section};
use crate::fuzzing::{BOOT, carried_state, written};
use crate::ports::{Owner, PortName};

fn id(digit: char) -> String {
    digit.to_string().repeat(names::ID_LEN)
}

fn tuple(network: u32, src: &str, dst: &str) -> Tuple {
    let [src, dst] = [src, dst].map(|text| {
        let socket: core::net::SocketAddr = text.parse().unwrap();
        Endpoint::from(socket)
    });
    Tuple {
        realm: Realm::of(NetworkNo(network)),
        protocol: IpProtocol::TCP,
        src,
        dst,
    }
}

fn flow() -> Entry {
    Entry {
        label: 0x29,
        state: 0x4000_1232,
        words: [0x0102_0304_0506_0708, 2, 3],
        packets: [4, 5],
        bytes: [6, 7],
        ..Entry::new(
            tuple(1, "10.0.0.2:4000", "198.51.100.1:80"),
            tuple(0, "198.51.100.1:80", "192.0.2.1:40000"),
            Timestamp::from_secs(7440),
        )
    }
}

fn carried() -> Carried {
    let mut v6 = flow();
    v6.original = tuple(2, "[fd00::2]:5353", "[2001:db8::9]:53");
    v6.reply = tuple(0, "[2001:db8::9]:53", "[2001:db8::1]:1024");
    Carried {
        networks: [(NetworkNo(1), id('a')), (NetworkNo(2), id('b'))].into(),
        flows: [(0, flow()), (77, v6)].into(),
        ..learned()
    }
}

fn port(index: u32) -> PortNo {
    PortNo::new(index, 1)
}

/// What two ports of the first network have learned, those of an endpoint and of a peer.
fn learned() -> Carried {
    let at = Timestamp::from_secs;
    let name = |owner| PortName {
        network: NetworkNo(1),
        owner,
    };
    let mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
    let vid = Vid::new(7).ok();
    Carried {
        ports: [
            (port(0), name(Owner::Endpoint(id('c')))),
            (port(1), name(Owner::Peer([192, 0, 2, 9].into()))),
        ]
        .into(),
        stations: [(None, false), (vid, true)]
            .map(|(vid, is_sticky)| LearnedStation {
                mac,
                vid,
                port: port(0),
                is_sticky,
                seen: at(990),
            })
            .into(),
        neighbors: vec![(
            NetworkNo(2),
            LearnedNeighbor {
                address: [10, 0, 0, 7].into(),
                mac,
                vid: None,
                heard: at(980),
                used: at(981),
            },
        )],
        members: ["239.1.1.1", "ff15::1"]
            .map(|group| LearnedMember {
                vid: None,
                group: Group::new(group.parse().unwrap()).unwrap(),
                port: port(0),
                since: at(970),
                expires: at(1100),
                v1_until: Timestamp::ZERO,
            })
            .into(),
        group_ports: [Some(Family::V4), Some(Family::V6), None]
            .map(|router| LearnedGroupPort {
                port: port(1),
                router,
                since: at(960),
                expires: at(1200),
            })
            .into(),
        queriers: vec![(
            NetworkNo(1),
            LearnedQuerier {
                vid,
                family: Family::V6,
                last: at(950),
                from: at(960),
                until: at(1205),
                other_until: at(1206),
            },
        )],
        peers: vec![
            LearnedPeer {
                port: port(1),
                heard: Some(at(999)),
                path: Some(FoundPath {
                    size: 1400,
                    answered: at(998),
                    raise_at: at(1500),
                }),
            },
            LearnedPeer {
                port: port(2),
                heard: None,
                path: None,
            },
        ],
        stopped: Some(at(1001)),
        ..Carried::default()
    }
}

/// Returns where the section of a table begins.
fn section_at(file: &[u8], table: Table) -> usize {
    let mut at = HEADER_LEN;
    loop {
        let header = &file[at..at + SECTION_HEADER_LEN];
        if header[..2] == table.number().to_le_bytes() {
            return at;
        }
        let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        at += SECTION_HEADER_LEN + usize::try_from(len).unwrap();
    }
}

#[test]
fn each_table_is_refused_alone_with_all_that_its_names_name() {
    let is_empty = |carried: &Carried, table: Table| match table {
        Table::Networks => carried.networks.is_empty(),
        Table::Flows | Table::FlowsGone => carried.flows.is_empty(),
        Table::Ports => carried.ports.is_empty(),
        Table::Stations => carried.stations.is_empty(),
        Table::Neighbors => carried.neighbors.is_empty(),
        Table::Members => carried.members.is_empty(),
        Table::GroupPorts => carried.group_ports.is_empty(),
        Table::Queriers => carried.queriers.is_empty(),
        Table::Peers => carried.peers.is_empty(),
        Table::Stopped => carried.stopped.is_none(),
    };
    for refused in Table::ALL {
        if refused == Table::FlowsGone {
            continue;
        }
        let mut file = written(&carried());
        let at = section_at(&file, refused);
        change_version(&mut file, at, 9);
        let read = read(&file, BOOT).unwrap();
        assert_eq!(
            read.refused[refused.as_str()].to_string(),
            "they are of version 9, and this tapweave reads version 1"
        );
        let depends = |table: Table| {
            table.as_str() == refused.as_str()
                || refused == Table::Networks && table != Table::Stopped
                || refused == Table::Ports && table.names() == Some(Table::Ports)
        };
        for table in Table::ALL {
            assert_eq!(is_empty(&read, table), depends(table), "{refused}: {table}");
            let is_told = read.refused.contains_key(table.as_str());
            assert_eq!(is_told, depends(table), "{refused}: {table}");
        }
    }
}

#[test]
fn what_no_record_can_mean_is_damaged() {
    let wrong = [
        // A VID of 65535, a group that is none, and a router of IPv5.
        (Table::Stations, 6, [0xff, 0xff]),
        (Table::Members, 12, [10, 0]),
        (Table::GroupPorts, 4, [5, 0]),
        (Table::Queriers, 6, [0, 0]),
        (Table::Ports, 8, [3, 0]),
    ];
    for (table, offset, octets) in wrong {
        let mut file = written(&carried());
        let at = section_at(&file, table);
        let place = at + SECTION_HEADER_LEN + offset;
        file[place..place + 2].copy_from_slice(&octets);
        sign_records(&mut file, at);
        let read = read(&file, BOOT).unwrap();
        assert_eq!(read.refused[table.as_str()], Refusal::Damaged, "{table}");
        assert_eq!(read.flows, carried().flows);
    }
}

#[test]
fn a_station_of_a_full_table_takes_24_octets() {
    let mut file = Vec::new();
    stations::write(&mut file, &vec![learned().stations[0]; 1000]);
    assert_eq!(file.len(), SECTION_HEADER_LEN + 24_000);
}

/// The layout may not change unless the version does. If this fails, give the table another version and write the
/// file anew: `TAPWEAVE_BLESS=1 cargo test -p tapweave-carry golden`.
#[test]
fn the_golden_file_says_what_is_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/v1.state");
    if std::env::var_os("TAPWEAVE_BLESS").is_some() {
        std::fs::write(path, written(&carried())).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    assert_eq!(written(&carried()), golden);
    assert_eq!(read(&golden, BOOT), Ok(carried()));
}

#[test]
fn the_last_word_on_a_place_counts() {
    let mut file = written(&carried());
    let moved = Entry { state: 1, ..flow() };
    flows::write_gone(&mut file, [0, 5]);
    flows::write(&mut file, [(77, &moved), (5, &flow())]);
    let read = read(&file, BOOT).unwrap();
    assert_eq!(read.flows, [(5, flow()), (77, moved)].into());
    assert!(read.refused.is_empty());
}

#[test]
fn a_table_of_another_version_costs_that_table_only() {
    let mut file = written(&carried());
    // The flows, which come after the names.
    let at = HEADER_LEN + SECTION_HEADER_LEN + 2 * 68;
    change_version(&mut file, at, 9);
    let read = read(&file, BOOT).unwrap();
    assert_eq!(read.networks, carried().networks);
    assert!(read.flows.is_empty());
    let reason = read.refused["translated flows"];
    assert_eq!(reason, Refusal::Version { found: 9, known: 1 });
    assert_eq!(
        reason.to_string(),
        "they are of version 9, and this tapweave reads version 1"
    );
    assert_eq!(read.refused.len(), 1);
}

#[test]
fn without_names_nothing_is_taken() {
    let mut file = written(&carried());
    file[HEADER_LEN + SECTION_HEADER_LEN + 7] ^= 1;
    let read = read(&file, BOOT).unwrap();
    assert_eq!((read.networks.len(), read.flows.len()), (0, 0));
    assert_eq!(read.refused["names of networks"], Refusal::Damaged);
    assert_eq!(read.refused["translated flows"], Refusal::Unnamed);
}

#[test]
fn a_damaged_section_costs_its_table_and_a_torn_one_nothing() {
    let whole = written(&carried());
    let mut damaged = whole.clone();
    // The last octet of the flows.
    damaged[section_at(&whole, Table::Ports) - 1] ^= 1;
    let damaged = read(&damaged, BOOT).unwrap();
    assert_eq!(damaged.networks, carried().networks);
    assert_eq!(damaged.refused["translated flows"], Refusal::Damaged);
    let mut torn = whole;
    flows::write(&mut torn, [(0, &Entry { state: 9, ..flow() })]);
    torn.pop();
    assert_eq!(read(&torn, BOOT), Ok(carried()));
}

#[test]
fn what_is_no_whole_number_of_records_is_damaged_and_strange_tables_are_left_out() {
    for table in Table::ALL {
        let mut file = written(&carried());
        add_section(&mut file, table, |to| to.push(1));
        let read = read(&file, BOOT).unwrap();
        assert_eq!(read.refused[table.as_str()], Refusal::Damaged);
    }
    let mut file = written(&carried());
    let at = file.len();
    add_section(&mut file, Table::Flows, |to| to.push(1));
    change_number(&mut file, at, 999);
    assert_eq!(read(&file, BOOT), Ok(carried()));
}

/// Gives the section at `at` another version of its table.
fn change_version(file: &mut [u8], at: usize, version: u16) {
    file[at + 2..at + 4].copy_from_slice(&version.to_le_bytes());
    sign(file, at);
}

/// Gives the section at `at` the number of another table.
fn change_number(file: &mut [u8], at: usize, number: u16) {
    file[at..at + 2].copy_from_slice(&number.to_le_bytes());
    sign(file, at);
}

/// Gives the section at `at` the checksums of what it holds; returns where the next one begins.
fn sign_records(file: &mut [u8], at: usize) -> Option<usize> {
    let header = file.get(at..at + SECTION_HEADER_LEN)?;
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let records = file.get(at + SECTION_HEADER_LEN..)?.get(..len)?;
    let checksum = crc32fast::hash(records).to_le_bytes();
    file[at + 8..at + 12].copy_from_slice(&checksum);
    sign(file, at);
    Some(at + SECTION_HEADER_LEN + len)
}

fn sign(file: &mut [u8], at: usize) {
    let checksum = crc32fast::hash(&file[at..at + 12]);
    file[at + 12..at + 16].copy_from_slice(&checksum.to_le_bytes());
}

fn any_end() -> impl Strategy<Value = Endpoint> {
    let v4 = any::<([u8; 4], u16)>().prop_map(|(ip, port)| Endpoint::new(ip.into(), port));
    let v6 = any::<([u8; 16], u16)>().prop_map(|(ip, port)| {
        let ip = core::net::Ipv6Addr::from(ip).to_canonical();
        Endpoint::new(ip, port)
    });
    prop_oneof![v4, v6]
}

fn any_flow() -> impl Strategy<Value = Entry> {
    let tuple = || (any::<u32>(), any_end(), any_end());
    let numbers = (any::<u32>(), any::<u32>(), any::<u64>());
    let words = any::<([u64; 3], [u64; 2], [u64; 2])>();
    (tuple(), tuple(), any::<u8>(), numbers, words).prop_map(
        |(original, reply, protocol, (label, state, expires), (words, packets, bytes))| {
            let [original, reply] = [original, reply].map(|(network, src, dst)| Tuple {
                realm: Realm::of(NetworkNo(network)),
                protocol: IpProtocol(protocol),
                src,
                dst,
            });
            Entry {
                original,
                reply,
                label,
                state,
                expires: Timestamp::from_nanos(expires),
                words,
                packets,
                bytes,
            }
        },
    )
}

proptest! {
    #[test]
    fn every_flow_comes_back(flows in btree_map(any::<u32>(), any_flow(), 0..20)) {
        let carried = Carried { networks: carried().networks, flows, ..Carried::default() };
        prop_assert_eq!(read(&written(&carried), BOOT), Ok(carried));
    }

    #[test]
    fn whatever_the_bytes_are_nothing_panics(bytes in vec(any::<u8>(), 0..600)) {
        carried_state(&bytes);
    }
}

#[test]
fn a_short_run_of_the_fuzz_target() {
    let mut source = Source::new(3);
    let whole = written(&carried());
    let (_, sections) = whole.split_at(HEADER_LEN);
    for _ in 0..3_000 {
        let mut input = sections.to_vec();
        source.mutate(&mut input, &[16, 200, usize::MAX]);
        // With right checksums, so that what is in the sections is looked at.
        if source.below(2) == 0 {
            let mut at = 0;
            while let Some(next) = sign_records(&mut input, at) {
                at = next;
            }
        }
        carried_state(&input);
    }
}

#[test]
fn a_journal_is_read_while_it_grows() {
    let mut file = written(&Carried {
        networks: carried().networks,
        flows: carried().flows,
        ..Carried::default()
    });
    let (so_far, len) = read_so_far(&file, BOOT).unwrap();
    assert_eq!((so_far.flows, len), (carried().flows, file.len()));
    let moved = Entry { state: 1, ..flow() };
    flows::write(&mut file, [(5, &flow()), (0, &moved)]);
    flows::write_gone(&mut file, [77, 5]);
    let changes = [(0, Some(moved)), (5, None), (77, None)];
    assert_eq!(flows::changes(&file[len..]), Some(changes.into()));
    // What is torn, damaged or about names makes it necessary to read the whole.
    let added = &file[len..];
    assert_eq!(flows::changes(&added[..added.len() - 1]), None);
    let mut damaged = added.to_vec();
    damaged[20] ^= 1;
    assert_eq!(flows::changes(&damaged), None);
    let mut named = added.to_vec();
    names::write(&mut named, &carried().networks);
    assert_eq!(flows::changes(&named), None);
    let torn = read_so_far(&file[..file.len() - 1], BOOT).unwrap();
    assert_eq!(torn.1, len + SECTION_HEADER_LEN + 2 * flows::RECORD_LEN);
}
