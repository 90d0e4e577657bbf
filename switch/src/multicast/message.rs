//! What a frame for a group is to snooping: data, a message of IGMP or MLD, or neither.
//!
//! A message that is not as the RFCs want it is not believed, but it is not dropped either: it goes
//! where a frame to its address goes, and is counted. What is asked for:
//!
//! | | IGMP | MLD |
//! |---|---|---|
//! | whole packet, header checksum | RFC 791 | |
//! | checksum of the message | RFC 3376 §4.1.2 | RFC 3810 §5.1.2 |
//! | TTL or hop limit 1 | RFC 3376 §4 | RFC 3810 §5 |
//! | Router Alert | no: old hosts leave it out | RFC 3810 §5, in Hop-by-Hop Options |
//! | link-local source | | queries (RFC 3810 §5.1.14); reports may come from `::` (RFC 3590) |
//! | destination of a general query | 224.0.0.1 (RFC 3376 §4.1.12) | `ff02::1` (RFC 3810 §5.1.15) |
//! | the group is a multicast address | yes | yes |
//! | all records are there | yes | yes |
//!
//! Fragments are none of them messages: they are too short to need it. Extension headers other than
//! Hop-by-Hop Options in front of MLD are refused, as Linux does; nobody has a reason to send them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use tapweave_net::{
    EtherType, Fragment, GroupRecord, Icmpv6View, IgmpMessage, IgmpVersion, IpProtocol, Ipv4View,
    Ipv6Options, Ipv6View, MldMessage, RecordKind,
};

use super::{Family, Group};

/// Octets of an IPv6 address from the start of its header.
const V6_DST: core::ops::Range<usize> = 24..40;
const V4_DST: core::ops::Range<usize> = 16..20;

/// Whether the checksum of a frame's upper layer can be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Checksum {
    /// It is in the frame.
    Present,
    /// The sender left it to us, or has said that it is right: the frame never left the machine.
    Vouched,
}

/// What a frame is to snooping.
#[derive(Clone, Debug)]
pub(crate) enum Heard<'a> {
    /// Not for an IP group.
    Other,
    /// Data for a group.
    Data(Group),
    /// A message that is not believed.
    Invalid(Group),
    /// A router asks.
    Query(Query),
    /// A host tells.
    Report(Report<'a>),
}

/// A question who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    pub(crate) family: Family,
    /// Who asks; unspecified for a switch without an address.
    pub(crate) source: IpAddr,
    /// What for; none in a general query.
    pub(crate) group: Option<Group>,
    /// How long hosts may wait.
    pub(crate) max_response: Duration,
    /// Whether whoever does not answer leaves the group: not if it is about single sources, or if the
    /// querier says so by its S flag (RFC 3376 §4.1.5, §6.6.1).
    pub(crate) expels: bool,
}

/// What a host tells. Its records have been counted: they are all there.
#[derive(Clone, Debug)]
pub(crate) enum Report<'a> {
    Igmp(IgmpMessage<'a>),
    Mld(MldMessage<'a>),
}

/// What a host wants of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It listens.
    Join,
    /// It listens, and will not say when it stops.
    JoinV1,
    /// It does not listen any more.
    Leave,
}

/// Reads the packet of a frame to a group MAC address. It starts at `packet[0]`; what follows its end is
/// padding.
pub(crate) fn hear(ethertype: EtherType, packet: &[u8], checksum: Checksum) -> Heard<'_> {
    match ethertype {
        EtherType::IPV4 => hear_v4(packet),
        EtherType::IPV6 => hear_v6(packet, checksum),
        _ => Heard::Other,
    }
}

fn hear_v4(packet: &[u8]) -> Heard<'_> {
    let Some(group) = destination::<4, Ipv4Addr>(packet, V4_DST) else {
        return Heard::Other;
    };
    // The version and the protocol: most frames are data and end here.
    match (packet.first().map(|octet| octet >> 4), packet.get(9)) {
        (Some(4), Some(&protocol)) if IpProtocol(protocol) == IpProtocol::IGMP => {}
        (Some(4), _) => return Heard::Data(group),
        _ => return Heard::Other,
    }
    igmp(packet).unwrap_or(Heard::Invalid(group))
}

