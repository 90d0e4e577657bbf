//! The switches that are compared: each joins two sandboxes of its own at MTU 1500.

mod kernel;
mod open_vswitch;
pub(crate) mod tapweave;
mod vde;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tapweave_integration::{Lab, Sandbox, traffic};

use kernel::KernelBridge;
use open_vswitch::OpenVswitch;
use tapweave::Tapweave;
use vde::VdeSwitch;

/// A datapath that can be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kind {
    /// The kernel's bridge with veth pairs, which everything is measured against
    Kernel,
    /// A tapweave daemon as it is started without options
    Tapweave,
    /// A daemon with `--backend epoll`
    TapweaveEpoll,
    /// Another build of tapweave, or one with other options: `--tapweave`, `--options`
    Other,
    /// Open vSwitch's `netdev` datapath with userspace TSO
    OpenVswitch,
    /// `vde_switch` of Virtual Distributed Ethernet
    Vde,
}

/// Which tapweave, and how its daemon is started.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Build {
    /// The program; the one of this workspace if none is named.
    pub program: Option<PathBuf>,
    /// Options of the daemon, separated by spaces.
    pub options: String,
}

/// Two sandboxes and what is between them.
#[derive(Debug)]
pub struct Joined {
    /// Name of the switch, as the report has it.
    pub name: String,
    /// Where traffic starts.
    pub client: Sandbox,
    /// Where it goes.
    pub server: Sandbox,
    /// Address of the server.
    pub server_ip: IpAddr,
    /// What is between them.
    pub(crate) switch: Box<dyn Switch>,
}

/// Which way payload goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Bytes of whole frames that a switch has carried for one sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried {
    /// Those that came in from the sandbox.
    pub up_len: u64,
    /// Those that went out to it.
    pub down_len: u64,
}

/// What is between a client and a server, and can tell what it carried.
pub trait Switch: fmt::Debug {
    /// Returns what was carried for `client`, by the switch's own count.
    ///
    /// # Errors
    ///
    /// When the switch does not answer.
    fn carried(&self, client: &Sandbox) -> Result<Carried>;

    /// Returns the processes that the switch consists of: none for the kernel.
    fn pids(&self) -> Vec<u32>;
}

impl Kind {
    /// Joins two new sandboxes; returns nothing where the switch is not installed. `other` is what
    /// [`Kind::Other`] stands for.
    ///
    /// # Errors
    ///
    /// When the switch is installed and does not work.
    pub fn join(self, lab: &Lab, other: &Build) -> Result<Option<Joined>> {
        if !self.is_installed() {
            return Ok(None);
        }
        let name = self.name();
        let [client, server] = ["a", "b"].map(|end| lab.sandbox(&format!("{name}-{end}")));
        let (client, server) = (client?, server?);
        let tapweave = |build: &Build| {
            let (switch, server_ip) = Tapweave::join(lab, name, build, &client, &server)?;
            let name = format!("{name} ({})", switch.backend()?);
            anyhow::Ok((name, Box::new(switch) as Box<dyn Switch>, server_ip))
        };
        let (name, switch, server_ip): (_, Box<dyn Switch>, _) = match self {
            Self::Kernel => {
                let (switch, server_ip) = KernelBridge::join(lab, &client, &server)?;
                (name.to_owned(), Box::new(switch), server_ip)
            }
            Self::Tapweave => tapweave(&Build::default())?,
            Self::TapweaveEpoll => tapweave(&Build {
                options: "--backend epoll".to_owned(),
                ..Build::default()
            })?,
            Self::Other => tapweave(other)?,
            Self::OpenVswitch => {
                let (switch, server_ip) = OpenVswitch::join(lab, &client, &server)?;
                (name.to_owned(), Box::new(switch), server_ip)
            }
            Self::Vde => {
                let (switch, server_ip) = VdeSwitch::join(lab, &client, &server)?;
                (name.to_owned(), Box::new(switch), server_ip)
            }
        };
        traffic::ping_soon(&client, server_ip)?;
        Ok(Some(Joined {
            name,
            client,
            server,
            server_ip,
            switch,
        }))
    }

    /// Returns the name of the switch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Tapweave => "tapweave",
            Self::TapweaveEpoll => "tapweave-epoll",
            Self::Other => "other",
            Self::OpenVswitch => "open-vswitch",
            Self::Vde => "vde_switch",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Kernel | Self::Tapweave | Self::TapweaveEpoll | Self::Other => true,
            Self::OpenVswitch => OpenVswitch::is_installed(),
            Self::Vde => VdeSwitch::is_installed(),
        }
    }
}

impl Joined {
    /// Returns what is between the sandboxes.
    pub fn switch(&self) -> &dyn Switch {
        self.switch.as_ref()
    }

    /// Runs `work` and requires that the switch carried at least the payload that `payload_len` finds in
    /// its result.
    ///
    /// # Errors
    ///
    /// Those of `work`, or when the traffic went another way.
    pub fn prove_carried<T>(
        &self,
        way: Way,
        work: impl FnOnce() -> Result<T>,
        payload_len: impl FnOnce(&T) -> u64,
    ) -> Result<T> {
        let before = self.switch.carried(&self.client)?;
        let result = work()?;
        let after = self.switch.carried(&self.client)?;
        let carried_len = match way {
            Way::Up => after.up_len - before.up_len,
            Way::Down => after.down_len - before.down_len,
        };
        let payload_len = payload_len(&result);
        ensure!(
            carried_len >= payload_len && payload_len > 0,
            "{} carried {carried_len} bytes while {payload_len} bytes of payload arrived",
            self.name
        );
        Ok(result)
    }
}
