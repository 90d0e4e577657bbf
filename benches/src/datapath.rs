//! The switches that are compared: each joins two sandboxes of its own at MTU 1500.

mod kernel;
mod tapweave;
mod vde;

use std::fmt;
use std::net::IpAddr;

use anyhow::{Result, ensure};
use tapweave_integration::{Lab, Sandbox, traffic};

pub use kernel::KernelBridge;
pub use tapweave::Tapweave;
pub use vde::VdeSwitch;

/// Two sandboxes and what is between them.
#[derive(Debug)]
pub struct Joined {
    /// Name of the switch, as the report has it.
    pub name: &'static str,
    /// Where traffic starts.
    pub client: Sandbox,
    /// Where it goes.
    pub server: Sandbox,
    /// Address of the server.
    pub server_ip: IpAddr,
    switch: Box<dyn Switch>,
}

/// A switch that can tell what it carried.
pub trait Switch: fmt::Debug {
    /// Returns the bytes of all frames that have come in from `client`, by the switch's own count.
    ///
    /// # Errors
    ///
    /// When the switch does not answer.
    fn received_len(&self, client: &Sandbox) -> Result<u64>;
}

impl Joined {
    /// Joins two new sandboxes by the kernel's bridge, which everything is measured against.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn by_kernel(lab: &Lab) -> Result<Self> {
        let [client, server] = sandboxes(lab, "kernel")?;
        let (switch, server_ip) = KernelBridge::join(lab, &client, &server)?;
        Self::new("kernel", client, server, server_ip, Box::new(switch))
    }

    /// Joins two new sandboxes by a tapweave daemon as it is started without options.
    ///
    /// # Errors
    ///
    /// When the daemon does not start or refuses.
    pub fn by_tapweave(lab: &Lab) -> Result<Self> {
        let [client, server] = sandboxes(lab, "tapweave")?;
        let (switch, server_ip) = Tapweave::join(lab, &client, &server)?;
        Self::new("tapweave", client, server, server_ip, Box::new(switch))
    }

    /// Joins two new sandboxes by VDE's switch; nothing where it is not installed.
    ///
    /// # Errors
    ///
    /// When it is installed and does not work.
    pub fn by_vde(lab: &Lab) -> Result<Option<Self>> {
        if !VdeSwitch::is_installed() {
            return Ok(None);
        }
        let [client, server] = sandboxes(lab, "vde")?;
        let (switch, server_ip) = VdeSwitch::join(lab, &client, &server)?;
        Self::new("vde_switch", client, server, server_ip, Box::new(switch)).map(Some)
    }

    /// Runs `work` and requires that the switch received at least the payload from the client that
    /// `payload_len` finds in its result.
    ///
    /// # Errors
    ///
    /// Those of `work`, or when the traffic went another way.
    pub fn prove_carried<T>(
        &self,
        work: impl FnOnce() -> Result<T>,
        payload_len: impl FnOnce(&T) -> u64,
    ) -> Result<T> {
        let before = self.switch.received_len(&self.client)?;
        let result = work()?;
        let received = self.switch.received_len(&self.client)? - before;
        let payload_len = payload_len(&result);
        ensure!(
            received >= payload_len,
            "{} received {received} bytes while {payload_len} bytes of payload arrived",
            self.name
        );
        Ok(result)
    }

    fn new(
        name: &'static str,
        client: Sandbox,
        server: Sandbox,
        server_ip: IpAddr,
        switch: Box<dyn Switch>,
    ) -> Result<Self> {
        traffic::ping(&client, server_ip, 2)?;
        Ok(Self {
            name,
            client,
            server,
            server_ip,
            switch,
        })
    }
}

fn sandboxes(lab: &Lab, name: &str) -> Result<[Sandbox; 2]> {
    Ok([
        lab.sandbox(&format!("{name}-a"))?,
        lab.sandbox(&format!("{name}-b"))?,
    ])
}
