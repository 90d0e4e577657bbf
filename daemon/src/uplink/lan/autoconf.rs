//! IPv6 addresses and routers by router advertisements (RFC 4861 §6.3, RFC 4862 §5.5).
//!
//! One address is formed, in the prefix that is valid longest, of our MAC address; privacy addresses
//! (RFC 8981) would hide a machine that moves, which this is not. Addresses that only `DHCPv6` gives are
//! not asked for. Routers of all preferences count the same (no RFC 4191); the first that was heard of
//! stays until it is one no more.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use tapweave_net::{MacAddr, NdOption, PrefixInformation, RouterAdvertisement, Timestamp};

use super::left::{LeftPlace, Until};
use super::message::{formed_address, router_solicitation};
use crate::uplink::choice::NicAddress;

/// `MAX_RTR_SOLICITATIONS` and `RTR_SOLICITATION_INTERVAL` (RFC 4861 §10).
const SOLICITATION_COUNT: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);

/// An advertisement may not shorten the life of an address below this (RFC 4862 §5.5.3 e).
const LIFETIME_MIN: Duration = Duration::from_hours(2);

/// As good as for ever.
const LIFETIME_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// Most prefixes and routers that are kept: more are an attack.
const COUNT_MAX: usize = 16;

/// What routers on the LAN have said.
#[derive(Debug)]
pub(super) struct Autoconf {
    mac: MacAddr,
    solicited_count: u8,
    next_solicitation: Timestamp,
    /// Until when addresses of each prefix are valid.
    prefixes: BTreeMap<Ipv6Addr, Timestamp>,
    /// Until when each router is one, the first that was heard of first.
    routers: Vec<(Ipv6Addr, Timestamp)>,
}

impl Autoconf {
    pub(super) const fn new(mac: MacAddr, now: Timestamp) -> Self {
        Self {
            mac,
            solicited_count: 0,
            next_solicitation: now,
            prefixes: BTreeMap::new(),
            routers: Vec::new(),
        }
    }

    /// Goes on with what routers have told an earlier daemon. They are asked anew.
    pub(super) fn take_up(&mut self, left: &LeftPlace) {
        let times = |known: &[(Ipv6Addr, Until)]| {
            let known = known.iter().take(COUNT_MAX);
            known
                .map(|(addr, until)| (*addr, until.time()))
                .collect::<Vec<_>>()
        };
        self.prefixes = times(&left.prefixes).into_iter().collect();
        self.routers = times(&left.routers);
    }

    /// Notes for the next daemon what routers have told.
    pub(super) fn leave(&self, left: &mut LeftPlace) {
        let prefixes = self.prefixes.iter();
        left.prefixes = prefixes
            .map(|(addr, until)| (*addr, Until::at(*until)))
            .collect();
        let routers = self.routers.iter();
        left.routers = routers
            .map(|(addr, until)| (*addr, Until::at(*until)))
            .collect();
    }

    /// A router told of itself.
    pub(super) fn hear(
        &mut self,
        source: Ipv6Addr,
        message: &RouterAdvertisement<'_>,
        now: Timestamp,
    ) {
        let until = now + message.router_lifetime.min(LIFETIME_MAX);
        if message.router_lifetime.is_zero() {
            self.routers.retain(|(router, _)| *router != source);
        } else if let Some(known) = self
            .routers
            .iter_mut()
            .find(|(router, _)| *router == source)
        {
            known.1 = until;
        } else if self.routers.len() < COUNT_MAX {
            self.routers.push((source, until));
        }
        if !message.router_lifetime.is_zero() {
            self.solicited_count = SOLICITATION_COUNT;
        }
        for option in message.options.clone() {
            if let Ok(NdOption::Prefix(prefix)) = option {
                self.hear_prefix(&prefix, now);
            }
        }
    }

    fn hear_prefix(&mut self, info: &PrefixInformation, now: Timestamp) {
        let is_formed = info.autonomous
            && info.prefix_len == 64
            && !info.prefix.is_unicast_link_local()
            && !info.prefix.is_multicast()
            && info.preferred_lifetime <= info.valid_lifetime;
        if !is_formed {
            return;
        }
        let lifetime = info.valid_lifetime.min(LIFETIME_MAX);
        let has_room = self.prefixes.len() < COUNT_MAX;
        match self.prefixes.get_mut(&info.prefix) {
            Some(until) => {
                let remaining = until.since(now);
                if lifetime > LIFETIME_MIN || lifetime > remaining {
                    *until = now + lifetime;
                } else if remaining > LIFETIME_MIN {
                    *until = now + LIFETIME_MIN;
                }
            }
            None if !lifetime.is_zero() && has_room => {
                self.prefixes.insert(info.prefix, now + lifetime);
            }
            None => {}
        }
    }

    /// Forgets what has expired and asks routers while none is known; returns after how long there is
    /// something to do.
    pub(super) fn poll(&mut self, now: Timestamp, frames: &mut Vec<Vec<u8>>) -> Duration {
        self.prefixes.retain(|_, until| *until > now);
        self.routers.retain(|(_, until)| *until > now);
        let mut due = Duration::MAX;
        if self.solicited_count < SOLICITATION_COUNT {
            if self.next_solicitation <= now {
                frames.push(router_solicitation(self.mac));
                self.solicited_count += 1;
                self.next_solicitation = now + SOLICITATION_INTERVAL;
            }
            due = self.next_solicitation.since(now);
        }
        let ends = self
            .prefixes
            .values()
            .chain(self.routers.iter().map(|(_, until)| until));
        ends.fold(due, |due, until| due.min(until.since(now)))
    }

