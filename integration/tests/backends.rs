//! Which event loop a daemon runs, and what happens where the kernel does not allow the best.
//!
//! ```text
//!   a    b      each a namespace with eth0
//!   |    |
//!  tapweave     network red, daemons with all kinds of `--backend` and restrictions
//! ```

#[cfg(test)]
mod everywhere {
    use std::fs;
    use std::process::Command;

    use anyhow::Result;
    use serde_json::Value;
    use tapweave_integration::{Daemon, Lab, Segment, cli, listing, traffic};

    const WITHOUT_IO_URING: &str = include_str!("../tools/without_io_uring.py");

    /// A command that runs tapweave where `io_uring` is forbidden.
    fn without_io_uring() -> Result<Command> {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", WITHOUT_IO_URING]).arg(cli::binary()?);
        Ok(command)
    }

    /// Starts a daemon by `command` with `options`, checks that it carries traffic, and returns what
    /// `stats` says of its only worker.
    fn carries(lab: &Lab, command: Command, options: &str) -> Result<Value> {
        let socket = lab.file("daemon.sock");
        let daemon = Daemon::under(command, options, &socket, &lab.file("daemon.log"))?;
        let segment = Segment::on(daemon, lab, "--subnet 10.211.0.0/24", &["", ""])?;
        let [a, b] = &segment.sandboxes[..] else {
            unreachable!()
        };
        traffic::tcp(lab, a, b, segment.ipv4(1)?, 16 << 20)?;
        traffic::tcp(lab, b, a, segment.ipv4(0)?, 1 << 20)?;
        let stats = segment.cli().json("stats")?;
        let worker = listing::rows(&stats["workers"])?[0].clone();
        let [from, to] = [0, 1].map(|at| segment.endpoints[at].port.clone());
        for port in [from, to] {
            let counters = segment.cli().counters(&port)?;
            assert!(
                counters.rx_frames > 10 && counters.tx_frames > 10,
                "{counters:?}"
            );
        }
        segment.daemon.stop()?;
        Ok(worker)
    }

    /// Returns a program that may lock so many bytes, unless it is root of the machine.
    fn with_lockable_memory(bytes: u64) -> Result<Command> {
        let mut command = Command::new("prlimit");
        command.arg(format!("--memlock={bytes}:{bytes}"));
        command.arg(cli::binary()?);
        Ok(command)
    }

    #[test]
    fn each_back_end_can_be_forced_and_is_shown() -> Result<()> {
        for name in ["io_uring", "epoll"] {
            Lab::run(|lab| {
                let command = Command::new(cli::binary()?);
                let worker = carries(lab, command, &format!("--backend {name} --busy-poll 20"))?;
                assert_eq!(listing::text(&worker, "backend")?, name);
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn without_io_uring_epoll_is_used_and_the_log_says_why() -> Result<()> {
        Lab::run(|lab| {
            let worker = carries(lab, without_io_uring()?, "--backend auto")?;
            assert_eq!(listing::text(&worker, "backend")?, "epoll");
            assert_eq!(worker["backend_uses"], serde_json::json!([]));
            let log = fs::read_to_string(lab.file("daemon.log"))?;
            assert!(log.contains("io_uring is forbidden here"), "{log}");
            Ok(())
        })
    }

    #[test]
    fn forced_io_uring_where_it_is_forbidden_is_an_error_that_says_so() -> Result<()> {
        Lab::run(|lab| {
            let mut command = without_io_uring()?;
            command.arg("--socket").arg(lab.file("daemon.sock"));
            command.args(["daemon", "--store", "memory:", "--backend", "io_uring"]);
            let output = command.output()?;
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success());
            assert!(text.contains("io_uring is forbidden here"), "{text}");
            Ok(())
        })
    }

    #[test]
    fn without_lockable_memory_traffic_passes_all_the_same() -> Result<()> {
        Lab::run(|lab| {
            carries(lab, with_lockable_memory(0)?, "--backend auto")?;
            Ok(())
        })
    }

    #[test]
    fn several_workers_have_rings_in_what_a_user_may_lock() -> Result<()> {
        Lab::run(|lab| {
            let options = "--backend io_uring --workers 8";
            carries(lab, with_lockable_memory(8 << 20)?, options)?;
            Ok(())
        })
    }
}
