//! What a server did.

use std::collections::BTreeMap;

use crate::Refusal;

/// Counts of messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerStats {
    /// `DHCPDISCOVER`s of those who may have an address.
    pub discovered: u64,
    /// `DHCPOFFER`s.
    pub offered: u64,
    /// `DHCPREQUEST`s of those who may have an address.
    pub requested: u64,
    /// `DHCPACK`s that give an address.
    pub acknowledged: u64,
    /// `DHCPNAK`s.
    pub refused_requests: u64,
    /// Addresses that were given back by `DHCPRELEASE`.
    pub released: u64,
    /// Addresses that were found in use, by `DHCPDECLINE`.
    pub declined: u64,
    /// `DHCPACK`s that give no address.
    pub informed: u64,
    /// Replies over IPv6.
    pub informed_v6: u64,
    /// Messages that were dropped, by reason.
    pub refusals: BTreeMap<Refusal, u64>,
}

impl ServerStats {
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        *self.refusals.entry(refusal).or_default() += 1;
    }
}
