//! Neighbours that gateways have found by asking.

use tapweave_net::{MacAddr, NetworkNo, Timestamp};
use tapweave_switch::LearnedNeighbor;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::address::{Octets, address, octets};
use crate::container::add_section;
use crate::records::{add, records};
use crate::vlan;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NeighborRecord {
    address: Octets,
    mac: [u8; 6],
    vid: U16,
    network: U32,
    reserved: U32,
    heard: U64,
    used: U64,
}

const _: () = assert!(size_of::<NeighborRecord>() == 48);

/// Adds neighbours to a file, each with the number of its network.
pub fn write<'a>(
    file: &mut Vec<u8>,
    neighbors: impl IntoIterator<Item = (NetworkNo, &'a LearnedNeighbor)>,
) {
    add_section(file, Table::Neighbors, |to| {
        for (network, neighbor) in neighbors {
            let record = NeighborRecord {
                address: octets(neighbor.address),
                mac: neighbor.mac.octets(),
                vid: vlan::number(neighbor.vid),
                network: U32::new(network.0),
                reserved: U32::ZERO,
                heard: U64::new(neighbor.heard.as_nanos()),
                used: U64::new(neighbor.used.as_nanos()),
            };
            add(to, &record);
        }
    });
}

/// Adds to `neighbors` what a section says. Nothing when it is not made of records.
pub(crate) fn read(bytes: &[u8], neighbors: &mut Vec<(NetworkNo, LearnedNeighbor)>) -> Option<()> {
    for record in records::<NeighborRecord>(bytes)? {
        let neighbor = LearnedNeighbor {
            address: address(record.address),
            mac: MacAddr::new(record.mac),
            vid: vlan::vid(record.vid).ok()?,
            heard: Timestamp::from_nanos(record.heard.get()),
            used: Timestamp::from_nanos(record.used.get()),
        };
        neighbors.push((NetworkNo(record.network.get()), neighbor));
    }
    Some(())
}
