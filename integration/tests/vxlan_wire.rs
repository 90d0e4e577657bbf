//! VXLAN on the wire: what a daemon sends, as tshark reads it, and what it makes of what scapy and plain
//! sockets send, beside what the kernel's vxlan device makes of the same.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]. Host 2 has no tunnel's end at all here: it
//! records and forges.

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use std::collections::{BTreeMap, BTreeSet};

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::capture::{Capture, Wanted, dissect};
    use tapweave_integration::flood::Station;
    use tapweave_integration::underlay::{Carrier, KernelHost, Segment, TapweaveHost, Underlay};
    use tapweave_integration::{Lab, traffic, wait};
    use tapweave_net::MacAddr;

    /// Whom forged frames say that they come from.
    const STRANGER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x63]);

    /// Ends every frame that counts.
    const MARK: &[u8] = b"tapweave";

    /// Sends from a sandbox: each ECN field in packets of both versions, 64 flows of two datagrams, and
    /// frames with a tag.
    const SEND: &str = r"
from scapy.all import *
me = get_if_hwaddr('eth0')
def ip(version, tos):
    if version == 4:
        return IP(src='10.77.0.1', dst='10.77.0.9', tos=tos, ttl=5)
    return IPv6(src='fd77::1', dst='fd77::9', tc=tos, hlim=5)
def frame(packet, port, tag=None):
    ether = Ether(src=me, dst='02:00:00:00:00:63')
    return (ether / tag if tag else ether) / packet / UDP(sport=port, dport=9) / b'tapweave'
frames = [frame(ip(version, 46 << 2 | ecn), 1000 + 10 * version + ecn) for version in (4, 6) for ecn in range(4)]
for flow in range(64):
    frames += 2 * [frame(ip(4, 0), 2000 + flow)]
