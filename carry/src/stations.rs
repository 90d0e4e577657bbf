//! Stations that FDBs have learned.

use tapweave_net::{MacAddr, PortNo, Timestamp};
use tapweave_switch::LearnedStation;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::container::add_section;
use crate::records::{add, records};
use crate::vlan;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StationRecord {
    mac: [u8; 6],
    vid: U16,
    port: U32,
    is_sticky: U32,
    seen: U64,
}

/// Bytes of a station.
pub const RECORD_LEN: usize = size_of::<StationRecord>();
const _: () = assert!(RECORD_LEN == 24);

/// Adds stations to a file. The names of their ports have to come before.
pub fn write<'a>(file: &mut Vec<u8>, stations: impl IntoIterator<Item = &'a LearnedStation>) {
    add_section(file, Table::Stations, |to| {
        for station in stations {
            let record = StationRecord {
                mac: station.mac.octets(),
                vid: vlan::number(station.vid),
                port: U32::new(station.port.to_u32()),
                is_sticky: U32::new(station.is_sticky.into()),
                seen: U64::new(station.seen.as_nanos()),
            };
            add(to, &record);
        }
    });
}

/// Adds to `stations` what a section says. Nothing when it is not made of records.
pub(crate) fn read(bytes: &[u8], stations: &mut Vec<LearnedStation>) -> Option<()> {
    for record in records::<StationRecord>(bytes)? {
        stations.push(LearnedStation {
            mac: MacAddr::new(record.mac),
            vid: vlan::vid(record.vid).ok()?,
            port: PortNo::from_u32(record.port.get()),
            is_sticky: record.is_sticky != U32::ZERO,
            seen: Timestamp::from_nanos(record.seen.get()),
        });
    }
    Some(())
}
