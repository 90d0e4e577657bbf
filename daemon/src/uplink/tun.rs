//! The uplink by a TUN interface in the daemon's own network namespace.
//!
//! The host has the first address of each prefix, we have the others: what the host sends or forwards
//! to them comes to us, and what we send is the host's to route, to filter and, if the administrator
//! wants, to masquerade. So the host's own addresses and ports are never ours, and ports are published
//! on our addresses only.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use ipnet::IpNet;
use tapweave_control::datapath::{UplinkKind as Kind, UplinkState};
use tapweave_device::{HeldKey, Tun, TunSpec, has_ipv6, interface_index, prefixes_in_use};
use tapweave_net::PortNo;
use tapweave_switch::{UplinkConfig, UplinkKind};
use thiserror::Error;
use tracing::{info, warn};

use super::choice::TunChoice;
use super::keeper::Line;
use super::prefixes::{Shares, free_v4, free_v6};
use super::shown::UplinkLine;
use super::steps::HostRouting;
use crate::datapath::SwitchDatapath;
use crate::holdings::{self, Holdings};
use crate::machine_id::Digest;
use crate::port_queues::PortQueues;

/// How long to wait before a TUN that could not be made again is tried once more.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A TUN and how to make it again.
#[derive(Debug)]
pub(super) struct TunLine {
    spec: TunSpec,
    own: Vec<IpNet>,
    reason: String,
    /// Made and not yet a port.
    made: Option<Tun>,
    open: Option<Open>,
    /// What is still to be done.
    missing: Vec<String>,
    holdings: Arc<Holdings>,
}

/// A TUN that is a port.
#[derive(Debug)]
struct Open {
    ifname: String,
    ifindex: u32,
    port: PortNo,
}

impl TunLine {
    /// Takes over the interface of an earlier daemon if it is as it should be; otherwise chooses the prefixes and makes
    /// it. `reason` says why there is a TUN.
    pub(super) fn new(
        choice: &TunChoice,
        mtu: u16,
        reason: &str,
        holdings: &Arc<Holdings>,
    ) -> Result<Self> {
        let made = if let Some(adopted) = adopt(choice, mtu, holdings) {
            adopted
        } else {
            let mut addresses = Vec::new();
            for prefix in prefixes(choice)? {
                addresses.push(Shares::of(prefix)?.host);
            }
            let spec = TunSpec {
                addresses,
                mtu,
                queue_count: 1,
            };
            create(&spec, holdings)?
        };
        let mut own = Vec::new();
        for address in &made.spec.addresses {
            own.extend(Shares::of(address.trunc())?.own);
        }
        Ok(Self {
            spec: made.spec.clone(),
            own,
            reason: reason.to_owned(),
            made: Some(made),
            open: None,
            missing: Vec::new(),
            holdings: Arc::clone(holdings),
        })
    }

    fn config(&self) -> UplinkConfig {
        UplinkConfig {
            kind: UplinkKind::PointToPoint,
            addresses: self.own.clone(),
            mtu: self.spec.mtu,
            metric: 0,
        }
    }

    fn is_open(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| interface_index(&open.ifname) == Some(open.ifindex))
    }

    fn try_open(&mut self, datapath: &SwitchDatapath) -> Result<Open> {
        let tun = match self.made.take() {
            Some(tun) => tun,
            None => create(&self.spec, &self.holdings)?,
        };
        let queues = PortQueues::of_interface(tun.queues, tun.outlet);
        let port = datapath.open_uplink(self.config(), queues)?;
        Ok(Open {
            ifname: tun.ifname,
            ifindex: tun.ifindex,
            port,
        })
    }
}

impl Line for TunLine {
    fn tend(&mut self, datapath: &SwitchDatapath) -> Option<Duration> {
        if !self.is_open() {
            if let Some(open) = &self.open {
                warn!(
                    interface = open.ifname,
                    "the uplink's interface is gone and is made anew"
                );
            }
            self.close(datapath);
            match self.try_open(datapath) {
                Ok(open) => {
                    let host = self.spec.addresses.iter().map(IpNet::addr);
                    datapath.set_host_addresses(host.collect());
                    self.open = Some(open);
                }
                Err(error) => {
                    self.missing = vec![format!("{error:#}")];
                    return Some(RETRY_INTERVAL);
                }
            }
        }
        let prefixes: Vec<IpNet> = self.spec.addresses.iter().map(IpNet::trunc).collect();
        self.missing = HostRouting::read().missing_steps(&prefixes);
        None
    }

