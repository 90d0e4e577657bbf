//! Connections that outlive the daemon.
//!
//! ```text
//!   a    b      each a namespace with eth0, whose TAP a holder has too
//!   |    |
//!  tapweave     killed, and started again on the same state directory; or one takes over from another
//! ```

#[cfg(test)]
mod everywhere {
    use std::fs;
    use std::net::IpAddr;

    use anyhow::{Result, ensure};
    use tapweave_integration::pair::{self, SUBNET};
    use tapweave_integration::steady::Steady;
    use tapweave_integration::{Cli, Lab, Pair, Sandbox, traffic, wait};

    #[test]
    fn a_transfer_goes_on_while_one_daemon_takes_over_from_another() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            // Where there is nobody to take over from, it starts as ever.
            let old = lab.take_over(&options, "old")?;
            let mut pair = Pair::new(lab, &old)?;
            let links = |pair: &Pair| -> Result<_> {
                Ok((pair.a.ip("link show eth0")?, pair.b.ip("link show eth0")?))
            };
            let before = links(&pair)?;
            let new = lab.take_over(&options, "new")?;
            old.ended()?;
            pair.transfer.progress()?;
            ensure!(links(&pair)? == before);
            ensure!(pair.cli.json("port show red/a")?["state"] == "up");
            pair.finish(new)
        })
    }

    #[test]
    fn a_transfer_goes_on_after_the_daemon_was_killed() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let mut daemon = lab.daemon_with(&options)?;
            let cli = daemon.cli().clone();
            let network = format!("{SUBNET} --subnet fd21:1::/64");
            let ([a, b], of_b) = pair::connect(lab, &cli, &network, "--queues 2")?;
            let mut transfer = Steady::start(lab, &a, &b, of_b.ipv6()?)?;
            let link = a.ip("link show eth0")?;
            for _ in 0..2 {
                transfer.progress()?;
                daemon.kill()?;
                ensure!(a.ip("link show eth0")? == link, "the interface has changed");
                daemon = lab.daemon_with(&options)?;
            }
            transfer.progress()?;
            transfer.finish()?;
            ensure!(a.ip("link show eth0")? == link, "it is another interface");
            // Nothing pins what is taken away now.
            cli.ok("network disconnect red a")?;
            ensure!(a.ifnames()? == ["lo"]);
            daemon.stop()?;
            ensure!(b.ifnames()? == ["lo"]);
            wait::until_true("the holder to end", wait::SOON, || {
                Ok(!lab.file("state/holder").exists())
            })
        })
    }

    /// Waits until the address of `b` is back, beside the one that was added, and that is reported of `b`; `a` is no news.
    fn ensure_put_back(
        lab: &Lab,
        cli: &Cli,
        b: &Sandbox,
        address: IpAddr,
        log: &str,
    ) -> Result<()> {
        let put_back = format!("{address}/24");
        let events =
            |filter: &str| cli.ok(&format!("events --since 1h --until 0s --json {filter}"));
        wait::until_true("an address to be put back and told", wait::SOON, || {
            let repairs = cli.json("stats")?["repairs"].clone();
            let told = events("--filter sandbox=b")?;
            let is_told = |words: &[&str]| {
                let mut lines = told.lines();
                lines.any(|line| words.iter().all(|word| line.contains(word)))
            };
            Ok(b.ip("-o -4 address show dev eth0")?.contains(&put_back)
                && repairs["addresses_put_back"] == 1
                && repairs["foreign_addresses_left"] == 1
                && is_told(&["changed", "missing", &put_back, "foreign", FOREIGN])
                && is_told(&["addresses_put_back", &put_back])
                && fs::read_to_string(lab.file(log))?.contains("addresses_put_back"))
        })?;
        let there = b.ip("-o -4 address show dev eth0")?;
        ensure!(there.contains(FOREIGN), "{there}");
        let of_a = events("--filter sandbox=a --filter action=changed")?;
        ensure!(of_a.is_empty(), "{of_a}");
        Ok(())
    }

    const FOREIGN: &str = "10.211.0.200/24";

    #[test]
    fn an_address_that_was_taken_away_meanwhile_is_put_back_and_one_that_was_added_stays()
    -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let killed = lab.daemon_with(&options)?;
            let cli = killed.cli().clone();
            let ([a, b], of_b) = pair::connect(lab, &cli, SUBNET, "")?;
            let address = of_b.ipv4()?;
            killed.kill()?;
            b.ip(&format!("address del {address}/24 dev eth0"))?;
            b.ip(&format!("address add {FOREIGN} dev eth0"))?;
            let old = lab.daemon_with(&options)?;
            ensure_put_back(lab, &cli, &b, address, "daemon.log")?;
            traffic::ping_soon(&a, address)?;

            // A daemon that runs does not look.
            b.ip(&format!("address del {address}/24 dev eth0"))?;
            let new = lab.take_over(&options, "new")?;
            old.ended()?;
            ensure_put_back(lab, &cli, &b, address, "new.log")?;
            traffic::ping_soon(&a, address)?;
            new.stop()
        })
    }
}

