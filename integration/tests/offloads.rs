//! Ports with and without offloads in one network: every pair must understand each other.
//!
//! ```text
//!   a    b      each a namespace with eth0; --offload=true or false in all four combinations
//!   |    |
//!  tapweave     network red, MTU 1500
//! ```
//!
//! What comes in at a plain port is recorded and judged by tshark: no frame above the MTU, every
//! checksum right. At a port with offloads super-frames must be seen, or they were cut for nothing.

#[cfg(test)]
mod everywhere {
    use std::net::IpAddr;

    use anyhow::{Result, ensure};
    use tapweave_integration::capture::{self, Checksums, Verified, Wanted};
    use tapweave_integration::traffic::{self, Datagrams};
    use tapweave_integration::{Lab, Segment};

    const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";

    /// Bytes that make no more segments than the recorder's socket buffer holds.
    const CAPTURED_LEN: usize = 192 << 10;

    /// Largest frame of an MTU of 1500.
    const MAX_LEN: usize = 1514;

    /// Datagrams that [`traffic::udp`] sends, without the last one, which ends it.
    const DATAGRAM_COUNT: u64 = 512;

    /// Payload of each, in bytes; the frame of one that was cut has 42 more with IPv4, 62 with IPv6.
    const DATAGRAM_LEN: usize = 1400;

    /// Returns what the kernel can do at a port.
    fn offloads(segment: &Segment, port: &str) -> Result<Vec<String>> {
        let port = segment.cli().json(&format!("port show {port}"))?;
        Ok(serde_json::from_value(port["offloads"].clone())?)
    }

    /// Lets `a` send segmented datagrams to `b` and returns how many frames came in from `a`, and how
    /// many went out to `b`.
    fn segmented(lab: &Lab, segment: &Segment, address: IpAddr) -> Result<(u64, u64)> {
        let [a, b] = &segment.sandboxes[..] else {
            unreachable!()
        };
        let counters = || -> Result<_> {
            let cli = segment.cli();
            Ok((
                cli.counters("red/a")?.rx_frames,
                cli.counters("red/b")?.tx_frames,
            ))
        };
        let before = counters()?;
        traffic::udp(lab, a, b, address, DATAGRAM_LEN, Datagrams::Segmented)?;
        let after = counters()?;
        ensure!(
            after.0 > before.0 && after.1 > before.1,
            "no frame was counted"
        );
        Ok((after.0 - before.0, after.1 - before.1))
    }

    fn both_directions(lab: &Lab, first: &str, second: &str) -> Result<()> {
        let segment = Segment::with(lab, DUAL, &[first, second])?;
        for (from, to) in [(0, 1), (1, 0)] {
            let (v4, v6) = (segment.ipv4(to)?, segment.ipv6(to)?);
            let (from, to) = (&segment.sandboxes[from], &segment.sandboxes[to]);
            traffic::tcp(lab, from, to, v4, 8 << 20)?;
            traffic::udp(lab, from, to, v4, 1472, Datagrams::Single)?;
            traffic::udp(lab, from, to, v4, 1400, Datagrams::Segmented)?;
            traffic::ping_soon(from, v6)?;
            traffic::tcp(lab, from, to, v6, 8 << 20)?;
            traffic::udp(lab, from, to, v6, 1400, Datagrams::Segmented)?;
        }
        Ok(())
    }

    /// Records what `b` gets while `a` sends TCP and segmented UDP to `address` of it, and returns the
    /// frames that pass tshark's display filter.
    fn received(
        lab: &Lab,
        segment: &Segment,
        address: IpAddr,
        filter: &str,
    ) -> Result<Vec<Verified>> {
        let [a, b] = &segment.sandboxes[..] else {
            unreachable!()
        };
        let recorded = lab.capture(b, "eth0", Wanted::Everything)?;
        traffic::tcp(lab, a, b, address, CAPTURED_LEN)?;
        traffic::udp(lab, a, b, address, 1400, Datagrams::Segmented)?;
        capture::verify(&recorded.stop()?, filter)
    }

    /// Checks the frames of [`CAPTURED_LEN`] bytes over TCP, at most 1448 in each, and of
    /// `datagram_count` datagrams.
    fn assert_finished(frames: &[Verified], datagram_count: usize) {
        assert!(
            frames.len() > CAPTURED_LEN / 1448 + datagram_count,
            "{} frames",
            frames.len()
        );
        for seen in frames {
            assert!(seen.len <= MAX_LEN, "longer than the MTU: {seen:?}");
            assert_eq!(seen.checksums, Checksums::Good, "{seen:?}");
        }
    }

    #[test]
    fn payload_is_unchanged_with_offloads_at_both_ports() -> Result<()> {
        Lab::run(|lab| both_directions(lab, "", ""))
    }

