//! What a daemon remembers: where, for whom, and what it refuses to touch.

#[cfg(test)]
mod once {
    use std::collections::BTreeSet;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use std::thread;

    use anyhow::{Context, Result, ensure};
    use rustix::process::Signal;
    use tapweave_integration::listing::rows;
    use tapweave_integration::process::run;
    use tapweave_integration::{Cli, Lab, cli};

    /// Clients at a time, and requests that are answered before the daemon is killed.
    const CLIENTS: usize = 4;
    const ANSWERS: usize = 24;

    /// What one client was told, until nobody answered.
    #[derive(Default)]
    struct Told {
        /// Networks that are there.
        there: BTreeSet<String>,
        /// Networks that are gone. The one that was asked about last is in neither.
        gone: BTreeSet<String>,
    }

    /// Creates networks and removes every other one until the daemon does not answer.
    fn ask(cli: &Cli, client: usize, answered: &mpsc::Sender<()>) -> Told {
        let mut told = Told::default();
        for n in 0.. {
            let name = format!("n{client}-{n}");
            if cli
                .ok(&format!("network create {name} --subnet none"))
                .is_err()
            {
                break;
            }
            // Nobody listens any more when enough was answered.
            let _ignored = answered.send(());
            if n % 2 == 1 {
                told.there.insert(name);
            } else if cli.ok(&format!("network rm {name}")).is_ok() {
                told.gone.insert(name);
            } else {
                break;
            }
        }
        told
    }

    #[test]
    fn what_clients_were_told_is_so_after_the_daemon_was_killed_under_them() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let mut daemon = lab.daemon_with(&options)?;
            for _ in 0..3 {
                let known = names(daemon.cli())?;
                for name in &known {
                    daemon.cli().ok(&format!("network rm {name}"))?;
                }
                let (answered, answers) = mpsc::channel();
                let told = thread::scope(|scope| {
                    let clients: [_; CLIENTS] = std::array::from_fn(|client| {
                        let (cli, answered) = (daemon.cli(), answered.clone());
                        scope.spawn(move || ask(cli, client, &answered))
                    });
                    drop(answered);
                    let enough = answers.iter().take(ANSWERS).count();
                    let killed = daemon.signal(Signal::KILL);
                    let told = clients.map(|client| client.join().ok());
                    killed.map(|()| (enough, told))
                });
                let (enough, told) = told?;
                assert_eq!(enough, ANSWERS);
                daemon = lab.daemon_with(&options)?;
                let there = names(daemon.cli())?;
                for told in told {
                    let told = told.context("a client failed")?;
                    let lost: Vec<_> = told.there.difference(&there).collect();
                    ensure!(lost.is_empty(), "{lost:?} are lost");
                    let back: Vec<_> = told.gone.intersection(&there).collect();
                    ensure!(back.is_empty(), "{back:?} are back");
                }
            }
            daemon.stop()
        })
    }

    fn names(cli: &Cli) -> Result<BTreeSet<String>> {
        let networks = cli.json("network ls")?;
        let names = rows(&networks)?.iter().filter_map(|it| it["Name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// What a daemon with `options` says on its way out, and its exit status.
    fn refusal(lab: &Lab, options: &str) -> Result<(Option<i32>, String)> {
        let mut command = std::process::Command::new(cli::binary()?);
        command
            .arg("--socket")
            .arg(lab.file("refused.sock"))
            .arg("daemon")
            .args(options.split_whitespace());
        let output = run(&mut command, "")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), said))
    }

    #[test]
    fn a_state_directory_is_for_one_daemon_at_a_time_and_for_its_owner() -> Result<()> {
        Lab::run(|lab| {
            let state = lab.file("state");
            let options = format!("--state-dir {}", state.display());
            let daemon = lab.daemon_with(&options)?;
            let (status, said) = refusal(lab, &options)?;
            assert_eq!(status, Some(1), "{said}");
            let holder = format!("{} is in use by process {}", state.display(), daemon.pid());
            assert!(said.contains(&holder), "{said}");
            daemon.stop()?;

            fs::set_permissions(&state, Permissions::from_mode(0o755))?;
            let (status, said) = refusal(lab, &options)?;
            assert_eq!(status, Some(1), "{said}");
            let command = format!("chmod 700 {}", state.display());
            assert!(said.contains(&command), "{said}");
            fs::set_permissions(&state, Permissions::from_mode(0o700))?;
            lab.daemon_with(&options)?.stop()
        })
    }

    #[test]
    fn state_that_is_damaged_is_left_as_it_is() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            lab.daemon_with(&options)?.stop()?;
            let file = lab.file("state/store.redb");
            fs::write(&file, "not a store")?;
            let (status, said) = refusal(lab, &options)?;
            assert_eq!(status, Some(1), "{said}");
            assert!(said.contains("is damaged and was left as it is"), "{said}");
            assert_eq!(fs::read(&file)?, b"not a store");
            Ok(())
        })
    }

    #[test]
    fn stores_that_are_for_later_are_refused_by_name() -> Result<()> {
        Lab::run(|lab| {
            for (url, name) in [
                ("etcd://127.0.0.1:2379", "etcd"),
                ("consul://127.0.0.1:8500", "Consul"),
                ("zookeeper://127.0.0.1:2181", "ZooKeeper"),
            ] {
                let (status, said) = refusal(lab, &format!("--store {url}"))?;
                assert_eq!(status, Some(2), "{said}");
                let words = format!("cannot use {name} yet; there are `file:`");
                assert!(said.contains(&words), "{said}");
            }
            Ok(())
        })
    }
}
