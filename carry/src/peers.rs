//! What is known of the hosts of overlays.

use tapweave_encap::FoundPath;
use tapweave_net::{PortNo, Timestamp};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::container::add_section;
use crate::records::{add, records};

/// What is known of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedPeer {
    /// Its port.
    pub port: PortNo,
    /// When it was last heard, if it was.
    pub heard: Option<Timestamp>,
    /// That the path to it takes less than the kernel knows, if it does.
    pub path: Option<FoundPath>,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PeerRecord {
    port: U32,
    is_heard: U16,
    /// Zero when nothing was found of the path.
    path_len: U16,
    heard: U64,
    answered: U64,
    raise_at: U64,
}

const _: () = assert!(size_of::<PeerRecord>() == 32);

/// Adds to a file what is known of hosts. The names of their ports have to come before.
pub fn write<'a>(file: &mut Vec<u8>, peers: impl IntoIterator<Item = &'a LearnedPeer>) {
    add_section(file, Table::Peers, |to| {
        for peer in peers {
            let nanos = |time: Option<Timestamp>| U64::new(time.map_or(0, Timestamp::as_nanos));
            let record = PeerRecord {
                port: U32::new(peer.port.to_u32()),
                is_heard: U16::new(peer.heard.is_some().into()),
                path_len: U16::new(peer.path.map_or(0, |path| path.size)),
                heard: nanos(peer.heard),
                answered: nanos(peer.path.map(|path| path.answered)),
                raise_at: nanos(peer.path.map(|path| path.raise_at)),
            };
            add(to, &record);
        }
    });
}

/// Adds to `peers` what a section says. Nothing when it is not made of records.
pub(crate) fn read(bytes: &[u8], peers: &mut Vec<LearnedPeer>) -> Option<()> {
    for record in records::<PeerRecord>(bytes)? {
        let found = FoundPath {
            size: record.path_len.get(),
            answered: Timestamp::from_nanos(record.answered.get()),
            raise_at: Timestamp::from_nanos(record.raise_at.get()),
        };
        peers.push(LearnedPeer {
            port: PortNo::from_u32(record.port.get()),
            heard: (record.is_heard != U16::ZERO)
                .then(|| Timestamp::from_nanos(record.heard.get())),
            path: (found.size > 0).then_some(found),
        });
    }
    Some(())
}
