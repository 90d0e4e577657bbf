//! The commands of docs/overlay.md, run as they stand there.
//!
//! The underlay is that of [`tapweave_integration::underlay`]; the rest is made by the page.

#[cfg(test)]
mod once {
    use std::env;
    use std::path::PathBuf;
    use std::process::Command;

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::cli::binary;
    use tapweave_integration::process::{Background, expect_success};
    use tapweave_integration::underlay::Underlay;
    use tapweave_integration::{Lab, Sandbox, wait};

    const PAGE: &str = include_str!("../../docs/overlay.md");

    /// Returns the commands of the page's section with this heading, block by block. A command is indented
    /// by four spaces; what begins with `#` behind it is a remark.
    fn blocks(heading: &str) -> Result<Vec<Vec<String>>> {
        let begin = format!("\n## {heading}\n");
        let (_, rest) = PAGE.split_once(&begin).context("no such section")?;
        let section = rest.split("\n## ").next().unwrap_or(rest);
        let mut blocks = vec![Vec::new()];
        for line in section.lines() {
            match (line.strip_prefix("    "), blocks.last_mut()) {
                (Some(command), Some(block)) => {
                    let command = command.split(" #").next().unwrap_or(command);
                    block.push(command.trim_end().to_owned());
                }
                (None, Some(block)) if !block.is_empty() => blocks.push(Vec::new()),
                _ => {}
            }
        }
        blocks.retain(|block| !block.is_empty());
        Ok(blocks)
    }

    /// A host on which commands are typed.
    struct Terminal<'h> {
        host: &'h Sandbox,
        socket: PathBuf,
        log: PathBuf,
        /// What was put into the background.
        daemon: Option<Background>,
    }

    impl<'h> Terminal<'h> {
        fn new(lab: &Lab, host: &'h Sandbox) -> Self {
            let file = |kind: &str| lab.file(format!("{}.{kind}", host.name()));
            Self {
                host,
                socket: file("sock"),
                log: file("daemon.log"),
                daemon: None,
            }
        }

        fn shell(&self, line: &str) -> Result<Command> {
            let binary = binary()?;
            let own = binary.parent().context("a program without a folder")?;
            let path = env::var("PATH")?;
            let mut shell = self.host.command("sh");
            shell
                .env("TAPWEAVE_SOCKET", &self.socket)
                .env("PATH", format!("{}:{path}", own.display()));
            shell.args(["-e", "-c", line]);
            Ok(shell)
        }

        /// Types a line, which must succeed, and returns what it printed. What ends with `&` stays.
        fn run(&mut self, line: &str) -> Result<String> {
            if let Some(command) = line.strip_suffix('&') {
                // All hosts of a lab share one file system and one name, hence one directory of state.
                let mut command = self.shell(&format!("exec {command} --store memory:"))?;
                let mut daemon = Background::start(&mut command, &self.log)?;
                daemon.line("ready")?;
                self.daemon = Some(daemon);
                return Ok(String::new());
            }
            expect_success(&mut self.shell(line)?, "").with_context(|| line.to_owned())
        }

        fn run_all(&mut self, block: &[String]) -> Result<String> {
            block.iter().map(|line| self.run(line)).collect()
        }

        /// Types the line of a block that begins like this until it says `want`.
        fn until(&mut self, block: &[String], line: &str, want: &str) -> Result<()> {
            let line = block.iter().find(|it| it.starts_with(line));
            let line = line.with_context(|| format!("no such line in {block:?}"))?;
            wait::until_true(&format!("{want} of {line}"), wait::SOON, || {
                Ok(self.run(line)?.contains(want))
            })
        }
    }

    /// The namespaces that the page names.
    struct Named(&'static [&'static str]);

    impl Drop for Named {
        fn drop(&mut self) {
            for name in self.0 {
                // It may not have come so far.
                let _ = expect_success(Command::new("ip").args(["netns", "delete", name]), "");
            }
        }
    }

    /// Returns the MAC address in what `network connect` prints.
    fn mac_in(said: &str) -> Result<&str> {
        let mut words = said.split_whitespace().skip_while(|word| *word != "mac");
        words.nth(1).with_context(|| said.to_owned())
    }

    #[test]
    fn the_commands_for_the_kernels_device_work_as_they_stand() -> Result<()> {
        Lab::run(|lab| {
            let _named = Named(&["a", "c"]);
            let underlay = Underlay::new(lab)?;
            let [first, second] = [underlay.host(lab, 1)?, underlay.host(lab, 2)?];
            let mut ours = Terminal::new(lab, &first);
            let mut kernel = Terminal::new(lab, &second);
            let pages = [
                blocks("Two daemons")?,
                blocks("With the kernel's vxlan device")?,
            ];
            let [daemon, device] = &pages;
            let [start, ..] = &daemon[..] else {
                anyhow::bail!("other blocks than expected: {daemon:?}");
            };
            let [bridge, station, look, other_look] = &device[..] else {
                anyhow::bail!("other blocks than expected: {device:?}");
            };
            kernel.run_all(bridge)?;
            kernel.run_all(station)?;
            let said = ours.run_all(start)?;
            ours.until(look, "ip netns exec a ping", " 0% packet loss")?;
            ours.until(look, "tapweave fdb show", "vtep 192.0.2.2")?;
            kernel.until(other_look, "bridge fdb", mac_in(&said)?)?;
            kernel.until(other_look, "bridge fdb", "dst 192.0.2.1")
        })
    }

    #[test]
    fn the_commands_for_two_daemons_work_as_they_stand() -> Result<()> {
        Lab::run(|lab| {
            let _named = Named(&["a", "b"]);
            let underlay = Underlay::new(lab)?;
            let [first, second] = [underlay.host(lab, 1)?, underlay.host(lab, 2)?];
            let mut east = Terminal::new(lab, &first);
            let mut west = Terminal::new(lab, &second);
            let page = blocks("Two daemons")?;
            let [start, look] = &page[..] else {
                anyhow::bail!("other blocks than expected: {page:?}");
            };
            east.run_all(start)?;
            // "The same with the addresses exchanged and `--ip-range 10.77.0.128/25`"; the names of
            // namespaces are those of one machine here.
            let exchanged = |line: &String| {
                line.replace("192.0.2.1", "192.0.2.x")
                    .replace("192.0.2.2", "192.0.2.1")
                    .replace("192.0.2.x", "192.0.2.2")
                    .replace("10.77.0.0/25", "10.77.0.128/25")
                    .replace("far a", "far b")
                    .replace("netns/a", "netns/b")
                    .replace("add a", "add b")
            };
            let start: Vec<String> = start.iter().map(exchanged).collect();
            let said = west.run_all(&start)?;
            ensure!(said.contains("10.77.0.128/24"), "{said}");
            wait::until_true("an answer of b", wait::SOON, || {
                let ping = east
                    .shell("ip netns exec a ping -c 1 -W 1 10.77.0.128")?
                    .output()?;
                Ok(ping.status.success())
            })?;
            east.until(look, "tapweave peer ls", " heard")?;
            east.until(look, "tapweave fdb show", "vtep 192.0.2.2")?;
            east.until(look, "tapweave stats", "UNDERLAY")?;
            east.until(look, "tapweave port show", "UDP_SEGMENT")
        })
    }
}
