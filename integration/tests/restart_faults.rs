//! What stands in the way of a restart: disks that are full, read-only or damaged, sockets that somebody else has, a holder
//! that is gone. Nothing is destroyed, what to do is said, and when it is done, connections go on.
//!
//! ```text
//!   a    b         each a namespace with eth0, and a transfer between them all the time
//!   |    |
//!  tapweave        its state directory is a file system of its own
//! ```

#[cfg(test)]
mod once {
    use std::fs::{self, File};
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use anyhow::{Context, Result, ensure};
    use rustix::process::{Pid, Signal, kill_process};
    use tapweave_integration::process::{Background, expect_success};
    use tapweave_integration::steady::Steady;
    use tapweave_integration::{Daemon, Lab, Pair, kernel, traffic, wait};

    /// A file system in memory, which can be full or read-only without harm to others.
    struct Disk(PathBuf);

    impl Disk {
        fn mount(lab: &Lab) -> Result<Self> {
            let path = lab.file("disk");
            fs::create_dir(&path)?;
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"]);
            expect_success(mount.arg(&path), "")?;
            Ok(Self(path))
        }

        fn state(&self) -> PathBuf {
            self.0.join("state")
        }

        /// Makes it read-only (`ro`) or writable (`rw`).
        fn remount(&self, how: &str) -> Result<()> {
            let mut mount = Command::new("mount");
            mount
                .args(["-o", &format!("remount,bind,{how}")])
                .arg(&self.0);
            expect_success(&mut mount, "").map(drop)
        }

        /// Takes all space that is left, until the file is removed that this returns.
        fn fill(&self) -> Result<PathBuf> {
            let path = self.0.join("other");
            let mut file = File::create(&path)?;
            while file.write_all(&[0xa5; 4096]).is_ok() {}
            Ok(path)
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            // A daemon that is still there goes with the test.
            let _busy = Command::new("umount").arg("--lazy").arg(&self.0).status();
        }
    }

    fn options(state: &Path) -> String {
        format!("--state-dir {}", state.display())
    }

    /// Requires that a daemon does not start, and says this.
    fn ensure_refused(lab: &Lab, options: &str, reasons: &[&str]) -> Result<()> {
        let started = lab.daemon_with(options);
        let said = format!(
            "{:#}",
            started.map(Daemon::stop).err().context("it started")?
        );
        for reason in reasons {
            ensure!(said.contains(reason), "not {reason:?}, but: {said}");
        }
        Ok(())
    }

    #[test]
    fn a_full_disk_refuses_requests_and_ends_no_connection() -> Result<()> {
        Lab::run(|lab| {
            let disk = Disk::mount(lab)?;
            let options = options(&disk.state());
            let mut daemon = lab.daemon_with(&options)?;
            let mut pair = Pair::new(lab, &daemon)?;
            let filling = disk.fill()?;
            // The file of the store may still have room.
            let label = "x".repeat(4000);
            let cli = pair.cli.clone();
            let create = |n| {
                let name = format!("full-{n}");
                cli.ok(&format!(
                    "network create {name} --subnet none --label x={label}"
                ))
            };
            let mut numbers = 0..1000;
            let mut ensure_full = || {
                let refusal = numbers.find_map(|n| create(n).err());
                let refusal = refusal.context("there is room for everything")?;
                let refusal = format!("{refusal:#}");
                for words in ["store.redb", "No space left"] {
                    ensure!(refusal.contains(words), "{refusal}");
                }
                Ok(())
            };
            ensure_full()?;
            pair.transfer.progress()?;

            // What was stored before is there again, and served.
            daemon.kill()?;
            daemon = lab.daemon_with(&options)?;
            pair.transfer.progress()?;
            ensure_full()?;
            fs::remove_file(filling)?;
            wait::until_true("the store to be written again", wait::SOON, || {
                Ok(numbers.next().is_some_and(|n| create(n).is_ok()))
            })?;
            pair.finish(daemon)
        })
    }

    #[test]
    fn a_disk_that_is_read_only_is_told_and_ends_no_connection() -> Result<()> {
        Lab::run(|lab| {
            let disk = Disk::mount(lab)?;
            let options = options(&disk.state());
            let daemon = lab.daemon_with(&options)?;
            let pair = Pair::new(lab, &daemon)?;
            daemon.kill()?;
            let before = fs::read(disk.state().join("store.redb"))?;
            disk.remount("ro")?;
            ensure_refused(
                lab,
                &options,
                &["Read-only file system", "has to be writable"],
            )?;
            disk.remount("rw")?;
            ensure!(fs::read(disk.state().join("store.redb"))? == before);
            pair.finish(lab.daemon_with(&options)?)
        })
    }

