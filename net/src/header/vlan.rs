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
use core::num::NonZeroU16;
use core::str::FromStr;

use thiserror::Error;

/// The bits of the control information that name the VLAN.
const VID: u16 = 0x0fff;

/// Identifies a VLAN: 1 to 4094.
///
/// 0 says "no VLAN, only a priority" and 4095 is reserved, so neither names a VLAN
/// (IEEE 802.1Q-2018 table 9-2). `Option<Vid>` takes two bytes: "no VLAN" is the 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vid(NonZeroU16);

/// A number that names no VLAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{0} is not a VLAN identifier (1 to 4094)")]
pub struct VidError(pub u16);

impl Vid {
    /// The smallest identifier, which bridges use for untagged frames unless told otherwise.
    pub const MIN: Self = Self(NonZeroU16::MIN);
    /// The largest identifier.
    pub const MAX: Self = Self(Self::MIN.0.saturating_add(4093));

    /// Returns the identifier with the number `value`.
    ///
    /// # Errors
    ///
    /// Refuses 0, 4095 and what does not fit 12 bits.
    pub const fn new(value: u16) -> Result<Self, VidError> {
        match NonZeroU16::new(value) {
            Some(number) if value <= Self::MAX.to_u16() => Ok(Self(number)),
            Some(_) | None => Err(VidError(value)),
        }
    }

    /// Returns the number, 1 to 4094.
    pub const fn to_u16(self) -> u16 {
        self.0.get()
    }
}

/// A text that names no VLAN.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{text:?} is not a VLAN identifier (1 to 4094)")]
pub struct VidParseError {
    text: String,
}

impl FromStr for Vid {
    type Err = VidParseError;

    /// Parses a decimal number without a sign.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse().ok().filter(|_| is_number);
        value
            .and_then(|value| Self::new(value).ok())
            .ok_or_else(|| VidParseError {
                text: text.to_owned(),
            })
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

    /// Returns the tag with the same priority and drop eligibility in the VLAN `vid`.
    #[must_use]
    pub const fn with_vid(self, vid: Vid) -> Self {
        Self(self.0 & !VID | vid.to_u16())
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
        self.0 & VID == 0
    }

    /// Returns the VLAN of the tag.
    ///
    /// # Errors
    ///
    /// Refuses the identifiers 0 (see [`VlanTag::is_priority_only`]) and 4095 (a frame that must not
    /// be forwarded).
    pub const fn vid(self) -> Result<Vid, VidError> {
        Vid::new(self.0 & VID)
    }
}

impl fmt::Display for VlanTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dei = if self.is_drop_eligible() { ", DEI" } else { "" };
        write!(f, "vlan {}, p {}{dei}", self.0 & VID, self.pcp())
    }
}

#[cfg(feature = "serde")]
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Vid;

    impl Serialize for Vid {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u16(self.to_u16())
        }
    }

    impl<'de> Deserialize<'de> for Vid {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Self::new(u16::deserialize(deserializer)?).map_err(de::Error::custom)
        }
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
    fn an_identifier_is_read_back_from_its_text_and_nothing_else_is_read() {
        for vid in [Vid::MIN, Vid::MAX] {
            assert_eq!(vid.to_string().parse(), Ok(vid));
        }
        for text in [
            "", "0", "4095", "5000", "70000", "+7", "-7", " 7", "7 ", "0x7", "ten",
        ] {
            let error = text.parse::<Vid>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{text:?} is not a VLAN identifier (1 to 4094)")
            );
        }
    }

    #[test]
    fn no_vlan_is_a_zero_of_the_same_size() {
        assert_eq!(size_of::<Option<Vid>>(), size_of::<Vid>());
    }

    #[test]
    fn a_tag_moves_to_another_vlan_with_its_priority() {
        let tag = VlanTag::from_tci(0xb000).with_vid(Vid::MAX);
        assert_eq!(tag, VlanTag::from_tci(0xbffe));
        assert_eq!(tag.with_vid(Vid::MIN).tci(), 0xb001);
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
