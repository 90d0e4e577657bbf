//! The queries that the switch sends: bytes of IGMPv3 and MLDv2.
//!
//! IGMP queries come from 0.0.0.0, as those of Linux do unless told otherwise (`mcast_query_use_ifaddr`):
//! the switch has no address in the network, and such a query does not win an election. MLD requires a
//! link-local source (RFC 3810 §5.1.14), which is made of the querier's MAC address (RFC 4291 app. A).
//! The MAC address is locally administered and random by network and process.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use tapweave_net::{
    IgmpQuery, IgmpVersion, Ipv4Mut, MacAddr, MldQuery, MldVersion, NetworkNo, PortNo,
};

use super::timers::{LAST_MEMBER_INTERVAL, QUERY_INTERVAL, RESPONSE_INTERVAL, ROBUSTNESS};
use super::{Family, Group, Vlan};

/// The shortest frame without its check sequence (IEEE 802.3 §3.2.8).
const MIN_FRAME_LEN: usize = 60;
/// Internet control (RFC 3376 §4).
const TOS: u8 = 0xc0;
/// The Router Alert option of IPv4 (RFC 2113 §2.1).
const V4_ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
/// Hop-by-Hop Options with Router Alert for MLD and two octets of padding (RFC 2711 §2.1).
const V6_ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

/// A query to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupQuery {
    /// The network in which it is sent.
    pub network: NetworkNo,
    /// The port to which it is sent.
    pub port: PortNo,
    /// The frame, with the tag that the port wants.
    pub frame: Vec<u8>,
}

/// A question to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    pub(crate) vlan: Vlan,
    pub(crate) family: Family,
    /// The group, none for all.
    pub(crate) group: Option<Group>,
    /// The port that is asked, none for all.
    pub(crate) port: Option<PortNo>,
}

/// The switch as a querier of one network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    mac: MacAddr,
}

impl Asker {
    /// Returns a querier with a MAC address made of `random`.
    pub(crate) const fn new(random: u64) -> Self {
        let [_, _, mut mac @ ..] = random.to_be_bytes();
        mac[0] = (mac[0] & 0xfc) | 0x02;
        Self {
            mac: MacAddr::new(mac),
        }
    }

    /// Returns the source of its queries.
    pub(crate) fn address(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => self.link_local().into(),
        }
    }

    fn link_local(self) -> Ipv6Addr {
        let mac = self.mac.octets();
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&[0xfe, 0x80]);
        octets[8..11].copy_from_slice(&mac[..3]);
        octets[8] ^= 0x02;
        octets[11..13].copy_from_slice(&[0xff, 0xfe]);
        octets[13..].copy_from_slice(&mac[3..]);
        Ipv6Addr::from(octets)
    }

    /// Returns the frame that asks `question`, without a tag.
    pub(crate) fn frame(self, question: &Question) -> Vec<u8> {
        let max_response = match question.group {
            None => RESPONSE_INTERVAL,
            Some(_) => LAST_MEMBER_INTERVAL,
        };
        let mut frame = match (question.family, question.group.map(Group::address)) {
            (Family::V4, Some(IpAddr::V4(group))) => self.igmp(group, group, max_response),
            (Family::V4, _) => {
                let all_hosts = Ipv4Addr::new(224, 0, 0, 1);
                self.igmp(all_hosts, Ipv4Addr::UNSPECIFIED, max_response)
            }
            (Family::V6, Some(IpAddr::V6(group))) => self.mld(group, group, max_response),
            (Family::V6, _) => {
                let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                self.mld(all_nodes, Ipv6Addr::UNSPECIFIED, max_response)
            }
        };
        if frame.len() < MIN_FRAME_LEN {
            frame.resize(MIN_FRAME_LEN, 0);
        }
        frame
    }

    fn igmp(self, dst: Ipv4Addr, group: Ipv4Addr, max_response: Duration) -> Vec<u8> {
        let message = IgmpQuery {
            version: IgmpVersion::V3,
            group,
            max_response,
            suppress: false,
            robustness: ROBUSTNESS,
            interval: QUERY_INTERVAL,
            source_count: 0,
        }
        .encode();
        let [_, high, low @ ..] = dst.octets();
        let mut frame = Vec::with_capacity(MIN_FRAME_LEN);
        frame.extend([0x01, 0x00, 0x5e, high & 0x7f]);
        frame.extend(low);
        frame.extend(self.mac.octets());
        frame.extend([0x08, 0x00]);
        let l3 = frame.len();
        // Version and header length, TOS, length, no identification, DF, TTL 1, IGMP, checksum below.
        frame.extend([0x46, TOS, 0, 36, 0, 0, 0x40, 0, 1, 2, 0, 0]);
        frame.extend(Ipv4Addr::UNSPECIFIED.octets());
        frame.extend(dst.octets());
        frame.extend(V4_ROUTER_ALERT);
        frame.extend(message);
        if let Some(packet) = frame.get_mut(l3..)
            && let Ok(mut header) = Ipv4Mut::parse(packet)
        {
            header.fill_checksum();
        }
        frame
    }

    fn mld(self, dst: Ipv6Addr, group: Ipv6Addr, max_response: Duration) -> Vec<u8> {
        let src = self.link_local();
        let message = MldQuery {
            version: MldVersion::V2,
            group,
            max_response,
            suppress: false,
            robustness: ROBUSTNESS,
            interval: QUERY_INTERVAL,
            source_count: 0,
        }
        .encode(src, dst);
        let octets = dst.octets();
        let mut frame = Vec::with_capacity(14 + 40 + V6_ROUTER_ALERT.len() + message.len());
        frame.extend([0x33, 0x33]);
        frame.extend(&octets[12..]);
        frame.extend(self.mac.octets());
        frame.extend([0x86, 0xdd]);
        // Version, no label, length of options and message, hop limit 1.
        frame.extend([0x60, 0, 0, 0, 0, 36, 0, 1]);
        frame.extend(src.octets());
        frame.extend(dst.octets());
        frame.extend(V6_ROUTER_ALERT);
        frame.extend(message);
        frame
    }
}

