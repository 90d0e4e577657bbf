//! Who asks, as leases know it.

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

use tapweave_net::MacAddr;

/// What a client is known by: its identifier if it gives one, else its hardware address (RFC 2131 §4.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClientKey {
    /// Its MAC address. An identifier that says no more than that is the same client: firmware often gives none where
    /// the system that it starts does.
    Mac(MacAddr),
    /// The option *client identifier*, as it came.
    Id(Box<[u8]>),
}

/// The hardware type of Ethernet (RFC 1700), which an identifier made of a MAC address begins with.
const ETHERNET: u8 = 1;

/// How many octets an identifier has: two at least (RFC 2132 §9.14), and what is in one option at most.
pub(crate) const CLIENT_ID_LENS: RangeInclusive<usize> = 2..=255;

impl ClientKey {
    /// Returns the key of the client with this MAC address and this identifier, if it gives one.
    pub fn new(mac: MacAddr, id: Option<&[u8]>) -> Self {
        match id {
            Some([ETHERNET, octets @ ..]) if *octets == mac.octets() => Self::Mac(mac),
            Some(id) => Self::Id(id.into()),
            None => Self::Mac(mac),
        }
    }

    /// Returns the key of the client with this identifier, whose MAC address is not known.
    ///
    /// # Errors
    ///
    /// When no client can have it: it has two octets to 255 (RFC 2132 §9.14).
    pub fn of_id(id: &[u8]) -> Result<Self, ClientIdError> {
        match id {
            [ETHERNET, octets @ ..] if let Ok(octets) = <[u8; MacAddr::LEN]>::try_from(octets) => {
                Ok(Self::Mac(MacAddr::new(octets)))
            }
            _ if CLIENT_ID_LENS.contains(&id.len()) => Ok(Self::Id(id.into())),
            _ => Err(ClientIdError { len: id.len() }),
        }
    }
}

/// As `02:00:00:00:00:01`, or as `id` and octets.
impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Id(id) => {
                f.write_str("id")?;
                for (index, octet) in id.iter().enumerate() {
                    let separator = if index == 0 { ' ' } else { ':' };
                    write!(f, "{separator}{octet:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// No client has an identifier of this length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientIdError {
    /// How many octets it has.
    pub len: usize,
}

impl fmt::Display for ClientIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = CLIENT_ID_LENS.into_inner();
        let len = self.len;
        write!(
            f,
            "a client identifier has {least} to {most} octets, not {len}"
        )
    }
}

impl core::error::Error for ClientIdError {}

/// A text is not a client's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientKeyError;

impl fmt::Display for ClientKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a MAC address nor `id` and octets in hexadecimal digits")
    }
}

impl core::error::Error for ClientKeyError {}

/// Reads what `Display` writes.
impl FromStr for ClientKey {
    type Err = ClientKeyError;

    fn from_str(text: &str) -> Result<Self, ClientKeyError> {
        let Some(octets) = text.strip_prefix("id ") else {
            let mac = text.parse();
            return mac.map(Self::Mac).map_err(|_other| ClientKeyError);
        };
        let octet = |digits: &str| u8::from_str_radix(digits, 16);
        let octets: Result<Box<[u8]>, _> = octets.split(':').map(octet).collect();
        octets.map(Self::Id).map_err(|_other| ClientKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_that_is_the_mac_is_no_other_client() {
        let mac = MacAddr::new([2, 0, 0, 0, 0, 7]);
        let key = |id| ClientKey::new(mac, id);
        assert_eq!(key(Some(&[1, 2, 0, 0, 0, 0, 7])), ClientKey::Mac(mac));
        assert_eq!(key(None), ClientKey::Mac(mac));
        assert_eq!(
            key(Some(&[0, 2, 0, 0, 0, 0, 7])).to_string(),
            "id 00:02:00:00:00:00:07"
        );
    }

    #[test]
    fn an_identifier_by_itself_is_a_key_if_a_client_can_have_it() {
        let key = |id: &[u8]| ClientKey::of_id(id).map(|key| key.to_string());
        assert_eq!(key(b"vm").unwrap(), "id 76:6d");
        assert_eq!(key(&[1, 2, 0, 0, 0, 0, 7]).unwrap(), "02:00:00:00:00:07");
        assert_eq!(key(&[0; 255]).unwrap().len(), 3 + 255 * 3 - 1);
        for len in [0, 1, 256] {
            assert_eq!(key(&vec![0; len]), Err(ClientIdError { len }));
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for text in ["02:00:00:00:00:07", "id ff:00:2a", "id 61"] {
            assert_eq!(text.parse::<ClientKey>().unwrap().to_string(), text);
        }
        for text in ["", "id ", "id 1ff", "id 1:x", "web"] {
            text.parse::<ClientKey>().unwrap_err();
        }
    }
}
