//! VLAN identifiers and the tags that carry them (IEEE 802.1Q-2018 §9.6).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+-+-----------------------+-------------------------------+
//! | PCP |D|          VID          |     EtherType of what follows |
//! +-----+-+-----------------------+-------------------------------+
//! ```
//!
//! The tag stands after the EtherType 0x8100 (customer) or 0x88a8 (service).

use core::fmt;

use thiserror::Error;

/// Identifies a VLAN: 1 to 4094.
///
/// 0 says "no VLAN, only a priority" and 4095 is reserved, so neither names a VLAN
/// (IEEE 802.1Q-2018 table 9-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vid(u16);

/// A number that names no VLAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{0} is not a VLAN identifier (1 to 4094)")]
pub struct VidError(pub u16);

impl Vid {
    /// The smallest identifier, which bridges use for untagged frames unless told otherwise.
    pub const MIN: Self = Self(1);
    /// The largest identifier.
    pub const MAX: Self = Self(4094);

    /// Returns the identifier with the number `value`.
    ///
    /// # Errors
    ///
    /// Refuses 0, 4095 and what does not fit 12 bits.
    pub const fn new(value: u16) -> Result<Self, VidError> {
        if value >= Self::MIN.0 && value <= Self::MAX.0 {
            Ok(Self(value))
        } else {
            Err(VidError(value))
        }
    }

    /// Returns the number, 1 to 4094.
    pub const fn to_u16(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Vid {
    type Error = VidError;

    fn try_from(value: u16) -> Result<Self, VidError> {
        Self::new(value)
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VID {}", self.0)
    }
}

/// The control information of a tag: priority, drop eligibility and VLAN.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VlanTag(u16);

impl VlanTag {
    /// Bytes that a tag adds to a frame: an EtherType and the control information.
    pub const LEN: usize = 4;

    /// Returns the tag of `vid` with priority `pcp`, of which the low three bits count.
    pub const fn new(vid: Vid, pcp: u8) -> Self {
        Self(((pcp as u16 & 0x07) << 13) | vid.to_u16())
    }

    /// Returns the tag with the control information `tci`; every value is one.
    pub const fn from_tci(tci: u16) -> Self {
        Self(tci)
    }

    /// Returns the control information, as it stands on the wire.
    pub const fn tci(self) -> u16 {
        self.0
    }

    /// Returns the priority code point, 0 to 7.
    pub const fn pcp(self) -> u8 {
        self.0.to_be_bytes()[0] >> 5
    }

    /// Tells whether the frame may be dropped first (Drop Eligible Indicator).
    pub const fn is_drop_eligible(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// Tells whether the tag carries a priority only, so that the frame counts as untagged.
    pub const fn is_priority_only(self) -> bool {
        self.0 << 4 == 0
    }

    /// Returns the VLAN of the tag.
    ///
    /// # Errors
    ///
    /// Refuses the identifiers 0 (see [`VlanTag::is_priority_only`]) and 4095 (a frame that must not
    /// be forwarded).
    pub const fn vid(self) -> Result<Vid, VidError> {
        Vid::new(self.0 & 0x0fff)
    }
}

impl fmt::Display for VlanTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dei = if self.is_drop_eligible() { ", DEI" } else { "" };
        write!(f, "vlan {}, p {}{dei}", self.0 & 0x0fff, self.pcp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_from_1_to_4094_is_an_identifier_and_no_other() {
        for value in 0..=u16::MAX {
            let vid = Vid::new(value);
            assert_eq!(vid.is_ok(), (1..=4094).contains(&value), "{value}");
            match vid {
                Ok(vid) => assert_eq!(vid.to_u16(), value),
                Err(error) => assert_eq!(error, VidError(value)),
            }
        }
    }

    #[test]
    fn every_tag_is_kept_bit_for_bit_and_its_fields_cover_it() {
        for tci in 0..=u16::MAX {
            let tag = VlanTag::from_tci(tci);
            assert_eq!(tag.tci(), tci);
            let vid = tag.vid().map_or_else(|error| error.0, Vid::to_u16);
            let dei = u16::from(tag.is_drop_eligible()) << 12;
            assert_eq!((u16::from(tag.pcp()) << 13) | dei | vid, tci);
        }
    }

    #[test]
    fn vid_0_is_only_a_priority_and_4095_names_no_vlan() {
        assert!(VlanTag::from_tci(0xa000).is_priority_only());
        assert_eq!(VlanTag::from_tci(0xa000).vid(), Err(VidError(0)));
        assert!(!VlanTag::from_tci(0x0fff).is_priority_only());
        assert_eq!(VlanTag::from_tci(0xffff).vid(), Err(VidError(4095)));
    }

    #[test]
    fn a_tag_is_printed_as_tcpdump_prints_it() {
        let tag = VlanTag::new(Vid::MAX, 0xff);
        assert_eq!(tag.to_string(), "vlan 4094, p 7");
        assert_eq!(VlanTag::from_tci(0x1001).to_string(), "vlan 1, p 0, DEI");
    }
}
