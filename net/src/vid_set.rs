//! A set of VLANs, as a trunk port carries it, and its text (`10,20-29`).

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::Vid;

/// A set of VLANs.
///
/// A bitmap of 512 bytes that its clones share: asking costs one memory access.
#[derive(Clone, PartialEq, Eq)]
pub struct VidSet(Arc<[u64; WORDS]>);

/// A bit for each number of twelve bits.
const WORDS: usize = 4096 / u64::BITS as usize;

/// A text that is no list of VLANs.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum VidSetError {
    /// Nothing between two commas, or no text at all.
    #[error("a list of VLANs is like 10,20-29, with nothing left out")]
    Empty,
    /// Something else between two commas.
    #[error("{0:?} is not a VLAN (1 to 4094) or a range of VLANs such as 20-29")]
    Part(String),
    /// A range that ends before it begins.
    #[error("the range {first}-{last} ends before it begins")]
    Reversed {
        /// Where it begins.
        first: Vid,
        /// Where it ends.
        last: Vid,
    },
    /// A VLAN that stands in the list already.
    #[error("VLAN {0} is in the list twice")]
    Twice(Vid),
}

impl VidSet {
    /// Tells whether `vid` is in the set.
    #[inline]
    pub fn contains(&self, vid: Vid) -> bool {
        let (word, bit) = place(vid);
        self.0[word] & bit != 0
    }

    /// Tells whether no VLAN is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Returns the VLANs, in order.
    pub fn iter(&self) -> impl Iterator<Item = Vid> {
        range(Vid::MIN, Vid::MAX).filter(|vid| self.contains(*vid))
    }

    /// Returns the longest runs of neighbours as first and last, in order.
    fn ranges(&self) -> Vec<(Vid, Vid)> {
        let mut ranges: Vec<(Vid, Vid)> = Vec::new();
        for vid in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if last.to_u16() + 1 == vid.to_u16() => *last = vid,
                Some(_) | None => ranges.push((vid, vid)),
            }
        }
        ranges
    }
}

/// Returns the VLANs from `first` to `last`, both included.
fn range(first: Vid, last: Vid) -> impl Iterator<Item = Vid> {
    (first.to_u16()..=last.to_u16()).filter_map(|value| Vid::new(value).ok())
}

/// Returns the word that has the bit of `vid`, and the bit.
const fn place(vid: Vid) -> (usize, u64) {
    let value = vid.to_u16();
    ((value / 64) as usize, 1 << (value % 64))
}

impl FromIterator<Vid> for VidSet {
    fn from_iter<I: IntoIterator<Item = Vid>>(vids: I) -> Self {
        let mut words = [0; WORDS];
        for (word, bit) in vids.into_iter().map(place) {
            words[word] |= bit;
        }
        Self(Arc::new(words))
    }
}

impl FromStr for VidSet {
    type Err = VidSetError;

    /// Parses VLANs and ranges of them, joined by commas, each VLAN at most once: `10,20-29`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = [0; WORDS];
        for part in text.split(',') {
            if part.is_empty() {
                return Err(VidSetError::Empty);
            }
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else {
                return Err(VidSetError::Part(part.to_owned()));
            };
            if last < first {
                return Err(VidSetError::Reversed { first, last });
            }
            for vid in range(first, last) {
                let (word, bit) = place(vid);
                if words[word] & bit != 0 {
                    return Err(VidSetError::Twice(vid));
                }
                words[word] |= bit;
            }
        }
        Ok(Self(Arc::new(words)))
    }
}

impl fmt::Display for VidSet {
    /// Writes the shortest list that parses to the set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges().into_iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            write!(f, "{first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VIDs {self}")
    }
}

#[cfg(feature = "serde")]
mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::VidSet;

    impl Serialize for VidSet {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for VidSet {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<VidSet, String> {
        text.parse().map_err(|error: VidSetError| error.to_string())
    }

    #[test]
    fn a_list_holds_its_numbers_and_its_ranges_with_both_ends() {
        let set = parse("4094,10,20-23,1").unwrap();
        let members: Vec<_> = set.iter().map(Vid::to_u16).collect();
        assert_eq!(members, [1, 10, 20, 21, 22, 23, 4094]);
        assert_eq!(set.to_string(), "1,10,20-23,4094");
        assert_eq!(parse("7-7").unwrap().to_string(), "7");
        assert!(!set.is_empty());
        assert!(VidSet::from_iter([]).is_empty());
    }

    #[test]
    fn neighbours_are_written_as_a_range() {
        assert_eq!(parse("3,1,2").unwrap().to_string(), "1-3");
        assert_eq!(parse("1-4094").unwrap().to_string(), "1-4094");
    }

    #[test]
    fn a_text_that_is_no_list_is_refused_with_the_reason() {
        let no_vid = |text: &str| {
            format!("{text:?} is not a VLAN (1 to 4094) or a range of VLANs such as 20-29")
        };
        for (text, error) in [
            ("0", no_vid("0")),
            ("1-4095", no_vid("1-4095")),
            ("5000", no_vid("5000")),
            ("10-", no_vid("10-")),
            ("-10", no_vid("-10")),
            ("1-2-3", no_vid("1-2-3")),
            ("10, 11", no_vid(" 11")),
            ("all", no_vid("all")),
            ("29-20", "the range 29-20 ends before it begins".to_owned()),
            ("10,10", "VLAN 10 is in the list twice".to_owned()),
            ("10-20,15-30", "VLAN 15 is in the list twice".to_owned()),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        for text in ["", ",", "10,", ",10", "10,,11"] {
            let hint = "a list of VLANs is like 10,20-29, with nothing left out";
            assert_eq!(parse(text), Err(hint.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in proptest::collection::btree_set(1_u16..4095, 1..40)) {
            let vids = values.iter().map(|value| Vid::new(*value).unwrap());
            let set: VidSet = vids.clone().collect();
            prop_assert!(set.iter().eq(vids));
            prop_assert_eq!(parse(&set.to_string()), Ok(set));
        }
    }
}
