//! A sandbox: a network namespace, seen from the test.
//!
//! Programs enter it with `nsenter`, not with `ip netns exec`, which would remount `/sys`. A
//! namespace without a name lives as long as a *holder* process that waits for the end of its stdin:
//! it dies with the test, however that ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::mode::Mode;
use crate::process::{Background, expect_success};

/// Where the named namespaces are (`man 8 ip-netns`).
const NETNS_DIR: &str = "/run/netns";

/// A network namespace and the name that the test gives it.
#[derive(Debug)]
pub struct Sandbox {
    name: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Named { netns: String },
    Process { holder: Background, owner: Owner },
    Gone,
}

/// Which user namespace owns the network namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Ours,
    Its,
}

impl Sandbox {
    /// Makes a namespace with a name in `/run/netns`.
    ///
    /// # Errors
    ///
    /// When the name is taken or the kernel refuses.
    pub fn named(name: &str, netns: &str) -> Result<Self> {
        expect_success(Command::new("ip").args(["netns", "add", netns]), "")?;
        let sandbox = Self {
            name: name.to_owned(),
            place: Place::Named {
                netns: netns.to_owned(),
            },
        };
        sandbox.ip("link set lo up")?;
        Ok(sandbox)
    }

    /// Makes a namespace that lives as long as a process; without privilege, one in a user
    /// namespace of its own.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn of_process(name: &str, mode: Mode, log: &Path) -> Result<Self> {
        let (flags, owner) = match mode {
            Mode::Root | Mode::User => ("-n", Owner::Ours),
            Mode::Outside => ("-Urn", Owner::Its),
        };
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", "echo holding; exec cat"]);
        let mut holder = Background::start(&mut command, log)?;
        holder.line("holding")?;
        let sandbox = Self {
            name: name.to_owned(),
            place: Place::Process { holder, owner },
        };
        sandbox.ip("link set lo up")?;
        Ok(sandbox)
    }

    /// Returns the name that the test gave.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the options of `tapweave network connect` that name this namespace; empty when it
    /// has ended.
    pub fn options(&self) -> String {
        match &self.place {
            Place::Named { netns } => format!("--netns {NETNS_DIR}/{netns}"),
            Place::Process { holder, .. } => format!("--pid {}", holder.pid()),
            Place::Gone => String::new(),
        }
    }

    /// Returns a path that leads to the namespace.
    pub fn path(&self) -> PathBuf {
        match &self.place {
            Place::Named { netns } => Path::new(NETNS_DIR).join(netns),
            Place::Process { holder, .. } => format!("/proc/{}/ns/net", holder.pid()).into(),
            Place::Gone => PathBuf::new(),
        }
    }

    /// Returns a command that will run `program` in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        match &self.place {
            Place::Process {
                holder,
                owner: Owner::Its,
            } => {
                let pid = holder.pid().to_string();
                command.args(["--preserve-credentials", "-U", "-n", "-t", &pid]);
            }
            Place::Named { .. } | Place::Process { .. } | Place::Gone => {
                command.arg(format!("--net={}", self.path().display()));
            }
        }
        command.args(["--", program]);
        command
    }

    /// Runs a program with arguments that are separated by spaces; it must succeed.
    ///
    /// # Errors
    ///
    /// When it fails; with all that it said.
    pub fn run(&self, program: &str, arguments: &str) -> Result<String> {
        expect_success(self.command(program).args(arguments.split_whitespace()), "")
            .with_context(|| format!("in sandbox {}", self.name))
    }

    /// Runs `ip` with arguments that are separated by spaces; it must succeed.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        self.run("ip", arguments)
    }

    /// Sets an option of the namespace's network stack: a path below `/proc/sys/net`.
    ///
    /// # Errors
    ///
    /// When the kernel does not know it or refuses.
    pub fn set_option(&self, option: &str, value: &str) -> Result<()> {
        let mut command = self.command("sh");
        command.args([
            "-c",
            "echo \"$2\" >\"/proc/sys/net/$1\"",
            "sh",
            option,
            value,
        ]);
        expect_success(&mut command, "")
            .map(drop)
            .with_context(|| format!("in sandbox {}", self.name))
    }

    /// Returns what `ip -json -details link` tells of every interface.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn links(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.ip("-json -details link")?)?)
    }

    /// Returns the names of the interfaces, `lo` included.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn ifnames(&self) -> Result<Vec<String>> {
        let links = self.links()?;
        let names = links.iter().filter_map(|link| link["ifname"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Returns the bytes that an interface has received, and those that it has sent.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn carried_len(&self, ifname: &str) -> Result<(u64, u64)> {
        let answer = self.ip(&format!("-json -s link show dev {ifname}"))?;
        let links: Value = serde_json::from_str(&answer)?;
        let count = |way: &str| links[0]["stats64"][way]["bytes"].as_u64();
        let both = count("rx").zip(count("tx"));
        both.with_context(|| format!("no counters in {answer}"))
    }

    /// Gives the namespace another name in `/run/netns`: it is mounted there, and the first name is taken away.
    ///
    /// # Errors
    ///
    /// When it has no name, or the new one is taken.
    pub fn rename(&mut self, to: &str) -> Result<()> {
        ensure!(
            matches!(self.place, Place::Named { .. }),
            "sandbox {} has no name in {NETNS_DIR}",
            self.name
        );
        let (from, path) = (self.path(), Path::new(NETNS_DIR).join(to));
        File::create_new(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        expect_success(Command::new("mount").arg("--bind").args([&from, &path]), "")?;
        self.end()?;
        self.place = Place::Named {
            netns: to.to_owned(),
        };
        Ok(())
    }

    /// Ends the sandbox, as its owner would: the name is deleted, or the process killed.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn end(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.place, Place::Gone) {
            Place::Named { netns } => {
                expect_success(Command::new("ip").args(["netns", "delete", &netns]), "")?;
            }
            Place::Process { mut holder, .. } => holder.kill()?,
            Place::Gone => {}
        }
        Ok(())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What is left dies with the mount namespace of the run.
        let _ = self.end();
    }
}
