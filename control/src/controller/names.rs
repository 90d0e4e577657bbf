//! Names: what the resolvers of networks are told, static records, and questions of people.

use std::net::IpAddr;
use std::sync::PoisonError;

use ipnet::IpNet;
use tapweave_dns::{encode_query, show};
use tracing::info;

use super::Controller;
use super::tables::chosen;
use crate::api::{
    DnsAnswer, DnsQuestion, DnsRecord, DnsRecordAdd, DnsRecordKind, DnsRecordView, ResolverView,
};
use crate::datapath::{NameRecord, NetworkNames, WayOut, World};
use crate::journal::Changes;
use crate::model::{EndpointRecord, Model, NetworkRecord};
use crate::network_settings::serves_names;
use crate::records::DnsNameIntent;
use crate::{ControlError, Id, Name};

/// Most addresses that are stated in one network.
const STATIC_MAX: usize = 16_384;

impl Controller {
    /// Tells the packet path what a network's resolver knows now. Nothing is told of a network that has gone.
    pub(super) fn publish_names(&self, network: &Id) {
        let _last = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        let told = {
            let model = self.model();
            let network = model.network_by_id(network.as_str());
            network
                .filter(|network| network.has_resolver())
                .map(|network| (network.number, network_names(&model, network)))
        };
        if let Some((number, names)) = told {
            self.datapath.set_names(number, Some(&names));
        }
    }

    /// Returns the records of the resolvers of one network, or of all, in order of network and name.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn dns_records(&self, network: Option<&str>) -> Result<Vec<DnsRecordView>, ControlError> {
        let model = self.model();
        let mut views = Vec::new();
        for network in chosen(&model, network)? {
            if !network.has_resolver() {
                continue;
            }
            let view = |name: &Name, address, kind| DnsRecordView {
                network: network.name.clone(),
                name: name.clone(),
                address,
                kind,
            };
            let mut of_network = Vec::new();
            for endpoint in model.endpoints_of(&network.id) {
                for address in endpoint.addresses.iter().map(IpNet::addr) {
                    let name = &endpoint.sandbox_name;
                    of_network.push(view(name, address, DnsRecordKind::Sandbox));
                    let aliases = endpoint.aliases.iter();
                    of_network
                        .extend(aliases.map(|name| view(name, address, DnsRecordKind::Alias)));
                }
            }
            let stated = network.names.iter();
            of_network.extend(stated.map(|(name, at)| view(name, *at, DnsRecordKind::Static)));
            of_network.sort_by(|a, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
            views.extend(of_network);
        }
        Ok(views)
    }

