//! The traffic class: DSCP (RFC 2474 §3) and ECN (RFC 3168 §5) in one octet.

use core::fmt;

/// The octet that IPv4 calls TOS and IPv6 Traffic Class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct TrafficClass {
    /// How routers treat the packet.
    pub dscp: Dscp,
    /// What is known about congestion on its way.
    pub ecn: Ecn,
}

/// A Differentiated Services code point, 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Dscp(u8);

/// Explicit Congestion Notification (RFC 3168 §5, figure 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Ecn {
    /// The sender does not understand ECN: routers drop instead of marking.
    #[default]
    NotEct,
    /// The sender understands ECN.
    Ect0,
    /// The sender understands ECN; what sets it apart from [`Ecn::Ect0`] is an experiment (RFC
    /// 8311).
    Ect1,
    /// Congestion was met.
    Ce,
}

impl TrafficClass {
    /// Returns what the octet says.
    #[inline]
    pub const fn from_u8(octet: u8) -> Self {
        Self {
            dscp: Dscp(octet >> 2),
            ecn: Ecn::from_u8(octet),
        }
    }

    /// Returns the octet.
    #[inline]
    pub const fn to_u8(self) -> u8 {
        self.dscp.0 << 2 | self.ecn.to_u8()
    }
}

impl Dscp {
    /// Best effort.
    pub const DEFAULT: Self = Self(0);

    /// Returns the code point of this number, `None` above 63.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 64 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Returns the number, 0 to 63.
    pub const fn to_u8(self) -> u8 {
        self.0
    }
}

impl Ecn {
    /// All values, in the order of their numbers' meaning in RFC 6040, figures 3 and 4.
    pub const ALL: [Self; 4] = [Self::NotEct, Self::Ect0, Self::Ect1, Self::Ce];

    /// Returns what the low two bits of the traffic class say.
    #[inline]
    pub const fn from_u8(octet: u8) -> Self {
        match octet & 0b11 {
            0b00 => Self::NotEct,
            0b10 => Self::Ect0,
            0b01 => Self::Ect1,
            _ => Self::Ce,
        }
    }

    /// Returns the two bits.
    #[inline]
    pub const fn to_u8(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect0 => 0b10,
            Self::Ect1 => 0b01,
            Self::Ce => 0b11,
        }
    }
}

impl fmt::Display for Ecn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEct => "Not-ECT",
            Self::Ect0 => "ECT(0)",
            Self::Ect1 => "ECT(1)",
            Self::Ce => "CE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_comes_back() {
        for octet in 0..=u8::MAX {
            let class = TrafficClass::from_u8(octet);
            assert_eq!(class.to_u8(), octet);
            assert_eq!(Dscp::new(class.dscp.to_u8()), Some(class.dscp));
        }
        assert_eq!(Dscp::new(64), None);
        let class = TrafficClass::from_u8(0xb9);
        assert_eq!((class.dscp.to_u8(), class.ecn), (46, Ecn::Ect1));
    }
}
