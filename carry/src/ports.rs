//! What the numbers of ports mean: which endpoint, or which host of an overlay, had which.

use core::net::IpAddr;
use std::collections::BTreeMap;

use tapweave_net::{NetworkNo, PortNo};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::address::{address, octets};
use crate::container::add_section;
use crate::names::ID_LEN;
use crate::records::{add, records};

/// The names of ports by the numbers that they have in a process.
pub type Ports = BTreeMap<PortNo, PortName>;

/// What outlives the process of a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PortName {
    /// The number of its network: see [`names`](crate::names).
    pub network: NetworkNo,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a port is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// That of the endpoint with this id.
    Endpoint(String),
    /// That of the host of an overlay, or of a group of them, at this address.
    Peer(IpAddr),
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PortRecord {
    number: U32,
    network: U32,
    kind: U32,
    /// An id, or an address and zeros.
    name: [u8; ID_LEN],
}

const _: () = assert!(size_of::<PortRecord>() == 76);

const ENDPOINT: u32 = 1;
const PEER: u32 = 2;

/// Adds the names of ports to a file. It has to come after the names of networks, and before what uses the numbers. Ids of
/// another length than [`ID_LEN`] are left out.
pub fn write(file: &mut Vec<u8>, ports: &Ports) {
    add_section(file, Table::Ports, |to| {
        for (number, port) in ports {
            let (kind, name) = match &port.owner {
                Owner::Endpoint(id) => match id.as_bytes().try_into() {
                    Ok(id) => (ENDPOINT, id),
                    Err(_other_length) => continue,
                },
                Owner::Peer(at) => {
                    let mut name = [0; ID_LEN];
                    if let Some(place) = name.first_chunk_mut() {
                        *place = octets(*at);
                    }
                    (PEER, name)
                }
            };
            let record = PortRecord {
                number: U32::new(number.to_u32()),
                network: U32::new(port.network.0),
                kind: U32::new(kind),
                name,
            };
            add(to, &record);
        }
    });
}

/// Adds to `ports` what a section says. Nothing when it is not made of records or one of them has no name.
pub(crate) fn read(bytes: &[u8], ports: &mut Ports) -> Option<()> {
    for record in records::<PortRecord>(bytes)? {
        let owner = match record.kind.get() {
            ENDPOINT if record.name.iter().all(u8::is_ascii_hexdigit) => {
                Owner::Endpoint(core::str::from_utf8(&record.name).ok()?.to_owned())
            }
            PEER => Owner::Peer(address(*record.name.first_chunk()?)),
            _ => return None,
        };
        let network = NetworkNo(record.network.get());
        let number = PortNo::from_u32(record.number.get());
        ports.insert(number, PortName { network, owner });
    }
    Some(())
}
