//! What the overlay's core puts on the wire, read by tshark and scapy, and what scapy puts on the
//! wire, read by the core. No packet is sent: these are decoders that share no code with it.

#[cfg(test)]
mod once {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::process::Command;

    use anyhow::{Context, Result, bail, ensure};
    use tapweave_encap::{
        Dscp, DscpModel, Encap, EncapKind, HopLimit, Inner, Marking, Outer, TagPolicy,
        TrafficClass, Tunnel, Vni, Vtep, pop, pop_outer,
    };
    use tapweave_integration::process::expect_success;
    use tapweave_integration::{Lab, frame};
    use tapweave_net::checksum::{Sum, complete};
    use tapweave_net::{
        ChecksumOffload, EtherType, Frame, Gso, GsoKind, IpProtocol, Ipv4View, Ipv6View, MacAddr,
        Offload, UdpView,
    };

    const SEED: u64 = 0x5eed;
    const HEADROOM: usize = 8;
    const MACS: [MacAddr; 2] = [
        MacAddr::new([2, 0, 0, 0, 0, 1]),
        MacAddr::new([2, 0, 0, 0, 0, 2]),
    ];
    const V4: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    ];
    const V6: [IpAddr; 2] = [
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
    ];

    /// A TCP frame over IPv4 with ECT(0), whose checksum is partial, and the offload that says so.
    fn tcp4(payload_len: u16, mss: u16) -> (Vec<u8>, Offload) {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
        let mut header = vec![0x45, 2, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0];
        header.extend([src.octets(), dst.octets()].as_flattened());
        header[2..4].copy_from_slice(&(40 + payload_len).to_be_bytes());
        let checksum = Sum::of(&header).checksum();
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        let mut tcp = vec![0x9c, 0x40, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1];
        tcp.extend([0x50, 0x18, 0xfa, 0xf0]);
        let pseudo = Sum::pseudo_v4(src, dst, IpProtocol::TCP, 20 + payload_len).fold();
        tcp.extend(pseudo.to_be_bytes());
        tcp.extend([0, 0]);
        tcp.extend((0..payload_len).map(|place| place.to_be_bytes()[1]));
        let mut bytes = frame::header(MACS[1], MACS[0], EtherType::IPV4.0);
        bytes.extend(header);
        bytes.extend(tcp);
        let gso = Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: mss,
            header_len_hint: 54,
        };
        let offload = Offload {
            checksum: ChecksumOffload::Partial {
                start: 34,
                offset: 16,
            },
            gso: Some(gso),
        };
        (bytes, offload)
    }

    fn tunnel(encap: Encap) -> Result<Tunnel> {
        let dscp = Dscp::new(10).context("a DSCP")?;
        Ok(Tunnel {
            encap,
            marking: Marking {
                dscp: DscpModel::Pipe(dscp),
                hop_limit: HopLimit::Inherit,
                ..Marking::default()
            },
            tags: TagPolicy::Refuse,
        })
    }

    /// Puts around `payload` what a kernel would: Ethernet, the outer IP header, and UDP if there
    /// is any.
    fn on_the_wire(outer: &Outer, src: IpAddr, kind: EncapKind, payload: &[u8]) -> Result<Vec<u8>> {
        let mut udp = Vec::new();
        let protocol = if kind == EncapKind::Ipip {
            IpProtocol::IPV4
        } else {
            let len = u16::try_from(8 + payload.len())?;
            for field in [outer.src_port, outer.to.port(), len, 0] {
                udp.extend(field.to_be_bytes());
            }
            IpProtocol::UDP
        };
        let ethertype = match src {
            IpAddr::V4(_) => EtherType::IPV4,
            IpAddr::V6(_) => EtherType::IPV6,
        };
        let mut header = [0; Outer::MAX_IP_HEADER_LEN];
        let len = outer
            .write_ip_header(src, protocol, udp.len() + payload.len(), &mut header)
            .context("no IP header")?;
        let mut packet = frame::header(MACS[1], MACS[0], ethertype.0);
        packet.extend(&header[..len]);
        packet.extend(udp);
        packet.extend(payload);
        Ok(packet)
    }

    /// Returns a super-frame's segments in a tunnel, and the one frame of another in the same.
    fn packets(encap: Encap, [src, dst]: [IpAddr; 2]) -> Result<Vec<Vec<u8>>> {
        let kind = encap.kind();
        let tunnel = tunnel(encap)?;
        let (bytes, offload) = tcp4(2500, 1000);
        let inner = Inner::parse(&bytes, SEED)?;
        let port = kind.default_port().unwrap_or(0);
        let outer = tunnel.outer(&inner, Vtep::new(dst, port));
        let segments = tunnel.segments(&bytes, offload, &inner)?;
        let mut packets = Vec::new();
        for index in 0..segments.count() {
            let mut headers = [0; 128];
            let segment = segments.write(index, &mut headers)?;
            let payload = [&headers[segment.headers], segment.payload].concat();
            packets.push(on_the_wire(&outer, src, kind, &payload)?);
        }
        let (single, _) = tcp4(100, 1000);
        let mut buffer = [&[0; HEADROOM], &single[..]].concat();
        complete(&mut buffer[HEADROOM..], 34, 16)?;
        let mut in_buffer = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        let inner = Inner::parse(in_buffer.data(), SEED)?;
        let pushed = tunnel.push(&mut in_buffer, &inner)?;
        packets.push(on_the_wire(&outer, src, kind, pushed)?);
        Ok(packets)
    }

    /// Returns the packets as a capture file (man 5 pcap-savefile).
    fn pcap(packets: &[Vec<u8>]) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend(field.to_le_bytes());
        }
        for packet in packets {
            let len = u32::try_from(packet.len())?;
            for field in [0, 0, len, len] {
                file.extend(field.to_le_bytes());
            }
            file.extend(packet);
        }
        Ok(file)
    }

    /// Returns the fields that tshark sees in each packet, the occurrences of a field joined by
    /// commas.
    fn dissect(lab: &Lab, packets: &[Vec<u8>], fields: &[&str]) -> Result<Vec<String>> {
        let file = lab.file("tunnels.pcap");
        fs::write(&file, pcap(packets)?)?;
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&file).args(["-n", "-T", "fields"]);
        command.args(["-E", "separator=;", "-E", "aggregator=,"]);
        // tshark knows no GUE and has no port for FOU.
        for port in [5555, 6080] {
            command.args(["-d", &format!("udp.port=={port},ip")]);
        }
        for protocol in ["ip", "tcp"] {
            command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        for field in fields {
            command.args(["-e", field]);
        }
        let said = expect_success(&mut command, "")?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    const ENCAPS: [Encap; 4] = [
        Encap::Vxlan(Vni::from_octets([0x12, 0x34, 0x56])),
        Encap::Fou,
        Encap::Gue,
        Encap::Ipip,
    ];

    #[test]
    fn tshark_reads_every_tunnel_over_ipv4() -> Result<()> {
        Lab::run(|lab| {
            for encap in ENCAPS {
                let seen = dissect(
                    lab,
                    &packets(encap, V4)?,
                    &[
                        "ip.dsfield",
                        "ip.ttl",
                        "ip.flags.df",
                        "ip.checksum.status",
                        "vxlan.vni",
                        "vxlan.flags",
                        "tcp.seq_raw",
                        "tcp.len",
                        "tcp.checksum.status",
                        "udp.dstport",
                    ],
                )?;
                let (vni, flags) = match encap {
                    Encap::Vxlan(_) => ("1193046", "0x0800"),
                    Encap::Fou | Encap::Gue | Encap::Ipip => ("", ""),
                };
                let port = encap.kind().default_port();
                let port = port.map_or_else(String::new, |port| port.to_string());
                // The outer header shows DSCP 10 and the inner ECT(0); both have a right checksum.
                let want = [(1, 1000), (1001, 1000), (2001, 500), (1, 100)].map(|(seq, len)| {
                    format!("0x2a,0x02;64,64;1,1;1,1;{vni};{flags};{seq};{len};1;{port}")
                });
                assert_eq!(seen, want, "{encap:?}");
            }
            Ok(())
        })
    }

    #[test]
    fn tshark_reads_every_tunnel_over_ipv6() -> Result<()> {
        Lab::run(|lab| {
            for encap in ENCAPS {
                let packets = packets(encap, V6)?;
                let fields = [
                    "ipv6.tclass",
                    "ipv6.hlim",
                    "ipv6.flow",
                    "ip.dsfield",
                    "vxlan.vni",
                    "tcp.len",
                    "tcp.checksum.status",
                ];
                let seen = dissect(lab, &packets, &fields)?;
                let vni = match encap {
                    Encap::Vxlan(_) => "1193046",
                    Encap::Fou | Encap::Gue | Encap::Ipip => "",
                };
                let (bytes, _) = tcp4(100, 1000);
                let label = Inner::parse(&bytes, SEED)?.flow_label();
                let want = [1000, 1000, 500, 100]
                    .map(|len| format!("0x0000002a;64;{label:#08x};0x02;{vni};{len};1"));
                assert_eq!(seen, want, "{encap:?}");
            }
            Ok(())
        })
    }

    /// Prints, for each packet, its tunnel, its VNI or 0, the packet from the outer IP header on,
    /// and what is in the tunnel; all but the tunnel in hexadecimal. Reserved bits of VXLAN are
    /// set.
    const BUILD: &str = r"
from scapy.all import *
inner4 = IP(src='10.0.0.2', dst='10.0.0.3', tos=1) / UDP(sport=7, dport=9) / b'hello'
inner6 = IPv6(src='fd00::2', dst='fd00::3', tc=1) / UDP(sport=7, dport=9) / b'hello'
frame = lambda inner: Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02') / inner
vxlan = lambda inner: VXLAN(reserved1=0xa5a5a5, vni=0x123456, reserved2=0xa5) / frame(inner)
def show(kind, vni, packet, inner):
    print(kind, '%x' % vni, bytes(packet).hex(), bytes(inner).hex())
for outer in IP(src='192.0.2.1', dst='192.0.2.2', tos=3), IPv6(src='2001:db8::1', dst='2001:db8::2', tc=3):
    for inner in inner4, inner6:
        show('vxlan', 0x123456, outer / UDP(sport=50000, dport=4789) / vxlan(inner), frame(inner))
        show('fou', 0, outer / UDP(sport=50000, dport=5555) / inner, inner)
        show('gue', 0, outer / UDP(sport=50000, dport=6080) / inner, inner)
        show('ipip', 0, outer / inner, inner)
";

    #[test]
    fn what_scapy_puts_into_a_tunnel_is_taken_out() -> Result<()> {
        let mut command = Command::new("/usr/bin/python3");
        let said = expect_success(command.args(["-c", BUILD]), "")?;
        let mut count = 0;
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [kind, vni, packet, inner] = words[..] else {
                bail!("scapy printed {line}");
            };
            let kind: EncapKind = kind.parse()?;
            let (mut packet, mut want) = (from_hex(packet)?, from_hex(inner)?);
            let (class, datagram) = if kind == EncapKind::Ipip {
                let popped = pop_outer(&mut packet)?;
                (popped.class, popped.payload)
            } else {
                let (class, start) = udp_payload(&packet)?;
                (class, packet.get_mut(start..).context("no payload")?)
            };
            let popped = pop(kind, datagram)?;
            let number = popped.vni.map_or(0, Vni::to_u32);
            ensure!(
                number == u32::from_str_radix(vni, 16)?,
                "VNI {number}: {line}"
            );
            assert_eq!(popped.inner, want, "{line}");
            let encap = match kind {
                EncapKind::Vxlan => Encap::Vxlan(Vni::new(number)?),
                EncapKind::Fou => Encap::Fou,
                EncapKind::Gue => Encap::Gue,
                EncapKind::Ipip => Encap::Ipip,
            };
            tunnel(encap)?.admit(popped.inner, class)?;
            // The inner packet was ECT(1) and the outer one met congestion.
            let l3 = if kind == EncapKind::Vxlan { 14 } else { 0 };
            assert_eq!(class_of(&want[l3..])?, 1);
            assert_eq!(class_of(&popped.inner[l3..])?, 3);
            want.truncate(l3);
            assert_eq!(popped.inner[..l3], want);
            count += 1;
        }
        assert_eq!(count, 16);
        Ok(())
    }

    fn from_hex(text: &str) -> Result<Vec<u8>> {
        let octets = text.as_bytes().chunks(2);
        octets
            .map(|octet| Ok(u8::from_str_radix(std::str::from_utf8(octet)?, 16)?))
            .collect()
    }

    /// Returns the traffic class of a packet and where the payload of its UDP header begins.
    fn udp_payload(packet: &[u8]) -> Result<(TrafficClass, usize)> {
        let header_len = match packet.first().map(|octet| octet >> 4) {
            Some(4) => Ipv4View::parse(packet)?.header_len(),
            _ => Ipv6View::LEN,
        };
        let class = TrafficClass::from_u8(class_of(packet)?);
        Ok((class, header_len + UdpView::LEN))
    }

    fn class_of(packet: &[u8]) -> Result<u8> {
        match packet.first().map(|octet| octet >> 4) {
            Some(4) => {
                let ip = Ipv4View::parse(packet)?;
                ensure!(ip.verify_checksum(), "a wrong header checksum");
                Ok(ip.traffic_class())
            }
            _ => Ok(Ipv6View::parse(packet)?.traffic_class()),
        }
    }
}
