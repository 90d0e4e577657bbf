//! A host of an overlay whose end of the tunnels is tapweave's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};
use serde_json::Value;
use tapweave_net::MacAddr;

use super::{KernelHost, NETWORK, Segment, Underlay};
use crate::cli::binary;
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::listing::rows;
use crate::sandbox::Sandbox;
use crate::wait;
use crate::world::station;

/// A host with a daemon, and a sandbox in its overlay network.
#[derive(Debug)]
pub struct TapweaveHost {
    /// The daemon.
    pub daemon: Daemon,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The sandbox's MAC address.
    pub mac: MacAddr,
    /// The host.
    pub host: Sandbox,
    number: u8,
}

impl TapweaveHost {
    /// Makes host `number` with `peers`. The addresses of its sandbox end with its number.
    ///
    /// # Errors
    ///
    /// When the kernel or tapweave refuses.
    pub fn new(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
    ) -> Result<Self> {
        let options = format!("--underlay {}", segment.vtep(number));
        Self::with_options(lab, underlay, segment, number, peers, &options)
    }

    /// As [`TapweaveHost::new`] with options of the daemon, separated by spaces.
    ///
    /// # Errors
    ///
    /// As [`TapweaveHost::new`].
    pub fn with_options(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
        options: &str,
    ) -> Result<Self> {
        Self::with_daemon_and_network(lab, underlay, segment, number, peers, [options, ""])
    }

    /// As [`TapweaveHost::new`] with options of the network.
    ///
    /// # Errors
    ///
    /// As [`TapweaveHost::new`].
    pub fn with_network(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
        options: &str,
    ) -> Result<Self> {
        let daemon = format!("--underlay {}", segment.vtep(number));
        let options = [&*daemon, options];
        Self::with_daemon_and_network(lab, underlay, segment, number, peers, options)
    }

    /// As [`TapweaveHost::new`] with options of the daemon and options of the network.
    ///
    /// # Errors
    ///
    /// As [`TapweaveHost::new`].
    pub fn with_daemon_and_network(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
        [options, network]: [&str; 2],
    ) -> Result<Self> {
        let host = underlay.host(lab, number)?;
        let Segment { vni, port, .. } = segment;
        let daemon = Daemon::under(
            host.command(&binary()?.display().to_string()),
            &format!("{options} --vxlan-port {port}"),
            &lab.file(format!("{}{number}.sock", underlay.prefix)),
            &lab.file(format!("{}daemon{number}.log", underlay.prefix)),
        )?;
        daemon.cli().ok(&format!(
            "network create {NETWORK} -d overlay --vni {vni} --subnet 10.77.0.0/24 \
             --subnet fd77::/64 --ipv6 --gateway 10.77.0.254 --gateway fd77::ff {network}"
        ))?;
        for peer in peers {
            let peer = segment.vtep(*peer);
            daemon.cli().ok(&format!("peer add {NETWORK} {peer}"))?;
        }
        let sandbox = station(lab, &format!("{}sandbox{number}", underlay.prefix))?;
        let addresses = format!("--guard=false --ip 10.77.0.{number} --ip6 fd77::{number}");
        let endpoint = daemon.cli().connect(NETWORK, &sandbox, &addresses)?;
        Ok(Self {
            daemon,
            mac: endpoint.mac,
            sandbox,
            host,
            number,
        })
    }

    /// Returns the addresses of the sandbox.
    pub fn addresses(&self) -> [IpAddr; 2] {
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, self.number.into());
        [Ipv4Addr::new(10, 77, 0, self.number).into(), v6.into()]
    }

    /// Returns how many datagrams the daemon refused for `reason`.
    ///
    /// # Errors
    ///
    /// When the daemon does not say.
    pub fn refused(&self, reason: &str) -> Result<u64> {
        let stats = self.daemon.cli().json("stats")?;
        Ok(stats["underlay"]["refused"][reason].as_u64().unwrap_or(0))
    }

    /// Returns how many datagrams the daemon refused for any reason.
    ///
    /// # Errors
    ///
    /// When the daemon does not say.
    pub fn refused_in_all(&self) -> Result<u64> {
        let stats = self.daemon.cli().json("stats")?;
        let refused = stats["underlay"]["refused"].as_object();
        let counts = refused.into_iter().flatten();
        Ok(counts.filter_map(|(_, count)| count.as_u64()).sum())
    }

    /// Waits until the daemon has refused exactly `count` datagrams for `reason`.
    ///
    /// # Errors
    ///
    /// When that does not happen soon; with what was refused instead.
    pub fn wait_refused(&self, reason: &str, count: u64) -> Result<()> {
        let what = format!("{count} datagrams refused for {reason}");
        let waited = wait::until_true(&what, wait::SOON, || Ok(self.refused(reason)? == count));
        waited.with_context(|| match self.refused(reason) {
            Ok(refused) => format!("{refused} were refused"),
            Err(error) => format!("{error:#}"),
        })
    }

    /// Waits until the daemon has refused a datagram for `reason`.
    ///
    /// # Errors
    ///
    /// When that does not happen soon.
    pub fn wait_refused_some(&self, reason: &str) -> Result<()> {
        let what = format!("datagrams refused for {reason}");
        wait::until_true(&what, wait::SOON, || Ok(self.refused(reason)? > 0))
    }

    /// Returns what is known of the peer at `address`.
    ///
    /// # Errors
    ///
    /// When there is no such peer.
    pub fn peer(&self, address: IpAddr) -> Result<Value> {
        let peers = self.daemon.cli().json(&format!("peer ls {NETWORK}"))?;
        let address = address.to_string();
        let mut peers = rows(&peers)?.iter();
        let found = peers.find(|peer| peer["address"] == *address);
        found.cloned().context("no such peer")
    }

    /// Returns the entry of a station in the FDB; null when there is none.
    ///
    /// # Errors
    ///
    /// When the daemon does not say.
    pub fn fdb_entry(&self, mac: MacAddr) -> Result<Value> {
        let fdb = self.daemon.cli().json(&format!("fdb show {NETWORK}"))?;
        let mac = mac.to_string();
        let found = rows(&fdb)?.iter().find(|row| row["mac"] == *mac);
        Ok(found.cloned().unwrap_or_default())
    }
}

/// Makes host 1 with tapweave and host 2 with the kernel's device, who know each other, and runs a test.
///
/// # Errors
///
/// When the kernel or tapweave refuses, or the test fails.
pub fn with_kernel(
    lab: &Lab,
    segment: Segment,
    test: impl FnOnce(&Underlay, &TapweaveHost, &KernelHost) -> Result<()>,
) -> Result<()> {
    let underlay = Underlay::new(lab)?;
    let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
    let ours = TapweaveHost::new(lab, &underlay, segment, 1, &[2])?;
    test(&underlay, &ours, &kernel)
}
