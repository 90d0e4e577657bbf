//! The options of Neighbor Discovery (RFC 4861 §4.6).
//!
//! ```text
//! | type | length in units of 8 octets | …
//! ```
//!
//! A length of zero would never end, so the whole message has to be discarded (§4.6); the walk tells
//! it and stops. Each step takes eight octets or more.

use core::fmt;
use core::net::Ipv6Addr;
use core::time::Duration;

use super::{HeaderError, HeaderName};
use crate::MacAddr;
use crate::field::{get, u8_at, u32_at};

/// An option of Neighbor Discovery. One whose length is not that of its type is [`NdOption::Other`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NdOption<'a> {
    /// MAC address of the sender (§4.6.1).
    SourceLinkLayer(MacAddr),
    /// MAC address of the target (§4.6.1).
    TargetLinkLayer(MacAddr),
    /// A prefix of the link (§4.6.2).
    Prefix(PrefixInformation),
    /// The packet that was redirected, as much as fits (§4.6.3).
    RedirectedHeader(&'a [u8]),
    /// MTU of the link, in bytes (§4.6.4).
    Mtu(u32),
    /// Any other.
    Other {
        /// Its type.
        kind: u8,
        /// Its octets after type and length.
        data: &'a [u8],
    },
}

/// A prefix of the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct PrefixInformation {
    /// The prefix; bits after its length mean nothing.
    pub prefix: Ipv6Addr,
    /// Bits of the prefix; above 128 from a sender that is wrong.
    pub prefix_len: u8,
    /// Addresses of the prefix are on the link.
    pub on_link: bool,
    /// Hosts may form addresses of the prefix.
    pub autonomous: bool,
    /// How long the prefix is valid; `Duration::MAX` for ever.
    pub valid_lifetime: Duration,
    /// How long addresses of the prefix are preferred; `Duration::MAX` for ever.
    pub preferred_lifetime: Duration,
}

impl PrefixInformation {
    fn read(data: &[u8; 30]) -> Self {
        let flags = u8_at::<1, _>(data);
        Self {
            prefix: Ipv6Addr::from(get::<14, 16, _>(data)),
            prefix_len: u8_at::<0, _>(data),
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            valid_lifetime: lifetime(u32_at::<2, _>(data)),
            preferred_lifetime: lifetime(u32_at::<6, _>(data)),
        }
    }
}

fn lifetime(secs: u32) -> Duration {
    match secs {
        u32::MAX => Duration::MAX,
        secs => Duration::from_secs(secs.into()),
    }
}

impl<'a> NdOption<'a> {
    fn read(kind: u8, data: &'a [u8]) -> Self {
        let other = Self::Other { kind, data };
        match kind {
            1 => mac(data).map_or(other, Self::SourceLinkLayer),
            2 => mac(data).map_or(other, Self::TargetLinkLayer),
            3 => <&[u8; 30]>::try_from(data)
                .map_or(other, |data| Self::Prefix(PrefixInformation::read(data))),
            4 => data.get(6..).map_or(other, Self::RedirectedHeader),
            5 => <&[u8; 6]>::try_from(data).map_or(other, |data| Self::Mtu(u32_at::<2, _>(data))),
            _ => other,
        }
    }
}

fn mac(data: &[u8]) -> Option<MacAddr> {
    <[u8; 6]>::try_from(data).ok().map(MacAddr::new)
}

impl fmt::Display for NdOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceLinkLayer(mac) => write!(f, "source link-address {mac}"),
            Self::TargetLinkLayer(mac) => write!(f, "destination link-address {mac}"),
            Self::Prefix(info) => write!(f, "prefix {}/{}", info.prefix, info.prefix_len),
            Self::RedirectedHeader(packet) => write!(f, "redirected header, {} B", packet.len()),
            Self::Mtu(mtu) => write!(f, "mtu {mtu}"),
            Self::Other { kind, .. } => write!(f, "option {kind}"),
        }
    }
}

/// Walks options; stops after the first that is malformed.
#[derive(Clone, Debug)]
pub struct NdOptions<'a> {
    rest: &'a [u8],
}

impl<'a> NdOptions<'a> {
    pub(crate) const fn new(list: &'a [u8]) -> Self {
        Self { rest: list }
    }

    fn take(&mut self) -> Result<NdOption<'a>, HeaderError> {
        let header = HeaderName::NdOption;
        let present = self.rest.len();
        let Some((&[kind, units], _)) = self.rest.split_first_chunk() else {
            return Err(HeaderError::truncated(header, 8, present));
        };
        let len = usize::from(units) * 8;
        let Some((option, rest)) = self.rest.split_at_checked(len) else {
            return Err(HeaderError::truncated(header, len, present));
        };
        let Some(data) = option.get(2..) else {
            return Err(HeaderError::Length { header, stated: 0 });
        };
        self.rest = rest;
        Ok(NdOption::read(kind, data))
    }
}

impl<'a> Iterator for NdOptions<'a> {
    type Item = Result<NdOption<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let option = self.take();
        if option.is_err() {
            self.rest = &[];
        }
        Some(option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_read() {
        let mut list = [0; 32];
        list[..8].copy_from_slice(&[3, 4, 64, 0xc0, 0xff, 0xff, 0xff, 0xff]);
        list[10] = 1;
        list[16] = 0xfd;
        let want = PrefixInformation {
            prefix: "fd00::".parse().unwrap(),
            prefix_len: 64,
            on_link: true,
            autonomous: true,
            valid_lifetime: Duration::MAX,
            preferred_lifetime: Duration::from_secs(256),
        };
        assert_eq!(
            NdOptions::new(&list).collect::<Vec<_>>(),
            [Ok(NdOption::Prefix(want))]
        );
    }

    #[test]
    fn options_of_the_wrong_length_are_not_taken_for_their_type() {
        for kind in [1, 2, 3, 5] {
            let mut list = [0; 16];
            list[..2].copy_from_slice(&[kind, 2]);
            let data = &list[2..];
            assert_eq!(
                NdOptions::new(&list).next(),
                Some(Ok(NdOption::Other { kind, data }))
            );
        }
        let quoted = [4, 2, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(
            NdOptions::new(&quoted).next(),
            Some(Ok(NdOption::RedirectedHeader(&[1, 2, 3, 4, 5, 6, 7, 8])))
        );
    }

    #[test]
    fn a_length_of_zero_or_beyond_the_message_ends_the_walk() {
        let header = HeaderName::NdOption;
        let walk = |list: &[u8]| {
            NdOptions::new(list)
                .map(|option| option.map(|_| ()))
                .collect::<Vec<_>>()
        };
        let mtu = [5, 1, 0, 0, 0, 0, 5, 0];
        let zero = [&mtu[..], &[1, 0, 0, 0, 0, 0, 0, 0], &mtu].concat();
        assert_eq!(
            walk(&zero),
            [Ok(()), Err(HeaderError::Length { header, stated: 0 })]
        );
        assert_eq!(walk(&[1]), [Err(HeaderError::truncated(header, 8, 1))]);
        assert_eq!(
            walk(&[1, 2, 0, 0, 0, 0, 0, 0]),
            [Err(HeaderError::truncated(header, 16, 8))]
        );
    }
}
