//! Flows of the address translation in a journal.
//!
//! A section of [`Table::Flows`] says what flow stands in a place, one of [`Table::FlowsGone`] in which places there is
//! none; the later one is right. So the flows are those that are left at the end.

use std::collections::BTreeMap;

use tapweave_nat::table::{Endpoint, Entry, Realm, Tuple};
use tapweave_net::{IpProtocol, NetworkNo, Timestamp};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::address::{Octets, address, octets};
use crate::container::{End, Section, Sections, add_section};
use crate::records::{add, records};

/// The flows by their places. Networks have the numbers of the process that wrote them.
pub type Flows = BTreeMap<u32, Entry>;

/// What stands in places now that something else stood in; none where no flow does.
pub type FlowChanges = BTreeMap<u32, Option<Entry>>;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FlowRecord {
    place: U32,
    label: U32,
    state: U32,
    protocol: u8,
    reserved: [u8; 3],
    expires: U64,
    words: [U64; Entry::WORDS],
    packets: [U64; 2],
    bytes: [U64; 2],
    original: Key,
    reply: Key,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Key {
    /// Zero for the outside.
    network: U32,
    src_port: U16,
    dst_port: U16,
    src: Octets,
    dst: Octets,
}

/// Bytes of a flow.
pub const RECORD_LEN: usize = size_of::<FlowRecord>();
const _: () = assert!(RECORD_LEN == 160);

/// Adds to a file which flow stands in which place.
pub fn write<'a>(file: &mut Vec<u8>, flows: impl IntoIterator<Item = (u32, &'a Entry)>) {
    add_section(file, Table::Flows, |to| {
        for (place, flow) in flows {
            add(to, &FlowRecord::new(place, flow));
        }
    });
}

/// Adds to a file in which places there is no flow.
pub fn write_gone(file: &mut Vec<u8>, places: impl IntoIterator<Item = u32>) {
    add_section(file, Table::FlowsGone, |to| {
        for place in places {
            add(to, &U32::new(place));
        }
    });
}

/// Tells `tell` what flow stands in which place by a section. Nothing when it is not made of records.
pub(crate) fn read(bytes: &[u8], mut tell: impl FnMut(u32, Entry)) -> Option<()> {
    for record in records::<FlowRecord>(bytes)? {
        tell(record.place.get(), record.flow());
    }
    Some(())
}

/// As [`read`], of places without a flow.
pub(crate) fn read_gone(bytes: &[u8], mut tell: impl FnMut(u32)) -> Option<()> {
    for place in records::<U32>(bytes)? {
        tell(place.get());
    }
    Some(())
}

/// Reads what was added to a journal. Nothing when it says, or may say, more than what became of flows: then it is to
/// be read as a whole.
pub fn changes(added: &[u8]) -> Option<FlowChanges> {
    let mut changes = FlowChanges::new();
    let mut sections = Sections::after_header(added);
    for section in sections.by_ref() {
        let Section::Records {
            table,
            version,
            bytes,
        } = section
        else {
            return None;
        };
        match Table::from_number(table)? {
            table if table.version() != version => return None,
            Table::Flows => read(bytes, |place, flow| {
                changes.insert(place, Some(flow));
            })?,
            Table::FlowsGone => read_gone(bytes, |place| {
                changes.insert(place, None);
            })?,
            Table::Networks
            | Table::Ports
            | Table::Stations
            | Table::Neighbors
            | Table::Members
            | Table::GroupPorts
            | Table::Queriers
            | Table::Peers
            | Table::Stopped => return None,
        }
    }
    (sections.end() == End::Whole).then_some(changes)
}

impl FlowRecord {
    fn new(place: u32, flow: &Entry) -> Self {
        Self {
            place: U32::new(place),
            label: U32::new(flow.label),
            state: U32::new(flow.state),
            protocol: flow.original.protocol.0,
            reserved: [0; 3],
            expires: U64::new(flow.expires.as_nanos()),
            words: flow.words.map(U64::new),
            packets: flow.packets.map(U64::new),
            bytes: flow.bytes.map(U64::new),
            original: Key::new(&flow.original),
            reply: Key::new(&flow.reply),
        }
    }

    fn flow(&self) -> Entry {
        let protocol = IpProtocol(self.protocol);
        Entry {
            original: self.original.tuple(protocol),
            reply: self.reply.tuple(protocol),
            label: self.label.get(),
            state: self.state.get(),
            expires: Timestamp::from_nanos(self.expires.get()),
            words: self.words.map(U64::get),
            packets: self.packets.map(U64::get),
            bytes: self.bytes.map(U64::get),
        }
    }
}

impl Key {
    fn new(tuple: &Tuple) -> Self {
        Self {
            network: U32::new(tuple.realm.network().map_or(0, |network| network.0)),
            src_port: U16::new(tuple.src.port()),
            dst_port: U16::new(tuple.dst.port()),
            src: octets(tuple.src.ip()),
            dst: octets(tuple.dst.ip()),
        }
    }

    fn tuple(&self, protocol: IpProtocol) -> Tuple {
        Tuple {
            realm: Realm::of(NetworkNo(self.network.get())),
            protocol,
            src: Endpoint::new(address(self.src), self.src_port.get()),
            dst: Endpoint::new(address(self.dst), self.dst_port.get()),
        }
    }
}
