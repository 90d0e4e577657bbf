//! Sandboxes, interfaces and daemons that end while others go on.
//!
//! ```text
//!   a    b    c    d      each a namespace with eth0
//!   |    |    |    |
//!     tapweave            network red
//! ```

#[cfg(test)]
mod everywhere {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use anyhow::Result;
    use rustix::process::Signal;
    use tapweave_integration::traffic::{self, Stream};
    use tapweave_integration::{Cli, Lab, Sandbox, Segment, kernel, wait};

    const SUBNET: &str = "--subnet 10.211.0.0/24";

    /// Within this everything of an ended sandbox must be freed.
    const PROMPT: Duration = Duration::from_secs(1);

    /// More than any machine sends during a test.
    const ENDLESS: usize = 1 << 40;

    fn names(cli: &Cli, listing: &str, key: &str) -> Result<Vec<String>> {
        let rows = cli.json(listing)?;
        let names = rows.as_array().into_iter().flatten();
        Ok(names
            .filter_map(|row| row[key].as_str().map(str::to_owned))
            .collect())
    }

    /// Ends sandbox b while a sends to it and c to d.
    fn end_under_traffic(lab: &Lab, segment: &Segment, b: &mut Sandbox) -> Result<()> {
        let cli = segment.cli();
        let endpoint = cli.connect("red", b, "")?;
        let [a, c, d] = &segment.sandboxes[..] else {
            unreachable!()
        };
        let mut doomed = Stream::start(lab, a, b, endpoint.ipv4()?, ENDLESS)?;
        wait::until_true("traffic to the sandbox", wait::SOON, || {
            Ok(cli.counters("red/doomed")?.tx_frames > 1000)
        })?;
        let others = Stream::start(lab, c, d, segment.ipv4(2)?, 256 << 20)?;
        assert!(doomed.is_running()?);
        let taps = kernel::tap_descriptor_count(segment.daemon.pid())?;
        b.end()?;
        wait::until_true("the port to be gone", PROMPT, || {
            Ok(!names(cli, "port ls", "port")?.contains(&"red/doomed".to_owned()))
        })?;
        assert!(!names(cli, "sandbox ls", "name")?.contains(&"doomed".to_owned()));
        assert_eq!(cli.whereabouts("red", endpoint.mac)?, None);
        let left = kernel::tap_descriptor_count(segment.daemon.pid())?;
        assert!(left < taps, "{taps} TAP descriptors before, {left} after");
        others.finish()?;

        // Its name and its address can be had again.
        let again = lab.sandbox("doomed")?;
        let address = endpoint.ipv4()?;
        cli.connect("red", &again, &format!("--ip {address}"))?;
        traffic::ping(a, address, 3)
    }

    #[test]
    fn a_sandbox_that_ends_under_traffic_is_freed_and_the_others_go_on() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 3)?;
            end_under_traffic(lab, &segment, &mut lab.sandbox("doomed")?)
        })
    }

    #[test]
    fn a_process_that_is_killed_under_traffic_frees_its_sandbox() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 3)?;
            end_under_traffic(lab, &segment, &mut lab.process_sandbox("doomed")?)
        })
    }

    #[test]
    fn an_interface_that_is_down_drops_and_works_again_when_it_is_up() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 3)?;
            let [a, b, c] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::ping(a, segment.ipv4(1)?, 1)?;
            b.ip("link set eth0 down")?;
            traffic::no_ping(a, segment.ipv4(1)?)?;
            assert!(segment.cli().counters("red/b")?.drops("device_down") > 0);
            traffic::ping(a, segment.ipv4(2)?, 3)?;
            b.ip("link set eth0 up")?;
            traffic::ping_soon(a, segment.ipv4(1)?)?;
            traffic::ping(b, segment.ipv4(2)?, 3)?;
            traffic::tcp(lab, c, b, segment.ipv4(1)?, 4 << 20)
        })
    }

    #[test]
    fn an_interface_that_is_deleted_inside_frees_its_port_and_hurts_nobody_else() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 3)?;
            let [a, b, _] = &segment.sandboxes[..] else {
                unreachable!()
            };
            b.ip("link delete eth0")?;
            traffic::ping(a, segment.ipv4(2)?, 3)?;
            wait::until_true("the port to be freed", wait::SOON, || {
                Ok(!names(segment.cli(), "port ls red", "port")?.contains(&"red/b".to_owned()))
            })?;
            let endpoint = segment.cli().connect("red", b, "")?;
            traffic::ping(a, endpoint.ipv4()?, 3)
        })
    }

    #[test]
    fn a_killed_daemon_leaves_no_interface_and_a_new_one_takes_its_place() -> Result<()> {
        Lab::run(|lab| {
            let Segment {
                daemon, sandboxes, ..
            } = Segment::new(lab, SUBNET, 2)?;
            let socket = daemon.socket();
            daemon.kill()?;
            for sandbox in &sandboxes {
                wait::until_true("the interface to vanish", wait::SOON, || {
                    Ok(sandbox.ifnames()? == ["lo"])
                })?;
            }
            assert!(
                fs::metadata(&socket)?.file_type().is_socket(),
                "nobody removed the socket"
            );
            let daemon = lab.daemon()?;
            daemon.cli().ok(&format!("network create red {SUBNET}"))?;
            daemon.cli().connect("red", &sandboxes[0], "")?;
            let address = daemon.cli().connect("red", &sandboxes[1], "")?.ipv4()?;
            traffic::ping(&sandboxes[0], address, 3)
        })
    }

    #[test]
    fn a_daemon_that_is_told_to_stop_leaves_nothing() -> Result<()> {
        Lab::run(|lab| {
            for signal in [Signal::TERM, Signal::INT] {
                let Segment {
                    daemon, sandboxes, ..
                } = Segment::new(lab, SUBNET, 2)?;
                let socket = daemon.socket();
                let cli = daemon.cli().clone();
                daemon.stop_by(signal)?;
                for sandbox in &sandboxes {
                    assert_eq!(sandbox.ifnames()?, ["lo"]);
                }
                assert!(!socket.exists(), "{} is left", socket.display());
                let message = cli.refused("network ls")?;
                assert!(
                    message.contains("tapweave daemon"),
                    "how to start one: {message}"
                );
            }
            Ok(())
        })
    }

    #[test]
    fn a_client_that_never_finishes_its_request_does_not_keep_the_daemon() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 1)?;
            let mut client = UnixStream::connect(segment.daemon.socket())?;
            client.write_all(b"GET /v1/networks HTTP/1.1\r\n")?;
            segment.cli().ok("network ls")?;
            segment.daemon.stop()?;
            assert_eq!(segment.sandboxes[0].ifnames()?, ["lo"]);
            Ok(())
        })
    }

    #[test]
    fn a_hangup_does_not_end_the_daemon() -> Result<()> {
        Lab::run(|lab| {
            let mut segment = Segment::new(lab, SUBNET, 2)?;
            segment.daemon.signal(Signal::HUP)?;
            segment.cli().ok("network ls")?;
            traffic::ping(&segment.sandboxes[0], segment.ipv4(1)?, 3)?;
            assert!(segment.daemon.is_running()?);
            segment.daemon.stop()
        })
    }

    #[test]
    fn a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 2)?;
            let message = segment.cli().refused("daemon --store memory:")?;
            let socket = segment.daemon.socket();
            assert!(message.contains(&*socket.to_string_lossy()), "{message}");
            traffic::ping(&segment.sandboxes[0], segment.ipv4(1)?, 3)?;
            segment.cli().ok("network ls")?;
            Ok(())
        })
    }
}