    #[test]
    fn a_store_that_is_damaged_can_be_put_back_under_a_transfer() -> Result<()> {
        Lab::run(|lab| {
            let state = lab.file("state");
            let options = options(&state);
            let daemon = lab.daemon_with(&options)?;
            let pair = Pair::new(lab, &daemon)?;
            daemon.kill()?;
            let store = state.join("store.redb");
            let whole = fs::read(&store)?;
            let half = whole.get(..whole.len() / 2).unwrap_or_default();
            let words = ["is damaged and was left as it is", "put back a copy of it"];
            for damaged in [half, b"no store", b""] {
                fs::write(&store, damaged)?;
                ensure_refused(lab, &options, &words)?;
                ensure!(fs::read(&store)? == damaged, "it was changed");
            }
            fs::write(&store, whole)?;
            pair.finish(lab.daemon_with(&options)?)
        })
    }

    #[test]
    fn a_daemon_that_cannot_have_its_sockets_says_whose_they_are_and_may_try_again() -> Result<()> {
        Lab::run(|lab| {
            // Somebody's who is there now and then.
            let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            let figures = taken.local_addr()?.to_string();
            drop(taken);
            let options = format!("{} --metrics {figures}", options(&lab.file("state")));
            let daemon = lab.daemon_with(&options)?;
            let mut pair = Pair::new(lab, &daemon)?;
            daemon.kill()?;

            let taken = TcpListener::bind(&*figures)?;
            let words = ["cannot give figures on", figures.as_str(), "in use"];
            ensure_refused(lab, &options, &words)?;
            drop(taken);
            // Another daemon has the socket for requests.
            let other = lab.daemon()?;
            let socket = other.socket().display().to_string();
            ensure_refused(lab, &options, &[&socket])?;
            other.stop()?;

            let daemon = lab.daemon_with(&options)?;
            pair.transfer.progress()?;
            pair.finish(daemon)
        })
    }

    /// A daemon that is killed as it starts a process has passed its locks on to that one, which lets go of them when it
    /// runs its program.
    #[test]
    fn a_lock_that_a_killed_daemon_has_passed_on_is_waited_for() -> Result<()> {
        Lab::run(|lab| {
            let state = lab.file("state");
            let options = options(&state);
            let mut daemon = lab.daemon_with(&options)?;
            let mut pair = Pair::new(lab, &daemon)?;
            for (name, lock) in [
                ("socket", lab.file("daemon.sock.lock")),
                ("state", state.join("lock")),
            ] {
                daemon.kill()?;
                let mut heir = Command::new("flock");
                heir.arg(lock);
                heir.args(["sh", "-c", "echo locked; exec sleep 0.2"]);
                let mut heir = Background::start(&mut heir, &lab.file(format!("{name}.log")))?;
                heir.line("locked")?;
                daemon = lab.daemon_with(&options)?;
                ensure!(heir.exit(wait::SOON)?.success());
                pair.transfer.progress()?;
            }
            pair.finish(daemon)
        })
    }

    #[test]
    fn a_holder_that_is_killed_is_missed_and_replaced_at_the_next_start() -> Result<()> {
        Lab::run(|lab| {
            let state = lab.file("state");
            let options = options(&state);
            let holder = || -> Result<Option<Pid>> {
                let folder = state.display().to_string();
                let pid = kernel::process_with_arguments(&["__tapweave-hold", &folder])?;
                Ok(pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)))
            };
            let daemon = lab.daemon_with(&options)?;
            let mut pair = Pair::new(lab, &daemon)?;
            let first = holder()?.context("no holder")?;
            kill_process(first, Signal::KILL)?;
            pair.transfer.progress()?;
            // The next thing that is to be kept shows it.
            let c = lab.sandbox("c")?;
            let address = pair.cli.connect("red", &c, "")?.ipv4()?;
            wait::until_true("a line in the log", wait::SOON, || {
                let log = fs::read_to_string(lab.file("daemon.log"))?;
                Ok(log.contains("connections will not outlive this daemon"))
            })?;
            pair.transfer.progress()?;
            pair.transfer.finish()?;

            let next = lab.take_over(&options, "next")?;
            daemon.ended()?;
            traffic::ping_soon(&pair.a, address)?;
            ensure!(
                holder()?.is_some_and(|it| it != first),
                "there is no new one"
            );
            // From here on all is as ever.
            let mut transfer = Steady::start(lab, &pair.a, &c, address)?;
            next.kill()?;
            let daemon = lab.daemon_with(&options)?;
            transfer.progress()?;
            transfer.finish()?;
            daemon.stop()
        })
    }
}