    #[test]
    fn payload_is_unchanged_between_a_port_with_and_one_without_offloads() -> Result<()> {
        Lab::run(|lab| both_directions(lab, "--offload=true", "--offload=false"))
    }

    #[test]
    fn payload_is_unchanged_without_offloads_at_both_ports() -> Result<()> {
        Lab::run(|lab| both_directions(lab, "--offload=false", "--offload=false"))
    }

    #[test]
    fn a_plain_port_gets_only_finished_frames_from_a_port_with_offloads() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", "--offload=false"])?;
            assert_finished(
                &received(lab, &segment, segment.ipv4(1)?, "tcp or udp")?,
                512,
            );
            traffic::ping_soon(&segment.sandboxes[0], segment.ipv6(1)?)?;
            assert_finished(
                &received(lab, &segment, segment.ipv6(1)?, "tcp or udp")?,
                512,
            );
            Ok(())
        })
    }

    #[test]
    fn a_plain_port_sends_only_finished_frames_itself() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["--offload=false", ""])?;
            // Datagrams are merged again on their way to a port that cuts them.
            assert_finished(&received(lab, &segment, segment.ipv4(1)?, "tcp")?, 0);
            Ok(())
        })
    }

    #[test]
    fn super_frames_cross_whole_between_ports_with_offloads() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", ""])?;
            let frames = received(lab, &segment, segment.ipv4(1)?, "tcp or udp")?;
            let longest = frames.iter().map(|seen| seen.len).max();
            assert!(
                longest > Some(MAX_LEN),
                "the longest frame has {longest:?} bytes"
            );
            Ok(())
        })
    }

    #[test]
    fn the_offloads_of_a_port_are_told() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", "--offload=false"])?;
            let on = offloads(&segment, "red/a")?;
            for offload in ["csum", "tso4", "tso6"] {
                assert!(
                    on.iter().any(|name| name == offload),
                    "{on:?} lacks {offload}"
                );
            }
            assert!(offloads(&segment, "red/b")?.is_empty());
            Ok(())
        })
    }

    /// A kernel before Linux 6.2 does not offer these offloads, and cuts before the switch.
    #[test]
    fn segmented_datagrams_cross_whole_where_the_ports_offer_it() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", ""])?;
            traffic::ping_soon(&segment.sandboxes[0], segment.ipv6(1)?)?;
            let offered = offloads(&segment, "red/a")?;
            assert_eq!(offered, offloads(&segment, "red/b")?);
            for (offload, address) in [("uso4", segment.ipv4(1)?), ("uso6", segment.ipv6(1)?)] {
                let (from_a, to_b) = segmented(lab, &segment, address)?;
                let are_whole = from_a < DATAGRAM_COUNT / 2 && to_b < DATAGRAM_COUNT / 2;
                let is_offered = offered.iter().any(|name| name == offload);
                assert_eq!(are_whole, is_offered, "{offload}: {from_a} in, {to_b} out");
            }
            Ok(())
        })
    }

    #[test]
    fn segmented_datagrams_are_cut_into_exactly_those_that_were_sent() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", "--offload=false"])?;
            traffic::ping_soon(&segment.sandboxes[0], segment.ipv6(1)?)?;
            let offered = offloads(&segment, "red/a")?;
            for (offload, address, headers_len) in [
                ("uso4", segment.ipv4(1)?, 42),
                ("uso6", segment.ipv6(1)?, 62),
            ] {
                let recorded = lab.capture(&segment.sandboxes[1], "eth0", Wanted::Everything)?;
                let (from_a, _) = segmented(lab, &segment, address)?;
                if offered.iter().any(|name| name == offload) {
                    assert!(from_a < DATAGRAM_COUNT / 2, "{offload}: {from_a} in");
                }
                let cut = Verified {
                    len: headers_len + DATAGRAM_LEN,
                    checksums: Checksums::Good,
                };
                let filter = format!("udp.length == {}", 8 + DATAGRAM_LEN);
                let datagrams = capture::verify(&recorded.stop()?, &filter)?;
                assert_eq!(u64::try_from(datagrams.len())?, DATAGRAM_COUNT, "{offload}");
                for seen in datagrams {
                    assert_eq!(seen, cut, "{offload}");
                }
            }
            Ok(())
        })
    }

    #[test]
    fn jumbo_frames_pass_between_ports_with_and_without_offloads() -> Result<()> {
        Lab::run(|lab| {
            let options = "--subnet 10.211.0.0/24 --mtu 9000";
            let segment = Segment::with(lab, options, &["", "--offload=false"])?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping_with(a, segment.ipv4(1)?, 3, "-M do -s 8972")?;
            traffic::ping_with(b, segment.ipv4(0)?, 3, "-M do -s 8972")?;
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 8 << 20)?;
            traffic::tcp(lab, b, a, segment.ipv4(0)?, 8 << 20)
        })
    }
}
