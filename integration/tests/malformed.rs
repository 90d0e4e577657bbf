//! Frames that no decent stack sends: each is forwarded as it is or dropped under a name, and the
//! daemon goes on.
//!
//! ```text
//!   a    b    c      each a namespace with eth0; c without offloads
//!   |    |    |
//!  tapweave          network red, MTU 1500
//! ```

#[cfg(test)]
mod everywhere {
    use anyhow::Result;
    use tapweave_integration::capture::{self, Wanted};
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::{Lab, Segment, frame, traffic, wait};
    use tapweave_net::MacAddr;

    const SUBNET: &str = "--subnet 10.211.0.0/24";
    const IPV4: u16 = 0x0800;
    const IPV6: u16 = 0x86dd;
    const VLAN: u16 = 0x8100;

    /// An IPv4 header with TCP behind it, whose checksums are both wrong.
    const BAD_CHECKSUMS: [u8; 40] = [
        0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0xde, 0xad, 10, 211, 0, 2, 10, 211, 0, 3, //
        0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0xbe, 0xef, 0, 0,
    ];

    fn segment(lab: &Lab) -> Result<Segment> {
        let unguarded = "--guard=false";
        let finished = "--guard=false --offload=false";
        Segment::with(lab, SUBNET, &[unguarded, unguarded, finished])
    }

    /// Everybody still reaches everybody.
    fn assert_healthy(lab: &Lab, segment: &Segment) -> Result<()> {
        let [a, b, c] = &segment.sandboxes[..] else {
            unreachable!()
        };
        traffic::ping(a, segment.ipv4(1)?, 3)?;
        traffic::ping(a, segment.ipv4(2)?, 3)?;
        traffic::tcp(lab, b, c, segment.ipv4(2)?, 1 << 20)
    }

