//! VLANs in records: a VID is 1 to 4094 (IEEE 802.1Q-2018 §9.6), so zero stands for none.

use tapweave_net::{Vid, VidError};
use zerocopy::little_endian::U16;

/// Returns the number that stands for a VLAN.
pub(crate) fn number(vid: Option<Vid>) -> U16 {
    U16::new(vid.map_or(0, Vid::to_u16))
}

/// Returns the VLAN that a number stands for.
///
/// # Errors
///
/// When it stands for none and not for no VLAN.
pub(crate) fn vid(number: U16) -> Result<Option<Vid>, VidError> {
    match number.get() {
        0 => Ok(None),
        number => Vid::new(number).map(Some),
    }
}
