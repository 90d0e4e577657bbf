//! Proves the checkers on a Linux bridge: they pass where it does right, and fail where it is told to
//! do wrong.
//!
//! ```text
//!   a   b   c      each a namespace with eth0, 10.77.0.{1,2,3}/24
//!   |   |   |      veth pairs
//!   +--br0--+      in a namespace of its own
//! ```

#[cfg(test)]
mod everywhere {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use anyhow::{Result, bail};
    use tapweave_integration::process::Background;
    use tapweave_integration::{Lab, traffic, wait};

    #[test]
    fn a_sandbox_is_a_namespace_of_its_own_that_ends_when_told() -> Result<()> {
        Lab::run(|lab| {
            let kinds = [lab.sandbox("a")?, lab.process_sandbox("b")?];
            for mut sandbox in kinds {
                assert_eq!(sandbox.ifnames()?, ["lo"]);
                sandbox.ip("address add 10.77.0.1/32 dev lo")?;
                traffic::ping(&sandbox, "10.77.0.1".parse()?, 2)?;
                let ours = fs::read_link("/proc/self/ns/net")?;
                let its = sandbox.run("readlink", "/proc/self/ns/net")?;
                assert_ne!(ours.to_string_lossy(), its.trim());
                let path = sandbox.path();
                assert!(path.exists());
                sandbox.end()?;
                assert!(!path.exists());
            }
            Ok(())
        })
    }

    #[test]
    fn waiting_has_an_end_and_says_for_what() {
        let short = Duration::from_millis(30);
        let never = wait::until_true("godot", short, || Ok(false)).unwrap_err();
        assert!(never.to_string().contains("still waiting for: godot"));
        wait::until_true("now", short, || Ok(true)).unwrap();
        let mut left = 2;
        let stays = wait::stays_true("calm", short, || {
            left -= 1;
            Ok(left > 0)
        });
        assert!(stays.unwrap_err().to_string().contains("calm"));
        wait::stays_true("calm", short, || Ok(true)).unwrap();
    }

    #[test]
    fn a_process_that_ends_without_its_word_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "echo steady; echo trouble >&2"]);
            let mut process = Background::start(&mut command, &lab.file("log"))?;
            let error = format!("{:#}", process.line("ready").unwrap_err());
            assert!(
                error.contains("steady") && error.contains("trouble"),
                "{error}"
            );
            assert!(fs::read_to_string(lab.file("log"))?.contains("trouble"));
            Ok(())
        })
    }

    #[test]
    fn the_files_of_a_failed_test_are_kept_and_those_of_others_not() -> Result<()> {
        let mut path = PathBuf::new();
        let error = Lab::run(|lab| {
            path = lab.file("evidence");
            fs::write(&path, "kept")?;
            bail!("on purpose")
        });
        let said = format!("{:#}", error.unwrap_err());
        assert_eq!(fs::read_to_string(&path)?, "kept");
        let dir = path.parent().unwrap_or(&path).to_owned();
        assert!(
            said.contains("on purpose") && said.contains(&*dir.to_string_lossy()),
            "{said}"
        );
        fs::remove_dir_all(dir)?;
        Lab::run(|lab| {
            path = lab.file("evidence");
            Ok(fs::write(&path, "not kept")?)
        })?;
        assert!(!path.exists());
        Ok(())
    }
}

/// Needs a kernel bridge.
#[cfg(test)]
mod named {
    use std::net::IpAddr;

    use anyhow::{Result, bail};
    use tapweave_integration::bridge::Bridge;
    use tapweave_integration::capture::{self, Checksums, Wanted};
    use tapweave_integration::flood::{Receivers, Station, expect_delivery, settle};
    use tapweave_integration::traffic::{self, Datagrams};
    use tapweave_integration::{Lab, Sandbox, frame};
    use tapweave_net::MacAddr;

    /// Bytes that make no more segments than the recorder's socket buffer holds.
    const CAPTURED_LEN: usize = 192 << 10;

