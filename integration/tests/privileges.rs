//! What the kernel does not allow is said by name, and the daemon keeps its files to itself.

#[cfg(test)]
mod everywhere {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use anyhow::Result;
    use tapweave_integration::process::Background;
    use tapweave_integration::{Lab, cli, process};

    #[test]
    fn the_socket_is_for_its_owner_only() -> Result<()> {
        Lab::run(|lab| {
            let daemon = lab.daemon()?;
            let mode = fs::metadata(daemon.socket())?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{mode:o}");
            Ok(())
        })
    }

    #[test]
    fn the_socket_is_found_by_the_environment() -> Result<()> {
        Lab::run(|lab| {
            let socket = lab.file("by-environment.sock");
            let with_socket = || -> Result<Command> {
                let mut command = Command::new(cli::binary()?);
                command.env("TAPWEAVE_SOCKET", &socket);
                Ok(command)
            };
            let mut command = with_socket()?;
            command.args(["daemon", "--store", "memory:"]);
            let mut daemon = Background::start(&mut command, &lab.file("daemon.log"))?;
            daemon.line("ready")?;
            assert!(socket.exists());
            process::expect_success(with_socket()?.args(["network", "ls"]), "")?;
            Ok(())
        })
    }
}

/// Needs a mount namespace of its own.
#[cfg(test)]
mod named {
    use std::process::Command;

    use anyhow::Result;
    use tapweave_integration::{Daemon, Lab, cli};

    /// Starts a daemon in a mount namespace that was changed by `change`, and requires that connecting
    /// a sandbox is refused with a word about /dev/net/tun.
    fn refuses_after(change: &str, words: &[&str]) -> Result<()> {
        Lab::run(|lab| {
            // Before the daemon, whose mount namespace does not hear of later names.
            let sandbox = lab.sandbox("a")?;
            let mut command = Command::new("unshare");
            command
                .args(["-m", "sh", "-c", &format!("{change} && exec \"$@\""), "sh"])
                .arg(cli::binary()?);
            let daemon =
                Daemon::start_with(command, &lab.file("daemon.sock"), &lab.file("daemon.log"))?;
            let cli = daemon.cli();
            cli.ok("network create red --subnet 10.211.0.0/24")?;
            let request = format!("network connect red a {}", sandbox.options());
            let message = cli.refused(&request)?;
            for word in words {
                assert!(message.contains(word), "no {word:?} in {message:?}");
            }
            assert_eq!(sandbox.ifnames()?, ["lo"]);
            assert_eq!(cli.json("port ls")?, serde_json::json!([]));
            assert_eq!(cli.json("sandbox ls")?, serde_json::json!([]));
            // The address was given back.
            cli.refused(&request)?;
            cli.ok("network rm red")?;
            daemon.stop()
        })
    }

    #[test]
    fn a_missing_tun_device_is_named() -> Result<()> {
        refuses_after("mount -t tmpfs tmpfs /dev/net", &["/dev/net/tun"])
    }

    #[test]
    fn a_tun_device_that_may_not_be_opened_is_named() -> Result<()> {
        // Devices on a file system that is mounted so are refused to everybody, root included.
        let change = "mount --bind /dev/net /dev/net && mount -o remount,bind,nodev /dev/net";
        refuses_after(change, &["/dev/net/tun"])
    }
}

/// Needs to be an ordinary user without any privilege.
#[cfg(test)]
mod outside {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::process::Command;

    use anyhow::{Context, Result};
    use tapweave_integration::process::Background;
    use tapweave_integration::{Lab, Segment, cli, traffic};

    #[test]
    fn a_daemon_without_any_capability_switches_between_sandboxes_of_its_user() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet 10.211.0.0/24", 2)?;
            let status = fs::read_to_string(format!("/proc/{}/status", segment.daemon.pid()))?;
            let capabilities = status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))
                .context("no CapEff in /proc/PID/status")?;
            assert_eq!(capabilities.trim(), "0000000000000000");
            assert!(!status.contains("Uid:\t0"), "{status}");
            let [a, b] = &segment.sandboxes[..] else {
                unreachable!()
            };
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 16 << 20)
        })
    }

    #[test]
    fn a_namespace_of_somebody_else_is_refused() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, "--subnet 10.211.0.0/24", 1)?;
            // The namespace that this test is in belongs to root.
            let before = fs::read_to_string("/proc/self/net/dev")?;
            let request = "network connect red mine --netns /proc/self/ns/net";
            let message = segment.cli().refused(request)?;
            assert!(
                message.contains("as the user who made the namespace"),
                "{message}"
            );
            let count = |text: &str| text.lines().count();
            assert_eq!(
                count(&fs::read_to_string("/proc/self/net/dev")?),
                count(&before)
            );
            let ports = segment.cli().json("port ls")?;
            assert_eq!(ports.as_array().map(Vec::len), Some(1), "{ports}");
            Ok(())
        })
    }

    #[test]
    fn the_default_socket_and_state_are_in_folders_for_their_owner_only() -> Result<()> {
        Lab::run(|lab| {
            let runtime = lab.file("runtime");
            fs::create_dir(&runtime)?;
            let mut command = Command::new(cli::binary()?);
            command
                .args(["daemon", "--node", "here"])
                .env("XDG_RUNTIME_DIR", &runtime)
                .env("XDG_STATE_HOME", lab.file("state"));
            let mut daemon = Background::start(&mut command, &lab.file("daemon.log"))?;
            daemon.line("ready")?;
            let folder = fs::metadata(runtime.join("tapweave"))?;
            assert_eq!(folder.permissions().mode() & 0o777, 0o700);
            assert_eq!(folder.uid(), fs::metadata("/proc/self")?.uid());
            let socket = fs::metadata(runtime.join("tapweave/tapweave.sock"))?;
            assert_eq!(socket.permissions().mode() & 0o777, 0o600);
            let state = lab.file("state/tapweave/here");
            assert_eq!(fs::metadata(&state)?.permissions().mode() & 0o777, 0o700);
            assert!(state.join("store.redb").exists());
            Ok(())
        })
    }
}
