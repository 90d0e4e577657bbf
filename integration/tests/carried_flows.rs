//! What a daemon that is killed, or that another one takes over from, leaves to the next one: the flows that it
//! translates.
//!
//! ```text
//!   a  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`].

#[cfg(test)]
mod once {
    use std::fs::{self, File};
    use std::net::SocketAddr;
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;
    use std::process::Command;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::cli::binary;
    use tapweave_integration::crowd::{Crowd, EchoServer};
    use tapweave_integration::process::{Background, expect_success};
    use tapweave_integration::segment::NETWORK;
    use tapweave_integration::site::{DUAL, TUN};
    use tapweave_integration::steady::Steady;
    use tapweave_integration::traffic::L4_PORT;
    use tapweave_integration::usage::{IDLE_L4_PORT, Usage};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::world::{self, World};
    use tapweave_integration::{Cli, Daemon, Lab, Sandbox, kernel, wait};

    const ECHO_L4_PORT: u16 = 7500;
    /// The port of a sandbox that has a mapping before and after.
    const SOURCE: u16 = 40_010;

    /// How a daemon ends.
    #[derive(Clone, Copy, Debug)]
    enum End {
        Kill,
        Takeover,
    }

    fn start(lab: &Lab, world: &World, option: &str) -> Result<Daemon> {
        // Two daemons have two logs.
        let log = if option.is_empty() {
            "daemon"
        } else {
            "successor"
        };
        let options = format!("{TUN} {} {option}", lab.state_option());
        lab.daemon_in(&world.host, &options, log)
    }

    /// Makes a world and a daemon in its host, with a network of both families.
    fn begin(lab: &Lab) -> Result<(World, Daemon)> {
        let world = World::new(lab)?;
        let daemon = start(lab, &world, "")?;
        daemon
            .cli()
            .ok(&format!("network create {NETWORK} {DUAL}"))?;
        Ok((world, daemon))
    }

    /// Ends a daemon and starts the next one.
    fn replace(lab: &Lab, world: &World, daemon: Daemon, end: End) -> Result<Daemon> {
        match end {
            End::Kill => {
                daemon.kill()?;
                start(lab, world, "")
            }
            End::Takeover => {
                let next = start(lab, world, "--takeover")?;
                daemon.ended()?;
                Ok(next)
            }
        }
    }

    fn counter(cli: &Cli, name: &str) -> Result<u64> {
        let stats = cli.json("stats")?;
        Ok(stats["nat"]["counters"][name].as_u64().unwrap_or(0))
    }

    /// Waits until the journal says all that has happened so far: a round that was under way when the first one was
    /// counted may have missed some of it, the one after it has not. A new flow is what makes a round.
    fn settle_journal(cli: &Cli, sandbox: &Sandbox, server: SocketAddr) -> Result<()> {
        let before = counter(cli, "journal_rounds")?;
        wait::until_true("two rounds of the journal", wait::SOON, || {
            whoami::ask(sandbox, Transport::Udp, server, 0)?;
            Ok(counter(cli, "journal_rounds")? >= before + 2)
        })
    }