    const UNKNOWN: MacAddr = frame::mac(0x999);

    struct Segment {
        bridge: Bridge,
        sandboxes: Vec<Sandbox>,
        macs: Vec<MacAddr>,
    }

    impl Segment {
        fn new(lab: &Lab) -> Result<Self> {
            let bridge = Bridge::new(lab)?;
            let mut sandboxes = Vec::new();
            let mut macs = Vec::new();
            for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
                let sandbox = lab.sandbox(name)?;
                macs.push(bridge.connect(&sandbox, number, &format!("10.77.0.{number}/24"))?);
                sandboxes.push(sandbox);
            }
            Ok(Self {
                bridge,
                sandboxes,
                macs,
            })
        }

        fn stations<'s>(&'s self, lab: &Lab) -> Result<Vec<Station<'s>>> {
            let pairs = self.sandboxes.iter().zip(&self.macs);
            pairs
                .map(|(sandbox, &mac)| Station::new(lab, sandbox, "eth0", mac))
                .collect()
        }
    }

    fn ip(number: u8) -> IpAddr {
        [10, 77, 0, number].into()
    }

    /// Requires that a check complains, and about what.
    fn fails(result: Result<()>, complaint: &str) -> Result<()> {
        match result {
            Ok(()) => bail!("passed, but should complain: {complaint}"),
            Err(error) if format!("{error:#}").contains(complaint) => Ok(()),
            Err(error) => Err(error.context(format!("should complain: {complaint}"))),
        }
    }

    #[test]
    fn a_bridge_floods_and_then_learns_as_the_checker_expects() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let stations = segment.stations(lab)?;
            let unknown = frame::tagged(UNKNOWN, segment.macs[0], "unknown");
            expect_delivery(&stations, 0, &unknown, 25, Receivers::AllOthers)?;
            let known = frame::tagged(segment.macs[1], segment.macs[0], "known");
            settle(&stations, 1)?;
            expect_delivery(&stations, 0, &known, 25, Receivers::Only(&[1]))?;
            let reserved = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
            let reserved = frame::tagged(reserved, segment.macs[0], "reserved");
            expect_delivery(&stations, 0, &reserved, 3, Receivers::Nobody)
        })
    }

    #[test]
    fn a_station_that_scapy_announces_is_followed_and_one_that_is_not_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let stations = segment.stations(lab)?;
            let to_it = |tag: &str| frame::tagged(UNKNOWN, segment.macs[2], tag);
            for place in [0, 1] {
                traffic::announce(&segment.sandboxes[place], "eth0", UNKNOWN)?;
                settle(&stations, place)?;
                let tag = format!("at {place}");
                expect_delivery(&stations, 2, &to_it(&tag), 3, Receivers::Only(&[place]))?;
            }
            let checked = expect_delivery(&stations, 2, &to_it("gone"), 3, Receivers::Only(&[0]));
            fails(checked, "0 frames of the same bytes at a-eth0, expected 3")
        })
    }

    #[test]
    fn foreign_offload_headers_get_past_the_senders_kernel() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let mut long = frame::header(segment.macs[1], segment.macs[0], 0x0800);
            long.extend([
                0x45, 0, 5, 0x6a, 0, 1, 0, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2,
            ]);
            long.resize(1400, 0x5a);
            assert!(traffic::send_vnet(&segment.sandboxes[0], "eth0", 200, &[long])? > 40);
            Ok(())
        })
    }

    #[test]
    fn a_port_that_does_not_flood_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let stations = segment.stations(lab)?;
            segment
                .bridge
                .set_port(&segment.sandboxes[2], "flood off")?;
            let unknown = frame::tagged(UNKNOWN, segment.macs[0], "unknown");
            let checked = expect_delivery(&stations, 0, &unknown, 1, Receivers::AllOthers);
            fails(checked, "0 frames of the same bytes at c-eth0, expected 1")
        })
    }

    #[test]
    fn a_frame_that_comes_back_to_the_sender_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let stations = segment.stations(lab)?;
            segment
                .bridge
                .set_port(&segment.sandboxes[0], "hairpin on")?;
            let unknown = frame::tagged(UNKNOWN, segment.macs[0], "unknown");
            let checked = expect_delivery(&stations, 0, &unknown, 2, Receivers::AllOthers);
            fails(checked, "2 frames of the same bytes at a-eth0, expected 0")
        })
    }

    #[test]
    fn a_known_frame_that_is_flooded_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let stations = segment.stations(lab)?;
            segment
                .bridge
                .set_port(&segment.sandboxes[1], "learning off")?;
            segment.bridge.set_option("fdb_flush")?;
            let known = frame::tagged(segment.macs[1], segment.macs[0], "known");
            settle(&stations, 1)?;
            let checked = expect_delivery(&stations, 0, &known, 1, Receivers::Only(&[1]));
            fails(checked, "1 frames of the same bytes at c-eth0, expected 0")
        })
    }

    #[test]
    fn a_reserved_group_that_is_forwarded_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let stations = segment.stations(lab)?;
            // LLDP, which a Linux bridge can be told to forward.
            segment.bridge.set_option("group_fwd_mask 0x4000")?;
            let reserved = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
            let reserved = frame::tagged(reserved, segment.macs[0], "reserved");
            let checked = expect_delivery(&stations, 0, &reserved, 1, Receivers::Nobody);
            fails(checked, "1 frames of the same bytes at b-eth0, expected 0")
        })
    }

    #[test]
    fn ping_tcp_udp_and_iperf3_pass_over_a_bridge() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
            traffic::ping(a, ip(2), 5)?;
            traffic::tcp(lab, a, b, ip(2), 4 << 20)?;
            traffic::udp(lab, a, b, ip(2), 1200, Datagrams::Single)?;
            traffic::udp(lab, b, a, ip(1), 1200, Datagrams::Segmented)?;
            assert!(traffic::iperf3(lab, a, b, ip(2), 1, 1)? > 1e6);
            Ok(())
        })
    }

    #[test]
    fn an_unreachable_station_is_noticed_by_every_traffic_check() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
            fails(traffic::no_ping(a, ip(2)), "10.77.0.2 was reached from a")?;
            segment.bridge.set_port(b, "isolated on")?;
            segment.bridge.set_port(a, "isolated on")?;
            traffic::no_ping(a, ip(2))?;
            a.ip("neigh flush all")?;
            fails(traffic::ping(a, ip(2), 1), "ping")?;
            let datagrams = traffic::udp(lab, a, b, ip(2), 100, Datagrams::Single);
            fails(datagrams, "timed out")
        })
    }

    #[test]
    fn partial_checksums_and_super_frames_are_noticed() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab)?;
            let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
            let recorded = lab.capture(b, "eth0", Wanted::Everything)?;
            traffic::tcp(lab, a, b, ip(2), CAPTURED_LEN)?;
            let frames = capture::verify(&recorded.stop()?, "tcp")?;
            assert!(
                frames.iter().any(|seen| seen.checksums == Checksums::Bad),
                "veth hands over partial checksums, but tshark finds none wrong: {frames:?}"
            );
            assert!(
                frames.iter().any(|seen| seen.len > 1514),
                "veth hands over super-frames: {frames:?}"
            );
            for sandbox in [a, b] {
                sandbox.run("ethtool", "-K eth0 tx off tso off gso off gro off")?;
            }
            let recorded = lab.capture(b, "eth0", Wanted::Everything)?;
            traffic::tcp(lab, a, b, ip(2), CAPTURED_LEN)?;
            let frames = capture::verify(&recorded.stop()?, "tcp")?;
            assert!(
                frames.len() > CAPTURED_LEN / 1448,
                "{} frames",
                frames.len()
            );
            for seen in &frames {
                assert!(seen.len <= 1514, "{seen:?}");
                assert_eq!(seen.checksums, Checksums::Good, "{seen:?}");
            }
            Ok(())
        })
    }
}
