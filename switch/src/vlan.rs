//! Which VLAN a frame is in, and in which form a port takes it.
//!
//! The rules are those of Open vSwitch (`vlan_mode` in `ovs-vswitchd.conf.db(5)`), so that a port
//! nobody said anything about carries everything:
//!
//! | port                      | untagged, or VID 0 | tagged V           | sends                          |
//! |---------------------------|--------------------|--------------------|--------------------------------|
//! | transparent               | no VLAN            | VLAN V             | no VLAN as it came, V tagged   |
//! | access A                  | VLAN A             | dropped            | A untagged                     |
//! | trunk of a set            | dropped            | VLAN V, if in set  | those of the set tagged        |
//! | trunk of a set, native N  | VLAN N             | V, if in set, or N | N untagged, the others tagged  |
//!
//! "No VLAN" is a VLAN of its own, which only transparent ports carry. VID 4095 is dropped everywhere
//! (IEEE 802.1Q-2018 table 9-2). Only an 0x8100 tag right behind the addresses counts: a service tag
//! (0x88a8) and what stands behind the first tag are payload.
//!
//! A frame is changed only where it leaves in another form than it came in. A port that sends a VLAN
//! untagged sends no priority tags either (as IEEE 802.1Q bridges and Open vSwitch do, since some
//! receivers ignore every frame with a tag); where a priority-tagged frame becomes a tagged one, its
//! tag keeps priority and drop eligibility.

use core::{fmt, iter};

use tapweave_net::{TagAction, Vid, VidSet, VlanTag};

use crate::DropReason;

/// How a port takes part in VLANs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum PortVlans {
    /// Every frame passes as it is; tagged ones are in the VLAN of their tag.
    #[default]
    Transparent,
    /// Untagged frames only, and they are in this VLAN.
    Access(Vid),
    /// Tagged frames of some VLANs.
    Trunk {
        /// Those VLANs.
        tagged: VidSet,
        /// The VLAN of untagged frames; without, they are dropped.
        native: Option<Vid>,
    },
}

/// The VLAN that a frame is in, and what the frame says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameVlan {
    /// The VLAN, if any.
    pub vid: Option<Vid>,
    /// The 802.1Q tag that the frame has; maybe one with a priority and no VLAN.
    pub tag: Option<VlanTag>,
}

impl FrameVlan {
    /// An untagged frame that is in no VLAN.
    pub const NONE: Self = Self {
        vid: None,
        tag: None,
    };

    /// Returns what ports of the VLAN may want done with the tag, each once. Every action can be done to
    /// what the ones before it made of the frame.
    pub fn tag_actions(self) -> impl Iterator<Item = TagAction> {
        let changes = [self.vid.map(|vid| self.tag(vid)), Some(self.untag())];
        let changes = changes.into_iter().flatten();
        let changes =
            changes.filter(move |action| *action != TagAction::Keep && self.vid.is_some());
        iter::once(TagAction::Keep).chain(changes)
    }

    fn untag(self) -> TagAction {
        match self.tag {
            Some(_) => TagAction::Pop,
            None => TagAction::Keep,
        }
    }

    fn tag(self, vid: Vid) -> TagAction {
        match self.tag {
            None => TagAction::Push(VlanTag::new(vid, 0)),
            Some(tag) if tag.is_priority_only() => TagAction::Replace(tag.with_vid(vid)),
            Some(_) => TagAction::Keep,
        }
    }
}

impl PortVlans {
    /// Tells whether the port is a member of a VLAN, or of "no VLAN".
    #[inline]
    pub fn carries(&self, vid: Option<Vid>) -> bool {
        match (self, vid) {
            (Self::Transparent, _) => true,
            (Self::Access(_) | Self::Trunk { .. }, None) => false,
            (Self::Access(own), Some(vid)) => *own == vid,
            (Self::Trunk { tagged, native }, Some(vid)) => {
                *native == Some(vid) || tagged.contains(vid)
            }
        }
    }

    /// Returns the VLAN of untagged frames; none when they are in no VLAN or not taken.
    pub const fn untagged(&self) -> Option<Vid> {
        match self {
            Self::Transparent => None,
            Self::Access(vid) => Some(*vid),
            Self::Trunk { native, .. } => *native,
        }
    }

    /// Returns the VLANs of tagged frames, if the port is a trunk.
    pub const fn tagged(&self) -> Option<&VidSet> {
        match self {
            Self::Transparent | Self::Access(_) => None,
            Self::Trunk { tagged, .. } => Some(tagged),
        }
    }

    /// Returns the VLAN of a frame that came in from the port with `tag`.
    ///
    /// # Errors
    ///
    /// Why the port does not take the frame.
    #[inline]
    pub(crate) fn classify(&self, tag: Option<VlanTag>) -> Result<Option<Vid>, DropReason> {
        let stated = match tag.filter(|tag| !tag.is_priority_only()) {
            Some(tag) => Some(tag.vid().map_err(|_is_4095| DropReason::VlanReserved)?),
            None => None,
        };
        match (self, stated) {
            (Self::Transparent, stated) => Ok(stated),
            (Self::Access(own), None) => Ok(Some(*own)),
            (Self::Access(_), Some(_)) => Err(DropReason::VlanTagged),
            (Self::Trunk { native: None, .. }, None) => Err(DropReason::VlanUntagged),
            (Self::Trunk { native, .. }, None) => Ok(*native),
            (Self::Trunk { .. }, Some(_)) if self.carries(stated) => Ok(stated),
            (Self::Trunk { .. }, Some(_)) => Err(DropReason::VlanNotCarried),
        }
    }

    /// Returns what has to be done with the tag of a frame before it goes out to the port; none when
    /// the port is not a member of the frame's VLAN.
    #[inline]
    pub(crate) fn egress(&self, vlan: FrameVlan) -> Option<TagAction> {
        self.carries(vlan.vid).then(|| self.tag_action(vlan))
    }

    /// As [`PortVlans::egress`] for a port that is a member.
    #[inline]
    pub(crate) fn tag_action(&self, vlan: FrameVlan) -> TagAction {
        match (self, vlan.vid) {
            (_, None) => TagAction::Keep,
            (Self::Transparent, Some(vid)) => vlan.tag(vid),
            (Self::Trunk { native, .. }, Some(vid)) if *native != Some(vid) => vlan.tag(vid),
            (Self::Access(_) | Self::Trunk { .. }, Some(_)) => vlan.untag(),
        }
    }
}

impl fmt::Display for PortVlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transparent => f.write_str("transparent port"),
            Self::Access(vid) => write!(f, "access port of VLAN {vid}"),
            Self::Trunk { tagged, native } => {
                write!(f, "trunk port of VLANs {tagged}")?;
                match native {
                    Some(vid) => write!(f, " with VLAN {vid} untagged"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
