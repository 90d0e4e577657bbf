//! IPv6 extension headers (RFC 8200 §4; IANA, *IPv6 Extension Header Types*).
//!
//! ```text
//! Hop-by-Hop, Routing, Destination Options, Mobility, HIP, Shim6:
//! | Next Header | Hdr Ext Len | …        (Hdr Ext Len + 1) * 8 octets
//! Authentication (RFC 4302 §2.2):
//! | Next Header | Payload Len | …        (Payload Len + 2) * 4 octets
//! Fragment (RFC 8200 §4.5), 8 octets:
//! | Next Header | Reserved    | Fragment Offset : 13, 0, 0, M | Identification : 32 |
//! ```
//!
//! # Theory of operation
//!
//! Whoever reads ports behind a chain that it did not understand reads bytes of the attacker's choice,
//! so the walk never guesses:
//!
//! - It steps over exactly the headers above. Anything else ends the chain and is the upper layer, be
//!   it TCP, ESP (which hides what follows), "no next header", the experimental numbers 253 and 254
//!   (whose layout nobody can know) or a number that IANA has not given away.
//! - Behind the Fragment header of a later part stands no header at all, whatever its Next Header says.
//! - Hop-by-Hop Options come first or not at all, and there is one Fragment header: senders must not do
//!   otherwise, and receivers differ in what they make of it, so the packet is refused
//!   (RFC 8200 §4, §4.1).
//! - The number of headers is bounded, and each is at least eight octets long, so the walk is too.

use super::{Fragment, HeaderError, HeaderName, IpProtocol, Ipv6View};
use crate::field::{u8_at, u16_at, u32_at};

/// An extension header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// What it is.
    pub kind: IpProtocol,
    /// Its octets, Next Header and length included; at least eight.
    pub bytes: &'a [u8],
}

/// The Fragment header (RFC 8200 §4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FragmentHeader {
    /// The first header of the part of the packet that was cut; the same in all fragments of most
    /// senders, but only that of the first one counts.
    pub next_header: IpProtocol,
    /// Where the payload belongs in the whole one, in bytes: a multiple of 8 below 65,536.
    pub offset: u16,
    /// Whether further fragments follow.
    pub more: bool,
    /// Number that all fragments of a packet share.
    pub id: u32,
}

impl FragmentHeader {
    /// Bytes of the header.
    pub const LEN: usize = 8;

    fn read(bytes: [u8; Self::LEN]) -> Self {
        let bytes = &bytes;
        let field = u16_at::<2, _>(bytes);
        Self {
            next_header: IpProtocol(u8_at::<0, _>(bytes)),
            offset: field & !0x07,
            more: field & 0x01 != 0,
            id: u32_at::<4, _>(bytes),
        }
    }

    /// Returns which part of a packet this is.
    pub const fn fragment(self) -> Fragment {
        Fragment::from_fields(self.offset, self.more)
    }
}

/// What stands behind the extension headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpperLayer<'a> {
    /// What the bytes are; in a later fragment what the Fragment header says, which may be an extension
    /// header of the whole packet.
    pub protocol: IpProtocol,
    /// Bytes of the extension headers.
    pub extensions_len: usize,
    /// The upper-layer header and its payload; the raw part in a later fragment.
    pub bytes: &'a [u8],
    /// The Fragment header, if there is one.
    pub fragment_header: Option<FragmentHeader>,
}

impl UpperLayer<'_> {
    /// Returns which part of a packet this is.
    #[inline]
    pub fn fragment(&self) -> Fragment {
        self.fragment_header
            .map_or(Fragment::Whole, FragmentHeader::fragment)
    }
}

/// Walks extension headers; stops before the upper layer, after a later part's Fragment header, and
/// after the first error.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    next: IpProtocol,
    rest: &'a [u8],
    walked_len: usize,
    walked_count: usize,
    fragment_header: Option<FragmentHeader>,
    ended: bool,
}

