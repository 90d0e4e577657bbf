//! The VXLAN Network Identifier (RFC 7348 §5).

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// Names a VXLAN segment: a number of 24 bits, zero included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

/// A number or text is not a VNI.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0} is not a VNI (0 to 16777215)")]
pub struct VniError(Box<str>);

impl Vni {
    /// Largest VNI.
    pub const MAX: Self = Self(0x00ff_ffff);

    /// Returns the VNI of this number.
    ///
    /// # Errors
    ///
    /// Refuses numbers of more than 24 bits.
    pub fn new(number: u32) -> Result<Self, VniError> {
        if number > Self::MAX.0 {
            return Err(VniError(number.to_string().into()));
        }
        Ok(Self(number))
    }

    /// Returns the VNI of these octets, most significant first.
    pub const fn from_octets([high, middle, low]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, high, middle, low]))
    }

    /// Returns the octets, most significant first.
    pub const fn octets(self) -> [u8; 3] {
        let [_, octets @ ..] = self.0.to_be_bytes();
        octets
    }

    /// Returns the number, below 2^24.
    pub const fn to_u32(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vni {
    type Error = VniError;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number)
    }
}

impl FromStr for Vni {
    type Err = VniError;

    /// Parses a decimal number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text
            .parse()
            .map_err(|_not_a_number| VniError(format!("{text:?}").into()))?;
        Self::new(number)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VNI {self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_24_bits_comes_back_from_octets_and_text() {
        for number in [0, 1, 0x0012_3456, 0x00ff_ffff] {
            let vni = Vni::new(number).unwrap();
            assert_eq!(vni.to_u32(), number);
            assert_eq!(Vni::from_octets(vni.octets()), vni);
            assert_eq!(vni.to_string().parse(), Ok(vni));
        }
        assert_eq!(Vni::from_octets([0x12, 0x34, 0x56]).to_u32(), 0x0012_3456);
    }

    #[test]
    fn what_is_no_vni_is_refused_in_words() {
        let refused = Vni::new(1 << 24).unwrap_err().to_string();
        assert_eq!(refused, "16777216 is not a VNI (0 to 16777215)");
        for text in ["", "-1", "blue", "4294967296"] {
            let refused = text.parse::<Vni>().unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("{text:?} is not")),
                "{refused}"
            );
        }
    }
}
