//! VLANs: who hears whom, in which form a frame arrives, and what a port does not take.
//!
//! ```text
//!   a        b        c        d          e             f
//!   |        |        |        |          |             |
//!   access   access   access   trunk      transparent   trunk of 20,
//!   10       10       20       10,20                    native 10
//!                       tapweave, network red
//! ```
//!
//! Tagged frames are made by scapy or byte by byte and read by an `AF_PACKET` recorder or tshark, so
//! that no VLAN device is needed, which not every kernel has.

#[cfg(test)]
mod everywhere {
    use std::sync::atomic::{AtomicU32, Ordering};

    use anyhow::{Result, ensure};
    use tapweave_integration::capture::{self, Checksums, Verified, Wanted};
    use tapweave_integration::frame::with_tag;
    use tapweave_integration::listing::Counters;
    use tapweave_integration::traffic::{self, Datagrams};
    use tapweave_integration::{Capture, Checker, Lab, Sandbox, Segment, frame, wait};
    use tapweave_net::MacAddr;

    const OPTIONS: [&str; 6] = [
        "--vlan 10",
        "--vlan 10",
        "--vlan 20",
        "--trunk 10,20",
        "",
        "--trunk 20 --vlan 10",
    ];
    const A: usize = 0;
    const B: usize = 1;
    const C: usize = 2;
    const D: usize = 3;
    const E: usize = 4;
    const F: usize = 5;

    /// `EtherType`s of customer and service tags.
    const TAG: u16 = 0x8100;
    const SERVICE_TAG: u16 = 0x88a8;
    /// Priority 5 and drop eligible, in no VLAN.
    const PRIORITY: u16 = 0xb000;
    /// How often a frame is sent.
    const COUNT: usize = 20;

    /// Gives every marker a text of its own.
    static NEXT_MARKER: AtomicU32 = AtomicU32::new(1);

    /// The network above, with a record of all that comes in.
    struct Rig {
        segment: Segment,
        captures: Vec<Capture>,
    }

    impl Rig {
        fn new(lab: &Lab) -> Result<Self> {
            let segment = Segment::with(lab, "--subnet none", &OPTIONS)?;
            let captures = quiet_captures(lab, &segment)?;
            Ok(Self { segment, captures })
        }

        fn mac(&self, index: usize) -> MacAddr {
            self.segment.endpoints[index].mac
        }

        /// A broadcast frame of a station with a text to know it by.
        fn broadcast(&self, index: usize, text: &str) -> Vec<u8> {
            frame::tagged(MacAddr::BROADCAST, self.mac(index), text)
        }

        fn counters(&self, index: usize) -> Result<Counters> {
            self.segment
                .cli()
                .counters(&self.segment.endpoints[index].port)
        }

        fn send(&self, index: usize, count: usize, bytes: &[u8]) -> Result<()> {
            let sandbox = &self.segment.sandboxes[index];
            traffic::send_raw(sandbox, "eth0", count, &[bytes.to_vec()])
        }

        /// Sends a frame that has `text` in it, and requires that each of `receivers` gets it exactly as
        /// often, in the form that stands beside it, and all others, the sender included, in no form.
        fn expect(
            &self,
            sender: usize,
            bytes: &[u8],
            text: &str,
            receivers: &[(usize, &[u8])],
        ) -> Result<()> {
            let wanted = self.counters(sender)?.rx_frames + COUNT as u64;
            self.send(sender, COUNT, bytes)?;
            wait::until_true("the frames to be decided on", wait::SOON, || {
                Ok(self.counters(sender)?.rx_frames >= wanted)
            })?;
            self.settle()?;
            for (index, capture) in self.captures.iter().enumerate() {
                let seen = containing(capture.checker()?, text);
                match receivers.iter().find(|(receiver, _)| *receiver == index) {
                    None => seen.none()?,
                    Some((_, form)) => {
                        seen.clone().exactly(COUNT)?;
                        seen.equal_to(form).exactly(COUNT)?;
                    }
                }
            }
            Ok(())
        }

