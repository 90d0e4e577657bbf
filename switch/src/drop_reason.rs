//! Why frames are dropped.
//!
//! Each reason is a counter of each port: those of the decision and of the device that was read count
//! at the ingress port, those of the device that should have been written at the egress port.

use core::fmt;

use tapweave_nat::NatDrop;

/// Why a frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum DropReason {
    /// Ingress: shorter than its Ethernet header with VLAN tags.
    Runt,
    /// Ingress: the packet, or a segment that it would be cut into, is larger than the MTU.
    Oversize,
    /// Ingress: what the `virtio_net_hdr` asks for cannot be done on the frame.
    BadOffload,
    /// Ingress: the VID of the frame's tag is 4095 (IEEE 802.1Q-2018 table 9-2).
    VlanReserved,
    /// Ingress: the frame is tagged, and the port is an access port.
    VlanTagged,
    /// Ingress: the frame is untagged, and the port is a trunk without a native VLAN.
    VlanUntagged,
    /// Ingress: the frame's VLAN is not one of the port.
    VlanNotCarried,
    /// Ingress: the source address is a group address (IEEE 802.3 §3.2.3).
    SourceGroup,
    /// Ingress: the source address is all zeroes.
    SourceZero,
    /// Guard: the source address is not the endpoint's MAC.
    GuardMac,
    /// Guard: neither ARP nor IPv4 nor IPv6, or more than two VLAN tags before it.
    GuardEthertype,
    /// Guard: ARP that says something about another station, or is not for IPv4 over Ethernet.
    GuardArp,
    /// Guard: the IPv4 source is not the endpoint's.
    GuardIpv4,
    /// Guard: the IPv6 source is not the endpoint's.
    GuardIpv6,
    /// Guard: Neighbor Discovery that says something about another station, or comes in a fragment.
    GuardNd,
    /// Guard: what only a router may send (RFC 6105).
    GuardRouter,
    /// Guard: what only a DHCP server or relay may send.
    GuardDhcp,
    /// Guard: headers that cannot be followed to their end, or that an offload would rewrite.
    GuardMalformed,
    /// Ingress: the port has learned as many stations as it may, and this one is new.
    MacLimit,
    /// Ingress: the station is sticky on another port.
    StickyElsewhere,
    /// Ingress: the port is locked, and the station has no static entry for it.
    Locked,
    /// Ingress: the destination is one of 01-80-C2-00-00-00 to -0F (IEEE 802.1Q-2018 §8.6.3).
    ReservedDestination,
    /// Ingress: the destination is on the port that the frame came from.
    SamePort,
    /// Ingress: the destination is on another isolated port.
    Isolated,
    /// Ingress: the frame came from one host of the overlay and its destination is on another.
    SplitHorizon,
    /// Ingress: nobody listens to the group.
    NoListeners,
    /// Ingress: a query who listens to groups, where the switch alone may ask.
    QueryRefused,
    /// Ingress: more broadcasts than the port may send.
    StormBroadcast,
    /// Ingress: more frames to groups than the port may send.
    StormMulticast,
    /// Ingress: more frames to unknown stations than the port may send.
    StormUnknown,
    /// Ingress: the port has been removed. No port is left to count this at.
    PortGone,
    /// Egress: the device takes no more frames for now.
    QueueFull,
    /// Egress: the device is down.
    DeviceDown,
    /// Egress: the device refused the frame for another reason.
    DeviceError,
    /// Egress: the port cannot take a super-frame or a partial checksum, and it could not be finished
    /// in software.
    NotSegmentable,
    /// Egress: the VLAN tag that the port wants could not be put in or taken out.
    TagFailed,
    /// Egress: the frame has a VLAN tag, and the tunnel lets none through.
    TunnelTagged,
    /// Egress: the packet is larger than the path to the other host takes. Its sender was told.
    TunnelTooBig,
    /// Gateway: headers that cannot be read to the L4 header, or a wrong IPv4 header checksum.
    GatewayMalformed,
    /// Gateway: nothing that the gateway deals with, such as ARP or a group that is not for it.
    GatewayProtocol,
    /// Gateway: the source is not a host of the subnets, or one from outside claims to be.
    GatewaySource,
    /// Gateway: the packet names its own route (RFC 5095, RFC 7126 §4.3).
    GatewaySourceRoute,
    /// Gateway: an address that packets are not forwarded from or to (RFC 1812 §5.3.7).
    GatewayMartian,
    /// Gateway: the TTL or Hop Limit has run out.
    GatewayHopLimit,
    /// Gateway: the packet is larger than the MTU ahead and may not be cut.
    GatewayTooBig,
    /// Gateway: for an address of the gateway, where nobody listens.
    GatewayPort,
    /// Gateway: the network is internal.
    GatewayClosed,
    /// Gateway: the destination is in another network.
    GatewayOtherNetwork,
    /// Gateway: no way leads to the destination.
    GatewayNoRoute,
    /// Gateway: the next hop is being asked for, or does not answer.
    GatewayNoNeighbor,
    /// Service: the port or the network has as many requests waiting as it may.
    ServiceLimit,
    /// Service: all networks together have as many requests waiting as fit.
    ServiceFull,
    /// NAT: headers that cannot be followed or rewritten.
    NatMalformed,
    /// NAT: neither TCP nor UDP nor ICMP.
    NatProtocol,
    /// NAT: an ICMP message that is neither an echo nor an error about a translated packet.
    NatIcmpType,
    /// NAT: an ICMP error about a packet of no flow that is known.
    NatIcmpUnmatched,
    /// NAT: to an external address, and no mapping or published port takes it.
    NatNoMapping,
    /// NAT: there is no external address of this family.
    NatNoExternalAddress,
    /// NAT: every port that was tried is taken.
    NatPortsExhausted,
    /// NAT: the table is full of flows that may not give way.
    NatTableFull,
    /// NAT: the sender has as many flows as it may have.
    NatFlowLimit,
    /// NAT: the sender opens flows faster than it may.
    NatFlowRate,
    /// NAT: a TCP segment that opens nothing and belongs to no flow.
    NatTcpNoFlow,
    /// NAT: a fragment whose packet cannot be translated.
    NatFragment,
    /// NAT: another worker changed the same flow again and again.
    NatContended,
}