    #[test]
    fn connections_through_the_gateway_outlive_kills_and_takeovers() -> Result<()> {
        Lab::run(|lab| {
            let (world, mut daemon) = begin(lab)?;
            let cli = daemon.cli().clone();
            let a = world::station(lab, "a")?;
            let inside = cli.connect("red", &a, &format!("-p {ECHO_L4_PORT}:{ECHO_L4_PORT}"))?;
            let outside = cli.outside()?;
            let whoami_at = SocketAddr::new(world::V4.server, 7000);
            let _whoami = Whoami::start(lab, &world.server, &[world::V4.server], "7000")?;
            let published = SocketAddr::new(outside, ECHO_L4_PORT);
            let inside_at = SocketAddr::new(inside.ipv4()?, ECHO_L4_PORT);
            let mut servers = vec![EchoServer::start(lab, &a, inside_at)?];
            let mut crowds = vec![(Crowd::open(lab, &world.client, published, 20)?, 20)];
            for (server, count) in [(world::V4.server, 1000), (world::V6.server, 20)] {
                let at = SocketAddr::new(server, ECHO_L4_PORT);
                servers.push(EchoServer::start(lab, &world.server, at)?);
                crowds.push((Crowd::open(lab, &a, at, count)?, count));
            }
            for (crowd, count) in &crowds {
                ensure!(crowd.count == *count, "{} connections", crowd.count);
            }
            let seen = whoami::ask(&a, Transport::Udp, whoami_at, SOURCE)?;
            // What comes from an earlier daemon is handed on to the next one.
            for end in [End::Kill, End::Kill, End::Takeover] {
                if let End::Kill = end {
                    settle_journal(&cli, &a, whoami_at)?;
                }
                daemon = replace(lab, &world, daemon, end)?;
                let restored = counter(&cli, "flows_restored")?;
                ensure!(restored >= 1040, "{restored} flows are there again");
                ensure!(counter(&cli, "flows_not_restored")? == 0);
                for (crowd, count) in &mut crowds {
                    let alive = crowd.exchange()?;
                    ensure!(alive == *count, "{alive} of {count} connections go on");
                }
                let again = whoami::ask(&a, Transport::Udp, whoami_at, SOURCE)?;
                ensure!(again == seen, "seen as {again}, before as {seen}");
            }
            daemon.stop()
        })
    }

    #[test]
    fn what_goes_through_the_gateway_outlives_ten_kills_and_ten_takeovers() -> Result<()> {
        Lab::run(|lab| {
            let (world, mut daemon) = begin(lab)?;
            let cli = daemon.cli().clone();
            let (a, b) = (world::station(lab, "a")?, world::station(lab, "b")?);
            cli.connect("red", &a, "")?;
            let ports = [IDLE_L4_PORT.to_string(), L4_PORT.to_owned()];
            let tcp = ports.map(|port| format!("-p {port}:{port}")).join(" ");
            let udp = format!("-p {L4_PORT}:{L4_PORT}/udp");
            let inside = cli.connect("red", &b, &format!("{tcp} {udp}"))?.ipv4()?;
            let outside = cli.outside()?;
            let ways = [
                ([&a, &world.server], world::V4.server, world::V4.server, 100),
                ([&world.client, &b], inside, outside, 1000),
            ];
            let start_one = |(ends, at, to, idle)| Usage::through(lab, ends, at, to, idle);
            let mut usages: Vec<_> = ways.into_iter().map(start_one).collect::<Result<_>>()?;
            for end in [End::Kill, End::Takeover].repeat(10) {
                for usage in &mut usages {
                    usage.progress()?;
                }
                daemon = replace(lab, &world, daemon, end)?;
            }
            for mut usage in usages {
                usage.progress()?;
                let asked = usage.finish()?;
                // At each kill the one that is under way, and the first one after a restart, when the gateway asks anew who has
                // an address.
                ensure!(asked.lost <= 30, "{asked:?}");
            }
            daemon.stop()
        })
    }

    #[test]
    fn a_journal_of_another_version_costs_the_flows_and_nothing_else() -> Result<()> {
        Lab::run(|lab| {
            let (world, mut daemon) = begin(lab)?;
            let cli = daemon.cli().clone();
            let (a, b) = (world::station(lab, "a")?, world::station(lab, "b")?);
            cli.connect("red", &a, "")?;
            let address = cli.connect("red", &b, "")?.ipv4()?;
            let server = SocketAddr::new(world::V4.server, 7000);
            let _whoami = Whoami::start(lab, &world.server, &[world::V4.server], "7000")?;
            let mut transfer = Steady::start(lab, &a, &b, address)?;
            for (version, restored) in [(Some(0_u16), false), (Some(999), false), (None, true)] {
                whoami::ask(&a, Transport::Udp, server, SOURCE)?;
                settle_journal(&cli, &a, server)?;
                daemon.kill()?;
                if let Some(version) = version {
                    set_journal_version(lab, version)?;
                }
                daemon = start(lab, &world, "")?;
                let count = counter(&cli, "flows_restored")?;
                ensure!(
                    (count > 0) == restored,
                    "{count} flows of version {version:?}"
                );
                if let Some(version) = version {
                    let log = fs::read_to_string(lab.file("daemon.log"))?;
                    let reason =
                        format!("it is of version {version}, and this tapweave reads version");
                    ensure!(log.contains(&reason), "{log}");
                }
                transfer.progress()?;
            }
            transfer.finish()?;
            daemon.stop()
        })
    }