        /// Lets markers reach every station; what the switch sent there before has arrived then. The
        /// transparent port sends them in both VLANs, the trunk one back.
        fn settle(&self) -> Result<()> {
            let tag = format!("marker {}", NEXT_MARKER.fetch_add(1, Ordering::Relaxed));
            let counts = [(A, 1), (B, 1), (C, 1), (D, 2), (F, 2)];
            for vid in [10, 20] {
                self.send(E, 1, &with_tag(&self.broadcast(E, &tag), TAG, vid))?;
            }
            self.send(D, 1, &with_tag(&self.broadcast(D, &tag), TAG, 10))?;
            for (index, count) in counts.into_iter().chain([(E, 0)]) {
                let back = usize::from([A, B, E, F].contains(&index));
                self.captures[index]
                    .wait_for(|seen| containing(seen, &tag).exactly(count + back))?;
            }
            Ok(())
        }
    }

    /// Starts to record what comes in, after the kernels have been told not to send anything by
    /// themselves: no router solicitations, no multicast reports.
    fn quiet_captures(lab: &Lab, segment: &Segment) -> Result<Vec<Capture>> {
        let sandboxes = segment.sandboxes.iter();
        sandboxes
            .map(|sandbox| {
                sandbox.run("sysctl", "-q -w net.ipv6.conf.all.disable_ipv6=1")?;
                lab.capture(sandbox, "eth0", Wanted::Everything)
            })
            .collect()
    }

    /// Keeps frames with a text somewhere in them.
    fn containing(seen: Checker, text: &str) -> Checker {
        // The text ends where the padding begins, so that no text is the beginning of another.
        let text = [text.as_bytes(), &[0]].concat();
        seen.that("with the text", |bytes| {
            bytes.windows(text.len()).any(|part| part == text)
        })
    }

    #[test]
    fn a_broadcast_reaches_its_vlan_in_the_form_that_each_port_takes() -> Result<()> {
        Lab::run(|lab| {
            let rig = Rig::new(lab)?;
            let tagged = |bytes: &[u8], vid| with_tag(bytes, TAG, vid);

            let plain = rig.broadcast(A, "access 10");
            let in_10 = tagged(&plain, 10);
            let expected: [(usize, &[u8]); 4] =
                [(B, &plain), (D, &in_10), (E, &in_10), (F, &plain)];
            rig.expect(A, &plain, "access 10", &expected)?;

            let plain = rig.broadcast(C, "access 20");
            let in_20 = tagged(&plain, 20);
            let expected: [(usize, &[u8]); 3] = [(D, &in_20), (E, &in_20), (F, &in_20)];
            rig.expect(C, &plain, "access 20", &expected)?;

            let plain = rig.broadcast(D, "trunk 20");
            let in_20 = tagged(&plain, 20);
            let expected: [(usize, &[u8]); 3] = [(C, &plain), (E, &in_20), (F, &in_20)];
            rig.expect(D, &in_20, "trunk 20", &expected)?;

            let plain = rig.broadcast(E, "transparent 10");
            let in_10 = tagged(&plain, 10);
            let expected: [(usize, &[u8]); 4] =
                [(A, &plain), (B, &plain), (D, &in_10), (F, &plain)];
            rig.expect(E, &in_10, "transparent 10", &expected)?;

            let plain = rig.broadcast(F, "native");
            let in_10 = tagged(&plain, 10);
            let expected: [(usize, &[u8]); 4] =
                [(A, &plain), (B, &plain), (D, &in_10), (E, &in_10)];
            rig.expect(F, &plain, "native", &expected)?;

            // VLANs without another member, and no VLAN.
            let plain = rig.broadcast(E, "alone");
            rig.expect(E, &plain, "alone", &[])?;
            rig.expect(E, &tagged(&plain, 4094), "alone", &[])
        })
    }

    #[test]
    fn what_a_port_does_not_take_is_dropped_counted_and_not_learned() -> Result<()> {
        Lab::run(|lab| {
            let rig = Rig::new(lab)?;
            let stranger = frame::mac(0x0bad);
            for (number, (port, tci, reason)) in [
                (A, Some(10), "vlan_tagged"),
                (A, Some(20), "vlan_tagged"),
                (D, None, "vlan_untagged"),
                (D, Some(PRIORITY), "vlan_untagged"),
                (D, Some(30), "vlan_not_carried"),
                (F, Some(30), "vlan_not_carried"),
                (A, Some(0x0fff), "vlan_reserved"),
                (D, Some(0xffff), "vlan_reserved"),
                (E, Some(0x0fff), "vlan_reserved"),
            ]
            .into_iter()
            .enumerate()
            {
                let text = format!("refused {number}");
                let plain = frame::tagged(MacAddr::BROADCAST, stranger, &text);
                let bytes = tci.map_or_else(|| plain.clone(), |tci| with_tag(&plain, TAG, tci));
                let before = rig.counters(port)?.drops(reason);
                rig.expect(port, &bytes, &text, &[])?;
                let dropped = rig.counters(port)?.drops(reason) - before;
                ensure!(dropped == COUNT as u64, "{text}: {dropped} {reason}");
            }
            let learned = rig.segment.cli().whereabouts("red", stranger)?;
            ensure!(learned.is_none(), "{learned:?}");
            Ok(())
        })
    }

