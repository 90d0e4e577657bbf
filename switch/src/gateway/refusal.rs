//! Why a packet goes no further, and what its sender is told.

use tapweave_net::IcmpErrorKind;

use crate::DropReason;

/// A packet is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) reason: DropReason,
    /// None where silence is right.
    pub(super) tell: Option<IcmpErrorKind>,
}

impl Refusal {
    /// Returns a refusal that the sender hears of.
    pub(super) const fn told(reason: DropReason, kind: IcmpErrorKind) -> Self {
        Self {
            reason,
            tell: Some(kind),
        }
    }

    /// Nobody has the destination.
    pub(super) const NO_ROUTE: Self =
        Self::told(DropReason::GatewayNoRoute, IcmpErrorKind::NoRoute);

    /// The destination does not answer on its link.
    pub(super) const UNREACHABLE: Self = Self::told(
        DropReason::GatewayNoNeighbor,
        IcmpErrorKind::HostUnreachable,
    );

    /// The hops of the packet are used up.
    pub(super) const EXPIRED: Self =
        Self::told(DropReason::GatewayHopLimit, IcmpErrorKind::HopLimitExceeded);

    /// The packet is larger than `mtu` and may not be cut.
    pub(super) const fn too_big(mtu: u16) -> Self {
        Self::told(DropReason::GatewayTooBig, IcmpErrorKind::TooBig { mtu })
    }
}

impl From<DropReason> for Refusal {
    /// A refusal that nobody hears of.
    fn from(reason: DropReason) -> Self {
        Self { reason, tell: None }
    }
}