    fn readiness(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn close(&mut self, datapath: &SwitchDatapath) {
        if let Some(open) = self.open.take() {
            datapath.set_host_addresses(Vec::new());
            datapath.close_uplink(open.port);
        }
    }
}

impl UplinkLine for TunLine {
    fn state(&self) -> UplinkState {
        UplinkState {
            kind: Kind::Tun,
            ifname: self.open.as_ref().map(|open| open.ifname.clone()),
            addresses: self.own.clone(),
            reason: self.reason.clone(),
            missing: self.missing.clone(),
        }
    }
}

/// Makes an interface that outlives the daemon if it is killed.
fn create(spec: &TunSpec, holdings: &Holdings) -> Result<Tun> {
    let made = Tun::create(spec)?;
    holdings.keep(&key(), &made.note(), &made.fds());
    Ok(made)
}

/// Takes up the interface that an earlier daemon had made, if it is there and what was chosen.
fn adopt(choice: &TunChoice, mtu: u16, holdings: &Holdings) -> Option<Tun> {
    let held = holdings.claim(&key())?;
    let adopted = match Tun::adopt(held.fds, &held.note) {
        Ok(tun) if is_chosen(&tun.spec, choice, mtu) => Some(tun),
        Ok(tun) => {
            info!(
                interface = tun.ifname,
                "another uplink was chosen than an earlier daemon had"
            );
            None
        }
        Err(error) => {
            warn!(reason = %error, "the uplink cannot be taken over and is made anew");
            None
        }
    };
    match &adopted {
        Some(tun) => info!(interface = tun.ifname, "the uplink is taken over"),
        // Its prefix would be in use.
        None => holdings.let_go(&key()),
    }
    adopted
}

/// Tells whether an interface is what was chosen.
fn is_chosen(spec: &TunSpec, choice: &TunChoice, mtu: u16) -> bool {
    let mut chosen = (choice.v4.map(IpNet::V4).into_iter()).chain(choice.v6.map(IpNet::V6));
    let is_there = |prefix: IpNet| {
        let mut addresses = spec.addresses.iter();
        addresses.any(|address| address.trunc() == prefix.trunc())
    };
    let count = chosen.clone().count();
    spec.mtu == mtu && chosen.all(is_there) && (count == 0 || count == spec.addresses.len())
}

fn key() -> HeldKey {
    HeldKey::new(holdings::UPLINK, "tun")
}

/// A prefix that was chosen is not free.
#[derive(Debug, Error)]
#[error("{prefix} overlaps {other}, which the host uses already")]
pub(super) struct PrefixInUse {
    prefix: IpNet,
    other: IpNet,
}

/// Returns the prefixes that were chosen, or free ones of the families that the host has.
fn prefixes(choice: &TunChoice) -> Result<Vec<IpNet>> {
    let in_use = prefixes_in_use()?;
    let chosen: Vec<IpNet> = (choice.v4.map(IpNet::V4).into_iter())
        .chain(choice.v6.map(IpNet::V6))
        .collect();
    for prefix in &chosen {
        if let Some(other) = overlapping(*prefix, &in_use) {
            bail!(PrefixInUse {
                prefix: *prefix,
                other,
            });
        }
        if matches!(prefix.addr(), IpAddr::V6(_)) && !has_ipv6() {
            bail!("{prefix} cannot be had: IPv6 is switched off (net.ipv6.conf.all.disable_ipv6)");
        }
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let mut free = vec![IpNet::V4(free_v4(&in_use)?)];
    if has_ipv6() {
        let machine = Digest::of_this_machine("tun")?;
        free.extend(free_v6(&machine, &in_use).map(IpNet::V6));
    }
    Ok(free)
}

/// Returns what of the host's prefixes has addresses of `prefix`. A route of which it is a part is none:
/// the more specific one is taken, as for any other link.
fn overlapping(prefix: IpNet, in_use: &[IpNet]) -> Option<IpNet> {
    in_use.iter().copied().find(|other| prefix.contains(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_taken_over_if_it_is_what_is_chosen_now() {
        let spec = TunSpec {
            addresses: vec![
                "10.9.0.1/30".parse().unwrap(),
                "fd09::1/126".parse().unwrap(),
            ],
            mtu: 1500,
            queue_count: 1,
        };
        let choice = |v4: Option<&str>, v6: Option<&str>| TunChoice {
            v4: v4.map(|text| text.parse().unwrap()),
            v6: v6.map(|text| text.parse().unwrap()),
        };
        let (v4, v6) = (Some("10.9.0.0/30"), Some("fd09::/126"));
        assert!(is_chosen(&spec, &choice(None, None), 1500));
        assert!(is_chosen(&spec, &choice(v4, v6), 1500));
        assert!(!is_chosen(&spec, &choice(v4, v6), 1400));
        // Only IPv4 is wanted now, or another prefix.
        assert!(!is_chosen(&spec, &choice(v4, None), 1500));
        assert!(!is_chosen(&spec, &choice(Some("10.9.0.4/30"), v6), 1500));
    }
}