#[cfg(test)]
mod tests {
    use tapweave_net::{EtherType, EthernetView};

    use super::*;
    use crate::multicast::message::Query;
    use crate::multicast::{Checksum, Heard, hear};

    fn heard(family: Family, group: Option<&str>) -> (MacAddr, Query) {
        let asker = Asker::new(0x0123_4567_89ab_cdef);
        let frame = asker.frame(&Question {
            vlan: None,
            family,
            group: group.map(|group| Group::new(group.parse().unwrap()).unwrap()),
            port: None,
        });
        assert!(frame.len() >= MIN_FRAME_LEN);
        let ethernet = EthernetView::parse(&frame).unwrap();
        assert!(ethernet.src().is_station() && ethernet.src().is_locally_administered());
        let want = match family {
            Family::V4 => EtherType::IPV4,
            Family::V6 => EtherType::IPV6,
        };
        assert_eq!(ethernet.ethertype(), want);
        let heard = hear(want, ethernet.payload(), Checksum::Present);
        let Heard::Query(query) = heard else {
            panic!("{heard:?}");
        };
        (ethernet.dst(), query)
    }

    #[test]
    fn our_queries_are_ones_that_we_believe() {
        let (mac, query) = heard(Family::V4, None);
        assert_eq!(mac, "01:00:5e:00:00:01".parse().unwrap());
        assert_eq!((query.group, query.max_response.as_secs()), (None, 10));
        assert!(query.source.is_unspecified());

        let (mac, query) = heard(Family::V4, Some("239.129.1.2"));
        assert_eq!(mac, "01:00:5e:01:01:02".parse().unwrap());
        assert_eq!(query.max_response.as_secs(), 1);

        let (mac, query) = heard(Family::V6, None);
        assert_eq!(mac, "33:33:00:00:00:01".parse().unwrap());
        assert_eq!(
            query.source,
            "fe80::4467:89ff:feab:cdef".parse::<IpAddr>().unwrap()
        );

        let (mac, query) = heard(Family::V6, Some("ff15::1:2:3"));
        assert_eq!(mac, "33:33:00:02:00:03".parse().unwrap());
        assert_eq!(
            query.group.map(Group::address),
            Some("ff15::1:2:3".parse().unwrap())
        );
    }
}