fn hear_v6(packet: &[u8], checksum: Checksum) -> Heard<'_> {
    let Some(group) = destination::<16, Ipv6Addr>(packet, V6_DST) else {
        return Heard::Other;
    };
    match (packet.first().map(|octet| octet >> 4), packet.get(6)) {
        // Without Hop-by-Hop Options there is no Router Alert. A listener message without them is one
        // that is not believed, which only the count of those tells from data.
        (Some(6), Some(&next))
            if matches!(
                IpProtocol(next),
                IpProtocol::HOP_BY_HOP | IpProtocol::ICMPV6
            ) => {}
        (Some(6), _) => return Heard::Data(group),
        _ => return Heard::Other,
    }
    let Ok(ip) = Ipv6View::parse(packet) else {
        return Heard::Data(group);
    };
    let Ok(upper) = ip.upper_layer() else {
        return Heard::Data(group);
    };
    if upper.protocol != IpProtocol::ICMPV6 || upper.fragment() != Fragment::Whole {
        return Heard::Data(group);
    }
    match Icmpv6View::parse(upper.bytes) {
        Ok(icmp) if icmp.kind().is_listener_discovery() => {
            mld(&ip, &icmp, checksum).unwrap_or(Heard::Invalid(group))
        }
        _ => Heard::Data(group),
    }
}

/// Returns the group that a packet is for; none when it is cut short or for no group.
fn destination<const LEN: usize, A: From<[u8; LEN]> + Into<IpAddr>>(
    packet: &[u8],
    at: core::ops::Range<usize>,
) -> Option<Group> {
    let octets: [u8; LEN] = packet.get(at)?.try_into().ok()?;
    Group::new(A::from(octets).into())
}

/// Returns what an IGMP message says; none when it is not believed.
fn igmp(packet: &[u8]) -> Option<Heard<'_>> {
    let ip = Ipv4View::parse(packet).ok()?;
    let whole = ip.fragment() == Fragment::Whole && ip.verify_checksum();
    if !whole || ip.ttl() != 1 || !IgmpMessage::verify_checksum(ip.payload()) {
        return None;
    }
    let message = IgmpMessage::parse(ip.payload()).ok()?;
    let IgmpMessage::Query(query) = &message else {
        return report(Report::Igmp(message));
    };
    // Version 1 has general queries only (RFC 1112 app. I); its group field is to be ignored.
    let general = query.group.is_unspecified() || query.version == IgmpVersion::V1;
    if general && ip.dst() != Ipv4Addr::new(224, 0, 0, 1) {
        return None;
    }
    let group = if general {
        None
    } else {
        Some(Group::new(query.group.into())?)
    };
    Some(Heard::Query(Query {
        family: Family::V4,
        source: ip.src().into(),
        group,
        max_response: query.max_response,
        expels: !query.suppress && query.source_count == 0,
    }))
}

/// Returns what an MLD message says; none when it is not believed.
fn mld<'a>(ip: &Ipv6View<'a>, icmp: &Icmpv6View<'a>, checksum: Checksum) -> Option<Heard<'a>> {
    let mut extensions = ip.extensions();
    let options = Ipv6Options::new(extensions.next()?.ok()?);
    let alert = |option: Result<tapweave_net::RawOption<'_>, _>| {
        option.is_ok_and(|option| option.kind == Ipv6Options::ROUTER_ALERT)
    };
    let addressed = ip.hop_limit() == 1 && extensions.next().is_none();
    if !addressed || !options.clone().all(|option| option.is_ok()) || !options.clone().any(alert) {
        return None;
    }
    if checksum == Checksum::Present && !icmp.verify_checksum(ip.src(), ip.dst()) {
        return None;
    }
    let message = MldMessage::parse(icmp).ok()?;
    let MldMessage::Query(query) = &message else {
        if !ip.src().is_unspecified() && !ip.src().is_unicast_link_local() {
            return None;
        }
        return report(Report::Mld(message));
    };
    if !ip.src().is_unicast_link_local() {
        return None;
    }
    let group = if query.group.is_unspecified() {
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        if ip.dst() != all_nodes {
            return None;
        }
        None
    } else {
        Some(Group::new(query.group.into())?)
    };
    Some(Heard::Query(Query {
        family: Family::V6,
        source: ip.src().into(),
        group,
        max_response: query.max_response,
        expels: !query.suppress && query.source_count == 0,
    }))
}