impl DropReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 65] = [
        Self::Runt,
        Self::Oversize,
        Self::BadOffload,
        Self::VlanReserved,
        Self::VlanTagged,
        Self::VlanUntagged,
        Self::VlanNotCarried,
        Self::SourceGroup,
        Self::SourceZero,
        Self::GuardMac,
        Self::GuardEthertype,
        Self::GuardArp,
        Self::GuardIpv4,
        Self::GuardIpv6,
        Self::GuardNd,
        Self::GuardRouter,
        Self::GuardDhcp,
        Self::GuardMalformed,
        Self::MacLimit,
        Self::StickyElsewhere,
        Self::Locked,
        Self::ReservedDestination,
        Self::SamePort,
        Self::Isolated,
        Self::SplitHorizon,
        Self::NoListeners,
        Self::QueryRefused,
        Self::StormBroadcast,
        Self::StormMulticast,
        Self::StormUnknown,
        Self::PortGone,
        Self::QueueFull,
        Self::DeviceDown,
        Self::DeviceError,
        Self::NotSegmentable,
        Self::TagFailed,
        Self::TunnelTagged,
        Self::TunnelTooBig,
        Self::GatewayMalformed,
        Self::GatewayProtocol,
        Self::GatewaySource,
        Self::GatewaySourceRoute,
        Self::GatewayMartian,
        Self::GatewayHopLimit,
        Self::GatewayTooBig,
        Self::GatewayPort,
        Self::GatewayClosed,
        Self::GatewayOtherNetwork,
        Self::GatewayNoRoute,
        Self::GatewayNoNeighbor,
        Self::ServiceLimit,
        Self::ServiceFull,
        Self::NatMalformed,
        Self::NatProtocol,
        Self::NatIcmpType,
        Self::NatIcmpUnmatched,
        Self::NatNoMapping,
        Self::NatNoExternalAddress,
        Self::NatPortsExhausted,
        Self::NatTableFull,
        Self::NatFlowLimit,
        Self::NatFlowRate,
        Self::NatTcpNoFlow,
        Self::NatFragment,
        Self::NatContended,
    ];
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the place of the reason in an array of [`DropReason::COUNT`] counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Tells whether a guard or a limit refused the frame: the sandbox did what it may not.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::GuardMac
                | Self::GuardEthertype
                | Self::GuardArp
                | Self::GuardIpv4
                | Self::GuardIpv6
                | Self::GuardNd
                | Self::GuardRouter
                | Self::GuardDhcp
                | Self::GuardMalformed
                | Self::MacLimit
                | Self::StickyElsewhere
                | Self::Locked
                | Self::StormBroadcast
                | Self::StormMulticast
                | Self::StormUnknown
        )
    }

    /// Returns the name under which users see the reason; it does not change between releases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runt => "runt",
            Self::Oversize => "oversize",
            Self::BadOffload => "bad_offload",
            Self::VlanReserved => "vlan_reserved",
            Self::VlanTagged => "vlan_tagged",
            Self::VlanUntagged => "vlan_untagged",
            Self::VlanNotCarried => "vlan_not_carried",
            Self::SourceGroup => "source_group",
            Self::SourceZero => "source_zero",
            Self::GuardMac => "guard_mac",
            Self::GuardEthertype => "guard_ethertype",
            Self::GuardArp => "guard_arp",
            Self::GuardIpv4 => "guard_ipv4",
            Self::GuardIpv6 => "guard_ipv6",
            Self::GuardNd => "guard_nd",
            Self::GuardRouter => "guard_router",
            Self::GuardDhcp => "guard_dhcp",
            Self::GuardMalformed => "guard_malformed",
            Self::MacLimit => "mac_limit",
            Self::StickyElsewhere => "sticky_elsewhere",
            Self::Locked => "locked",
            Self::ReservedDestination => "reserved_destination",
            Self::SamePort => "same_port",
            Self::Isolated => "isolated",
            Self::SplitHorizon => "split_horizon",
            Self::NoListeners => "no_listeners",
            Self::QueryRefused => "query_refused",
            Self::StormBroadcast => "storm_broadcast",
            Self::StormMulticast => "storm_multicast",
            Self::StormUnknown => "storm_unknown",
            Self::PortGone => "port_gone",
            Self::QueueFull => "queue_full",
            Self::DeviceDown => "device_down",
            Self::DeviceError => "device_error",
            Self::NotSegmentable => "not_segmentable",
            Self::TagFailed => "tag_failed",
            Self::TunnelTagged => "tunnel_tagged",
            Self::TunnelTooBig => "tunnel_too_big",
            Self::GatewayMalformed => "gateway_malformed",
            Self::GatewayProtocol => "gateway_protocol",
            Self::GatewaySource => "gateway_source",
            Self::GatewaySourceRoute => "gateway_source_route",
            Self::GatewayMartian => "gateway_martian",
            Self::GatewayHopLimit => "gateway_hop_limit",
            Self::GatewayTooBig => "gateway_too_big",
            Self::GatewayPort => "gateway_port",
            Self::GatewayClosed => "gateway_closed",
            Self::GatewayOtherNetwork => "gateway_other_network",
            Self::GatewayNoRoute => "gateway_no_route",
            Self::GatewayNoNeighbor => "gateway_no_neighbor",
            Self::ServiceLimit => "service_limit",
            Self::ServiceFull => "service_full",
            Self::NatMalformed => "nat_malformed",
            Self::NatProtocol => "nat_protocol",
            Self::NatIcmpType => "nat_icmp_type",
            Self::NatIcmpUnmatched => "nat_icmp_unmatched",
            Self::NatNoMapping => "nat_no_mapping",
            Self::NatNoExternalAddress => "nat_no_external_address",
            Self::NatPortsExhausted => "nat_ports_exhausted",
            Self::NatTableFull => "nat_table_full",
            Self::NatFlowLimit => "nat_flow_limit",
            Self::NatFlowRate => "nat_flow_rate",
            Self::NatTcpNoFlow => "nat_tcp_no_flow",
            Self::NatFragment => "nat_fragment",
            Self::NatContended => "nat_contended",
        }
    }
}

/// Where the reasons of NAT begin.
const FIRST_OF_NAT: usize = DropReason::NatMalformed.index();
const _: () = assert!(DropReason::COUNT == FIRST_OF_NAT + NatDrop::COUNT);

impl From<NatDrop> for DropReason {
    fn from(reason: NatDrop) -> Self {
        Self::ALL[FIRST_OF_NAT + reason.index()]
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_of_nat_keep_their_names() {
        for reason in NatDrop::ALL {
            assert_eq!(DropReason::from(reason).as_str(), reason.as_str());
        }
    }

    #[test]
    fn every_reason_has_its_own_number_and_name() {
        for (number, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), number);
            let namesakes = DropReason::ALL
                .iter()
                .filter(|other| other.as_str() == reason.as_str());
            assert_eq!(namesakes.count(), 1);
        }
    }
}
