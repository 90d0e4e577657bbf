//! What the numbers of a process mean: which network had which.

use std::collections::BTreeMap;

use tapweave_net::NetworkNo;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Table;
use crate::container::add_section;
use crate::records::{add, records};

/// Characters of an id: hexadecimal digits.
pub const ID_LEN: usize = 64;

/// The ids of networks by the numbers that they have in a process, which are never used again there.
pub type Networks = BTreeMap<NetworkNo, String>;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NetworkRecord {
    number: U32,
    id: [u8; ID_LEN],
}

const _: () = assert!(size_of::<NetworkRecord>() == 68);

/// Adds the ids of networks to a file. It has to come before what uses their numbers. Ids of another length than
/// [`ID_LEN`] are left out.
pub fn write(file: &mut Vec<u8>, networks: &Networks) {
    add_section(file, Table::Networks, |to| {
        for (number, id) in networks {
            if let Ok(id) = id.as_bytes().try_into() {
                let number = U32::new(number.0);
                add(to, &NetworkRecord { number, id });
            }
        }
    });
}

/// Adds to `networks` what a section says. Nothing when it is not made of records or one of them has no id.
pub(crate) fn read(bytes: &[u8], networks: &mut Networks) -> Option<()> {
    for NetworkRecord { number, id } in records::<NetworkRecord>(bytes)? {
        if !id.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let id = core::str::from_utf8(id).ok()?;
        networks.insert(NetworkNo(number.get()), id.to_owned());
    }
    Some(())
}
