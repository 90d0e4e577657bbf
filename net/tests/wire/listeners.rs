//! Messages of IGMP and MLD as scapy 2.5.0 builds them: IP packets whose length, options and checksums
//! are its work. What they say was also read by tcpdump 4.99 and tshark 4.0.17.

use tapweave_net::{
    Icmpv6View, IgmpMessage, IpProtocol, Ipv4View, Ipv6Options, Ipv6View, MldMessage,
};

/// IPv4 packets and their text.
const IGMP: &[(&str, &str)] = &[
    (
        "4500001c000100000102cfdd0a000001e00000011100eeff00000000",
        "igmp query v1 [max resp time 10s]",
    ),
    (
        "460000200001000001023ad50a000001e0000001940400001164ee9b00000000",
        "igmp query v2 [max resp time 10s]",
    ),
    (
        "46c000280001000001022a0c0a000001ef01010194040000110aea6bef0101010a7d00010a000009",
        "igmp query v3 [gaddr 239.1.1.1] [1 source(s)] [max resp time 1s]",
    ),
    (
        "4500001c000100000102bfdb0a000002ef0101011200fdfcef010101",
        "igmp v1 report 239.1.1.1",
    ),
    (
        "460000200001000001022ad30a000002ef010101940400001600f9fcef010101",
        "igmp v2 report 239.1.1.1",
    ),
    (
        "460000200001000001023ad30a000002e0000002940400001700f8fcef010101",
        "igmp leave 239.1.1.1",
    ),
    (
        "46c0004000010000010239df0a000002e0000016940400002200f1dd0000000304000000ef010101\
         01000002ef0101020a0000090a00000803000000ef010103",
        "igmp v3 report [gaddr 239.1.1.1 to_ex, 0 source(s)] [gaddr 239.1.1.2 is_in, 2 \
         source(s)] [gaddr 239.1.1.3 to_in, 0 source(s)]",
    ),
];

/// IPv6 packets and their text.
const MLD: &[(&str, &str)] = &[
    (
        "6000000000200001fe800000000000000000000000000001ff020000000000000000000000000001\
         3a00050200000100820059172710000000000000000000000000000000000000",
        "multicast listener query v1 [max resp delay 10s]",
    ),
    (
        "6000000000340001fe800000000000000000000000000001ff15000000000000000000000db80001\
         3a0005020000010082005a0903e80000ff15000000000000000000000db800010a7d0001fd000000\
         000000000000000000000009",
        "multicast listener query v2 [gaddr ff15::db8:1] [1 source(s)] [max resp delay \
         1s]",
    ),
    (
        "6000000000200001fe800000000000000000000000000001ff15000000000000000000000db80001\
         3a000502000001008300648d00000000ff15000000000000000000000db80001",
        "multicast listener report ff15::db8:1",
    ),
    (
        "6000000000200001fe800000000000000000000000000001ff020000000000000000000000000002\
         3a000502000001008400715700000000ff15000000000000000000000db80001",
        "multicast listener done ff15::db8:1",
    ),
    (
        "600000000048000100000000000000000000000000000000ff020000000000000000000000000016\
         3a000502000001008f00648a0000000204000000ff15000000000000000000000db8000101000001\
         ff0200000000000000000001ff000001fd000000000000000000000000000009",
        "multicast listener report v2 [gaddr ff15::db8:1 to_ex, 0 source(s)] [gaddr \
         ff02::1:ff00:1 is_in, 1 source(s)]",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn igmp_says_what_scapy_made_it_say() {
    for (packet, text) in IGMP {
        let packet = bytes(packet);
        let ip = Ipv4View::parse(&packet).unwrap();
        assert_eq!((ip.protocol(), ip.ttl()), (IpProtocol::IGMP, 1));
        assert!(ip.verify_checksum(), "{text}");
        assert!(IgmpMessage::verify_checksum(ip.payload()), "{text}");
        let message = IgmpMessage::parse(ip.payload()).unwrap();
        assert_eq!(message.to_string(), *text);
    }
}

#[test]
fn mld_says_what_scapy_made_it_say() {
    for (packet, text) in MLD {
        let packet = bytes(packet);
        let ip = Ipv6View::parse(&packet).unwrap();
        assert_eq!(ip.hop_limit(), 1);
        let first = ip.extensions().next().unwrap().unwrap();
        assert_eq!(first.kind, IpProtocol::HOP_BY_HOP);
        let alert = Ipv6Options::new(first).next().unwrap().unwrap();
        assert_eq!(
            (alert.kind, alert.data),
            (Ipv6Options::ROUTER_ALERT, &[0, 0][..])
        );
        let upper = ip.upper_layer().unwrap();
        let icmp = Icmpv6View::parse(upper.bytes).unwrap();
        assert!(icmp.verify_checksum(ip.src(), ip.dst()), "{text}");
        let message = MldMessage::parse(&icmp).unwrap();
        assert_eq!(message.to_string(), *text);
    }
}

#[test]
fn a_message_cut_anywhere_is_refused_or_tells_that_records_are_missing() {
    for (packet, text) in IGMP {
        let packet = bytes(packet);
        let ip = Ipv4View::parse(&packet).unwrap();
        for len in 0..ip.payload().len() {
            match IgmpMessage::parse(&ip.payload()[..len]) {
                Ok(IgmpMessage::ReportV3 { mut records }) => {
                    assert!(records.any(|record| record.is_err()), "{text} {len}");
                }
                // The first eight octets of a query of version 3 are one of version 2.
                Ok(IgmpMessage::Query(_)) => assert_eq!(len, IgmpMessage::LEN),
                other => assert!(other.is_err(), "{text} {len}"),
            }
        }
    }
}
