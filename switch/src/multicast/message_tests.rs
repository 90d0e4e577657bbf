//! Messages that are not believed, and what is only data.

use super::*;
use crate::multicast::test_packets::{
    ALERT, Packet, data, igmp, ipv4, join, mld, mld_behind, query,
};

fn invalid(packet: &Packet) -> bool {
    matches!(packet.heard(), Heard::Invalid(_))
}

fn query_v6() -> Vec<u8> {
    [&[130, 0, 0, 0, 0x27, 0x10, 0, 0][..], &[0; 16]].concat()
}

fn report_v6() -> Vec<u8> {
    let group = [0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    [&[131, 0, 0, 0, 0, 0, 0, 0][..], &group].concat()
}

#[test]
fn what_is_right_is_believed() {
    for packet in [query("10.0.0.1", 10), query("fe80::1", 10)] {
        assert!(matches!(packet.heard(), Heard::Query(_)));
    }
    for packet in [join("239.1.1.1"), join("ff15::1")] {
        assert!(matches!(packet.heard(), Heard::Report(_)));
    }
    // RFC 3590: a host that has no address yet.
    let early = mld("::", "ff15::1", &report_v6());
    assert!(matches!(early.heard(), Heard::Report(_)));
    // Hosts before RFC 2236 leave Router Alert out.
    let message = igmp("10.0.0.2", "239.1.1.1", &[0x16, 0, 0, 0, 239, 1, 1, 1]);
    let bare = ipv4("10.0.0.2", "239.1.1.1", 2, &[], &message.bytes[24..]);
    let heard = hear(EtherType::IPV4, &bare, Checksum::Present);
    assert!(matches!(heard, Heard::Report(_)));
}

#[test]
fn a_wrong_checksum_is_not_believed() {
    for mut packet in [join("239.1.1.1"), join("ff15::1"), query("fe80::1", 10)] {
        *packet.bytes.last_mut().unwrap() ^= 1;
        assert!(invalid(&packet));
    }
    let mut header = join("239.1.1.1");
    header.bytes[10] ^= 1;
    assert!(invalid(&header));
    let mut partial = join("ff15::1");
    *partial.bytes.last_mut().unwrap() ^= 1;
    let heard = hear(EtherType::IPV6, &partial.bytes, Checksum::Vouched);
    assert!(matches!(heard, Heard::Report(_)));
}

#[test]
fn what_came_from_beyond_the_link_is_not_believed() {
    let mut v4 = igmp("10.0.0.1", "224.0.0.1", &[0x11, 100, 0, 0, 0, 0, 0, 0]);
    v4.bytes[8] = 2;
    // The header checksum with it: one is added to the TTL, one is taken from the sum.
    v4.bytes[10..12].fill(0);
    let sum = tapweave_net::checksum::Sum::of(&v4.bytes[..24]).checksum();
    v4.bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    assert!(invalid(&v4));
    let mut v6 = query("fe80::1", 10);
    v6.bytes[7] = 255;
    assert!(invalid(&v6));
    for source in ["fd00::1", "::"] {
        assert!(invalid(&mld(source, "ff02::1", &query_v6())), "{source}");
    }
    assert!(invalid(&mld("fd00::1", "ff15::1", &report_v6())));
}

#[test]
fn mld_without_router_alert_is_not_believed() {
    let packet =
        |next, extensions: &[u8]| mld_behind("fe80::1", "ff02::1", next, extensions, &query_v6());
    assert!(invalid(&packet(58, &[])));
    let padding = [58, 0, 1, 4, 0, 0, 0, 0];
    assert!(invalid(&packet(0, &padding)));
    let destination_options = packet(60, &ALERT);
    assert!(matches!(destination_options.heard(), Heard::Data(_)));
    let malformed = [58, 0, 5, 2, 0, 0, 9, 9];
    assert!(invalid(&packet(0, &malformed)));
    let more = [[60, 0, 5, 2, 0, 0, 1, 0], [58, 0, 1, 4, 0, 0, 0, 0]].concat();
    assert!(invalid(&packet(0, &more)));
    assert!(matches!(packet(0, &ALERT).heard(), Heard::Query(_)));
}

#[test]
fn a_general_query_is_for_everybody_or_not_believed() {
    let general = [0x11, 100, 0, 0, 0, 0, 0, 0];
    assert!(invalid(&igmp("10.0.0.1", "239.1.1.1", &general)));
    assert!(invalid(&mld("fe80::1", "ff15::1", &query_v6())));
}

#[test]
fn a_report_about_no_group_or_cut_short_is_not_believed() {
    assert!(invalid(&igmp(
        "10.0.0.2",
        "239.1.1.1",
        &[0x16, 0, 0, 0, 10, 0, 0, 1]
    )));
    let records = [0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 1, 1];
    assert!(invalid(&igmp("10.0.0.2", "224.0.0.22", &records)));
    let records = [0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 10, 1, 1, 1];
    assert!(invalid(&igmp("10.0.0.2", "224.0.0.22", &records)));
    let whole = join("239.1.1.1");
    for len in 0..whole.bytes.len() {
        let heard = hear(EtherType::IPV4, &whole.bytes[..len], Checksum::Present);
        assert!(matches!(heard, Heard::Other | Heard::Invalid(_)), "{len}");
    }
}

#[test]
fn fragments_are_not_believed() {
    let whole = join("239.1.1.1");
    let mut first = ipv4("10.0.0.2", "224.0.0.22", 2, &[], &whole.bytes[24..]);
    first[6] = 0x20;
    first[10..12].fill(0);
    let sum = tapweave_net::checksum::Sum::of(&first[..20]).checksum();
    first[10..12].copy_from_slice(&sum.to_be_bytes());
    let heard = hear(EtherType::IPV4, &first, Checksum::Present);
    assert!(matches!(heard, Heard::Invalid(_)));

    let behind = [[44, 0, 5, 2, 0, 0, 1, 0], [58, 0, 0, 1, 0, 0, 0, 9]].concat();
    let part = mld_behind("fe80::1", "ff02::1", 0, &behind, &query_v6());
    assert!(matches!(part.heard(), Heard::Data(_)));
}

#[test]
fn other_packets_for_groups_are_data_and_the_rest_is_not_ours() {
    for group in ["239.1.1.1", "ff15::1", "ff02::1:ff00:1"] {
        assert!(matches!(data(group).heard(), Heard::Data(_)), "{group}");
    }
    // Neighbor Discovery is ICMP too.
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &[0xfe; 16]].concat();
    let packet = mld_behind("::", "ff02::1:ff00:1", 58, &[], &solicitation);
    assert!(matches!(packet.heard(), Heard::Data(_)));
    let unicast = ipv4("10.0.0.9", "10.0.0.1", 17, &[], &[]);
    let heard = hear(EtherType::IPV4, &unicast, Checksum::Present);
    assert!(matches!(heard, Heard::Other));
    let heard = hear(EtherType::ARP, &unicast, Checksum::Present);
    assert!(matches!(heard, Heard::Other));
    let mut lying = data("239.1.1.1");
    lying.bytes[0] = 0x65;
    assert!(matches!(lying.heard(), Heard::Other));
}