    /// Returns the address that is formed and the router, if there is a prefix.
    pub(super) fn place(&self) -> Option<NicAddress> {
        let (prefix, _) = self.prefixes.iter().max_by_key(|(_, until)| **until)?;
        let address = Ipv6Net::new(formed_address(*prefix, self.mac), 64).ok()?;
        Some(NicAddress {
            address: IpNet::V6(address),
            gateway: self.routers.first().map(|(router, _)| IpAddr::V6(*router)),
        })
    }
}

#[cfg(test)]
mod tests {
    use tapweave_net::{Icmpv6View, NdMessage};

    use super::*;

    const MAC: MacAddr = MacAddr::new([2, 0x11, 0x22, 0x33, 0x44, 0x55]);
    const HOUR: Duration = Duration::from_hours(1);

    /// An advertisement with one prefix.
    fn advertisement(router_secs: u16, flags: u8, valid_secs: u32) -> Vec<u8> {
        let mut bytes = vec![134, 0, 0, 0, 64, 0];
        bytes.extend(router_secs.to_be_bytes());
        bytes.extend([0; 8]);
        bytes.extend([3, 4, 64, flags]);
        bytes.extend(valid_secs.to_be_bytes());
        bytes.extend([0; 8]);
        bytes.extend("2001:db8::".parse::<Ipv6Addr>().unwrap().octets());
        bytes
    }

    fn hear(autoconf: &mut Autoconf, bytes: &[u8], now: Timestamp) {
        let icmp = Icmpv6View::parse(bytes).unwrap();
        let Ok(NdMessage::RouterAdvertisement(message)) = NdMessage::parse(&icmp) else {
            panic!("no advertisement");
        };
        autoconf.hear("fe80::1".parse().unwrap(), &message, now);
    }

    #[test]
    fn routers_are_asked_three_times_or_until_one_is_heard() {
        let mut autoconf = Autoconf::new(MAC, Timestamp::from_secs(0));
        let mut frames = Vec::new();
        for second in 0..30 {
            autoconf.poll(Timestamp::from_secs(second), &mut frames);
        }
        assert_eq!(frames.len(), 3);
        let mut autoconf = Autoconf::new(MAC, Timestamp::from_secs(0));
        hear(
            &mut autoconf,
            &advertisement(1800, 0xc0, 7200),
            Timestamp::from_secs(0),
        );
        assert_eq!(
            autoconf.poll(Timestamp::from_secs(0), &mut frames),
            HOUR / 2
        );
        assert_eq!(frames.len(), 3);
    }

    #[test]
    fn an_address_is_formed_and_lives_as_long_as_its_prefix() {
        let start = Timestamp::from_secs(0);
        let mut autoconf = Autoconf::new(MAC, start);
        hear(&mut autoconf, &advertisement(1800, 0xc0, 3 * 3600), start);
        let place = autoconf.place().unwrap();
        assert_eq!(place.address.to_string(), "2001:db8::11:22ff:fe33:4455/64");
        assert_eq!(place.gateway, Some("fe80::1".parse().unwrap()));
        autoconf.poll(start + HOUR, &mut Vec::new());
        assert_eq!(autoconf.place().unwrap().gateway, None);
        autoconf.poll(start + 3 * HOUR, &mut Vec::new());
        assert_eq!(autoconf.place(), None);
    }

    #[test]
    fn what_routers_have_told_an_earlier_daemon_holds_as_long_as_they_said() {
        let start = Timestamp::from_secs(0);
        let mut earlier = Autoconf::new(MAC, start);
        hear(&mut earlier, &advertisement(1800, 0xc0, 3 * 3600), start);
        let mut left = LeftPlace::default();
        earlier.leave(&mut left);
        let mut frames = Vec::new();
        let mut autoconf = Autoconf::new(MAC, start + HOUR / 4);
        autoconf.take_up(&left);
        autoconf.poll(start + HOUR / 4, &mut frames);
        assert_eq!(autoconf.place(), earlier.place());
        // They are asked all the same.
        assert_eq!(frames.len(), 1);
        autoconf.poll(start + HOUR, &mut frames);
        assert_eq!(autoconf.place().unwrap().gateway, None);
        autoconf.poll(start + 3 * HOUR, &mut frames);
        assert_eq!(autoconf.place(), None);
    }

    #[test]
    fn a_forged_advertisement_cannot_end_an_address_at_once() {
        let start = Timestamp::from_secs(0);
        let mut autoconf = Autoconf::new(MAC, start);
        hear(&mut autoconf, &advertisement(1800, 0xc0, 10 * 3600), start);
        hear(&mut autoconf, &advertisement(1800, 0xc0, 0), start);
        autoconf.poll(start + Duration::from_secs(7199), &mut Vec::new());
        assert!(autoconf.place().is_some());
        autoconf.poll(start + 2 * HOUR, &mut Vec::new());
        assert_eq!(autoconf.place(), None);
    }

    #[test]
    fn no_address_is_formed_where_the_router_does_not_want_it() {
        let start = Timestamp::from_secs(0);
        let mut autoconf = Autoconf::new(MAC, start);
        hear(&mut autoconf, &advertisement(1800, 0x80, 7200), start);
        hear(&mut autoconf, &advertisement(1800, 0xc0, 0), start);
        assert_eq!(autoconf.place(), None);
    }
}
