//! What the resolvers and the DHCP servers of all networks did.

use std::collections::BTreeMap;

use super::Controller;
use crate::api::ServiceStats;
use crate::datapath::{ResolverStats, ServerStats};

impl Controller {
    /// Returns what the gateways answered so far, in order of their networks' names.
    pub(super) fn service_stats(&self) -> Vec<ServiceStats> {
        let mut resolvers = self.datapath.resolver_stats();
        // The servers may be waiting for the model.
        let mut servers = self.datapath.dhcp_stats();
        let model = self.model();
        let networks = model.networks().map(|network| {
            let resolver = resolvers.remove(&network.number);
            let server = servers.remove(&network.number);
            let endpoints = model.endpoints_of(&network.id);
            ServiceStats {
                network: network.name.clone(),
                dns: resolver.as_ref().map_or_else(BTreeMap::new, queries),
                dns_failures: resolver.map_or(0, |stats| stats.failed),
                dns_cache_entries: resolver.map_or(0, |stats| stats.cache_len),
                dhcp: server.as_ref().map_or_else(BTreeMap::new, messages),
                dhcp_drops: server.as_ref().map_or_else(BTreeMap::new, drops),
                leases: endpoints.map(|endpoint| endpoint.leases.len()).sum(),
                static_leases: network.static_leases.len(),
            }
        });
        networks.collect()
    }
}

/// Returns queries by what became of them.
fn queries(stats: &ResolverStats) -> BTreeMap<String, u64> {
    named([
        ("local", stats.local),
        ("cached", stats.cached),
        ("forwarded", stats.forwarded),
        ("refused", stats.refused),
        ("limited", stats.limited),
    ])
}

/// Returns messages of DHCP by kind.
fn messages(stats: &ServerStats) -> BTreeMap<String, u64> {
    named([
        ("discovers", stats.discovered),
        ("offers", stats.offered),
        ("requests", stats.requested),
        ("acks", stats.acknowledged),
        ("naks", stats.refused_requests),
        ("releases", stats.released),
        ("declines", stats.declined),
        ("informs", stats.informed),
        ("informs_v6", stats.informed_v6),
    ])
}

fn drops(stats: &ServerStats) -> BTreeMap<String, u64> {
    let refusals = stats.refusals.iter();
    refusals
        .map(|(refusal, count)| (refusal.name().to_owned(), *count))
        .collect()
}

fn named<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    let counts = counts.into_iter();
    counts
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}
