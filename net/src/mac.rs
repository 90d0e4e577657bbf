//! IEEE 802 MAC addresses.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// A 48-bit IEEE 802 MAC address, in transmission order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Bytes of an address on the wire.
    pub const LEN: usize = 6;
    /// `ff:ff:ff:ff:ff:ff`, every station.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`, which no station may use as its source.
    pub const ZERO: Self = Self([0; 6]);

    /// Returns the address made of `octets`, first transmitted first.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// Returns the six octets, first transmitted first.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Returns the address as a number below 2^48, most significant octet first.
    pub const fn to_u64(self) -> u64 {
        let mac = self.0;
        u64::from_be_bytes([0, 0, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]])
    }

    /// Returns the address whose number is the low 48 bits of `value`; the rest is ignored.
    pub const fn from_u64(value: u64) -> Self {
        let [_, _, mac @ ..] = value.to_be_bytes();
        Self(mac)
    }

    /// Tells whether the address names a group (multicast or broadcast): the I/G bit is set.
    pub const fn is_group(self) -> bool {
        self.0[0] & 0x01 != 0
    }

    /// Tells whether the address is the broadcast address.
    pub const fn is_broadcast(self) -> bool {
        self.to_u64() == Self::BROADCAST.to_u64()
    }

    /// Tells whether the address is all zeroes.
    pub const fn is_zero(self) -> bool {
        self.to_u64() == 0
    }

    /// Returns the interface identifier that IPv6 makes of the address, its modified EUI-64: `ff:fe` in the
    /// middle, the U/L bit inverted (RFC 4291 appendix A).
    pub const fn interface_id(self) -> u64 {
        let mac = self.to_u64();
        let (maker, serial) = (mac >> 24, mac & 0xff_ffff);
        ((maker << 40) | (0xfffe << 24) | serial) ^ (0x02 << 56)
    }

    /// Tells whether the address was assigned locally rather than by a maker: the U/L bit is set.
    pub const fn is_locally_administered(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// Tells whether a station may have this address as its own: not a group and not zero.
    pub const fn is_station(self) -> bool {
        !self.is_group() && !self.is_zero()
    }

    /// Tells whether the address is one of `01-80-C2-00-00-00` to `-0F`, which a bridge never
    /// forwards (IEEE 802.1Q-2018 §8.6.3, table 8-1).
    pub const fn is_bridge_reserved(self) -> bool {
        self.to_u64() & !0x0f == 0x0180_c200_0000
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.into_iter()
            .try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a MAC address.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{text:?} is not a MAC address (six hexadecimal octets such as 02:00:0a:c0:00:02)")]
pub struct MacParseError {
    text: String,
}

impl FromStr for MacAddr {
    type Err = MacParseError;

    /// Parses six two-digit hexadecimal octets, all joined by `:` or all by `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || MacParseError {
            text: text.to_owned(),
        };
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or_else(error)?;
            // `from_str_radix` alone would take a sign.
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_not_hex| error())?;
        }
        if parts.next().is_some() {
            return Err(error());
        }
        Ok(Self(octets))
    }
}

#[cfg(feature = "serde")]
mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::MacAddr;

    impl Serialize for MacAddr {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for MacAddr {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_identifier_is_the_modified_eui_64() {
        // The example of RFC 4291 appendix A.
        let mac = MacAddr::new([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
        assert_eq!(mac.interface_id(), 0x3656_78ff_fe9a_bcde);
    }

    #[test]
    fn text_is_read_back_as_it_was_written() {
        let mac = MacAddr::new([0x02, 0, 0x5e, 0xab, 0xcd, 0xff]);
        assert_eq!(mac.to_string(), "02:00:5e:ab:cd:ff");
        assert_eq!("02:00:5e:ab:cd:ff".parse(), Ok(mac));
        assert_eq!("02-00-5E-AB-CD-FF".parse(), Ok(mac));
        assert_eq!(MacAddr::from_u64(mac.to_u64()), mac);
    }

    #[test]
    fn text_that_is_no_address_is_refused() {
        for text in [
            "",
            "02",
            "02:00:5e:ab:cd",
            "02:00:5e:ab:cd:ff:00",
            "02:00:5e:ab:cd:fg",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
        for text in [
            "+2:00:5e:ab:cd:ff",
            "2:0:5e:ab:cd:ff",
            "02:00-5e:ab-cd:ff",
            "02005eabcdff",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_sixteen_reserved_group_addresses_are_kept_from_forwarding() {
        let base = 0x0180_c200_0000;
        assert!((0..16).all(|low| MacAddr::from_u64(base + low).is_bridge_reserved()));
        assert!(!MacAddr::from_u64(base + 16).is_bridge_reserved());
        assert!(!MacAddr::from_u64(base - 1).is_bridge_reserved());
        assert!(!MacAddr::BROADCAST.is_bridge_reserved());
    }
}
