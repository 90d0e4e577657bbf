//! What becomes of a frame.

use core::fmt;

use tapweave_net::{NeighborAnswer, PortNo, TagAction};

use crate::{DropReason, FrameVlan};

/// The outcome of the decision on one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it to this port. Never the ingress port.
    Forward(EgressPort),
    /// Send it to every port of [`Pipeline::flood_set`](crate::Pipeline::flood_set) for its VLAN.
    Flood(FrameVlan),
    /// Send it to every port of [`Pipeline::group_set`](crate::Pipeline::group_set): those that listen to
    /// its group. There may be none: a report is for routers only, and has then done its work.
    Multicast(FrameVlan, GroupSlot),
    /// Give it to the gateway: [`Pipeline::handle_gateway`](crate::Pipeline::handle_gateway).
    Gateway,
    /// Answer it in the place of a neighbour: [`Pipeline::answer_neighbor`](crate::Pipeline::answer_neighbor).
    Answer(NeighborAnswer),
    /// Send it nowhere.
    Drop(DropReason),
}

/// Where a pipeline keeps the listeners of a group until its next batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupSlot(pub(crate) usize);

/// A port that a frame goes to, and the form in which it goes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EgressPort {
    /// The port.
    pub port: PortNo,
    /// What has to be done with the frame's tag first. It is meant for the frame as it came in.
    pub tag: TagAction,
}

impl EgressPort {
    /// Returns the port `port`, which takes the frame as it is.
    pub const fn unchanged(port: PortNo) -> Self {
        Self {
            port,
            tag: TagAction::Keep,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(egress) => write!(f, "forward to {egress}"),
            Self::Flood(FrameVlan { vid: Some(vid), .. }) => write!(f, "flood in VLAN {vid}"),
            Self::Flood(FrameVlan { vid: None, .. }) => f.write_str("flood"),
            Self::Multicast(FrameVlan { vid: Some(vid), .. }, _) => {
                write!(f, "to those who listen in VLAN {vid}")
            }
            Self::Multicast(FrameVlan { vid: None, .. }, _) => f.write_str("to those who listen"),
            Self::Gateway => f.write_str("to the gateway"),
            Self::Answer(answer) => write!(f, "answered: it is at {}", answer.mac),
            Self::Drop(reason) => write!(f, "drop: {reason}"),
        }
    }
}

impl fmt::Display for EgressPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.port)?;
        match self.tag {
            TagAction::Keep => Ok(()),
            TagAction::Push(tag) => write!(f, " (tagged {tag})"),
            TagAction::Replace(tag) => write!(f, " (retagged {tag})"),
            TagAction::Pop => f.write_str(" (untagged)"),
        }
    }
}
