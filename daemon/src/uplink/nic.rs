//! The uplink by an interface of the host: a station of our own on its LAN, with an own MAC address.
//!
//! Frames are read from and written to a packet socket (see [`tapweave_device::PacketSocket`]), so the
//! host keeps its interface, addresses and traffic, and ours never meet the host's stack or firewall.
//! Host and uplink do not reach each other over the LAN.
//!
//! The interface may go down, go away and come back: the port is closed then, and everything begins
//! anew when it is back, also the lease. The place outlives the daemon ([`kept`]).

mod kept;

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tapweave_control::datapath::{UplinkKind as Kind, UplinkState};
use tapweave_device::{FileQueue, HostLink, PortQueue, host_addresses, take_overflow_count};
use tapweave_net::{MacAddr, PortNo};
use tapweave_switch::{UplinkConfig, UplinkKind};
use tracing::{info, warn};

use self::kept::{Keeping, Left, Note, Sockets};
use super::choice::{NicAddress, NicChoice};
use super::keeper::Line;
use super::lan::{ALL_NODES, Lan, LeftPlace, solicited_node_mac};
use super::shown::UplinkLine;
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::holdings::Holdings;
use crate::machine_id::Digest;
use crate::port_queues::PortQueues;

/// A place on a LAN and how to take it again.
#[derive(Debug)]
pub(super) struct NicLine {
    choice: NicChoice,
    mtu_max: u16,
    /// Our address on the LAN, the same at each start.
    mac: MacAddr,
    keeping: Keeping,
    /// What an earlier daemon has left, until it is taken up.
    left: Option<Left>,
    clock: Clock,
    /// Whether the interface was there when it was looked at last.
    was_there: bool,
    open: Option<Box<Open>>,
    problems: Vec<String>,
}

/// The place, as long as the interface is there.
#[derive(Debug)]
struct Open {
    link: HostLink,
    port: PortNo,
    queue: Arc<FileQueue>,
    lan: Lan,
    config: UplinkConfig,
    /// Frames that found no room in the socket's buffer.
    overflow_count: u64,
}

impl NicLine {
    /// Prepares for an interface that is there, or goes on with the place that an earlier daemon had there. `instance`
    /// tells several daemons of a machine apart.
    pub(super) fn new(
        choice: &NicChoice,
        mtu_max: u16,
        instance: &str,
        clock: Clock,
        holdings: &Arc<Holdings>,
    ) -> Result<Self> {
        let link = HostLink::by_name(&choice.ifname)?;
        ensure!(link.is_some(), super::no_interface(&choice.ifname));
        let ours = |place: &NicAddress| place.address.addr();
        let hosts = host_addresses()?;
        for address in choice.addresses.iter().map(ours) {
            ensure!(
                !hosts.iter().any(|(_, host)| host.addr() == address),
                "{address} is an address of the host itself: the uplink needs one of its own"
            );
        }
        let keeping = Keeping::new(Arc::clone(holdings));
        let left = keeping.claim(&choice.ifname);
        let mac = match &left {
            Some(left) => left.mac(),
            None => mac(&choice.ifname, instance)?,
        };
        Ok(Self {
            choice: choice.clone(),
            mtu_max,
            mac,
            keeping,
            left,
            clock,
            was_there: true,
            open: None,
            problems: Vec::new(),
        })
    }

    fn try_open(&mut self, link: HostLink, datapath: &SwitchDatapath) -> Result<Open> {
        let mac = self.mac;
        let left = self.left.take();
        let adopted = left.and_then(|left| self.keeping.adopt(left, link.index));
        let (sockets, place) = if let Some(adopted) = adopted {
            adopted
        } else {
            let ifname = &self.choice.ifname;
            let opened = Sockets::open(link.index, mac);
            let sockets = opened.with_context(|| format!("cannot use interface {ifname}"))?;
            (sockets, LeftPlace::default())
        };
        let Sockets {
            traffic,
            configuration,
        } = sockets;
        for group in self.groups(mac) {
            traffic.join_group(group)?;
        }
        configuration.join_group(ALL_NODES)?;
        let queue = Arc::new(traffic.into_queue());
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).context("the kernel gives no random numbers")?;
        let seed = u64::from_ne_bytes(seed);
        let (now, fixed) = (self.clock.now(), &self.choice.addresses);
        let lan = Lan::open(configuration, mac, fixed, &place, seed, now);
        let config = UplinkConfig {
            kind: UplinkKind::Lan {
                mac,
                next_hops: Vec::new(),
            },
            addresses: Vec::new(),
            mtu: u16::try_from(link.mtu)
                .unwrap_or(u16::MAX)
                .min(self.mtu_max),
            metric: 0,
        };
        let queues = PortQueues::one(Arc::clone(&queue) as Arc<dyn PortQueue>);
        let port = datapath.open_uplink(config.clone(), queues)?;
        Ok(Open {
            link,
            port,
            queue,
            lan,
            config,
            overflow_count: 0,
        })
    }

    /// Returns the groups that questions for our IPv6 addresses go to: formed addresses end as the MAC
    /// address does, given ones in their own way.
    fn groups(&self, mac: MacAddr) -> Vec<MacAddr> {
        let [.., third, fourth, fifth] = mac.octets();
        let formed = MacAddr::new([0x33, 0x33, 0xff, third, fourth, fifth]);
        let mut groups = vec![ALL_NODES, formed];
        for place in &self.choice.addresses {
            if let IpAddr::V6(address) = place.address.addr() {
                groups.push(solicited_node_mac(address));
            }
        }
        groups
    }

    /// Opens or closes, as the interface comes and goes; returns what is wrong with it.
    fn follow(&mut self, datapath: &SwitchDatapath) -> Result<(), String> {
        let ifname = self.choice.ifname.clone();
        let link = HostLink::by_name(&ifname).map_err(|error| error.to_string())?;
        let present = link.filter(|link| link.is_running);
        let is_same = match (&self.open, &present) {
            (Some(open), Some(link)) => (open.link.index, open.link.mtu) == (link.index, link.mtu),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            self.close(datapath);
            self.keeping.close();
        }
        let Some(link) = present else {
            if self.was_there {
                warn!(interface = ifname, "the uplink's interface is down or gone");
                self.was_there = false;
            }
            return Err(format!(
                "interface {ifname} is down, without a carrier or gone"
            ));
        };
        if !self.was_there {
            info!(interface = ifname, "the uplink's interface is back");
            self.was_there = true;
        }
        if self.open.is_none() {
            let open = self.try_open(link, datapath);
            self.open = Some(Box::new(open.map_err(|error| format!("{error:#}"))?));
        }
        Ok(())
    }
}

