//! Another build of the program takes over, or starts where an earlier one was killed, and the file of the program is
//! replaced meanwhile.
//!
//! ```text
//!   a    b    c      each a namespace with eth0
//!   |    |    |
//!   tapweave         of one version, of another one, and of the first one again
//! ```

#[cfg(test)]
mod everywhere {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::cli::binary;
    use tapweave_integration::process::expect_success;
    use tapweave_integration::{Daemon, Lab, Pair, traffic};

    /// What another build says that it is.
    const OTHER_VERSION: &str = "9.8.7";

    /// Makes a program of the one that is tested that says another version.
    fn make_other_build(path: &Path) -> Result<()> {
        let program = binary()?;
        let said = expect_success(Command::new(&program).arg("--version"), "")?;
        let version = said.split_whitespace().nth(1).context("no version")?;
        // Nothing may move.
        ensure!(
            version.len() == OTHER_VERSION.len(),
            "{version} has another length"
        );
        let script = format!("s/{}/{OTHER_VERSION}/g", version.replace('.', "\\."));
        let mut sed = Command::new("sed");
        sed.env("LC_ALL", "C").arg(script).arg(&program);
        let status = sed.stdout(File::create(path)?).status()?;
        ensure!(status.success(), "sed ended with {status}");
        ensure!(fs::read(path)? != fs::read(program)?, "it is the same");
        Ok(())
    }

    /// Puts a program in the place of another one, as package managers do: who runs the other one goes on with it.
    fn install(path: &Path, program: &Path) -> Result<()> {
        let new = path.with_extension("new");
        fs::copy(program, &new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o755))?;
        Ok(fs::rename(&new, path)?)
    }

    /// Requires that a daemon is a process of this program, whatever became of the file since.
    fn ensure_runs(daemon: &Daemon, program: &Path) -> Result<()> {
        let runs = fs::read(format!("/proc/{}/exe", daemon.pid()))?;
        let is_it = runs == fs::read(program)?;
        ensure!(is_it, "the daemon does not run {}", program.display());
        Ok(())
    }

    #[test]
    fn connections_outlive_an_upgrade_one_that_fails_and_the_way_back() -> Result<()> {
        Lab::run(|lab| {
            let (program, own, other) = (lab.file("tapweave"), binary()?, lab.file("other"));
            make_other_build(&other)?;
            install(&program, &own)?;
            let options = lab.state_option();
            let start = |options: &str, name: &str| {
                let socket = lab.file("daemon.sock");
                Daemon::of_binary(&program, options, &socket, &lab.file(format!("{name}.log")))
            };
            let take_over =
                |more: &str, name: &str| start(&format!("--takeover {options} {more}"), name);
            let mut old = start(&options, "old")?;
            let mut pair = Pair::new(lab, &old)?;
            let (cli, address) = (pair.cli.clone(), pair.endpoint.ipv4()?);
            let c = lab.sandbox("c")?;
            ensure_runs(&old, &own)?;

            // The file of the one that runs is gone. Its helpers, and what it starts anew, are still of its own.
            install(&program, &other)?;
            cli.connect("red", &c, "")?;
            traffic::ping_soon(&c, address)?;
            let failed = take_over("--uplink nic:nowhere0", "failing");
            ensure!(failed.is_err(), "a daemon has started without its uplink");
            old.ready_again()?;
            ensure_runs(&old, &own)?;
            pair.transfer.progress()?;

            let new = take_over("", "new")?;
            old.ended()?;
            ensure_runs(&new, &other)?;
            pair.transfer.progress()?;
            cli.ok("network disconnect red c")?;
            cli.connect("red", &c, "")?;

            // Back, after a crash.
            install(&program, &own)?;
            new.kill()?;
            let again = start(&options, "again")?;
            ensure_runs(&again, &own)?;
            traffic::ping_soon(&c, address)?;
            pair.finish(again)
        })
    }
}
