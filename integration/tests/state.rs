//! What a daemon remembers: where, for whom, and what it refuses to touch.

#[cfg(test)]
mod once {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use anyhow::Result;
    use tapweave_integration::process::run;
    use tapweave_integration::{Lab, cli};

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
            let options = format!("--state-dir {}", lab.file("state").display());
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