/// How the length of an extension header is known.
enum Layout {
    /// Eight octets and the length octet times eight more.
    Eights,
    /// Eight octets and the length octet times four more.
    Fours,
    /// A Fragment header.
    Fragment,
}

impl<'a> Extensions<'a> {
    #[inline]
    pub(crate) const fn new(next: IpProtocol, payload: &'a [u8]) -> Self {
        Self {
            next,
            rest: payload,
            walked_len: 0,
            walked_count: 0,
            fragment_header: None,
            ended: false,
        }
    }

    /// Walks the rest of the chain to what it carries.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`], [`HeaderError::MisplacedExtension`] and
    /// [`HeaderError::TooManyExtensions`].
    #[inline]
    pub fn upper_layer(mut self) -> Result<UpperLayer<'a>, HeaderError> {
        self.try_for_each(|extension| extension.map(|_| ()))?;
        Ok(UpperLayer {
            protocol: self.next,
            extensions_len: self.walked_len,
            bytes: self.rest,
            fragment_header: self.fragment_header,
        })
    }

    #[inline]
    const fn layout(&self) -> Option<Layout> {
        match self.next {
            IpProtocol::HOP_BY_HOP
            | IpProtocol::ROUTING
            | IpProtocol::DESTINATION_OPTIONS
            | IpProtocol::MOBILITY
            | IpProtocol::HIP
            | IpProtocol::SHIM6 => Some(Layout::Eights),
            IpProtocol::AUTHENTICATION => Some(Layout::Fours),
            IpProtocol::FRAGMENT => Some(Layout::Fragment),
            _ => None,
        }
    }

    fn take(&mut self, layout: &Layout) -> Result<Extension<'a>, HeaderError> {
        let kind = self.next;
        if self.walked_count == Ipv6View::MAX_EXTENSIONS {
            return Err(HeaderError::TooManyExtensions);
        }
        if kind == IpProtocol::HOP_BY_HOP && self.walked_count != 0 {
            return Err(HeaderError::MisplacedExtension(kind));
        }
        let present = self.rest.len();
        let short = |needed| HeaderError::truncated(HeaderName::Ipv6Extension, needed, present);
        let first = self.rest.first_chunk::<8>().ok_or_else(|| short(8))?;
        let stated = usize::from(u8_at::<1, _>(first));
        let len = match layout {
            Layout::Eights => 8 + stated * 8,
            Layout::Fours => 8 + stated * 4,
            Layout::Fragment => FragmentHeader::LEN,
        };
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(|| short(len))?;
        if matches!(layout, Layout::Fragment) {
            if self.fragment_header.is_some() {
                return Err(HeaderError::MisplacedExtension(kind));
            }
            let header = FragmentHeader::read(*first);
            self.fragment_header = Some(header);
            self.ended = !header.fragment().has_l4_header();
        }
        self.next = IpProtocol(u8_at::<0, _>(first));
        self.rest = rest;
        self.walked_len += len;
        self.walked_count += 1;
        Ok(Extension { kind, bytes })
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, HeaderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let layout = self.layout()?;
        let extension = self.take(&layout);
        if extension.is_err() {
            self.ended = true;
        }
        Some(extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eights(next: u8, len: u8) -> Vec<u8> {
        let mut header = vec![0xa5; 8 + usize::from(len) * 8];
        header[..2].copy_from_slice(&[next, len]);
        header
    }

    fn fragment(next: u8, field: u16) -> Vec<u8> {
        let [high, low] = field.to_be_bytes();
        vec![next, 0xa5, high, low, 1, 2, 3, 4]
    }

    fn walk(next: u8, payload: &[u8]) -> Result<UpperLayer<'_>, HeaderError> {
        Extensions::new(IpProtocol(next), payload).upper_layer()
    }

    #[test]
    fn every_extension_header_is_stepped_over_by_its_own_length() {
        // In the order of RFC 8200 §4.1, with AH of 24 octets, before TCP.
        let chain = [
            eights(60, 0),
            eights(43, 1),
            eights(44, 2),
            fragment(51, 0),
            [&[60, 4][..], &[0xa5; 22]].concat(),
            eights(135, 0),
            eights(139, 3),
            eights(6, 1),
            vec![1, 2, 3],
        ]
        .concat();
        let upper = walk(0, &chain).unwrap();
        assert_eq!(upper.protocol, IpProtocol::TCP);
        assert_eq!(upper.bytes, [1, 2, 3]);
        assert_eq!(upper.extensions_len, chain.len() - 3);
        assert_eq!(upper.fragment(), Fragment::Whole);
        let kinds: Vec<u8> = Extensions::new(IpProtocol(0), &chain)
            .map(|extension| extension.unwrap().kind.0)
            .collect();
        assert_eq!(kinds, [0, 60, 43, 44, 51, 60, 135, 139]);
        assert_eq!(walk(140, &eights(17, 0)).unwrap().protocol, IpProtocol::UDP);
    }

    #[test]
    fn what_is_no_extension_header_ends_the_chain() {
        // ESP, no next header, experimental, unassigned: their bytes are never taken for a header.
        for other in [50, 59, 253, 254, 255, 200, 6, 17, 58, 41] {
            let chain = [eights(other, 0), eights(6, 0)].concat();
            let upper = walk(60, &chain).unwrap();
            assert_eq!(upper.protocol, IpProtocol(other));
            assert_eq!(upper.bytes, &chain[8..]);
        }
    }

    #[test]
    fn nothing_is_read_behind_the_fragment_header_of_a_later_part() {
        let later = [fragment(60, 0x0009), eights(6, 0)].concat();
        let upper = walk(44, &later).unwrap();
        assert_eq!(upper.fragment(), Fragment::Later);
        assert_eq!(upper.protocol, IpProtocol::DESTINATION_OPTIONS);
        assert_eq!(upper.bytes, &later[8..]);
        let header = FragmentHeader {
            next_header: IpProtocol::DESTINATION_OPTIONS,
            offset: 8,
            more: true,
            id: 0x0102_0304,
        };
        assert_eq!(upper.fragment_header, Some(header));

        let first = [fragment(60, 0x0001), eights(6, 0)].concat();
        let upper = walk(44, &first).unwrap();
        assert_eq!(upper.fragment(), Fragment::First);
        assert_eq!(upper.protocol, IpProtocol::TCP);
        assert!(upper.bytes.is_empty());
        // The reserved bits count for nothing.
        let whole = fragment(6, 0x0006);
        assert_eq!(walk(44, &whole).unwrap().fragment(), Fragment::Whole);
    }

    #[test]
    fn headers_out_of_place_are_refused() {
        let misplaced = |kind| Err(HeaderError::MisplacedExtension(kind));
        let late = [eights(0, 0), eights(6, 0)].concat();
        assert_eq!(walk(60, &late), misplaced(IpProtocol::HOP_BY_HOP));
        assert_eq!(walk(0, &late), misplaced(IpProtocol::HOP_BY_HOP));
        let twice = [fragment(44, 0), fragment(6, 0)].concat();
        assert_eq!(walk(44, &twice), misplaced(IpProtocol::FRAGMENT));
    }

    #[test]
    fn a_chain_that_is_cut_short_or_too_long_is_refused() {
        let header = HeaderName::Ipv6Extension;
        let chain = eights(6, 2);
        for len in 0..24 {
            let needed = if len < 8 { 8 } else { 24 };
            let error = HeaderError::truncated(header, needed, len);
            assert_eq!(walk(60, &chain[..len]), Err(error));
        }
        let mut chain = eights(60, 0).repeat(7);
        chain.extend(eights(6, 0));
        assert_eq!(walk(60, &chain).unwrap().protocol, IpProtocol::TCP);
        let chain = [eights(60, 0), chain].concat();
        assert_eq!(walk(60, &chain), Err(HeaderError::TooManyExtensions));
    }
}
