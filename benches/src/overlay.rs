//! The overlays that are compared: each takes a station of one host to a station of another, over VXLAN or,
//! for comparison, by tinc.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]: an underlay of MTU 1500, stations with
//! 1450. Where the underlay's interfaces offer to cut what is in a tunnel, super-frames of the kernel's
//! device cross between the namespaces whole; network cards that can do that are few, and those of
//! virtual machines cannot.

mod tinc;

use std::net::IpAddr;

use anyhow::Result;
use clap::ValueEnum;
use tapweave_integration::bridge::bypass_packet_filter;
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
    /// From the kernel's device with tunnel segmentation offload to tapweave
    KernelOffloadToTapweave,
    /// tapweave at both ends, without UDP segmentation offload on the underlay
    TapweaveNoUso,
    /// tinc at both ends, which switches frames too, with neither cipher nor digest
    TincNoCipher,
    /// tinc at both ends as it is installed: it encrypts
    Tinc,
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
    Tinc(tinc::Host),
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
    /// As few as have everything of ours in them.
    pub const SMOKE: [Self; 4] = [
        Self::KernelVxlan,
        Self::TapweaveToKernel,
        Self::KernelOffloadToTapweave,
        Self::TapweaveNoUso,
    ];

    /// Joins two new stations; returns nothing where the overlay is not installed.
    ///
    /// # Errors
    ///
    /// When the kernel or the overlay refuses, or the stations do not reach each other.
    pub fn join(self, lab: &Lab) -> Result<Option<Joined>> {
        if matches!(self, Self::Tinc | Self::TincNoCipher) && !tinc::is_installed() {
            return Ok(None);
        }
        let name = self.name();
        let underlay = Underlay::with_prefix(lab, &format!("{name}-"))?;
        underlay.bypass_packet_filter()?;
        let (client, server) = self.ends(lab, &underlay, name)?;
        traffic::ping_soon(&client.station, server.ip)?;
        Ok(Some(Joined {
            name: name.to_owned(),
            client: client.station,
            server: server.station,
            server_ip: server.ip,
            switch: Box::new(Hosts {
                client: client.host,
                server: server.host,
                _underlay: underlay,
            }),
        }))
    }

    /// Makes both hosts and their stations.
    fn ends(self, lab: &Lab, underlay: &Underlay, name: &str) -> Result<(End, End)> {
        let make = |is_kernel, number, peer| {
            if is_kernel {
                self.kernel(lab, underlay, number, peer)
            } else {
                self.tapweave(lab, underlay, number, peer)
            }
        };
        let is_kernel = match self {
            Self::KernelVxlan | Self::KernelVxlanOffload => [true, true],
            Self::TapweaveVxlan | Self::TapweaveNoUso => [false, false],
            Self::TapweaveToKernel => [false, true],
            Self::KernelToTapweave | Self::KernelOffloadToTapweave => [true, false],
            Self::TincNoCipher => return tinc::join(lab, underlay, name, tinc::Cipher::Off),
            Self::Tinc => return tinc::join(lab, underlay, name, tinc::Cipher::Default),
        };
        Ok((make(is_kernel[0], 1, 2)?, make(is_kernel[1], 2, 1)?))
    }

    fn kernel(self, lab: &Lab, underlay: &Underlay, number: u8, peer: u8) -> Result<End> {
        let host = KernelHost::new(lab, underlay, SEGMENT, number, &[peer])?;
        bypass_packet_filter(&host.host)?;
        if !matches!(
            self,
            Self::KernelVxlanOffload | Self::KernelOffloadToTapweave
        ) {
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
            Self::KernelOffloadToTapweave => "kernel-offload-to-tapweave",
            Self::TapweaveNoUso => "tapweave-no-uso",
            Self::TincNoCipher => "tinc-no-cipher",
            Self::Tinc => "tinc",
        }
    }

    fn tapweave(self, lab: &Lab, underlay: &Underlay, number: u8, peer: u8) -> Result<End> {
        let host = TapweaveHost::new(lab, underlay, SEGMENT, number, &[peer])?;
        if self == Self::TapweaveNoUso {
            host.host
                .run("ethtool", "-K eth0 tx-udp-segmentation off")?;
        }
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
            Host::Tinc(_) => {
                // The interface is tinc's own TAP.
                let (down_len, up_len) = client.carried_len("eth0")?;
                Ok(Carried { up_len, down_len })
            }
        }
    }

    fn pids(&self) -> Vec<u32> {
        let pid = |host: &Host| match host {
            Host::Kernel(_) => None,
            Host::Tapweave { daemon, .. } => Some(daemon.pid()),
            Host::Tinc(host) => Some(host.pid()),
        };
        [&self.client, &self.server]
            .into_iter()
            .filter_map(pid)
            .collect()
    }
}
