//! Why a packet does not enter or leave a tunnel.
//!
//! Each reason is a counter. A refused packet is no failure of ours: a peer, or anybody who can
//! reach the port, can cause most of them at will. `Error` is implemented for the convenience of
//! tests and tools.

use core::fmt;

/// Why a packet is not encapsulated, or not taken out of its encapsulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Refusal {
    /// Received: the datagram ends within the tunnel's header.
    Truncated,
    /// Received: the I flag of the VXLAN header is not set (RFC 7348 §5).
    VxlanFlag,
    /// Received: GUE of another variant than 1, which has headers that we do not read.
    GueVariant,
    /// Received: no network here has this VNI.
    UnknownVni,
    /// Received: the sender is no peer of any network here.
    UnknownPeer,
    /// Received: the sender is a peer, but not of this network.
    PeerNotBound,
    /// Received: the sender is no peer of a network that is open to strangers, and is not learned yet, or as many
    /// as may be learned are there.
    PeerNotLearned,
    /// Received: the sender's address is not that of one host.
    OuterSource,
    /// Received: the outer packet is not what it says, or is a fragment.
    OuterMalformed,
    /// Received: the inner packet is of neither version of IP.
    InnerVersion,
    /// Received: the inner frame ends within its headers, or the inner packet before its length.
    InnerMalformed,
    /// Received or to be sent: the inner frame has a VLAN tag that the network does not let through
    /// (RFC 7348 §6.1).
    InnerTagged,
    /// Received: the inner source address does not belong to the peer that sent it.
    InnerSource,
    /// Received: the inner destination is not here.
    InnerDestination,
    /// Received: congestion was met on the way and the inner packet cannot carry the news (RFC 6040
    /// §4.2).
    EcnDrop,
    /// To be sent: the frame carries no IP packet, and the tunnel nothing else.
    NotIp,
    /// To be sent: no peer has the destination.
    NoRoute,
    /// To be sent: there is no room in front of the frame for the tunnel's header.
    NoHeadroom,
    /// To be sent: the packet is larger than the path to the peer takes.
    TooBig,
}

impl Refusal {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Truncated,
        Self::VxlanFlag,
        Self::GueVariant,
        Self::UnknownVni,
        Self::UnknownPeer,
        Self::PeerNotBound,
        Self::PeerNotLearned,
        Self::OuterSource,
        Self::OuterMalformed,
        Self::InnerVersion,
        Self::InnerMalformed,
        Self::InnerTagged,
        Self::InnerSource,
        Self::InnerDestination,
        Self::EcnDrop,
        Self::NotIp,
        Self::NoRoute,
        Self::NoHeadroom,
        Self::TooBig,
    ];
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the place of the reason in an array of [`Refusal::COUNT`] counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the name under which users see the reason; it does not change between releases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "tunnel_truncated",
            Self::VxlanFlag => "vxlan_flag",
            Self::GueVariant => "gue_variant",
            Self::UnknownVni => "unknown_vni",
            Self::UnknownPeer => "unknown_peer",
            Self::PeerNotBound => "peer_not_bound",
            Self::PeerNotLearned => "peer_not_learned",
            Self::OuterSource => "outer_source",
            Self::OuterMalformed => "outer_malformed",
            Self::InnerVersion => "inner_version",
            Self::InnerMalformed => "inner_malformed",
            Self::InnerTagged => "inner_tagged",
            Self::InnerSource => "inner_source",
            Self::InnerDestination => "inner_destination",
            Self::EcnDrop => "ecn_drop",
            Self::NotIp => "not_ip",
            Self::NoRoute => "no_route",
            Self::NoHeadroom => "no_headroom",
            Self::TooBig => "too_big",
        }
    }
}

impl core::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_number_and_name() {
        for (number, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), number);
            let namesakes = Refusal::ALL
                .iter()
                .filter(|other| other.as_str() == reason.as_str());
            assert_eq!(namesakes.count(), 1);
        }
    }
}
