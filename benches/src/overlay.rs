//! The overlays that are compared: each takes a station of one host to a station of another over VXLAN.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]: an underlay of MTU 1500, stations with
//! 1450. Where the underlay's interfaces offer to cut what is in a tunnel, super-frames of the kernel's
//! device cross between the namespaces whole; network cards that can do that are few, and those of
//! virtual machines cannot.

use std::net::IpAddr;

use anyhow::Result;
use clap::ValueEnum;
use tapweave_integration::listing::number;
use tapweave_integration::underlay::{KernelHost, NETWORK, Segment, TapweaveHost, Underlay};
use tapweave_integration::{Daemon, Lab, Sandbox, traffic};

use crate::datapath::{Carried, Joined, Switch};

const SEGMENT: Segment = Segment::USUAL;

/// An overlay that can be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kind {
    /// The kernel's vxlan device at both ends without tunnel segmentation offload, which everything is
    /// measured against
    KernelVxlan,
    /// The kernel's vxlan device at both ends with tunnel segmentation offload
    KernelVxlanOffload,
    /// tapweave at both ends
    TapweaveVxlan,
    /// From tapweave to the kernel's device without tunnel segmentation offload
    TapweaveToKernel,
    /// From the kernel's device without tunnel segmentation offload to tapweave
    KernelToTapweave,
}

/// One of two hosts.
#[derive(Debug)]
enum Host {
    Kernel(Sandbox),
    /// The namespace goes with its last holder.
    Tapweave {
        daemon: Daemon,
        _place: Sandbox,
    },
}

/// A host with its station.
#[derive(Debug)]
struct End {
    host: Host,
    station: Sandbox,
    ip: IpAddr,
}

/// Two hosts and what is between them.
#[derive(Debug)]
struct Hosts {
    client: Host,
    server: Host,
    _underlay: Underlay,
}

impl Kind {
    /// Joins two new stations.
    ///
    /// # Errors
    ///
    /// When the kernel or tapweave refuses, or the stations do not reach each other.
    pub fn join(self, lab: &Lab) -> Result<Joined> {
        let name = self.name();
        let underlay = Underlay::with_prefix(lab, &format!("{name}-"))?;
        let kernel = |number, peer| self.kernel(lab, &underlay, number, peer);
        let tapweave = |number, peer| tapweave(lab, &underlay, number, peer);
        let (client, server) = match self {
            Self::KernelVxlan | Self::KernelVxlanOffload => (kernel(1, 2)?, kernel(2, 1)?),
            Self::TapweaveVxlan => (tapweave(1, 2)?, tapweave(2, 1)?),
            Self::TapweaveToKernel => (tapweave(1, 2)?, kernel(2, 1)?),
            Self::KernelToTapweave => (kernel(1, 2)?, tapweave(2, 1)?),
        };
        traffic::ping_soon(&client.station, server.ip)?;
        Ok(Joined {
            name: name.to_owned(),
            client: client.station,
            server: server.station,
            server_ip: server.ip,
            switch: Box::new(Hosts {
                client: client.host,
                server: server.host,
                _underlay: underlay,
            }),
        })
    }

    fn kernel(self, lab: &Lab, underlay: &Underlay, number: u8, peer: u8) -> Result<End> {
        let host = KernelHost::new(lab, underlay, SEGMENT, number, &[peer])?;
        if self != Self::KernelVxlanOffload {
            host.host.run(
                "ethtool",
                "-K eth0 tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off",
            )?;
        }
        let [ip, _] = host.addresses();
        Ok(End {
            host: Host::Kernel(host.host),
            station: host.station,
            ip,
        })
    }

    /// Returns the name of the overlay.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelVxlan => "kernel-vxlan",
            Self::KernelVxlanOffload => "kernel-vxlan-offload",
            Self::TapweaveVxlan => "tapweave-vxlan",
            Self::TapweaveToKernel => "tapweave-to-kernel",
            Self::KernelToTapweave => "kernel-to-tapweave",
        }
    }
}

fn tapweave(lab: &Lab, underlay: &Underlay, number: u8, peer: u8) -> Result<End> {
    let host = TapweaveHost::new(lab, underlay, SEGMENT, number, &[peer])?;
    let [ip, _] = host.addresses();
    Ok(End {
        host: Host::Tapweave {
            daemon: host.daemon,
            _place: host.host,
        },
        station: host.sandbox,
        ip,
    })
}

impl Switch for Hosts {
    fn carried(&self, client: &Sandbox) -> Result<Carried> {
        match &self.client {
            Host::Kernel(host) => {
                let (up_len, down_len) = host.carried_len("access")?;
                Ok(Carried { up_len, down_len })
            }
            Host::Tapweave { daemon, .. } => {
                let port = format!("port show {NETWORK}/{}", client.name());
                let port = daemon.cli().json(&port)?;
                Ok(Carried {
                    up_len: number(&port["counters"], "rx_bytes")?,
                    down_len: number(&port["counters"], "tx_bytes")?,
                })
            }
        }
    }

    fn pids(&self) -> Vec<u32> {
        let pid = |host: &Host| match host {
            Host::Kernel(_) => None,
            Host::Tapweave { daemon, .. } => Some(daemon.pid()),
        };
        [&self.client, &self.server]
            .into_iter()
            .filter_map(pid)
            .collect()
    }
}
