//! The Ethernet header with up to two VLAN tags (IEEE 802.3-2018 §3.1.1, IEEE 802.1Q-2018 §9).
//!
//! ```text
//!  0               6               12        14
//!  | destination   | source        | type    | payload …
//!  | destination   | source        | 0x8100  | tag | type | payload …
//!  | destination   | source        | 0x88a8  | tag | 0x8100 | tag | type | payload …
//! ```
//!
//! No preamble and no FCS. Every frame of a switch passes here, so the walk stops after two tags: a
//! third one is left as a payload of type 802.1Q, which no other parser of this crate takes for IP.

use core::fmt;

use super::{HeaderError, HeaderName, VlanTag};
use crate::field::{get, put, u16_at};
use crate::{EtherType, MacAddr};

const LEN: usize = 14;

/// A frame whose Ethernet header and tags are there in full.
#[derive(Clone, Copy, Debug)]
pub struct EthernetView<'a> {
    header: &'a [u8; LEN],
    tags: Tags,
    ethertype: EtherType,
    payload: &'a [u8],
}

/// The tags of a frame, outermost first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Tags {
    outer: Option<VlanTag>,
    inner: Option<VlanTag>,
}

impl Tags {
    /// Returns the tag that stands first in the frame.
    pub const fn outer(self) -> Option<VlanTag> {
        self.outer
    }

    /// Returns the tag behind the outer one.
    pub const fn inner(self) -> Option<VlanTag> {
        self.inner
    }

    /// Returns how many there are: 0, 1 or 2.
    pub const fn count(self) -> usize {
        self.outer.is_some() as usize + self.inner.is_some() as usize
    }
}

impl<'a> EthernetView<'a> {
    /// Bytes of the header without tags.
    pub const LEN: usize = LEN;

    /// Views the frame that starts at `frame[0]`.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`] when the header or a tag that it announces is cut short.
    #[inline]
    pub fn parse(frame: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, payload)) = frame.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Ethernet,
                Self::LEN,
                frame.len(),
            ));
        };
        let view = Self {
            header,
            tags: Tags::default(),
            ethertype: EtherType(u16_at::<12, _>(header)),
            payload,
        };
        if view.ethertype.is_vlan() {
            view.walk_tags()
        } else {
            Ok(view)
        }
    }

    fn walk_tags(mut self) -> Result<Self, HeaderError> {
        self.tags.outer = Some(self.take_tag()?);
        if self.ethertype.is_vlan() {
            self.tags.inner = Some(self.take_tag()?);
        }
        Ok(self)
    }

    fn take_tag(&mut self) -> Result<VlanTag, HeaderError> {
        let Some((tag, payload)) = self.payload.split_first_chunk::<{ VlanTag::LEN }>() else {
            return Err(HeaderError::truncated(
                HeaderName::Vlan,
                VlanTag::LEN,
                self.payload.len(),
            ));
        };
        self.ethertype = EtherType(u16_at::<2, _>(tag));
        self.payload = payload;
        Ok(VlanTag::from_tci(u16_at::<0, _>(tag)))
    }

    /// Returns the station or group that the frame is for.
    #[inline]
    pub fn dst(&self) -> MacAddr {
        MacAddr::new(get::<0, 6, _>(self.header))
    }

    /// Returns the station that the frame comes from.
    #[inline]
    pub fn src(&self) -> MacAddr {
        MacAddr::new(get::<6, 6, _>(self.header))
    }

    /// Returns the type of the payload, behind the tags.
    #[inline]
    pub const fn ethertype(&self) -> EtherType {
        self.ethertype
    }

    /// Returns the type field right after the addresses: that of the outer tag if there is one.
    #[inline]
    pub fn outer_ethertype(&self) -> EtherType {
        EtherType(u16_at::<12, _>(self.header))
    }

    /// Returns the tags.
    #[inline]
    pub const fn tags(&self) -> Tags {
        self.tags
    }

    /// Returns the offset of the payload from the start of the frame: 14, 18 or 22.
    #[inline]
    pub const fn payload_offset(&self) -> usize {
        Self::LEN + self.tags.count() * VlanTag::LEN
    }

    /// Returns what follows header and tags, padding included.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Display for EthernetView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}, ", self.src(), self.dst())?;
        for tag in [self.tags.outer, self.tags.inner].into_iter().flatten() {
            write!(f, "{tag}, ")?;
        }
        let len = self.payload_offset() + self.payload.len();
        write!(f, "{}, length {len}", self.ethertype)
    }
}