frames += [frame(ip(4, 0), 9000, tag) for tag in (Dot1Q(vlan=7), Dot1Q(vlan=0, prio=3), Dot1AD(vlan=7))]
sendp(frames, iface='eth0', verbose=False)
";

    /// Waits until exactly `count` frames with the mark are recorded.
    fn wait_for_marked(capture: &Capture, count: usize) -> Result<()> {
        capture.wait_for(|seen| {
            seen.that("with the mark", |bytes| bytes.ends_with(MARK))
                .exactly(count)
        })
    }

    fn first(field: &[String]) -> &str {
        field.first().map_or("", String::as_str)
    }

    #[test]
    fn what_is_sent_is_as_the_rfcs_have_it() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let other = underlay.host(lab, 2)?;
            let ours = TapweaveHost::new(lab, &underlay, Segment::USUAL, 1, &[2])?;
            // As towards another machine, checksums are complete when they leave.
            ours.host.run("ethtool", "-K eth0 tx off")?;
            let capture = lab.capture(&other, "eth0", Wanted::Everything)?;
            traffic::scapy(&ours.sandbox, SEND, &[])?;
            wait_for_marked(&capture, 8 + 2 * 64)?;
            let fields = [
                "ip.src",
                "ip.ttl",
                "ip.flags.df",
                "ip.checksum.status",
                "udp.checksum.status",
                "udp.dstport",
                "vxlan.flags",
                "vxlan.gbp",
                "vxlan.vni",
                "vxlan.reserved8",
                "ip.dsfield",
                "ipv6.tclass",
                "udp.srcport",
                "vlan.id",
            ];
            let file = capture.stop()?;
            let mut marks = BTreeSet::new();
            let mut ports: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
            for row in dissect(&file, "frame contains \"tapweave\"", &fields)? {
                let head: Vec<&str> = row[..10].iter().map(|field| first(field)).collect();
                let want = [
                    "192.0.2.1",
                    "64",
                    "1",
                    "1",
                    "1",
                    "4789",
                    "0x0800",
                    "0",
                    "42",
                    "0",
                ];
                ensure!(head == want, "{row:?}");
                ensure!(row[4] == ["1", "1"], "inner checksum: {row:?}");
                ensure!(first(&row[13]).is_empty(), "a tag: {row:?}");
                let outer_port = first(&row[12]).parse()?;
                let flow = row[12].last().context("no inner port")?;
                let inner_class = match first(&row[11]) {
                    "" => row[10].last().context("no inner class")?,
                    class => class,
                };
                if flow.starts_with('1') {
                    let class = |text: &str| u8::from_str_radix(&text[text.len() - 2..], 16);
                    marks.insert((class(first(&row[10]))?, class(inner_class)?, row[11].len()));
                }
                ports.entry(flow.clone()).or_default().insert(outer_port);
            }
            // The outer ECN is the inner one, the outer DSCP is that of best effort.
            let ef = 46 << 2;
            let want = (0..4).map(|ecn| (ecn, ef | ecn, 1)).collect();
            assert_eq!(marks, want);
            // A flow has one source port of the dynamic ones, and flows have several.
            ensure!(
                ports.values().all(|of_flow| of_flow.len() == 1),
                "{ports:?}"
            );
            let all: BTreeSet<u16> = ports.into_values().flatten().collect();
            ensure!(
                all.len() > 10 && all.iter().all(|port| *port >= 49_152),
                "{all:?}"
            );
            wait::until_true("refusal of tags", wait::SOON, || {
                let peer = ours.peer(Segment::USUAL.vtep(2))?;
                Ok(peer["counters"]["drops"]["tunnel_tagged"] == 3)
            })
        })
    }

    #[test]
    fn the_outer_dscp_is_that_of_the_network_or_of_the_packet() -> Result<()> {
        Lab::run(|lab| {
            for (prefix, dscp, outer) in [("own-", "10", "0x28"), ("same-", "inherit", "0xb8")] {
                let (segment, underlay) = (Segment::USUAL, Underlay::with_prefix(lab, prefix)?);
                let options = format!("-o tapweave.dscp={dscp}");
                let host = |number, peers: &[u8]| {
                    TapweaveHost::with_network(lab, &underlay, segment, number, peers, &options)
                };
                let [ours, other] = [host(1, &[2])?, host(2, &[1])?];
                let capture = lab.capture(&other.host, "eth0", Wanted::Everything)?;
                traffic::ping_with(&ours.sandbox, other.addresses()[0], 1, "-Q 0xb8")?;
                // The request, as it comes in: 84 bytes in Ethernet in VXLAN.
                capture.wait_for(|seen| {
                    seen.that("echo", |bytes| bytes.len() == 84 + 14 + 50)
                        .exactly(1)
                })?;
                let rows = dissect(&capture.stop()?, "vxlan && icmp", &["ip.dsfield"])?;
                assert_eq!(rows, [[[outer, "0xb8"]]]);
            }
            Ok(())
        })
    }

    #[test]
    fn the_outer_ttl_is_that_of_the_network_or_of_the_packet() -> Result<()> {
        Lab::run(|lab| {
            let v6 = Segment {
                carrier: Carrier::V6,
                ..Segment::USUAL
            };
            for (prefix, segment, ttl, outer) in [
                ("own-", Segment::USUAL, "9", "9"),
                ("same-", Segment::USUAL, "inherit", "33"),
                ("v6-", v6, "9", "9"),
            ] {
                let underlay = Underlay::with_prefix(lab, prefix)?;
                let options = format!("-o tapweave.ttl={ttl}");
                let host = |number, peers: &[u8]| {
                    TapweaveHost::with_network(lab, &underlay, segment, number, peers, &options)
                };
                let [ours, other] = [host(1, &[2])?, host(2, &[1])?];
                let capture = lab.capture(&other.host, "eth0", Wanted::Everything)?;
                traffic::ping_with(&ours.sandbox, other.addresses()[0], 1, "-t 33 -s 200")?;
                capture.wait_for(|seen| {
                    let len = 228 + 14 + usize::from(1500 - segment.mtu(1500));
                    seen.that("echo", |bytes| bytes.len() == len).exactly(1)
                })?;
                let fields = ["ip.ttl", "ipv6.hlim"];
                let rows = dissect(&capture.stop()?, "vxlan && icmp.type == 8", &fields)?;
                let mut hops = rows.concat().concat();
                hops.retain(|hops| !hops.is_empty());
                hops.sort();
                ensure!(hops == ["33", outer] || hops == [outer, "33"], "{hops:?}");
            }
            Ok(())
        })
    }

    /// Sends to each of its arguments every pair of ECN fields, in packets of both versions.
    const MARKED: &str = r"
import socket, sys
from scapy.all import Ether, IP, IPv6, UDP
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(('192.0.2.2', 0))
for target in sys.argv[1:]:
    for outer in range(4):
        here.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 8 << 2 | outer)
        for inner in range(4):
            tos = 46 << 2 | inner
            for ip in IP(src='10.77.0.9', dst='10.77.0.8', tos=tos), IPv6(src='fd77::9', dst='fd77::8', tc=tos):
                frame = Ether(src='02:00:00:00:00:63', dst='ff:ff:ff:ff:ff:ff') / ip
                frame /= UDP(sport=7, dport=7000 + 10 * outer + inner) / b'tapweave'
                here.sendto(bytes.fromhex('0800000000002a00') + bytes(frame), (target, 4789))