    /// States that a name leads to an address, besides where it leads already; tells whether that was stated before.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoResolver`, `TooManyNames`; what the store says.
    pub fn dns_add(&self, request: &DnsRecordAdd) -> Result<bool, ControlError> {
        let name = self.model().network(&request.network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let stated = (request.name.clone(), request.address.to_canonical());
        let id = {
            let model = self.model();
            let network = model.network(name.as_str())?;
            network.check_open()?;
            network.check_resolver()?;
            if network.names.contains(&stated) {
                return Ok(true);
            }
            if network.names.len() >= STATIC_MAX {
                return Err(ControlError::TooManyNames {
                    network: name.to_string(),
                    limit: STATIC_MAX,
                });
            }
            network.id.clone()
        };
        let mut changes = Changes::default();
        changes.put(&DnsNameIntent {
            network: id.clone(),
            name: stated.0.clone(),
            address: stated.1,
        })?;
        self.journal.write(changes)?;
        self.model().add_name(&id, stated);
        self.publish_names(&id);
        info!(network = %name, name = %request.name, "name added");
        Ok(false)
    }

    /// Takes back that a name leads to an address, or all that was stated of it.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoResolver`, `NoDnsName`; what the store says.
    pub fn dns_del(
        &self,
        network: &str,
        name: &Name,
        address: Option<IpAddr>,
    ) -> Result<(), ControlError> {
        let address = address.map(|address| address.to_canonical());
        let network = self.model().network(network)?.name.clone();
        let _turn = self.network_turns.take(&network);
        let (id, stated) = {
            let model = self.model();
            let network = model.network(network.as_str())?;
            network.check_resolver()?;
            let stated = network.names.iter().filter(|(known, at)| {
                known == name && address.is_none_or(|address| address == *at)
            });
            (network.id.clone(), stated.cloned().collect::<Vec<_>>())
        };
        if stated.is_empty() {
            return Err(ControlError::NoDnsName {
                network: network.to_string(),
                name: name.clone(),
            });
        }
        let mut changes = Changes::default();
        for (name, address) in &stated {
            changes.delete(&DnsNameIntent::key_of(&id, name, *address))?;
        }
        self.journal.write(changes)?;
        {
            let mut model = self.model();
            for stated in &stated {
                model.forget_name(&id, stated);
            }
        }
        self.publish_names(&id);
        info!(%network, %name, "name removed");
        Ok(())
    }

    /// Asks the resolver of a network as a sandbox of it would. Takes five seconds at most.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoResolver`, `Unaskable`.
    pub fn dns_query(
        &self,
        network: &str,
        question: &DnsQuestion,
    ) -> Result<DnsAnswer, ControlError> {
        let id = self.resolving(network)?;
        let (number, name) = {
            let model = self.model();
            let network = model.network(id.as_str())?;
            (network.number, network.name.clone())
        };
        let is_address = question.name.parse::<IpAddr>().is_ok();
        let kinds = match &question.kind {
            Some(kind) => vec![kind.as_str()],
            None if is_address => vec!["PTR"],
            None => vec!["A", "AAAA"],
        };
        let mut answer: Option<DnsAnswer> = None;
        for kind in kinds {
            let random = u16::from_ne_bytes(self.random()?);
            let query = encode_query(&question.name, kind, random)
                .map_err(|source| ControlError::Unaskable { source })?;
            let reply = self.datapath.resolve(number, query);
            let shown = reply.and_then(|reply| show(&reply));
            let shown = shown.ok_or_else(|| ControlError::NoResolver {
                network: name.clone(),
            })?;
            let records = shown.records.into_iter().map(|record| DnsRecord {
                name: record.name,
                ttl: record.ttl,
                kind: record.kind,
                data: record.data,
            });
            match &mut answer {
                None => {
                    answer = Some(DnsAnswer {
                        status: shown.status,
                        authoritative: shown.authoritative,
                        records: records.collect(),
                    });
                }
                Some(answer) => {
                    for record in records {
                        if !answer.records.contains(&record) {
                            answer.records.push(record);
                        }
                    }
                }
            }
        }
        answer.ok_or(ControlError::NoResolver { network: name })
    }

    /// Returns what the resolver of a network did so far.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoResolver`.
    pub fn resolver(&self, network: &str) -> Result<ResolverView, ControlError> {
        let id = self.resolving(network)?;
        let (number, name, addresses) = {
            let model = self.model();
            let network = model.network(id.as_str())?;
            let addresses = network.resolvers().map(IpNet::addr).collect();
            (network.number, network.name.clone(), addresses)
        };
        let stats = self.datapath.resolver_stats();
        let stats = stats.get(&number).copied().unwrap_or_default();
        Ok(ResolverView {
            search: name,
            addresses,
            queries: stats.queries,
            refused: stats.refused,
            local: stats.local,
            cached: stats.cached,
            forwarded: stats.forwarded,
            limited: stats.limited,
            failed: stats.failed,
            cache_entries: stats.cache_len,
        })
    }

    /// Returns the id of a network that has a resolver.
    fn resolving(&self, network: &str) -> Result<Id, ControlError> {
        let model = self.model();
        let network = model.network(network)?;
        network.check_resolver()?;
        Ok(network.id.clone())
    }
}

impl NetworkRecord {
    /// Tells whether names are answered at its gateway.
    pub(crate) fn has_resolver(&self) -> bool {
        self.resolvers().next().is_some()
    }

    /// Refuses where names are not answered.
    fn check_resolver(&self) -> Result<(), ControlError> {
        if self.has_resolver() {
            return Ok(());
        }
        Err(ControlError::NoResolver {
            network: self.name.clone(),
        })
    }

    /// Returns the addresses at which names are answered, with the prefix length of their subnet.
    pub(crate) fn resolvers(&self) -> impl Iterator<Item = &IpNet> {
        let gateway = self.settings.gateway.as_ref();
        let gateway = gateway.filter(|_| serves_names(&self.options));
        gateway.into_iter().flat_map(|gateway| &gateway.addresses)
    }
}

/// Returns all names of a network.
fn network_names(model: &Model, network: &NetworkRecord) -> NetworkNames {
    let record = |name: &Name, addresses: &[IpAddr], is_alias| NameRecord {
        name: name.to_string(),
        addresses: addresses.to_vec(),
        is_alias,
    };
    let mut records = Vec::new();
    for endpoint in model.endpoints_of(&network.id) {
        let EndpointRecord {
            addresses,
            aliases,
            sandbox_name,
            ..
        } = endpoint;
        let addresses: Vec<IpAddr> = addresses.iter().map(IpNet::addr).collect();
        records.push(record(sandbox_name, &addresses, false));
        records.extend(aliases.iter().map(|alias| record(alias, &addresses, true)));
    }
    for (name, address) in &network.names {
        records.push(record(name, &[*address], false));
    }
    let way_out = network.settings.gateway.as_ref();
    let way_out = way_out.map_or(WayOut::None, |gateway| gateway.way_out);
    NetworkNames {
        domain: network.name.to_string(),
        subnets: network.all_subnets().collect(),
        gateway: network.resolvers().map(IpNet::addr).collect(),
        host: Vec::new(),
        records,
        world: match way_out {
            WayOut::None => World::Closed,
            WayOut::Masquerade | WayOut::Routed => World::Forwarded,
        },
    }
}