    #[test]
    fn a_priority_survives_where_the_frame_is_tagged() -> Result<()> {
        Lab::run(|lab| {
            let rig = Rig::new(lab)?;
            let plain = rig.broadcast(A, "priority");
            let marked = with_tag(&plain, TAG, PRIORITY);
            let in_10 = with_tag(&plain, TAG, PRIORITY + 10);
            let expected: [(usize, &[u8]); 4] =
                [(B, &plain), (D, &in_10), (E, &in_10), (F, &plain)];
            rig.expect(A, &marked, "priority", &expected)?;

            let plain = rig.broadcast(D, "tagged with priority");
            let in_10 = with_tag(&plain, TAG, PRIORITY + 10);
            let expected: [(usize, &[u8]); 4] =
                [(A, &plain), (B, &plain), (E, &in_10), (F, &plain)];
            rig.expect(D, &in_10, "tagged with priority", &expected)
        })
    }

    #[test]
    fn service_tags_and_inner_tags_are_payload() -> Result<()> {
        Lab::run(|lab| {
            let rig = Rig::new(lab)?;
            let customer = with_tag(&rig.broadcast(A, "service"), TAG, 20);
            let service = with_tag(&customer, SERVICE_TAG, 99);
            let in_10 = with_tag(&service, TAG, 10);
            let expected: [(usize, &[u8]); 4] =
                [(B, &service), (D, &in_10), (E, &in_10), (F, &service)];
            rig.expect(A, &service, "service", &expected)?;

            let inner = with_tag(&rig.broadcast(D, "double"), TAG, 20);
            let double = with_tag(&inner, TAG, 10);
            let expected: [(usize, &[u8]); 4] =
                [(A, &inner), (B, &inner), (E, &double), (F, &inner)];
            rig.expect(D, &double, "double", &expected)
        })
    }

