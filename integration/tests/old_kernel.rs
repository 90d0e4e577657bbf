//! What tapweave does under Linux 6.1, in the virtual machine of `integration/guest/`.
//!
//! ```text
//!   a    b      each a namespace with eth0, addresses from the network's subnet
//!   |    |
//!  tapweave     network red, in a guest whose kernel has no USO (6.2) and whose io_uring has no
//!               multishot read (6.7)
//! ```
//!
//! The machine is emulated, so a few MiB of payload have to be enough.

/// Needs the kernel of the guest.
#[cfg(test)]
mod guest {
    use std::fs;
    use std::process::Command;

    use anyhow::Result;
    use tapweave_integration::traffic::{self, Datagrams};
    use tapweave_integration::{Lab, Segment, cli, listing, wait};

    const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";

    #[test]
    fn the_kernel_is_the_one_that_these_tests_are_about() -> Result<()> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        assert!(release.starts_with("6.1."), "{release}");
        Ok(())
    }

    #[test]
    fn without_multishot_read_epoll_is_used_and_the_log_says_why() -> Result<()> {
        Lab::run(|lab| {
            let daemon = lab.daemon_with("--backend auto")?;
            let stats = daemon.cli().json("stats")?;
            let worker = &listing::rows(&stats["workers"])?[0];
            assert_eq!(listing::text(worker, "backend")?, "epoll");
            let log = fs::read_to_string(lab.file("daemon.log"))?;
            assert!(log.contains("no multishot read (Linux 6.7)"), "{log}");
            daemon.stop()
        })
    }

    #[test]
    fn forced_io_uring_is_refused_for_want_of_multishot_read() -> Result<()> {
        Lab::run(|lab| {
            let mut command = Command::new(cli::binary()?);
            command.arg("--socket").arg(lab.file("daemon.sock"));
            command.args(["daemon", "--store", "memory:", "--backend", "io_uring"]);
            let output = command.output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("no multishot read (Linux 6.7)"), "{said}");
            Ok(())
        })
    }

    #[test]
    fn tcp_payload_arrives_unchanged_over_ipv4_and_ipv6() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 4 << 20)?;
            traffic::ping_soon(b, segment.ipv6(0)?)?;
            traffic::tcp(lab, b, a, segment.ipv6(0)?, 4 << 20)
        })
    }

    #[test]
    fn ports_offer_tcp_segmentation_and_no_uso() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", "--offload=false"])?;
            let offloads = |port: &str| -> Result<Vec<String>> {
                let port = segment.cli().json(&format!("port show {port}"))?;
                Ok(serde_json::from_value(port["offloads"].clone())?)
            };
            let offered = offloads("red/a")?;
            for offload in ["csum", "tso4", "tso6"] {
                assert!(offered.iter().any(|name| name == offload), "{offered:?}");
            }
            assert!(!offered.iter().any(|name| name.starts_with("uso")));
            assert!(offloads("red/b")?.is_empty());
            Ok(())
        })
    }

    #[test]
    fn segmented_datagrams_arrive_cut_by_the_kernel() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping_soon(a, segment.ipv6(1)?)?;
            for address in [segment.ipv4(1)?, segment.ipv6(1)?] {
                let before = segment.cli().counters("red/a")?.rx_frames;
                traffic::udp(lab, a, b, address, 1400, Datagrams::Segmented)?;
                let came = segment.cli().counters("red/a")?.rx_frames - before;
                assert!(came >= 512, "{came} frames for 512 datagrams");
            }
            Ok(())
        })
    }

    #[test]
    fn datagrams_of_up_to_64_kib_arrive_unchanged() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, DUAL, 2)?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            for size in [1, 1472, 1473, 65507] {
                traffic::udp(lab, a, b, segment.ipv4(1)?, size, Datagrams::Single)?;
            }
            traffic::ping_soon(b, segment.ipv6(0)?)?;
            traffic::udp(lab, b, a, segment.ipv6(0)?, 65487, Datagrams::Single)
        })
    }

    #[test]
    fn a_port_with_and_one_without_offloads_understand_each_other() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, DUAL, &["", "--offload=false"])?;
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 2 << 20)?;
            traffic::tcp(lab, b, a, segment.ipv4(0)?, 2 << 20)?;
            traffic::udp(lab, a, b, segment.ipv4(1)?, 1400, Datagrams::Segmented)
        })
    }

    #[test]
    fn the_end_of_a_sandbox_is_noticed() -> Result<()> {
        Lab::run(|lab| {
            let mut segment = Segment::new(lab, DUAL, 2)?;
            segment.sandboxes[1].end()?;
            let cli = segment.cli();
            wait::until_true("the end of b's port", wait::SOON, || {
                Ok(listing::rows(&cli.json("port ls")?)?.len() == 1)
            })?;
            segment.daemon.stop()
        })
    }
}
