//! Keys: paths of plain words, which every store can have as a key.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Octets that a key may have.
const KEY_MAX_LEN: usize = 512;
const SEPARATOR: u8 = b'/';
/// What sorts directly after [`SEPARATOR`], and so ends a folder.
const AFTER_SEPARATOR: char = '0';

/// A path such as `networks/4f2a/endpoints/web`: segments between slashes, none at either end.
///
/// A segment has letters and digits of ASCII and `_ . : @ = + , -`, at least one of them, and is neither
/// `.` nor `..`; all segments together with their slashes have at most 512 octets. So no store and no
/// URL has to quote a key. Keys sort by their octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// A text is not a key.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is nothing between two slashes, at an end, or at all.
    #[error("{text:?} has an empty segment")]
    EmptySegment {
        /// What was given.
        text: Box<str>,
    },
    /// A segment is `.` or `..`.
    #[error("{text:?} has the segment {segment:?}, which paths read otherwise")]
    RelativeSegment {
        /// What was given.
        text: Box<str>,
        /// The segment.
        segment: Box<str>,
    },
    /// It has a character that keys do not have.
    #[error("{text:?} has {character:?}; keys have letters, digits and `_ . : @ = + , -`")]
    Character {
        /// What was given.
        text: Box<str>,
        /// The first such character.
        character: char,
    },
    /// It is too long.
    #[error("a key of {len} octets; there may be {KEY_MAX_LEN}")]
    TooLong {
        /// Its octets.
        len: usize,
    },
}

impl Key {
    /// Returns the key that a text is.
    ///
    /// # Errors
    ///
    /// When it is none; the error tells why.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.len() > KEY_MAX_LEN {
            return Err(KeyError::TooLong { len: text.len() });
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return Err(KeyError::EmptySegment { text: text.into() });
            }
            if segment == "." || segment == ".." {
                return Err(KeyError::RelativeSegment {
                    text: text.into(),
                    segment: segment.into(),
                });
            }
            if let Some(character) = segment.chars().find(|&it| !is_allowed(it)) {
                return Err(KeyError::Character {
                    text: text.into(),
                    character,
                });
            }
        }
        Ok(Self(text.into()))
    }

    /// Returns the key below this one that the text of one or more segments names.
    ///
    /// # Errors
    ///
    /// When there can be none.
    pub fn child(&self, path: &str) -> Result<Self, KeyError> {
        Self::new(&format!("{self}/{path}"))
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its segments, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_.:@=+,-".contains(character)
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder: all keys below one, or all keys.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Prefix(
    /// Empty, or a key and a slash.
    Arc<str>,
);

impl Prefix {
    /// Returns the folder of all keys.
    pub fn all() -> Self {
        Self("".into())
    }

    /// Returns the folder of what is below a key. The key itself is not in it.
    pub fn below(key: &Key) -> Self {
        Self(format!("{key}/").into())
    }

    /// Returns what its keys begin with: nothing, or a key and a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a key is in the folder.
    pub fn contains(&self, key: &Key) -> bool {
        key.as_str().starts_with(&*self.0)
    }

    /// Returns the first text after all keys of the folder; none when every text may be in it.
    pub fn end(&self) -> Option<String> {
        let key = self.0.strip_suffix(char::from(SEPARATOR))?;
        Some(format!("{key}{AFTER_SEPARATOR}"))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_plain_words_are_keys() {
        for text in [
            "a",
            "networks/4f2a/endpoints/web_1.x-y",
            "fdb/02:aa:00:00:00:01",
            "subnets/2001:db8::,64",
            "a/..b/c..",
        ] {
            assert_eq!(
                Key::new(text).map(|key| key.to_string()),
                Ok(text.to_owned())
            );
        }
        Key::new(&"a".repeat(KEY_MAX_LEN)).unwrap();
        for text in ["", "/", "/a", "a/", "a//b"] {
            assert!(
                matches!(Key::new(text), Err(KeyError::EmptySegment { .. })),
                "{text:?}"
            );
        }
        for text in [".", "a/../b", "a/."] {
            assert!(
                matches!(Key::new(text), Err(KeyError::RelativeSegment { .. })),
                "{text:?}"
            );
        }
        for (text, wrong) in [
            ("a b", ' '),
            ("a/ü", 'ü'),
            ("a\0", '\0'),
            ("10.0.0.0%24", '%'),
        ] {
            assert!(
                matches!(Key::new(text), Err(KeyError::Character { character, .. }) if character == wrong),
                "{text:?}"
            );
        }
        assert_eq!(
            Key::new(&"a".repeat(KEY_MAX_LEN + 1)),
            Err(KeyError::TooLong {
                len: KEY_MAX_LEN + 1
            })
        );
    }

    #[test]
    fn a_folder_has_what_is_below_its_key_and_nothing_else() {
        let folder = Prefix::below(&Key::new("a/b").unwrap());
        let end = folder.end().unwrap();
        for (text, inside) in [
            ("a/b/c", true),
            ("a/b/c/d", true),
            ("a/b/z", true),
            ("a/b", false),
            ("a/b-c", false),
            ("a/b0", false),
            ("a/bc", false),
            ("a", false),
            ("b", false),
        ] {
            let key = Key::new(text).unwrap();
            assert_eq!(folder.contains(&key), inside, "{text}");
            assert_eq!(
                folder.as_str() <= key.as_str() && key.as_str() < end.as_str(),
                inside,
                "{text} in order"
            );
        }
        assert!(Prefix::all().contains(&Key::new("a").unwrap()));
        assert_eq!(Prefix::all().end(), None);
    }
}
