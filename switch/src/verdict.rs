//! What becomes of a frame.

use core::fmt;

use tapweave_net::{PortNo, TagAction};

use crate::{DropReason, FrameVlan};

/// The outcome of the decision on one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it to this port. Never the ingress port.
    Forward(EgressPort),
    /// Send it to every port of [`Pipeline::flood_set`](crate::Pipeline::flood_set) for its VLAN.
    Flood(FrameVlan),
    /// Send it nowhere.
    Drop(DropReason),
}

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
