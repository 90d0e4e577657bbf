//! What becomes of a frame.

use core::fmt;

use tapweave_net::PortNo;

use crate::DropReason;

/// The outcome of the decision on one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it to this port. Never the ingress port.
    Forward(PortNo),
    /// Send it to every port of [`Pipeline::flood_set`](crate::Pipeline::flood_set).
    Flood,
    /// Send it nowhere.
    Drop(DropReason),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(port) => write!(f, "forward to port {port}"),
            Self::Flood => f.write_str("flood"),
            Self::Drop(reason) => write!(f, "drop: {reason}"),
        }
    }
}
