//! Ids: 64 hexadecimal digits, as Docker has them, of which an unambiguous beginning of four will do.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Hexadecimal digits of an id.
const TEXT_LEN: usize = 64;
/// Digits that a beginning must have. Fewer would often be a name that is mistyped, or of something that
/// has gone, and would then stand for something else.
const PREFIX_MIN_LEN: usize = 4;
/// Digits that tables show.
const SHORT_LEN: usize = 12;

/// Names a network, a sandbox or an endpoint for ever.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

/// A text is not an id.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{text:?} is not an id of {TEXT_LEN} hexadecimal digits")]
pub struct IdParseError {
    text: String,
}

impl Id {
    /// Returns the id made of 32 random bytes.
    pub fn from_random(bytes: [u8; TEXT_LEN / 2]) -> Self {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        let digits = bytes
            .into_iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
        Self(digits.collect())
    }

    /// Returns all 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether `reference` may stand for the id: it begins so, and is long enough to be meant.
    pub(crate) fn is_meant_by(&self, reference: &str) -> bool {
        reference.len() >= PREFIX_MIN_LEN && self.0.starts_with(reference)
    }

    /// Returns the 12 digits that tables show.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT_LEN).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for Id {
    type Error = IdParseError;

    fn try_from(text: String) -> Result<Self, IdParseError> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == TEXT_LEN && text.bytes().all(is_digit) {
            Ok(Self(text))
        } else {
            Err(IdParseError { text })
        }
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_become_hexadecimal_digits_in_order() {
        let mut bytes = [0; 32];
        bytes[0] = 0x0f;
        bytes[1] = 0xa5;
        let id = Id::from_random(bytes);
        assert!(id.as_str().starts_with("0fa500"));
        assert_eq!(id.short(), "0fa500000000");
        assert_eq!(Id::try_from(id.as_str().to_owned()), Ok(id));
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "0fa5",
            &"g".repeat(64),
            &"A".repeat(64),
            &"0".repeat(65),
        ] {
            assert!(Id::try_from((*text).to_owned()).is_err(), "{text}");
        }
    }
}