/// Returns a report whose records are all there and about groups.
fn report(report: Report<'_>) -> Option<Heard<'_>> {
    let whole = match &report {
        Report::Igmp(IgmpMessage::ReportV3 { records }) => {
            let mut records = records.clone();
            records.all(|record| record.is_ok_and(|record| record.group.is_multicast()))
        }
        Report::Mld(MldMessage::ReportV2 { records }) => {
            let mut records = records.clone();
            records.all(|record| record.is_ok_and(|record| record.group.is_multicast()))
        }
        Report::Igmp(
            IgmpMessage::ReportV1 { group }
            | IgmpMessage::ReportV2 { group }
            | IgmpMessage::Leave { group },
        ) => group.is_multicast(),
        Report::Mld(MldMessage::ReportV1 { group } | MldMessage::Done { group }) => {
            group.is_multicast()
        }
        Report::Igmp(IgmpMessage::Query(_)) | Report::Mld(MldMessage::Query(_)) => false,
    };
    whole.then_some(Heard::Report(report))
}

impl Report<'_> {
    /// Calls `change` with what the report says about each group.
    pub(crate) fn for_each(&self, mut change: impl FnMut(Group, Change)) {
        let mut tell = |address: IpAddr, what| {
            if let Some(group) = Group::new(address) {
                change(group, what);
            }
        };
        match self {
            Self::Igmp(IgmpMessage::ReportV1 { group }) => tell((*group).into(), Change::JoinV1),
            Self::Igmp(IgmpMessage::ReportV2 { group }) => tell((*group).into(), Change::Join),
            Self::Igmp(IgmpMessage::Leave { group }) => tell((*group).into(), Change::Leave),
            Self::Igmp(IgmpMessage::ReportV3 { records }) => {
                for record in records.clone().flatten() {
                    if let Some(what) = change_of(&record) {
                        tell(record.group.into(), what);
                    }
                }
            }
            Self::Mld(MldMessage::ReportV1 { group }) => tell((*group).into(), Change::Join),
            Self::Mld(MldMessage::Done { group }) => tell((*group).into(), Change::Leave),
            Self::Mld(MldMessage::ReportV2 { records }) => {
                for record in records.clone().flatten() {
                    if let Some(what) = change_of(&record) {
                        tell(record.group.into(), what);
                    }
                }
            }
            Self::Igmp(IgmpMessage::Query(_)) | Self::Mld(MldMessage::Query(_)) => {}
        }
    }

    /// Returns which IP the report is about.
    pub(crate) const fn family(&self) -> Family {
        match self {
            Self::Igmp(_) => Family::V4,
            Self::Mld(_) => Family::V6,
        }
    }
}

/// Returns what a record means to somebody who keeps no sources; see the head of `multicast.rs`.
fn change_of<A>(record: &GroupRecord<A>) -> Option<Change> {
    match (record.kind, record.source_count) {
        (RecordKind::CHANGE_TO_INCLUDE, 0) => Some(Change::Leave),
        (RecordKind::MODE_IS_EXCLUDE | RecordKind::CHANGE_TO_EXCLUDE, _)
        | (
            RecordKind::MODE_IS_INCLUDE
            | RecordKind::CHANGE_TO_INCLUDE
            | RecordKind::ALLOW_NEW_SOURCES,
            1..,
        ) => Some(Change::Join),
        _ => None,
    }
}

#[cfg(test)]
#[cfg(not(loom))]
#[path = "message_tests.rs"]
mod tests;
