//! The kernel's routing with nftables masquerade: the baseline.

use anyhow::Result;
use tapweave_integration::process::expect_success;
use tapweave_integration::{Sandbox, world};

use super::{HOST_IP, Started};
use crate::datapath::{Carried, Switch};

/// The host's end of the sandbox's veth pair.
const INSIDE: &str = "inside";

const RULES: &str = "table ip bench { chain after {
    type nat hook postrouting priority srcnat; oifname eth0 masquerade; }
}";

/// A namespace that forwards and translates.
#[derive(Debug)]
struct Masquerade {
    host: Sandbox,
}

/// Joins a sandbox to the host by a veth pair.
///
/// # Errors
///
/// When the kernel refuses.
pub(super) fn start(client: &Sandbox, host: Sandbox) -> Result<Started> {
    world::join(&host, INSIDE, "10.193.1.1/24", client)?;
    world::address(client, world::UPLINK, "10.193.1.2/24")?;
    client.ip("route add default via 10.193.1.1")?;
    expect_success(host.command("nft").args(["-f", "-"]), RULES)?;
    Ok(Started {
        switch: Box::new(Masquerade { host }),
        outside: HOST_IP,
    })
}

impl Switch for Masquerade {
    fn carried(&self, _client: &Sandbox) -> Result<Carried> {
        let (up_len, down_len) = self.host.carried_len(INSIDE)?;
        Ok(Carried { up_len, down_len })
    }

    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }
}
