//! Requests that a daemon is killed under, or that another one takes over under: each of them is done or not, never by half.
//!
//! ```text
//!   a    b    c      each a namespace, connected and disconnected by a client of its own all the time
//!   |    |    |
//!   tapweave         another client creates networks and removes them
//! ```
//!
//! Afterwards the kernel, the daemon and its store have to say the same, and a daemon that starts once more has nothing to
//! clean up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use tapweave_integration::listing::rows;
use tapweave_integration::{Cli, Daemon, Lab, Sandbox, traffic, wait};

/// After how many further answers the daemon ends, the clients' together.
const ANSWERS: [usize; 5] = [3, 8, 1, 13, 6];

/// What a client knows of what it asked for last.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Known {
    /// It is there.
    There,
    /// It is gone.
    Gone,
    /// It was not answered.
    Nothing,
}

/// Asks for one thing and for its removal by turns.
#[derive(Debug)]
struct Client {
    make: String,
    remove: String,
    known: Known,
}

impl Client {
    fn of_sandbox(sandbox: &Sandbox) -> Self {
        let name = sandbox.name();
        Self {
            make: format!("network connect red {name} {}", sandbox.options()),
            remove: format!("network disconnect red {name}"),
            known: Known::Gone,
        }
    }

    fn of_network(name: &str) -> Self {
        Self {
            make: format!("network create {name}"),
            remove: format!("network rm {name}"),
            known: Known::Gone,
        }
    }