    #[test]
    fn transparent_ports_pass_every_frame_as_it_is() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet none", 2)?;
            let captures = quiet_captures(lab, &segment)?;
            let plain = frame::tagged(MacAddr::BROADCAST, segment.endpoints[0].mac, "as it is");
            let frames = [
                plain.clone(),
                with_tag(&plain, TAG, PRIORITY),
                with_tag(&plain, TAG, PRIORITY + 7),
                with_tag(&plain, SERVICE_TAG, 7),
                with_tag(&with_tag(&plain, TAG, 5), SERVICE_TAG, 7),
                with_tag(&with_tag(&plain, TAG, 5), TAG, 4094),
            ];
            traffic::send_raw(&segment.sandboxes[0], "eth0", COUNT, &frames)?;
            for bytes in &frames {
                captures[1].wait_for(|seen| seen.equal_to(bytes).exactly(COUNT))?;
            }
            containing(captures[1].checker()?, "as it is").exactly(COUNT * frames.len())
        })
    }

    #[test]
    fn one_mac_is_learned_in_each_vlan_by_itself() -> Result<()> {
        Lab::run(|lab| {
            let rig = Rig::new(lab)?;
            let cli = rig.segment.cli();
            let mac = frame::mac(0x0042);
            let announced = frame::tagged(MacAddr::BROADCAST, mac, "here");
            for port in [A, C, E] {
                rig.send(port, 1, &announced)?;
            }
            wait::until_true("three entries", wait::SOON, || {
                let rows = cli.json("fdb show red")?;
                let rows = rows.as_array().into_iter().flatten();
                let rows = rows.filter(|row| row["mac"] == mac.to_string());
                let places: Vec<_> = rows
                    .map(|row| format!("{} {}", row["vlan"], row["port"]))
                    .collect();
                Ok(places == ["null \"red/e\"", "10 \"red/a\"", "20 \"red/c\""])
            })?;
            let plain = frame::tagged(mac, rig.mac(D), "found in 10");
            let expected: [(usize, &[u8]); 1] = [(A, &plain)];
            rig.expect(D, &with_tag(&plain, TAG, 10), "found in 10", &expected)?;
            let plain = frame::tagged(mac, rig.mac(D), "found in 20");
            let expected: [(usize, &[u8]); 1] = [(C, &plain)];
            rig.expect(D, &with_tag(&plain, TAG, 20), "found in 20", &expected)?;

            let shown = cli.ok("fdb show red")?;
            let head: Vec<&str> = shown
                .lines()
                .next()
                .unwrap_or("")
                .split_whitespace()
                .collect();
            ensure!(
                head == ["MAC", "VID", "NETWORK", "PORT", "AGE", "TYPE"],
                "{shown}"
            );
            cli.ok(&format!("fdb del red {mac} --vlan 10"))?;
            let refusal = cli.refused(&format!("fdb del red {mac} --vlan 10"))?;
            let others = "in VLAN 10, only outside of VLANs and in VLAN 20";
            ensure!(refusal.contains(others), "{refusal}");
            cli.ok(&format!("fdb add red {mac} --port red/d --vlan 10"))?;
            let plain = frame::tagged(mac, rig.mac(A), "static in 10");
            let in_10 = with_tag(&plain, TAG, 10);
            let expected: [(usize, &[u8]); 1] = [(D, &in_10)];
            rig.expect(A, &plain, "static in 10", &expected)?;
            let refusal = cli.refused(&format!("fdb add red {mac} --port red/a --vlan 20"))?;
            ensure!(refusal.contains("does not carry VLAN 20"), "{refusal}");
            Ok(())
        })
    }

    #[test]
    fn what_scapy_tags_is_read_by_tshark_on_both_sides() -> Result<()> {
        let program = "
import sys
from scapy.all import Dot1Q, Ether, IP, UDP, sendp
mac, count, *vlan = sys.argv[1:]
frame = Ether(src=mac, dst='ff:ff:ff:ff:ff:ff')
if vlan:
    frame /= Dot1Q(vlan=int(vlan[0]), prio=3)
frame /= IP(src='10.9.0.1', dst='10.9.0.255') / UDP(sport=7, dport=9) / bytes(400)
sendp(frame, iface='eth0', count=int(count), verbose=False)
";
        Lab::run(|lab| {
            let rig = Rig::new(lab)?;
            let send = |index: usize, vlan: &[&str]| {
                let (mac, count) = (rig.mac(index).to_string(), COUNT.to_string());
                let arguments = [&[mac.as_str(), &count], vlan].concat();
                traffic::scapy(&rig.segment.sandboxes[index], program, &arguments)
            };
            send(D, &["20"])?;
            send(A, &[])?;
            rig.settle()?;
            let files: Vec<_> = rig.captures.into_iter().map(Capture::stop).collect();
            for (index, filter, len) in [
                (B, "udp && !vlan && eth.src == A", 442),
                (C, "udp && !vlan && eth.src == D", 442),
                (
                    D,
                    "udp && vlan.id == 10 && vlan.priority == 0 && eth.src == A",
                    446,
                ),
                (
                    E,
                    "udp && vlan.id == 10 && vlan.priority == 0 && eth.src == A",
                    446,
                ),
                (
                    E,
                    "udp && vlan.id == 20 && vlan.priority == 3 && eth.src == D",
                    446,
                ),
                (
                    F,
                    "udp && vlan.id == 20 && vlan.priority == 3 && eth.src == D",
                    446,
                ),
                (F, "udp && !vlan && eth.src == A", 442),
            ] {
                let mac = |index: usize| rig.segment.endpoints[index].mac.to_string();
                let filter = filter
                    .replace("== A", &format!("== {}", mac(A)))
                    .replace("== D", &format!("== {}", mac(D)));
                let file = files[index]
                    .as_ref()
                    .map_err(|e| anyhow::anyhow!("{e:#}"))?;
                let seen = capture::verify(file, &filter)?;
                let good = Verified {
                    len,
                    checksums: Checksums::Good,
                };
                ensure!(seen == vec![good; COUNT], "{index} {filter}: {seen:?}");
            }
            Ok(())
        })
    }

    /// Sends super-frames of UDP from an access port to a trunk and returns what the trunk gets.
    fn segmented_to_trunk(lab: &Lab, trunk: &str) -> Result<Vec<Verified>> {
        let program = "
import socket, sys
UDP_SEGMENT = 103
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
    peer.connect((sys.argv[1], 9))
    peer.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1400)
    for number in range(20):
        peer.send(bytes([number]) * (1400 * 8 - 4) + (b'last' if number == 19 else b'more'))