#[cfg(test)]
mod once {
    use std::process;

    use anyhow::{Result, ensure};
    use tapweave_integration::pair::{self, SUBNET};
    use tapweave_integration::requests::Asked;
    use tapweave_integration::usage::Usage;
    use tapweave_integration::{Daemon, Lab, Pair, traffic, wait};

    /// Restarts a daemon ten times under all that two sandboxes do with each other, and returns what became of their
    /// requests.
    fn ten_restarts(
        lab: &Lab,
        options: &str,
        restart: impl Fn(Daemon, usize) -> Result<Daemon>,
    ) -> Result<Asked> {
        let mut daemon = lab.daemon_with(options)?;
        let cli = daemon.cli().clone();
        let ([a, b], of_b) = pair::connect(lab, &cli, SUBNET, "")?;
        let mut usage = Usage::start(lab, &a, &b, of_b.ipv4()?, 1000)?;
        let uplink = cli.json("stats")?["uplink"]["ifname"].clone();
        for round in 0..10 {
            usage.progress()?;
            daemon = restart(daemon, round)?;
        }
        usage.progress()?;
        ensure!(cli.json("stats")?["uplink"]["ifname"] == uplink);
        let asked = usage.finish()?;
        daemon.stop()?;
        Ok(asked)
    }

    #[test]
    fn ten_takeovers_in_a_row_break_no_connection_and_lose_hardly_a_request() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("--uplink tun:10.207.0.0/30 {}", lab.state_option());
            let asked = ten_restarts(lab, &options, |old, round| {
                let new = lab.take_over(&options, &format!("daemon-{round}"))?;
                old.ended()?;
                Ok(new)
            })?;
            // Frames wait in the queues of the interfaces, which only a machine that is very busy may fill.
            ensure!(asked.lost <= 2, "{asked:?}");
            Ok(())
        })
    }

    #[test]
    fn the_old_daemon_goes_on_when_the_new_one_fails() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let mut daemon = lab.daemon_with(&options)?;
            let mut pair = Pair::new(lab, &daemon)?;
            // Before the old one has stopped to forward, and after that.
            for failing in ["--metrics 192.0.2.1:9", "--uplink nic:nowhere0"] {
                pair.transfer.progress()?;
                let pid = daemon.pid();
                let failed = lab.take_over(&format!("{options} {failing}"), "failing");
                ensure!(failed.is_err(), "a daemon has started with {failing}");
                daemon.ready_again()?;
                ensure!(pair.cli.json("port show red/a")?["state"] == "up");
                ensure!(daemon.is_running()? && daemon.pid() == pid);
            }
            pair.finish(daemon)
        })
    }

    #[test]
    fn there_is_nothing_to_take_over_without_a_state_directory() -> Result<()> {
        Lab::run(|lab| {
            let failed = lab.take_over("--store memory:", "daemon");
            let error = format!("{:#}", failed.map(Daemon::stop).unwrap_err());
            ensure!(error.contains("nothing to take over"), "{error}");
            Ok(())
        })
    }

    #[test]
    fn ten_kills_in_a_row_break_no_connection_and_lose_few_requests() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let asked = ten_restarts(lab, &options, |old, _| {
                old.kill()?;
                lab.daemon_with(&options)
            })?;
            // What a daemon has read and not yet written ends with it: of one request at a time, one at most.
            ensure!(asked.lost <= 10, "{asked:?}");
            Ok(())
        })
    }

    #[test]
    fn what_changed_while_there_was_no_daemon_is_seen() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let daemon = lab.daemon_with(&options)?;
            let cli = daemon.cli().clone();
            cli.ok("network create red --subnet 10.211.0.0/24")?;
            let [renamed, deleted] = [lab.sandbox("renamed")?, lab.sandbox("deleted")?];
            let mut ended = lab.process_sandbox("ended")?;
            cli.connect("red", &renamed, "")?;
            let address = cli.connect("red", &deleted, "")?.ipv4()?;
            cli.connect("red", &ended, "")?;
            daemon.kill()?;
            renamed.ip("link set eth0 name lan0")?;
            deleted.ip("link delete eth0")?;
            ended.end()?;

            let daemon = lab.daemon_with(&options)?;
            ensure!(renamed.ifnames()? == ["lo", "lan0"]);
            ensure!(cli.json("port show red/renamed")?["ifname"] == "lan0");
            ensure!(deleted.ifnames()? == ["lo", "eth0"]);
            traffic::ping_soon(&renamed, address)?;
            let refusal = cli.refused("port show red/ended")?;
            ensure!(refusal.contains("ended"), "{refusal}");
            daemon.stop()
        })
    }

    #[test]
    fn a_sandbox_whose_namespace_was_renamed_while_there_was_no_daemon_goes_on() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let mut daemon = lab.daemon_with(&options)?;
            let mut pair = Pair::new(lab, &daemon)?;
            let cli = pair.cli.clone();
            let sandbox = cli.json("sandbox inspect a")?[0].clone();
            for (name, options) in [
                ("blue", options.clone()),
                ("green", format!("--takeover {options}")),
            ] {
                pair.transfer.progress()?;
                daemon.kill()?;
                pair.a.rename(&format!("{name}-{}", process::id()))?;
                daemon = lab.daemon_with(&options)?;
                let repairs = cli.json("stats")?["repairs"].clone();
                ensure!(repairs["sandboxes_moved"] == 1, "{repairs}");
                ensure!(repairs["sandboxes_ended"].is_null(), "{repairs}");
                let moved = cli.json("sandbox inspect a")?[0].clone();
                ensure!(moved["id"] == sandbox["id"], "{moved}");
                let path = pair.a.path().display().to_string();
                ensure!(moved["namespace"]["path"] == path, "{moved}, not {path}");
                let told = cli.ok("events --since 1h --until 0s --filter type=sandbox --json")?;
                ensure!(told.contains("changed") && told.contains(&path), "{told}");
            }
            pair.transfer.progress()?;
            pair.transfer.finish()?;
            // While a daemon runs, the end of the name is that of the sandbox.
            pair.a.rename(&format!("again-{}", process::id()))?;
            wait::until_true("the sandbox to end", wait::SOON, || {
                Ok(pair.a.ifnames()? == ["lo"])
            })?;
            cli.refused("sandbox inspect a")?;
            daemon.stop()
        })
    }

    #[test]
    fn without_a_holder_interfaces_are_made_anew() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("{} --hold 0", lab.state_option());
            let daemon = lab.daemon_with(&options)?;
            let cli = daemon.cli().clone();
            let ([a, _b], of_b) = pair::connect(lab, &cli, SUBNET, "")?;
            let address = of_b.ipv4()?;
            daemon.kill()?;
            wait::until_true("the interface to go", wait::SOON, || {
                Ok(a.ifnames()? == ["lo"])
            })?;
            let daemon = lab.daemon_with(&options)?;
            traffic::ping_soon(&a, address)?;
            let newer = lab.take_over(&options, "newer")?;
            daemon.ended()?;
            ensure!(a.ifnames()? == ["lo", "eth0"]);
            traffic::ping_soon(&a, address)?;
            newer.stop()
        })
    }
}
