//! A domain name as it stands in messages that name search domains: DHCP's options 119 and 24, and DNSSL.

use core::fmt;

/// Most octets of a label and of a whole name (RFC 1035 §2.3.4).
const LABEL_MAX_LEN: usize = 63;
const NAME_MAX_LEN: usize = 255;

/// A domain name with at least one label, in letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DomainName(Box<[u8]>);

impl DomainName {
    /// Returns the name that `text` is, with or without a final dot; `None` when it cannot be one: a label is
    /// empty, longer than 63 octets or of other characters, or all of it is longer than 255.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            let is_good = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
            if label.is_empty() || label.len() > LABEL_MAX_LEN || !label.bytes().all(is_good) {
                return None;
            }
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend(label.bytes());
        }
        wire.push(0);
        (wire.len() <= NAME_MAX_LEN).then(|| Self(wire.into()))
    }

    /// Returns its labels, each behind its length, and the empty one (RFC 1035 §3.1), uncompressed.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }
}

/// As people write it, without the final dot.
impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.wire();
        let mut separator = "";
        while let Some((&len, behind)) = rest.split_first()
            && let Some((label, behind)) = behind.split_at_checked(len.into())
            && len > 0
        {
            f.write_str(separator)?;
            f.write_str(core::str::from_utf8(label).unwrap_or_default())?;
            separator = ".";
            rest = behind;
        }
        Ok(())
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_bytes_of_rfc_1035() {
        for text in ["blue.lab", "blue.lab."] {
            let name = DomainName::new(text).unwrap();
            assert_eq!(name.wire(), b"\x04blue\x03lab\0");
            assert_eq!(name.to_string(), "blue.lab");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        let long_label = "a".repeat(64);
        let long_name = ["a".repeat(63).as_str(); 4].join(".");
        for text in ["", ".", "a..b", ".a", "a b", "ä", &long_label, &long_name] {
            assert_eq!(DomainName::new(text), None, "{text:?}");
        }
        DomainName::new(&"a".repeat(63)).unwrap();
    }
}
