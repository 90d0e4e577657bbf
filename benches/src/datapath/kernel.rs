//! The kernel's bridge with veth pairs: the baseline.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use tapweave_integration::bridge::Bridge;
use tapweave_integration::{Lab, Sandbox};

use super::{Carried, Switch};

const SERVER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 193, 1, 2));

/// The kernel's bridge.
#[derive(Debug)]
pub(super) struct KernelBridge(Bridge);

impl KernelBridge {
    /// Joins two sandboxes; returns the second one's address.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(super) fn join(lab: &Lab, client: &Sandbox, server: &Sandbox) -> Result<(Self, IpAddr)> {
        let bridge = Bridge::new(lab)?;
        bridge.bypass_packet_filter()?;
        bridge.connect(client, 1, "10.193.1.1/24")?;
        bridge.connect(server, 2, &format!("{SERVER_IP}/24"))?;
        Ok((Self(bridge), SERVER_IP))
    }
}

impl Switch for KernelBridge {
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        let (up_len, down_len) = self.0.carried_len(client)?;
        Ok(Carried { up_len, down_len })
    }

    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }
}