    /// Writes another version into what the holder keeps in memory: the journal of flows, and what was learned.
    fn set_journal_version(lab: &Lab, version: u16) -> Result<()> {
        /// Where it is: see `tapweave_carry`.
        const AT: u64 = 8;
        let state = lab.file("state").display().to_string();
        let holder = kernel::process_with_arguments(&["__tapweave-hold", &state])?;
        let journals = kernel::descriptors_of(holder.context("no holder")?, "tapweave-journal")?;
        ensure!(!journals.is_empty(), "the holder has no journal");
        for journal in journals {
            let journal = File::options().write(true).open(journal)?;
            journal.write_all_at(&version.to_le_bytes(), AT)?;
        }
        Ok(())
    }

    /// A process whose children have clocks that are ahead of those of the machine.
    struct Ahead(Background);

    impl Ahead {
        fn by(lab: &Lab, time: Duration) -> Result<Self> {
            let secs = time.as_secs();
            let mut command = Command::new("unshare");
            command.args(["--time", "--fork", "--kill-child"]);
            command.args([format!("--monotonic={secs}"), format!("--boottime={secs}")]);
            command.args(["sh", "-c", "echo there; exec cat"]);
            let mut process = Background::start(&mut command, &lab.file("clocks.log"))?;
            process.line("there")?;
            Ok(Self(process))
        }

        fn start(&self, lab: &Lab, world: &World) -> Result<Daemon> {
            let mut command = world.host.command("nsenter");
            command.arg(format!(
                "--time=/proc/{}/ns/time_for_children",
                self.0.pid()
            ));
            command.arg(binary()?);
            let options = format!("{TUN} {}", lab.state_option());
            let (socket, log) = (lab.file("daemon.sock"), lab.file("daemon.log"));
            Daemon::under(command, &options, &socket, &log)
        }
    }

