//! The types of single values: each reads the same text on the command line and in the file.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A whole number from `MIN` to `MAX`. In the file an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Number<const MIN: u32, const MAX: u32>(u32);

/// A value together with the text that it was written as, which is what is shown again. In the file
/// a string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Written<T> {
    text: String,
    value: T,
}

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    /// Returns a number whose greatest fits.
    pub(crate) fn get_u16(self) -> u16 {
        const { assert!(MAX <= u16::MAX as u32) };
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }

    fn new(number: i64) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    fn expected() -> String {
        format!("a number from {MIN} to {MAX}")
    }
}

impl<const MIN: u32, const MAX: u32> FromStr for Number<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().and_then(Self::new);
        number.ok_or_else(|| format!("should be {}", Self::expected()))
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer<const MIN: u32, const MAX: u32>;

        impl<const MIN: u32, const MAX: u32> Visitor<'_> for Integer<MIN, MAX> {
            type Value = Number<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&Number::<MIN, MAX>::expected())
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Number::new(number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_i64(Integer)
    }
}

impl<T> Written<T> {
    pub(crate) fn into_inner(self) -> T {
        self.value
    }
}

impl<T: FromStr> FromStr for Written<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let value = text.parse()?;
        let text = text.to_owned();
        Ok(Self { text, value })
    }
}

impl<T> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |error: T::Err| D::Error::custom(format!("{text:?}: {error}"));
        text.parse().map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_range() {
        assert_eq!("1".parse().map(Number::<1, 256>::get), Ok(1));
        for text in ["0", "257", "-1", "x", "99999999999999999999"] {
            assert_eq!(
                text.parse::<Number<1, 256>>(),
                Err("should be a number from 1 to 256".to_owned())
            );
        }
    }
}
