//! Multicast groups: who listens, which ports get all, and who asks.
//!
//! Frames are kept from ports that did not say that they listen, from when on somebody who asks had all answers. So
//! who asks is only written where all is known of members: by a daemon that has stopped to forward.

use tapweave_net::{NetworkNo, PortNo, Timestamp};
use tapweave_switch::{Family, Group, LearnedGroupPort, LearnedMember, LearnedQuerier};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::address::{Octets, address, octets};
use crate::container::add_section;
use crate::records::{add, records};
use crate::vlan;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct MemberRecord {
    group: Octets,
    port: U32,
    vid: U16,
    reserved: U16,
    since: U64,
    expires: U64,
    v1_until: U64,
}

const _: () = assert!(size_of::<MemberRecord>() == 48);

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PortRecord {
    port: U32,
    /// The version of IP of the router; zero for none.
    router: U32,
    since: U64,
    expires: U64,
}

const _: () = assert!(size_of::<PortRecord>() == 24);

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct QuerierRecord {
    network: U32,
    vid: U16,
    family: U16,
    last: U64,
    from: U64,
    until: U64,
    other_until: U64,
}

const _: () = assert!(size_of::<QuerierRecord>() == 40);

/// Adds to a file who listens to which group. The names of ports have to come before.
pub fn write_members<'a>(file: &mut Vec<u8>, members: impl IntoIterator<Item = &'a LearnedMember>) {
    add_section(file, Table::Members, |to| {
        for member in members {
            let record = MemberRecord {
                group: octets(member.group.address()),
                port: U32::new(member.port.to_u32()),
                vid: vlan::number(member.vid),
                reserved: U16::ZERO,
                since: U64::new(member.since.as_nanos()),
                expires: U64::new(member.expires.as_nanos()),
                v1_until: U64::new(member.v1_until.as_nanos()),
            };
            add(to, &record);
        }
    });
}

/// Adds to a file which ports get all groups. The names of ports have to come before.
pub fn write_ports<'a>(file: &mut Vec<u8>, ports: impl IntoIterator<Item = &'a LearnedGroupPort>) {
    add_section(file, Table::GroupPorts, |to| {
        for port in ports {
            let record = PortRecord {
                port: U32::new(port.port.to_u32()),
                router: U32::new(port.router.map_or(0, version).into()),
                since: U64::new(port.since.as_nanos()),
                expires: U64::new(port.expires.as_nanos()),
            };
            add(to, &record);
        }
    });
}

/// Adds to a file who asks in which VLAN of which network.
pub fn write_queriers<'a>(
    file: &mut Vec<u8>,
    queriers: impl IntoIterator<Item = (NetworkNo, &'a LearnedQuerier)>,
) {
    add_section(file, Table::Queriers, |to| {
        for (network, querier) in queriers {
            let record = QuerierRecord {
                network: U32::new(network.0),
                vid: vlan::number(querier.vid),
                family: U16::new(version(querier.family)),
                last: U64::new(querier.last.as_nanos()),
                from: U64::new(querier.from.as_nanos()),
                until: U64::new(querier.until.as_nanos()),
                other_until: U64::new(querier.other_until.as_nanos()),
            };
            add(to, &record);
        }
    });
}

/// Adds to `members` what a section says. Nothing when it is not made of records of groups.
pub(crate) fn read_members(bytes: &[u8], members: &mut Vec<LearnedMember>) -> Option<()> {
    for record in records::<MemberRecord>(bytes)? {
        members.push(LearnedMember {
            vid: vlan::vid(record.vid).ok()?,
            group: Group::new(address(record.group))?,
            port: PortNo::from_u32(record.port.get()),
            since: Timestamp::from_nanos(record.since.get()),
            expires: Timestamp::from_nanos(record.expires.get()),
            v1_until: Timestamp::from_nanos(record.v1_until.get()),
        });
    }
    Some(())
}

/// As [`read_members`], of ports that get all groups.
pub(crate) fn read_ports(bytes: &[u8], ports: &mut Vec<LearnedGroupPort>) -> Option<()> {
    for record in records::<PortRecord>(bytes)? {
        ports.push(LearnedGroupPort {
            port: PortNo::from_u32(record.port.get()),
            router: match record.router.get() {
                0 => None,
                version => Some(family(version)?),
            },
            since: Timestamp::from_nanos(record.since.get()),
            expires: Timestamp::from_nanos(record.expires.get()),
        });
    }
    Some(())
}

/// As [`read_members`], of those who ask.
pub(crate) fn read_queriers(
    bytes: &[u8],
    queriers: &mut Vec<(NetworkNo, LearnedQuerier)>,
) -> Option<()> {
    for record in records::<QuerierRecord>(bytes)? {
        let querier = LearnedQuerier {
            vid: vlan::vid(record.vid).ok()?,
            family: family(record.family.get().into())?,
            last: Timestamp::from_nanos(record.last.get()),
            from: Timestamp::from_nanos(record.from.get()),
            until: Timestamp::from_nanos(record.until.get()),
            other_until: Timestamp::from_nanos(record.other_until.get()),
        };
        queriers.push((NetworkNo(record.network.get()), querier));
    }
    Some(())
}

const fn version(family: Family) -> u16 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

const fn family(version: u32) -> Option<Family> {
    match version {
        4 => Some(Family::V4),
        6 => Some(Family::V6),
        _ => None,
    }
}