    fn with_payload(
        from: &Station<'_>,
        to: &Station<'_>,
        ether_type: u16,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut bytes = frame::header(to.mac(), from.mac(), ether_type);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn broken_packets_in_whole_frames_are_forwarded_as_they_are() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let stations = segment.stations(lab)?;
            for receiver in [1, 2] {
                settle(&stations, receiver)?;
                let recorded =
                    lab.capture(&segment.sandboxes[receiver], "eth0", Wanted::Everything)?;
                let (from, to) = (&stations[0], &stations[receiver]);
                let mut header_too_long = BAD_CHECKSUMS;
                header_too_long[0] = 0x4f;
                let mut longer_than_it_is = BAD_CHECKSUMS;
                longer_than_it_is[2..4].copy_from_slice(&[0xff, 0xff]);
                let broken = [
                    with_payload(from, to, IPV4, &BAD_CHECKSUMS),
                    with_payload(from, to, IPV4, &header_too_long),
                    with_payload(from, to, IPV4, &longer_than_it_is),
                    with_payload(from, to, IPV4, &BAD_CHECKSUMS[..21]),
                    with_payload(from, to, IPV4, &[]),
                    with_payload(from, to, IPV6, &[0x60; 39]),
                    with_payload(from, to, IPV6, &[0xff; 1500]),
                    with_payload(from, to, 0xffff, &[0xa5; 1500]),
                    // 802.3: a length where the EtherType would be, and a lie.
                    with_payload(from, to, 0x05dc, &[0x42; 8]),
                ];
                stations[0].send(1, &broken)?;
                settle(&stations, 0)?;
                for bytes in &broken {
                    recorded.checker()?.equal_to(bytes).exactly(1)?;
                }
                recorded.stop()?;
            }
            assert_healthy(lab, &segment)
        })
    }

    #[test]
    fn frames_shorter_than_their_headers_are_counted_as_runts() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let stations = segment.stations(lab)?;
            let before = segment.cli().counters("red/a")?.drops("runt");
            let (from, to) = (&stations[0], &stations[1]);
            let runts = [
                with_payload(from, to, VLAN, &[]),
                with_payload(from, to, VLAN, &[0, 1]),
                with_payload(from, to, VLAN, &[0, 1, 0x08]),
            ];
            stations[0].send(2, &runts)?;
            settle(&stations, 0)?;
            assert_eq!(segment.cli().counters("red/a")?.drops("runt") - before, 6);
            assert_healthy(lab, &segment)
        })
    }

    #[test]
    fn frames_above_the_mtu_are_counted_and_reach_nobody() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let stations = segment.stations(lab)?;
            // Inside of its own namespace a sandbox may set what it likes.
            segment.sandboxes[0].ip("link set eth0 mtu 9000")?;
            let before = segment.cli().counters("red/a")?.drops("oversize");
            let mut long = frame::tagged(MacAddr::BROADCAST, stations[0].mac(), "long");
            long.resize(frame::HEADER_LEN + 1501, 0);
            expect_delivery(&stations, 0, &long, 5, Receivers::Nobody)?;
            assert_eq!(
                segment.cli().counters("red/a")?.drops("oversize") - before,
                5
            );
            long.truncate(frame::HEADER_LEN + 1500);
            expect_delivery(&stations, 0, &long, 5, Receivers::AllOthers)?;
            assert_healthy(lab, &segment)
        })
    }

    #[test]
    fn foreign_offload_headers_neither_stop_the_daemon_nor_reach_a_plain_port() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let stations = segment.stations(lab)?;
            settle(&stations, 2)?;
            let recorded = lab.capture(&segment.sandboxes[2], "eth0", Wanted::Everything)?;
            let mut frames = Vec::new();
            for receiver in [1, 2] {
                let (from, to) = (&stations[0], &stations[receiver]);
                let mut long = BAD_CHECKSUMS.to_vec();
                long.resize(1400, 0x5a);
                frames.push(with_payload(from, to, IPV4, &BAD_CHECKSUMS));
                frames.push(with_payload(from, to, IPV4, &long));
                frames.push(with_payload(from, to, IPV6, &[0x66; 900]));
                frames.push(with_payload(from, to, frame::TEST_TYPE, &[0x77; 700]));
            }
            let before = segment.cli().counters("red/a")?.rx_frames;
            let taken = traffic::send_vnet(&segment.sandboxes[0], "eth0", 2000, &frames)?;
            assert!(taken > 100, "the kernel took only {taken}");
            settle(&stations, 0)?;
            assert!(segment.cli().counters("red/a")?.rx_frames > before);
            let file = recorded.stop()?;
            let longest = capture::verify(&file, "frame")?;
            let longest = longest.iter().map(|seen| seen.len).max();
            assert!(longest <= Some(1514), "a plain port got {longest:?} bytes");
            assert_healthy(lab, &segment)
        })
    }

    #[test]
    fn random_bytes_and_fuzzed_packets_do_not_stop_the_daemon() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let program = "
import random, sys
from scapy.all import *
random.seed(20250921)
dst = ['ff:ff:ff:ff:ff:ff', sys.argv[1], sys.argv[2]]
layers = [lambda: fuzz(IP() / TCP()), lambda: fuzz(IP() / UDP()), lambda: fuzz(IPv6() / TCP()),
          lambda: fuzz(ARP()), lambda: fuzz(Dot1Q() / IP() / ICMP()), lambda: fuzz(IP() / ICMP())]
frames = []
for number in range(300):
    frames.append(raw(Ether(src=sys.argv[3], dst=random.choice(dst)) / random.choice(layers)())[:1514])
    frames.append(random.randbytes(random.randint(14, 1514)))
socket = conf.L2socket(iface='eth0')
for frame in frames:
    socket.send(frame)
print(len(frames))
";
            let macs: Vec<_> = segment
                .endpoints
                .iter()
                .map(|e| e.mac.to_string())
                .collect();
            let before = segment.cli().counters("red/a")?.rx_frames;
            let arguments = [&*macs[1], &*macs[2], &*macs[0]];
            let sent = traffic::scapy(&segment.sandboxes[0], program, &arguments)?;
            assert_eq!(sent.trim(), "600");
            wait::until_true("the frames to be read", wait::SOON, || {
                Ok(segment.cli().counters("red/a")?.rx_frames >= before + 600)
            })?;
            assert_healthy(lab, &segment)
        })
    }
}