    fn ask_until(mut self, cli: &Cli, ended: &AtomicBool, answers: &AtomicUsize) -> Self {
        while !ended.load(Ordering::Relaxed) {
            for (request, answer) in [(&self.make, Known::There), (&self.remove, Known::Gone)] {
                // Whether nobody answered, or it was refused because of what an earlier one has done after all.
                let is_done = cli.ok(request).is_ok();
                self.known = if is_done { answer } else { Known::Nothing };
                answers.fetch_add(usize::from(is_done), Ordering::Relaxed);
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        self
    }
}

/// The names in a listing.
fn names(cli: &Cli, listing: &str, key: &str) -> Result<BTreeSet<String>> {
    let listing = cli.json(listing)?;
    let names = rows(&listing)?.iter().filter_map(|row| row[key].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Has clients ask all the time while the daemon is replaced again and again, and returns what they know then.
fn ask_through(
    mut daemon: Daemon,
    clients: Vec<Client>,
    restart: impl Fn(Daemon, usize) -> Result<Daemon>,
) -> Result<(Daemon, Vec<Client>)> {
    let cli = daemon.cli().clone();
    let (ended, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let ask = |client: Client| scope.spawn(|| client.ask_until(&cli, &ended, &answers));
        let threads: Vec<_> = clients.into_iter().map(ask).collect();
        let restart_all = || {
            for (round, more) in ANSWERS.into_iter().enumerate() {
                let enough = answers.load(Ordering::Relaxed) + more;
                wait::until_true("answers", wait::SOON, || {
                    Ok(answers.load(Ordering::Relaxed) >= enough)
                })?;
                daemon = restart(daemon, round)?;
            }
            anyhow::Ok(daemon)
        };
        let daemon = restart_all();
        ended.store(true, Ordering::Relaxed);
        let clients = threads.into_iter().map(|it| it.join().ok());
        let clients: Option<_> = clients.collect();
        Ok((daemon?, clients.context("a client has failed")?))
    })
}

/// Requires that clients were told what is so, and that sandboxes have the interfaces that the daemon says.
fn agree(cli: &Cli, clients: &[Client], sandboxes: &[Sandbox]) -> Result<()> {
    let (networks, ports) = (
        names(cli, "network ls", "Name")?,
        names(cli, "port ls", "port")?,
    );
    for client in clients {
        let name = client.remove.rsplit(' ').next().unwrap_or_default();
        let is_there = networks.contains(name) || ports.contains(&format!("red/{name}"));
        let is_told = match client.known {
            Known::There => is_there,
            Known::Gone => !is_there,
            Known::Nothing => true,
        };
        ensure!(
            is_told,
            "{client:?}, and there are {networks:?} and {ports:?}"
        );
    }
    for sandbox in sandboxes {
        let port = format!("red/{}", sandbox.name());
        let has_one = ports.contains(&port);
        // What is left of an interrupted request goes, and what is to be comes, by the audits.
        wait::until_true(&format!("{port} to be all or nothing"), wait::SOON, || {
            let is_made = sandbox.ifnames()?.contains(&"eth0".to_owned());
            let is_up = !has_one || cli.json(&format!("port show {port}"))?["state"] == "up";
            Ok(is_made == has_one && is_up)
        })?;
    }
    Ok(())
}

/// Returns what the daemon has cleaned up or written anew since its start.
fn left_overs(cli: &Cli) -> Result<Vec<String>> {
    let stats = cli.json("stats")?;
    let repairs = stats["repairs"].as_object().context("no repairs")?.iter();
    let is_left = |kind: &str| {
        !matches!(
            kind,
            "sandboxes_opened" | "endpoints_connected" | "networks_joined"
        )
    };
    let left = repairs.filter(|(kind, count)| is_left(kind) && count.as_u64() != Some(0));
    Ok(left
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect())
}

/// Requires that nothing is done by half when the daemon is restarted under clients.
fn all_or_nothing(
    lab: &Lab,
    options: &str,
    restart: impl Fn(Daemon, usize) -> Result<Daemon>,
) -> Result<()> {
    let daemon = lab.daemon_with(options)?;
    let cli = daemon.cli().clone();
    cli.ok("network create red --subnet 10.211.0.0/24")?;
    let sandboxes = ["a", "b", "c"].map(|name| lab.sandbox(name));
    let sandboxes = sandboxes.into_iter().collect::<Result<Vec<_>>>()?;
    let mut clients: Vec<_> = sandboxes.iter().map(Client::of_sandbox).collect();
    clients.push(Client::of_network("other"));
    let (daemon, clients) = ask_through(daemon, clients, restart)?;
    agree(&cli, &clients, &sandboxes)?;

    // The store says the same, and nothing is left to be cleaned up.
    let listings = ["network ls", "sandbox ls", "port ls"];
    let shown = || -> Result<Vec<BTreeSet<String>>> {
        let keys = ["Name", "name", "port"];
        let both = listings.into_iter().zip(keys);
        both.map(|(listing, key)| names(&cli, listing, key))
            .collect()
    };
    let before = shown()?;
    daemon.kill()?;
    let daemon = lab.daemon_with(options)?;
    ensure!(shown()? == before, "{:?} were {before:?}", shown()?);
    agree(&cli, &clients, &sandboxes)?;
    let left = left_overs(&cli)?;
    ensure!(left.is_empty(), "there was something left: {left:?}");

    // Each can be had as if nothing had happened.
    let mut addresses = Vec::new();
    for sandbox in &sandboxes {
        if before[2].contains(&format!("red/{}", sandbox.name())) {
            cli.ok(&format!("network disconnect red {}", sandbox.name()))?;
        }
        addresses.push(cli.connect("red", sandbox, "")?.ipv4()?);
    }
    traffic::ping_soon(&sandboxes[0], addresses[1])?;
    traffic::ping_soon(&sandboxes[1], addresses[2])?;
    daemon.stop()?;
    for sandbox in &sandboxes {
        ensure!(sandbox.ifnames()? == ["lo"]);
    }
    Ok(())
}

#[cfg(test)]
mod everywhere {
    use super::*;

    #[test]
    fn what_is_asked_of_a_daemon_that_is_killed_is_done_or_not_and_never_by_half() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            all_or_nothing(lab, &options, |daemon, _| {
                daemon.kill()?;
                lab.daemon_with(&options)
            })
        })
    }
}

#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn what_is_asked_while_one_daemon_takes_over_from_another_is_done_or_refused() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            all_or_nothing(lab, &options, |old, round| {
                let new = lab.take_over(&options, &format!("daemon-{round}"))?;
                old.ended()?;
                Ok(new)
            })
        })
    }
}
