//! A daemon that is killed and started again on the same state directory.
//!
//! ```text
//!   a    b    c    d      each a namespace with eth0
//!   |    |    |    |
//!     tapweave            networks, peers, entries, published ports
//! ```
//!
//! The interfaces outlive a daemon that is killed; after one that was told to stop they come again with their names, MACs
//! and addresses. That connections go on is looked at in `takeover.rs`.

#[cfg(test)]
mod once {
    use std::net::{IpAddr, SocketAddr};
    use std::path::Path;

    use anyhow::{Context, Result, ensure};
    use serde_json::Value;
    use tapweave_integration::cli::binary;
    use tapweave_integration::listing::rows;
    use tapweave_integration::site::{DUAL, TUN};
    use tapweave_integration::underlay::{self, Segment, TapweaveHost, Underlay};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::world::World;
    use tapweave_integration::{Cli, Daemon, Lab, Sandbox, traffic, wait, world};

    /// What `--json` shows that is of the moment.
    const OF_THE_MOMENT: [&str; 4] = ["counters", "age_ms", "heard_ms", "state"];

    /// Takes what is of the moment out of a listing.
    fn lasting(mut listing: Value) -> Value {
        match &mut listing {
            Value::Object(entries) => {
                entries.retain(|key, _| !OF_THE_MOMENT.contains(&key.as_str()));
                for value in entries.values_mut() {
                    *value = lasting(value.take());
                }
            }
            Value::Array(items) => {
                for item in items {
                    *item = lasting(item.take());
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        listing
    }

    /// All that was asked for, as a client sees it.
    fn everything(cli: &Cli, networks: &str) -> Result<Vec<Value>> {
        let listings = [
            "network ls".to_owned(),
            format!("network inspect {networks}"),
            "sandbox ls".to_owned(),
            "port ls".to_owned(),
            "peer ls".to_owned(),
            "neigh show".to_owned(),
            "dns ls".to_owned(),
        ];
        let listings = listings.iter().map(|it| Ok(lasting(cli.json(it)?)));
        let mut listings: Vec<Value> = listings.collect::<Result<_>>()?;
        let fdb = cli.json("fdb show")?;
        let entries = rows(&fdb)?.iter().filter(|row| row["kind"] == "static");
        listings.push(entries.cloned().map(lasting).collect());
        Ok(listings)
    }

    fn start_in(lab: &Lab, host: &Sandbox, options: &str, name: &str) -> Result<Daemon> {
        Daemon::under(
            host.command(&binary()?.display().to_string()),
            options,
            &lab.file(format!("{name}.sock")),
            &lab.file(format!("{name}.log")),
        )
    }

    fn state(directory: &Path) -> String {
        format!("--state-dir {}", directory.display())
    }

    fn fetch(client: &Sandbox, to: IpAddr) -> Result<()> {
        whoami::ask(client, Transport::Tcp, SocketAddr::new(to, 7100), 0).map(drop)
    }

    #[test]
    fn networks_endpoints_entries_and_published_ports_are_there_again() -> Result<()> {
        Lab::run(|lab| {
            let world = World::new(lab)?;
            let options = format!("{TUN} {}", state(&lab.file("state")));
            let daemon = start_in(lab, &world.host, &options, "daemon")?;
            let cli = daemon.cli().clone();
            cli.ok(&format!("network create red {DUAL} --label team=a"))?;
            cli.ok("network create raw --subnet none -o tapweave.ageing=60s --icc=false")?;
            let (a, b) = (world::station(lab, "a")?, world::station(lab, "b")?);
            let of_a = cli.connect("red", &a, "-p 7100:7100 -p 7100/udp --alias www")?;
            let of_b = cli.connect("red", &b, "--ip 10.211.0.77 --mac 02:00:00:00:00:77")?;
            cli.connect("raw", &b, "--ifname raw0 --locked")?;
            cli.ok("fdb add raw 02:00:00:00:00:01 --port raw/b")?;
            cli.ok("dns add red far 10.211.0.200")?;
            let outside = cli.outside()?;
            let before = everything(&cli, "red raw")?;
            let links = (a.ifnames()?, b.ifnames()?);
            let check = || -> Result<()> {
                ensure!((a.ifnames()?, b.ifnames()?) == links, "other interfaces");
                for to in [of_b.ipv4()?, of_b.ipv6()?] {
                    traffic::ping_soon(&a, to)?;
                }
                let _server = Whoami::start(lab, &a, &[of_a.ipv4()?], "7100")?;
                fetch(&world.client, outside)
            };
            check()?;
            // Twice: what is taken up is stored as well as what was made.
            let mut daemon = daemon;
            for _ in 0..2 {
                daemon.kill()?;
                daemon = start_in(lab, &world.host, &options, "daemon")?;
                let after = everything(&cli, "red raw")?;
                ensure!(after == before, "{after:#?}\nwas\n{before:#?}");
                check()?;
            }
            // A clean end takes nothing away either.
            daemon.stop()?;
            ensure!(!a.ifnames()?.contains(&"eth0".to_owned()));
            let daemon = start_in(lab, &world.host, &options, "daemon")?;
            ensure!(everything(&cli, "red raw")? == before);
            cli.ok("network disconnect red a")?;
            daemon.kill()?;
            let daemon = start_in(lab, &world.host, &options, "daemon")?;
            ensure!(cli.refused("port show red/a")?.contains("red/a"));
            traffic::no_ping(&a, of_b.ipv4()?)?;
            daemon.stop()
        })
    }

    #[test]
    fn what_ended_or_is_in_the_way_meanwhile_is_told_from_what_lives() -> Result<()> {
        Lab::run(|lab| {
            let options = state(&lab.file("state"));
            let daemon = lab.daemon_with(&options)?;
            let cli = daemon.cli().clone();
            cli.ok("network create red --subnet 10.211.0.0/24")?;
            let [mut ended, mut replaced] = [lab.sandbox("ended")?, lab.sandbox("replaced")?];
            let (kept, blocked) = (lab.sandbox("kept")?, lab.process_sandbox("blocked")?);
            let endpoint = cli.connect("red", &kept, "")?;
            for sandbox in [&ended, &replaced, &blocked] {
                cli.connect("red", sandbox, "")?;
            }
            daemon.kill()?;
            ended.end()?;
            replaced.end()?;
            // The same path, and maybe the same inode.
            let replaced = lab.sandbox("replaced")?;
            blocked.ip("link delete eth0")?;
            blocked.ip("link add eth0 type veth peer name eth7")?;

            let daemon = lab.daemon_with(&options)?;
            let sandboxes = cli.json("sandbox ls")?;
            let names = rows(&sandboxes)?
                .iter()
                .filter_map(|row| row["name"].as_str());
            let names: Vec<_> = names.collect();
            ensure!(names == ["blocked", "kept"], "there are {names:?}");
            ensure!(!replaced.ifnames()?.contains(&"eth0".to_owned()));
            let repairs = cli.json("stats")?["repairs"].clone();
            ensure!(repairs["sandboxes_ended"] == 2, "{repairs}");

            // What is in the way is named, the endpoint keeps what it has, and comes when it can.
            let port = cli.json("port show red/blocked")?;
            ensure!(port["state"] == "waiting", "{port}");
            let problem = port["problem"].as_str().context("no reason")?;
            ensure!(problem.contains("eth0"), "{problem}");
            blocked.ip("link delete eth0")?;
            wait::until_true("the interface to be made", wait::SOON, || {
                Ok(cli.json("port show red/blocked")?["state"] == "up")
            })?;
            traffic::ping_soon(&blocked, endpoint.ipv4()?)?;
            daemon.stop()
        })
    }

    #[test]
    fn an_overlay_reaches_its_hosts_again() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let usual = Segment::USUAL;
            let directory = state(&lab.file("state"));
            let options = format!("{directory} --underlay {}", usual.vtep(1));
            let with_state = [options.as_str(), ""];
            let first =
                TapweaveHost::with_daemon_and_network(lab, &underlay, usual, 1, &[2], with_state)?;
            let second = TapweaveHost::new(lab, &underlay, usual, 2, &[1])?;
            let to = second.addresses()[0];
            traffic::ping_soon(&first.sandbox, to)?;
            let cli = first.daemon.cli().clone();
            let peer = usual.vtep(2);
            let network = underlay::NETWORK;
            cli.ok(&format!("fdb add {network} {} --vtep {peer}", second.mac))?;
            cli.ok(&format!("neigh add {network} 10.77.0.99 02:00:00:00:00:99"))?;
            let before = everything(&cli, network)?;
            first.daemon.kill()?;
            let options = format!("{options} --vxlan-port {}", usual.port);
            let daemon = start_in(lab, &first.host, &options, "again")?;
            let after = everything(daemon.cli(), network)?;
            ensure!(after == before, "{after:#?}\nwas\n{before:#?}");
            let (a, b, to_a) = (&first.sandbox, &second.sandbox, first_address());
            traffic::ping_soon(b, to_a)?;
            traffic::tcp(lab, b, a, to_a, 1 << 20)?;
            traffic::tcp(lab, a, b, to, 1 << 20)?;
            daemon.stop()
        })
    }

    /// The address of the sandbox of host 1 (see [`TapweaveHost::addresses`]).
    fn first_address() -> IpAddr {
        IpAddr::from([10, 77, 0, 1])
    }
}
