//! Why NAT drops packets.
//!
//! Each reason is a counter of [`NatStats`](crate::NatStats). A caller that shows drops by port
//! counts them there as well.

use core::fmt;

/// Why a packet was not translated and must not be forwarded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum NatDrop {
    /// Headers that cannot be followed or rewritten.
    Malformed,
    /// Neither TCP nor UDP nor ICMP: without ports there is nothing to tell two senders apart by.
    Protocol,
    /// An ICMP message that is neither an echo nor an error about a packet that was translated.
    IcmpType,
    /// An ICMP error about a packet of no flow that is known (RFC 5508 REQ-4).
    IcmpUnmatched,
    /// To an external address, and no mapping or published port takes it.
    NoMapping,
    /// There is no external address of this family.
    NoExternalAddress,
    /// Every port that was tried is taken (RFC 4787 REQ-3: ports are not overloaded).
    PortsExhausted,
    /// The table is full of flows that may not give way.
    TableFull,
    /// The sender has as many flows as it may have.
    FlowLimit,
    /// The sender opens flows faster than it may.
    FlowRate,
    /// A TCP segment that opens nothing and belongs to no flow.
    TcpNoFlow,
    /// A fragment whose packet cannot be translated: its first part was dropped or never came.
    Fragment,
    /// Another worker changed the same flow again and again; the sender's next packet finds it settled.
    Contended,
}

impl NatDrop {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Protocol,
        Self::IcmpType,
        Self::IcmpUnmatched,
        Self::NoMapping,
        Self::NoExternalAddress,
        Self::PortsExhausted,
        Self::TableFull,
        Self::FlowLimit,
        Self::FlowRate,
        Self::TcpNoFlow,
        Self::Fragment,
        Self::Contended,
    ];
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the place of the reason in an array of [`NatDrop::COUNT`] counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the name under which users see the reason; it does not change between releases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "nat_malformed",
            Self::Protocol => "nat_protocol",
            Self::IcmpType => "nat_icmp_type",
            Self::IcmpUnmatched => "nat_icmp_unmatched",
            Self::NoMapping => "nat_no_mapping",
            Self::NoExternalAddress => "nat_no_external_address",
            Self::PortsExhausted => "nat_ports_exhausted",
            Self::TableFull => "nat_table_full",
            Self::FlowLimit => "nat_flow_limit",
            Self::FlowRate => "nat_flow_rate",
            Self::TcpNoFlow => "nat_tcp_no_flow",
            Self::Fragment => "nat_fragment",
            Self::Contended => "nat_contended",
        }
    }
}

impl fmt::Display for NatDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_number_and_name() {
        for (number, reason) in NatDrop::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), number);
            let namesakes = NatDrop::ALL
                .iter()
                .filter(|other| other.as_str() == reason.as_str());
            assert_eq!(namesakes.count(), 1);
        }
    }
}