    /// Adds as many seconds to the time of day as the file `$TIME_OF_DAY` says; the other clocks are those of the machine.
    const TIME_OF_DAY: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    char text[32] = "";
    const char *path = getenv("TIME_OF_DAY");
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (failed || clock != CLOCK_REALTIME || !path) return failed;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
    close(file);
    return 0;
}
"#;

    /// A time of day that can be set for daemons alone.
    struct TimeOfDay {
        library: PathBuf,
        offset: PathBuf,
    }

    impl TimeOfDay {
        /// Far enough that the year is another one.
        const FAR: i64 = 400 * 24 * 3600;

        fn new(lab: &Lab) -> Result<Self> {
            let [source, library] = ["time_of_day.c", "time_of_day.so"].map(|name| lab.file(name));
            fs::write(&source, TIME_OF_DAY)?;
            let mut compiler = Command::new("cc");
            compiler.args(["-D_GNU_SOURCE", "-shared", "-fPIC", "-o"]);
            expect_success(compiler.args([&library, &source]), "")?;
            let offset = lab.file("time_of_day");
            Ok(Self { library, offset })
        }

        /// Sets it to so many seconds after the time of the machine.
        fn set(&self, secs: i64) -> Result<()> {
            // Whoever reads it meanwhile gets what was or what is.
            let new = self.offset.with_extension("new");
            fs::write(&new, secs.to_string())?;
            Ok(fs::rename(new, &self.offset)?)
        }

        fn start(&self, lab: &Lab, world: &World) -> Result<Daemon> {
            let mut command = world.host.command(&binary()?.display().to_string());
            command.env("LD_PRELOAD", &self.library);
            command.env("TIME_OF_DAY", &self.offset);
            let options = format!("{TUN} {}", lab.state_option());
            let (socket, log) = (lab.file("daemon.sock"), lab.file("daemon.log"));
            Daemon::under(command, &options, &socket, &log)
        }
    }

    /// Makes a network and returns when that was, as the daemon says.
    fn created(cli: &Cli, name: &str) -> Result<String> {
        cli.ok(&format!("network create {name} --subnet none"))?;
        let network = cli.json(&format!("network inspect {name}"))?;
        let created = network[0]["Created"].as_str();
        created.map(str::to_owned).context("no time")
    }

    #[test]
    fn a_time_of_day_that_is_set_while_a_daemon_runs_and_while_none_does_ends_nothing() -> Result<()>
    {
        Lab::run(|lab| {
            let (world, time) = (World::new(lab)?, TimeOfDay::new(lab)?);
            let mut daemon = time.start(lab, &world)?;
            let cli = daemon.cli().clone();
            cli.ok(&format!("network create {NETWORK} {DUAL}"))?;
            let a = world::station(lab, "a")?;
            cli.connect(NETWORK, &a, "")?;
            let addresses = cli.json("port show red/a")?["addresses"].clone();
            let server = SocketAddr::new(world::V4.server, 7000);
            let _whoami = Whoami::start(lab, &world.server, &[world::V4.server], "7000")?;
            let echo_at = SocketAddr::new(world::V4.server, ECHO_L4_PORT);
            let _echo = EchoServer::start(lab, &world.server, echo_at)?;
            let mut crowd = Crowd::open(lab, &a, echo_at, 20)?;
            let mut expect_all = || -> Result<()> {
                let alive = crowd.exchange()?;
                ensure!(alive == 20, "{alive} of 20 connections go on");
                whoami::ask(&a, Transport::Tcp, server, 0)?;
                let port = cli.json("port show red/a")?;
                ensure!(port["addresses"] == addresses, "{port}");
                Ok(())
            };
            for (index, far) in [TimeOfDay::FAR, -TimeOfDay::FAR].into_iter().enumerate() {
                time.set(0)?;
                let before = created(&cli, &format!("before{index}"))?;
                time.set(far)?;
                let meanwhile = created(&cli, &format!("meanwhile{index}"))?;
                ensure!(
                    (meanwhile > before) == (far > 0),
                    "{before}, then {meanwhile}"
                );
                expect_all()?;
                time.set(0)?;
                created(&cli, &format!("after{index}"))?;
                expect_all()?;
                let told = cli.ok("events --since 1h --until 0s")?;
                let is_told = |name: &str| told.contains(&format!("{name}{index}"));
                ensure!(
                    is_told("before") && !is_told("meanwhile") && is_told("after"),
                    "{told}"
                );
                settle_journal(&cli, &a, server)?;
                daemon.kill()?;
                time.set(far)?;
                daemon = time.start(lab, &world)?;
                expect_all()?;
                let repairs = cli.json("stats")?["repairs"].clone();
                ensure!(repairs["sandboxes_ended"].is_null(), "{repairs}");
            }
            daemon.stop()
        })
    }

    #[test]
    fn a_clock_that_is_ahead_and_then_back_ends_no_connection() -> Result<()> {
        Lab::run(|lab| {
            let (world, mut daemon) = begin(lab)?;
            let cli = daemon.cli().clone();
            let ahead = Ahead::by(lab, Duration::from_mins(30))?;
            let a = world::station(lab, "a")?;
            cli.connect("red", &a, "")?;
            let server = SocketAddr::new(world::V4.server, 7000);
            let _whoami = Whoami::start(lab, &world.server, &[world::V4.server], "7000")?;
            let echo_at = SocketAddr::new(world::V4.server, ECHO_L4_PORT);
            let _echo = EchoServer::start(lab, &world.server, echo_at)?;
            let mut crowd = Crowd::open(lab, &a, echo_at, 20)?;
            for is_ahead in [true, false, true] {
                settle_journal(&cli, &a, server)?;
                daemon.kill()?;
                daemon = if is_ahead {
                    ahead.start(lab, &world)?
                } else {
                    start(lab, &world, "")?
                };
                let alive = crowd.exchange()?;
                ensure!(alive == 20, "{alive} of 20 connections go on");
                whoami::ask(&a, Transport::Tcp, server, 0)?;
            }
            daemon.stop()
        })
    }
}