";
        let options = ["--vlan 10", &format!("--trunk 10 {trunk}")];
        let segment = Segment::with(lab, "--subnet 10.211.0.0/24", &options)?;
        let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
        let (ip, mac) = (segment.ipv4(1)?, segment.endpoints[1].mac);
        a.ip(&format!(
            "neighbour add {ip} lladdr {mac} dev eth0 nud permanent"
        ))?;
        let recorded = lab.capture(b, "eth0", Wanted::Everything)?;
        traffic::scapy(a, program, &[&ip.to_string()])?;
        recorded.wait_for(|seen| {
            let last = seen.that("with the end of the payload", |bytes| {
                bytes.ends_with(b"last")
            });
            last.exactly(1)
        })?;
        capture::verify(&recorded.stop()?, "udp && vlan.id == 10")
    }

    #[test]
    fn a_super_frame_gets_its_tag_and_stays_whole_or_is_cut_for_the_trunk() -> Result<()> {
        Lab::run(|lab| {
            let whole = segmented_to_trunk(lab, "")?;
            ensure!(
                whole.len() < 160 && whole.iter().any(|seen| seen.len > 1518),
                "{whole:?}"
            );
            Ok(())
        })?;
        Lab::run(|lab| {
            let cut = segmented_to_trunk(lab, "--offload=false")?;
            let segment = Verified {
                len: 14 + 4 + 20 + 8 + 1400,
                checksums: Checksums::Good,
            };
            ensure!(cut == vec![segment; 160], "{cut:?}");
            Ok(())
        })
    }

    /// Joins two access ports of two networks by trunks, with a Linux bridge in a sandbox between them:
    /// every frame gets its tag in one network and loses it in the other.
    fn across_trunks(lab: &Lab, trunk: &str) -> Result<()> {
        let first = ["--vlan 10", &format!("--trunk 10,20 {trunk}")];
        let segment = Segment::with(lab, "--subnet none", &first)?;
        let cli = segment.cli();
        let (a, between) = (&segment.sandboxes[0], &segment.sandboxes[1]);
        let b = lab.sandbox("far")?;
        cli.ok("network create blue --subnet none")?;
        cli.ok(&format!(
            "network connect blue {} --trunk 10",
            between.name()
        ))?;
        cli.connect("blue", &b, "--vlan 10")?;
        between.ip("link add br0 type bridge mcast_snooping 0 stp_state 0")?;
        for ifname in ["eth0", "eth1", "br0"] {
            if ifname != "br0" {
                between.ip(&format!("link set {ifname} master br0"))?;
            }
            between.ip(&format!("link set {ifname} up"))?;
        }
        a.ip("address add 10.9.0.1/24 dev eth0")?;
        b.ip("address add 10.9.0.2/24 dev eth0")?;
        a.ip("address add fd09::1/64 dev eth0 nodad")?;
        b.ip("address add fd09::2/64 dev eth0 nodad")?;
        let recorded = lab.capture(between, "eth0", Wanted::Everything)?;
        traffic::ping_soon(a, "10.9.0.2".parse()?)?;
        traffic::ping_soon(a, "fd09::2".parse()?)?;
        recorded.wait_for(|seen| {
            let arp = seen.that("ARP requests in VLAN 10", |bytes| {
                bytes.get(12..18) == Some(&[0x81, 0, 0, 10, 0x08, 0x06])
            });
            arp.exactly(1)
        })?;
        drop(recorded);
        let transfer = |from: &Sandbox, to: &Sandbox, address: &str| -> Result<()> {
            let address = address.parse()?;
            traffic::tcp(lab, from, to, address, 8 << 20)?;
            traffic::udp(lab, from, to, address, 1400, Datagrams::Segmented)?;
            traffic::udp(lab, from, to, address, 1400, Datagrams::Single)
        };
        transfer(a, &b, "10.9.0.2")?;
        transfer(&b, a, "fd09::1")
    }

    #[test]
    fn payload_is_unchanged_across_trunks_with_offloads() -> Result<()> {
        Lab::run(|lab| across_trunks(lab, ""))
    }

    #[test]
    fn payload_is_unchanged_across_a_trunk_without_offloads() -> Result<()> {
        Lab::run(|lab| across_trunks(lab, "--offload=false"))
    }
}
