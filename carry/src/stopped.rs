//! When a daemon stopped to forward so that another one can: how long frames waited is from then on.

use tapweave_net::Timestamp;
use zerocopy::little_endian::U64;

use crate::Table;
use crate::container::add_section;
use crate::records::{add, records};

/// Adds a moment to a file.
pub fn write(file: &mut Vec<u8>, stopped: Timestamp) {
    add_section(file, Table::Stopped, |to| {
        add(to, &U64::new(stopped.as_nanos()));
    });
}

/// Takes the last moment of a section. Nothing when it is not made of moments.
pub(crate) fn read(bytes: &[u8], stopped: &mut Option<Timestamp>) -> Option<()> {
    for moment in records::<U64>(bytes)? {
        *stopped = Some(Timestamp::from_nanos(moment.get()));
    }
    Some(())
}
