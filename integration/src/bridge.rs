//! A Linux bridge with veth pairs, as a switch that is known to be right.
//!
//! The checkers are proved on it, and what tapweave does can be compared with what the kernel does.

use anyhow::Result;
use tapweave_net::MacAddr;

use crate::frame;
use crate::lab::Lab;
use crate::sandbox::Sandbox;

/// A Linux bridge in a namespace of its own.
#[derive(Debug)]
pub struct Bridge {
    place: Sandbox,
}

impl Bridge {
    /// Makes a bridge that floods and learns.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new(lab: &Lab) -> Result<Self> {
        let place = lab.sandbox("bridge")?;
        place.ip("link add br0 type bridge mcast_snooping 0 stp_state 0")?;
        place.ip("link set br0 up")?;
        Ok(Self { place })
    }

    /// Gives a sandbox an interface `eth0` on the bridge and returns its MAC address.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn connect(&self, sandbox: &Sandbox, number: u16, address: &str) -> Result<MacAddr> {
        let mac = frame::mac(number);
        let port = port(sandbox);
        let path = sandbox.path();
        self.place.ip(&format!(
            "link add {port} type veth peer name eth0 address {mac} netns {}",
            path.display()
        ))?;
        self.place.ip(&format!("link set {port} master br0 up"))?;
        sandbox.ip(&format!("address add {address} dev eth0"))?;
        sandbox.ip("link set eth0 up")?;
        Ok(mac)
    }

    /// Sets an option of the bridge, as `man 8 ip-link` has them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn set_option(&self, option: &str) -> Result<()> {
        self.place
            .ip(&format!("link set dev br0 type bridge {option}"))?;
        Ok(())
    }

    /// Sets options of a sandbox's port, as `man 8 bridge` has them for `bridge link set`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn set_port(&self, sandbox: &Sandbox, options: &str) -> Result<()> {
        let port = port(sandbox);
        self.place
            .run("bridge", &format!("link set dev {port} {options}"))?;
        Ok(())
    }

    /// Keeps the host's packet filter away from what the bridge forwards, whatever the host does.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn bypass_packet_filter(&self) -> Result<()> {
        bypass_packet_filter(&self.place)
    }

    /// Returns the bytes that have come in at a sandbox's port, and those that have gone out.
    ///
    /// # Errors
    ///
    /// When the sandbox is not connected.
    pub fn carried_len(&self, sandbox: &Sandbox) -> Result<(u64, u64)> {
        self.place.carried_len(&port(sandbox))
    }
}

/// Keeps the packet filter of a namespace away from what its bridges forward.
///
/// # Errors
///
/// When the kernel refuses.
pub fn bypass_packet_filter(place: &Sandbox) -> Result<()> {
    // There is nothing to switch off where the module that would call it is not loaded.
    place.run(
        "sysctl",
        "-q -e -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
    )?;
    Ok(())
}

/// The bridge's end of the pair of a sandbox.
fn port(sandbox: &Sandbox) -> String {
    format!("p-{}", sandbox.name())
}