impl Open {
    /// Lets the LAN's configuration go on, and brings what came of it to the packet path.
    fn tend(&mut self, clock: Clock, datapath: &SwitchDatapath) -> Duration {
        let due = self.lan.tend(clock.now());
        let places: Vec<NicAddress> = self.lan.places().collect();
        let mut config = self.config.clone();
        config.addresses = places.iter().map(|place| place.address).collect();
        if let UplinkKind::Lan { next_hops, .. } = &mut config.kind {
            *next_hops = places.iter().filter_map(|place| place.gateway).collect();
        }
        if config != self.config {
            datapath.change_uplink(self.port, config.clone());
            self.config = config;
        }
        if let Ok(count @ 1..) = take_overflow_count(&self.queue) {
            self.overflow_count += u64::from(count);
            warn!(
                count,
                total = self.overflow_count,
                "the uplink's socket had no room for frames (net.core.rmem_max bounds its buffer)"
            );
        }
        due
    }

    /// Returns a sentence for each family that is not served.
    fn problems(&self) -> Vec<String> {
        let mut problems = self.lan.problems();
        let UplinkKind::Lan { next_hops, .. } = &self.config.kind else {
            return problems;
        };
        for address in &self.config.addresses {
            let is_v4 = address.addr().is_ipv4();
            if !next_hops.iter().any(|hop| hop.is_ipv4() == is_v4) {
                problems.push(format!(
                    "no router is known to {address}: only its own subnet can be reached"
                ));
            }
        }
        problems
    }
}

impl Line for NicLine {
    fn tend(&mut self, datapath: &SwitchDatapath) -> Option<Duration> {
        if let Err(problem) = self.follow(datapath) {
            self.problems = vec![problem];
            return None;
        }
        let open = self.open.as_mut()?;
        let due = open.tend(self.clock, datapath);
        self.problems = open.problems();
        let note = Note {
            ifname: self.choice.ifname.clone(),
            index: open.link.index,
            mac: self.mac,
            place: open.lan.left(),
        };
        self.keeping
            .keep(note, [open.queue.as_fd(), open.lan.as_fd()]);
        Some(due)
    }

    fn is_settled(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.lan.is_settled())
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(|open| open.lan.as_fd())
    }

    fn close(&mut self, datapath: &SwitchDatapath) {
        if let Some(open) = self.open.take() {
            datapath.close_uplink(open.port);
        }
    }
}

/// Returns the address on a LAN of one of the daemons of this machine.
fn mac(ifname: &str, instance: &str) -> Result<MacAddr> {
    let digest = Digest::of_this_machine(&format!("nic {ifname} {instance}"))?;
    let [first, rest @ ..] = digest.array::<6>();
    let mut octets = [0; 6];
    // Locally administered, and of one station.
    octets[0] = first & 0xfc | 0x02;
    octets[1..].copy_from_slice(&rest);
    Ok(MacAddr::new(octets))
}

impl UplinkLine for NicLine {
    fn state(&self) -> UplinkState {
        let addresses = self.open.as_ref().map(|open| open.config.addresses.clone());
        UplinkState {
            kind: Kind::Nic,
            ifname: Some(self.choice.ifname.clone()),
            addresses: addresses.unwrap_or_default(),
            reason: "--uplink nic".to_owned(),
            missing: self.problems.clone(),
        }
    }
}