";

    /// What comes out of a tunnel, by inner (row) and outer ECN field in the order Not-ECT, ECT(1), ECT(0),
    /// CE; RFC 6040 §4.2, figure 4, in the order of the numbers.
    const FIGURE_4: [[Option<u8>; 4]; 4] = [
        [Some(0), Some(0), Some(0), None],
        [Some(1), Some(1), Some(1), Some(3)],
        [Some(2), Some(1), Some(2), Some(3)],
        [Some(3), Some(3), Some(3), Some(3)],
    ];

    #[test]
    fn every_pair_of_ecn_marks_comes_out_as_from_the_kernel() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let forger = underlay.host(lab, 2)?;
            let kernel = KernelHost::new(lab, &underlay, segment, 3, &[])?;
            let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
            let captures = [&ours.sandbox, &kernel.station]
                .map(|place| lab.capture(place, "eth0", Wanted::Everything));
            let [ours_seen, kernel_seen] = captures;
            let captures = [ours_seen?, kernel_seen?];
            traffic::scapy(&forger, MARKED, &["192.0.2.1", "192.0.2.3"])?;
            let mut want = BTreeSet::new();
            for (inner, row) in (0_u8..).zip(FIGURE_4) {
                for (outer, found) in (0..).zip(row) {
                    if let Some(found) = found {
                        let port = (7000 + 10 * outer + u16::from(inner)).to_string();
                        let class = format!("{:02x}", 46 << 2 | found);
                        want.insert((4, port.clone(), class.clone()));
                        want.insert((6, port, class));
                    }
                }
            }
            for capture in captures {
                wait_for_marked(&capture, want.len())?;
                let fields = [
                    "ip.dsfield",
                    "ipv6.tclass",
                    "udp.dstport",
                    "ip.checksum.status",
                    "udp.checksum.status",
                ];
                let mut seen = BTreeSet::new();
                let file = capture.stop()?;
                for row in dissect(&file, "frame contains \"tapweave\"", &fields)? {
                    let (version, class) = match (first(&row[0]), first(&row[1])) {
                        ("", class) => (6, class),
                        (class, _) => (4, class),
                    };
                    let is_right = |field: &[String]| matches!(first(field), "" | "1");
                    ensure!(is_right(&row[3]) && is_right(&row[4]), "{row:?}");
                    let class = class[class.len() - 2..].to_owned();
                    seen.insert((version, first(&row[2]).to_owned(), class));
                }
                assert_eq!(seen, want);
            }
            ours.wait_refused("ecn_drop", 2)
        })
    }

    /// Sends, from and to what its arguments say, test frames in VXLAN that differ in what a receiver must
    /// not mind, and some that it must refuse.
    const ODD: &str = r"
import socket, struct, sys
src, dst, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ':' in src else socket.AF_INET
macs, usual = bytes.fromhex('ffffffffffff020000000063'), bytes.fromhex('0800000000002a00')
def vxlan(text, header=usual, tag=b''):
    return header + macs + tag + b'\x88\xb5' + text.encode().ljust(46, b'\0')
def sender():
    here = socket.socket(family, socket.SOCK_DGRAM)
    here.bind((src, 0))
    return here
def send(payload, here=None):
    (here or sender()).sendto(payload, (dst, port))
send(vxlan('plain'))
send(vxlan('reserved', bytes.fromhex('ffa5a5a500002aa5')))
unsummed, last_hop = sender(), sender()
if family == socket.AF_INET:
    unsummed.setsockopt(socket.SOL_SOCKET, 11, 1)
    last_hop.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
else:
    unsummed.setsockopt(socket.IPPROTO_UDP, 101, 1)
    last_hop.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
send(vxlan('unsummed'), unsummed)
send(vxlan('last hop'), last_hop)
for tag in '81000007', '88a80007', '81006000':
    send(vxlan('tag', tag=bytes.fromhex(tag)))
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
raw.bind((src, 0))
wrong = vxlan('wrong sum')
raw.sendto(struct.pack('!HHHH', 60000, port, 8 + len(wrong), 0x1234) + wrong, (dst, 0))
send(vxlan('end'))
";

    #[test]
    fn a_receiver_minds_what_it_must_and_nothing_else() -> Result<()> {
        Lab::run(|lab| {
            let v6 = Segment {
                port: 8472,
                carrier: Carrier::V6,
                ..Segment::USUAL
            };
            for (prefix, segment) in [("v4-", Segment::USUAL), ("v6-", v6)] {
                let underlay = Underlay::with_prefix(lab, prefix)?;
                let forger = underlay.host(lab, 2)?;
                let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
                let station = Station::of_everything(lab, &ours.sandbox, "eth0", ours.mac)?;
                let [to, from] = [1, 2].map(|host| segment.vtep(host).to_string());
                // The kernel puts in a checksum that nobody ever sees, if the card could do it.
                forger.run("ethtool", "-K eth0 tx off")?;
                traffic::scapy(&forger, ODD, &[&from, &to, &segment.port.to_string()])?;
                let seen = station.capture();
                seen.wait_for(|seen| seen.tagged("end").exactly(1))?;
                for text in ["plain", "reserved", "unsummed", "last hop"] {
                    seen.checker()?.tagged(text).exactly(1).context(text)?;
                }
                let all = seen.checker()?.from(STRANGER);
                all.exactly(5)?;
                ours.wait_refused("inner_tagged", 3)?;
                assert_eq!(ours.refused_in_all()?, 3);
            }
            Ok(())
        })
    }
}