/// The addresses and type of a frame, to be changed in place.
#[derive(Debug)]
pub struct EthernetMut<'a> {
    header: &'a mut [u8; EthernetView::LEN],
}

impl<'a> EthernetMut<'a> {
    /// Opens the header of the frame that starts at `frame[0]`.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`] when the header is cut short.
    pub fn parse(frame: &'a mut [u8]) -> Result<Self, HeaderError> {
        let present = frame.len();
        let header = frame.first_chunk_mut().ok_or_else(|| {
            HeaderError::truncated(HeaderName::Ethernet, EthernetView::LEN, present)
        })?;
        Ok(Self { header })
    }

    /// Addresses the frame to `mac`.
    pub fn set_dst(&mut self, mac: MacAddr) {
        put::<0, 6, _>(self.header, mac.octets());
    }

    /// States that the frame comes from `mac`.
    pub fn set_src(&mut self, mac: MacAddr) {
        put::<6, 6, _>(self.header, mac.octets());
    }

    /// Sets the type field right after the addresses.
    pub fn set_outer_ethertype(&mut self, ethertype: EtherType) {
        put::<12, 2, _>(self.header, ethertype.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vid;

    const DST: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
    const SRC: [u8; 6] = [0x02, 0, 0, 0, 0, 2];

    fn frame(rest: &[u8]) -> Vec<u8> {
        [&DST[..], &SRC, rest].concat()
    }

    #[test]
    fn an_untagged_frame_is_read() {
        let bytes = frame(&[0x08, 0x00, 0xa5]);
        let view = EthernetView::parse(&bytes).unwrap();
        assert_eq!(view.dst(), MacAddr::new(DST));
        assert_eq!(view.src(), MacAddr::new(SRC));
        assert_eq!(view.ethertype(), EtherType::IPV4);
        assert_eq!(view.tags(), Tags::default());
        assert_eq!((view.payload_offset(), view.payload()), (14, &[0xa5][..]));
        assert_eq!(
            view.to_string(),
            "02:00:00:00:00:02 > 02:00:00:00:00:01, IPv4, length 15"
        );
    }

    #[test]
    fn two_tags_are_walked_and_a_third_is_payload() {
        let bytes = frame(&[
            0x88, 0xa8, 0xe0, 0x64, 0x81, 0x00, 0x10, 0x07, 0x86, 0xdd, 0xa5,
        ]);
        let view = EthernetView::parse(&bytes).unwrap();
        let tags = view.tags();
        assert_eq!(tags.outer(), Some(VlanTag::new(Vid::new(100).unwrap(), 7)));
        assert_eq!(tags.inner(), Some(VlanTag::from_tci(0x1007)));
        assert_eq!(view.outer_ethertype(), EtherType::SERVICE_VLAN);
        assert_eq!(view.ethertype(), EtherType::IPV6);
        assert_eq!((view.payload_offset(), view.payload()), (22, &[0xa5][..]));

        let bytes = frame(&[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x08, 0]);
        let view = EthernetView::parse(&bytes).unwrap();
        assert_eq!(view.ethertype(), EtherType::VLAN);
        assert_eq!(view.payload(), [0, 3, 8, 0]);
    }

    #[test]
    fn a_header_or_tag_cut_short_is_refused() {
        let bytes = frame(&[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x08, 0]);
        for len in 0..22 {
            let header = if len < 14 {
                HeaderName::Ethernet
            } else {
                HeaderName::Vlan
            };
            let found = EthernetView::parse(&bytes[..len]).map(|_| ());
            assert!(
                matches!(found, Err(HeaderError::Truncated { header: h, .. }) if h == header),
                "{len}"
            );
        }
        assert_eq!(
            EthernetView::parse(&bytes).map(|view| view.payload().len()),
            Ok(0)
        );
    }

    #[test]
    fn addresses_and_type_are_replaced_in_place() {
        let mut bytes = [0xa5; 16];
        let mut header = EthernetMut::parse(&mut bytes).unwrap();
        header.set_dst(MacAddr::new(DST));
        header.set_src(MacAddr::new(SRC));
        header.set_outer_ethertype(EtherType::ARP);
        assert_eq!(bytes[..], frame(&[0x08, 0x06, 0xa5, 0xa5])[..]);
        EthernetMut::parse(&mut bytes[..13]).unwrap_err();
    }
}
