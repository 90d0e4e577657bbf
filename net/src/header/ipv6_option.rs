//! The options of the IPv6 Hop-by-Hop and Destination Options headers (RFC 8200 §4.2).
//!
//! ```text
//! | 0                        Pad1, one octet of padding
//! | type | len | len octets of data; type 1 is PadN
//! ```

use super::{Extension, HeaderError, HeaderName, IpProtocol, RawOption};

/// Walks the options of an extension header, padding left out; stops after the first that is malformed.
/// Each step takes at least one octet of the at most 2,046, so a walk is bounded.
#[derive(Clone, Debug)]
pub struct Ipv6Options<'a> {
    rest: &'a [u8],
}

impl<'a> Ipv6Options<'a> {
    /// Type of Router Alert (RFC 2711 §2.1), which tells routers to look at a packet that is not for
    /// them.
    pub const ROUTER_ALERT: u8 = 5;
    const PAD_1: u8 = 0;
    const PAD_N: u8 = 1;

    /// Walks the options in `extension`; none when it is of a kind that has none.
    pub fn new(extension: Extension<'a>) -> Self {
        let has_options = matches!(
            extension.kind,
            IpProtocol::HOP_BY_HOP | IpProtocol::DESTINATION_OPTIONS
        );
        let options = extension.bytes.get(2..).filter(|_| has_options);
        Self {
            rest: options.unwrap_or_default(),
        }
    }

    fn take(&mut self, kind: u8) -> Result<RawOption<'a>, HeaderError> {
        let present = self.rest.len();
        let short = |needed| HeaderError::truncated(HeaderName::Ipv6Option, needed, present);
        let len = 2 + usize::from(*self.rest.get(1).ok_or_else(|| short(2))?);
        let (option, rest) = self.rest.split_at_checked(len).ok_or_else(|| short(len))?;
        self.rest = rest;
        Ok(RawOption {
            kind,
            data: option.get(2..).unwrap_or_default(),
        })
    }
}

impl<'a> Iterator for Ipv6Options<'a> {
    type Item = Result<RawOption<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let kind = *self.rest.first()?;
            if kind == Self::PAD_1 {
                self.rest = self.rest.get(1..).unwrap_or_default();
                continue;
            }
            let option = self.take(kind);
            if option.is_err() {
                self.rest = &[];
            } else if kind == Self::PAD_N {
                continue;
            }
            return Some(option);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(kind: IpProtocol, bytes: &[u8]) -> Vec<Result<(u8, Vec<u8>), HeaderError>> {
        Ipv6Options::new(Extension { kind, bytes })
            .map(|option| option.map(|option| (option.kind, option.data.to_vec())))
            .collect()
    }

    #[test]
    fn padding_is_skipped() {
        let alert = [58, 0, 5, 2, 0, 0, 1, 0];
        let found = [Ok((Ipv6Options::ROUTER_ALERT, vec![0, 0]))];
        assert_eq!(walk(IpProtocol::HOP_BY_HOP, &alert), found);
        let padded = [58, 1, 0, 1, 3, 9, 9, 9, 0, 5, 2, 0, 0, 0, 0, 0];
        assert_eq!(walk(IpProtocol::HOP_BY_HOP, &padded), found);
        assert_eq!(walk(IpProtocol::ROUTING, &alert), []);
    }

    #[test]
    fn an_option_that_leaves_its_header_is_told_once() {
        let error = HeaderError::truncated(HeaderName::Ipv6Option, 7, 6);
        let bytes = [58, 0, 5, 5, 5, 2, 0, 0];
        assert_eq!(walk(IpProtocol::HOP_BY_HOP, &bytes), [Err(error)]);
        let error = HeaderError::truncated(HeaderName::Ipv6Option, 2, 1);
        let bytes = [58, 0, 0, 0, 0, 0, 0, 5];
        assert_eq!(walk(IpProtocol::HOP_BY_HOP, &bytes), [Err(error)]);
    }
}
