//! What a network knows by itself: its names, both ways.
//!
//! Made anew whenever a name comes or goes, from all names: a thousand endpoints cost a millisecond.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};

use hickory_proto::rr::Name;
use ipnet::IpNet;

use crate::special;
use crate::{NetworkNames, World};

/// The index of a network's names.
#[derive(Debug)]
pub struct Zone {
    /// The name of the network, as a name of one or more labels.
    pub(crate) domain: Name,
    /// Every name that exists, fully qualified, and where it leads: nowhere for the names between one and the domain
    /// (RFC 8020).
    forward: HashMap<Name, Vec<IpAddr>>,
    reverse: BTreeMap<IpAddr, Vec<Name>>,
    subnets: Vec<IpNet>,
    pub(crate) world: World,
}

/// What a zone knows of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known<'a, T> {
    /// It exists and leads there, possibly nowhere.
    There(&'a [T]),
    /// It would be one of the zone's, and is not.
    Missing,
    /// It is none of the zone's.
    Foreign,
}

impl Zone {
    /// Returns the zone of `names`. What is no name in DNS, because a label is longer than 63 bytes or empty, is left
    /// out.
    pub fn new(names: &NetworkNames) -> Self {
        let domain = labels(&names.domain).unwrap_or_else(Name::root);
        let mut zone = Self {
            domain,
            forward: HashMap::new(),
            reverse: BTreeMap::new(),
            subnets: names.subnets.clone(),
            world: names.world,
        };
        for record in &names.records {
            let Some(bare) = labels(&record.name) else {
                continue;
            };
            let full = bare.clone().append_domain(&zone.domain);
            let full = full.ok().filter(|_| !zone.domain.is_root());
            zone.insert(&bare, &record.addresses);
            if let Some(full) = &full {
                zone.insert(full, &record.addresses);
                zone.insert_parents(full);
            }
            if !record.is_alias {
                let called = full.unwrap_or(bare);
                for address in &record.addresses {
                    zone.reverse
                        .entry(*address)
                        .or_default()
                        .push(called.clone());
                }
            }
        }
        for (name, addresses) in [
            (special::gateway(), &names.gateway),
            (special::host(), &names.host),
        ] {
            if addresses.is_empty() {
                continue;
            }
            zone.insert(&name, addresses);
            for address in addresses {
                zone.reverse.entry(*address).or_default().push(name.clone());
            }
        }
        zone
    }

    fn insert(&mut self, name: &Name, addresses: &[IpAddr]) {
        let all = self.forward.entry(name.clone()).or_default();
        for address in addresses {
            if !all.contains(address) {
                all.push(*address);
            }
        }
    }

    /// Makes the names between `full` and the domain exist.
    fn insert_parents(&mut self, full: &Name) {
        let mut parent = full.base_name();
        while parent.num_labels() > self.domain.num_labels() {
            self.forward.entry(parent.clone()).or_default();
            parent = parent.base_name();
        }
    }

    /// Returns where a name leads.
    pub(crate) fn addresses(&self, name: &Name) -> Known<'_, IpAddr> {
        if let Some(addresses) = self.forward.get(name) {
            return Known::There(addresses);
        }
        if self.is_domain(name) {
            return Known::There(&[]);
        }
        if !self.domain.is_root() && self.domain.zone_of(name) {
            return Known::Missing;
        }
        Known::Foreign
    }

    /// Returns what an address or a part of one is called, as `name` below `in-addr.arpa` or `ip6.arpa` says it.
    pub(crate) fn names(&self, name: &Name) -> Known<'_, Name> {
        let Ok(asked) = name.parse_arpa_name() else {
            return Known::Foreign;
        };
        let is_host = asked.prefix_len() == asked.max_prefix_len();
        if is_host && let Some(names) = self.reverse.get(&asked.addr()) {
            return Known::There(names);
        }
        if !self.subnets.iter().any(|subnet| subnet.contains(&asked)) {
            return Known::Foreign;
        }
        let mut below = self.reverse.range(asked.network()..=asked.broadcast());
        let exists = !is_host && below.next().is_some();
        if exists {
            Known::There(&[])
        } else {
            Known::Missing
        }
    }

    pub(crate) fn is_domain(&self, name: &Name) -> bool {
        !self.domain.is_root() && self.domain == *name
    }
}

/// Returns the fully qualified name that consists of `text`'s labels, whatever octets they have.
fn labels(text: &str) -> Option<Name> {
    let mut name = Name::from_labels(text.split('.').map(str::as_bytes)).ok()?;
    name.set_fqdn(true);
    Some(name)
}
