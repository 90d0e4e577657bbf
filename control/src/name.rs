//! Names that users choose, valid by construction.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most bytes of a [`Name`]: as many as a file name may have, because names become parts of paths.
const NAME_MAX_LEN: usize = 255;
/// Most bytes of an [`IfName`]: `IFNAMSIZ` without the final zero (`man 7 netdevice`).
const IFNAME_MAX_LEN: usize = 15;

/// The name of a network, sandbox or alias: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The name of a network interface, as the kernel takes it: 1 to 15 bytes, neither `/`, `:`, `%` nor
/// white space, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

/// A text is not a name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not the name of a network, sandbox or alias.
    #[error(
        "{text:?} is not a name: it takes letters, digits, '_', '.' and '-', the first a letter or digit"
    )]
    Name {
        /// The text.
        text: String,
    },
    /// Longer than a name may be.
    #[error("a name of {len} bytes is too long: at most {NAME_MAX_LEN}")]
    TooLong {
        /// Bytes of the text.
        len: usize,
    },
    /// Not the name of an interface.
    #[error(
        "{text:?} is not an interface name: it takes 1 to {IFNAME_MAX_LEN} bytes without '/', ':', '%' and space"
    )]
    IfName {
        /// The text.
        text: String,
    },
}

impl Name {
    /// Returns a name for checks that do not depend on it.
    pub(crate) fn placeholder() -> Self {
        Self("x".to_owned())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.len() > NAME_MAX_LEN {
            return Err(NameError::TooLong { len: text.len() });
        }
        let mut bytes = text.bytes();
        let first_is_good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest_is_good =
            bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first_is_good && rest_is_good {
            Ok(Self(text))
        } else {
            Err(NameError::Name { text })
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl IfName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IfName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        // `%` would be a template to the kernel (`eth%d`).
        let forbidden =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
        let len_is_good = (1..=IFNAME_MAX_LEN).contains(&text.len());
        if !len_is_good || text.contains(forbidden) || text == "." || text == ".." {
            return Err(NameError::IfName { text });
        }
        Ok(Self(text))
    }
}

impl FromStr for IfName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl From<IfName> for String {
    fn from(name: IfName) -> Self {
        name.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_a_letter_or_digit() {
        for good in ["a", "0", "web-1", "My_net.v2", &"x".repeat(NAME_MAX_LEN)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".a",
            "_a",
            "a b",
            "a/b",
            "a:b",
            "ü",
            "a\n",
            &"x".repeat(256),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn interface_names_are_those_of_the_kernel() {
        for good in ["eth0", "a", "veth-1@x", "fifteen.bytes.x"] {
            assert_eq!(good.parse::<IfName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a:b",
            "eth%d",
            "a b",
            "a\tb",
            "sixteen.bytes.xx",
        ] {
            assert!(bad.parse::<IfName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_name_does_not_get_through_json() {
        assert!(serde_json::from_str::<Name>("\"ok\"").is_ok_and(|name| name.as_str() == "ok"));
        let error = serde_json::from_str::<Name>("\"no/name\"").unwrap_err();
        assert!(error.to_string().contains("\"no/name\" is not a name"));
    }
}
