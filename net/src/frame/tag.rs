//! Putting the outer VLAN tag of a frame in, changing it, and taking it out, in place.
//!
//! ```text
//!  push   headroom │ destination source type …           the 12 bytes of the addresses move
//!      headroom │ destination source 0x8100 tag type …   into the headroom, the rest stays
//!
//!  pop    headroom │ destination source 0x8100 tag type …
//!         headroom      │ destination source type …      and back again
//! ```
//!
//! Nothing behind the addresses is touched, so a super-frame stays one: only where its checksum starts,
//! counted from the start of the frame, moves with the tag. An operation that fails has changed nothing.

use thiserror::Error;

use super::Frame;
use crate::{ChecksumOffload, EtherType, EthernetView, MacAddr, Offload, VlanTag};

/// What has to be done with the outer tag of a frame before it goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TagAction {
    /// Nothing: the frame goes out as it is.
    Keep,
    /// The frame has no tag and gets this one.
    Push(VlanTag),
    /// The frame's tag becomes this one.
    Replace(VlanTag),
    /// The frame loses its tag.
    Pop,
}

/// A frame could not be given the tag that it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum TagError {
    /// The frame ends before its addresses and EtherType do.
    #[error("the frame is too short to have a tag")]
    Truncated,
    /// There is no room before the frame.
    #[error("a tag needs {} bytes of headroom", VlanTag::LEN)]
    NoHeadroom,
    /// There is no 802.1Q tag right behind the addresses.
    #[error("the frame has no 802.1Q tag")]
    NoTag,
    /// The checksum would start where no checksum can.
    #[error("a partial checksum cannot start at {start}")]
    Checksum {
        /// Where it starts now, from the start of the frame.
        start: u16,
    },
}

const ADDRESSES_LEN: usize = 2 * MacAddr::LEN;

impl Frame<'_> {
    /// Does what `action` says to the outer tag.
    ///
    /// # Errors
    ///
    /// As the operation that it names; [`TagAction::Keep`] never fails.
    pub fn apply_tag(&mut self, action: TagAction) -> Result<(), TagError> {
        match action {
            TagAction::Keep => Ok(()),
            TagAction::Push(tag) => self.push_tag(tag),
            TagAction::Replace(tag) => self.replace_tag(tag).map(drop),
            TagAction::Pop => self.pop_tag().map(drop),
        }
    }

    /// Puts an 802.1Q tag (EtherType 0x8100) right behind the addresses. Takes [`VlanTag::LEN`] bytes
    /// of headroom.
    ///
    /// # Errors
    ///
    /// [`TagError::Truncated`], [`TagError::NoHeadroom`]; [`TagError::Checksum`] when the start of a
    /// partial checksum no longer fits its field.
    pub fn push_tag(&mut self, tag: VlanTag) -> Result<(), TagError> {
        if self.data().len() < EthernetView::LEN {
            return Err(TagError::Truncated);
        }
        let to = self
            .start
            .checked_sub(VlanTag::LEN)
            .ok_or(TagError::NoHeadroom)?;
        let offload = grown(self.offload)?;
        self.buf
            .copy_within(self.start..self.start + ADDRESSES_LEN, to);
        self.start = to;
        self.offload = offload;
        self.write_tag(tag);
        Ok(())
    }

    /// Takes the 802.1Q tag right behind the addresses out and returns it.
    ///
    /// # Errors
    ///
    /// [`TagError::NoTag`]; [`TagError::Checksum`] when a partial checksum starts inside the tag.
    pub fn pop_tag(&mut self) -> Result<VlanTag, TagError> {
        let tag = self.tag()?;
        self.offload = shrunk(self.offload)?;
        let to = self.start + VlanTag::LEN;
        self.buf
            .copy_within(self.start..self.start + ADDRESSES_LEN, to);
        self.start = to;
        Ok(tag)
    }

    /// Writes another control information into the 802.1Q tag right behind the addresses and returns
    /// the old one.
    ///
    /// # Errors
    ///
    /// [`TagError::NoTag`].
    pub fn replace_tag(&mut self, tag: VlanTag) -> Result<VlanTag, TagError> {
        let old = self.tag()?;
        self.write_tag(tag);
        Ok(old)
    }

    /// Reads the tag that pops and replaces act on. Behind it there must be an EtherType.
    fn tag(&self) -> Result<VlanTag, TagError> {
        let view = EthernetView::parse(self.data()).map_err(|_cut_short| TagError::NoTag)?;
        match view.tags().outer() {
            Some(tag) if view.outer_ethertype() == EtherType::VLAN => Ok(tag),
            Some(_) | None => Err(TagError::NoTag),
        }
    }

    /// Writes EtherType and control information behind the addresses, where there is room for them.
    fn write_tag(&mut self, tag: VlanTag) {
        let [type0, type1] = EtherType::VLAN.0.to_be_bytes();
        let [tci0, tci1] = tag.tci().to_be_bytes();
        if let Some(place) = self
            .data_mut()
            .get_mut(ADDRESSES_LEN..ADDRESSES_LEN + VlanTag::LEN)
        {
            place.copy_from_slice(&[type0, type1, tci0, tci1]);
        }
    }
}

const TAG_LEN: u16 = 4;
const _: () = assert!(TAG_LEN as usize == VlanTag::LEN);

/// Returns the offload of a frame that got a tag.
fn grown(mut offload: Offload) -> Result<Offload, TagError> {
    if let ChecksumOffload::Partial { start, .. } = &mut offload.checksum {
        *start = start
            .checked_add(TAG_LEN)
            .ok_or(TagError::Checksum { start: *start })?;
    }
    if let Some(gso) = &mut offload.gso
        && gso.header_len_hint > 0
    {
        gso.header_len_hint = gso.header_len_hint.saturating_add(TAG_LEN);
    }
    Ok(offload)
}

/// Returns the offload of a frame that lost a tag.
fn shrunk(mut offload: Offload) -> Result<Offload, TagError> {
    if let ChecksumOffload::Partial { start, .. } = &mut offload.checksum {
        *start = start
            .checked_sub(TAG_LEN)
            .filter(|start| usize::from(*start) >= EthernetView::LEN)
            .ok_or(TagError::Checksum { start: *start })?;
    }
    if let Some(gso) = &mut offload.gso {
        gso.header_len_hint = gso.header_len_hint.saturating_sub(TAG_LEN);
    }
    Ok(offload)
}

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;
