//! A network: what was asked for, with everything that was chosen for it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tapweave_ipam::{Subnet, SubnetSpec};

use super::Record;
use crate::api::CreateNetwork;
use crate::{Id, Name};

/// A network as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkIntent {
    /// Its id.
    pub(crate) id: Id,
    /// Its name.
    pub(crate) name: Name,
    /// When it was made (RFC 3339).
    pub(crate) created: String,
    /// What carries it.
    pub(crate) driver: String,
    /// The interface of the host whose LAN it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    /// Its subnets, those that were chosen too; each with its gateway.
    pub(crate) subnets: Vec<SubnetIntent>,
    /// Whether it was asked to have no addresses.
    pub(crate) l2_only: bool,
    /// Whether it has no way to the outside.
    pub(crate) internal: bool,
    /// Its MTU in bytes, asked for or not: an overlay's does not change with the underlay.
    pub(crate) mtu: u16,
    /// The MTU that was asked for by flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_mtu: Option<u32>,
    /// How an overlay travels, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encap: Option<String>,
    /// The UDP port of an overlay, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encap_port: Option<u16>,
    /// The VXLAN network identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vni: Option<u32>,
    /// Whether its endpoints reach each other, if that was asked for by flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) icc: Option<bool>,
    /// Whether sources are replaced, if that was asked for by flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) masquerade: Option<bool>,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Driver options as they were given.
    pub(crate) options: BTreeMap<String, String>,
}

/// A subnet of a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubnetIntent {
    /// Its prefix.
    pub(crate) subnet: IpNet,
    /// The part of it that addresses are taken from, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ip_range: Option<IpNet>,
    /// The gateway's address.
    pub(crate) gateway: IpAddr,
    /// Addresses that something else uses, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) aux_addresses: BTreeMap<String, IpAddr>,
}

impl NetworkIntent {
    /// Returns what is stored of the network that `request` became. Subnets and MTU are those chosen.
    pub(crate) fn new<'s>(
        id: Id,
        created: String,
        request: &CreateNetwork,
        subnets: impl IntoIterator<Item = &'s Subnet>,
        mtu: u16,
    ) -> Self {
        Self {
            id,
            name: request.name.clone(),
            created,
            driver: request.driver.clone(),
            parent: request.parent.clone(),
            subnets: subnets.into_iter().map(SubnetIntent::from).collect(),
            l2_only: request.l2_only,
            internal: request.internal,
            mtu,
            asked_mtu: request.mtu,
            encap: request.encap.clone(),
            encap_port: request.encap_port,
            vni: request.vni,
            icc: request.icc,
            masquerade: request.masquerade,
            labels: request.labels.clone(),
            options: request.options.clone(),
        }
    }

    /// Returns the request that is validated again when the network is restored.
    pub(crate) fn request(&self) -> CreateNetwork {
        CreateNetwork {
            name: self.name.clone(),
            driver: self.driver.clone(),
            parent: self.parent.clone(),
            subnets: self.subnets.iter().map(SubnetIntent::request).collect(),
            l2_only: self.l2_only,
            // Its subnet is among the others by now.
            ipv6: false,
            internal: self.internal,
            mtu: self.asked_mtu,
            encap: self.encap.clone(),
            encap_port: self.encap_port,
            vni: self.vni,
            icc: self.icc,
            masquerade: self.masquerade,
            labels: self.labels.clone(),
            options: self.options.clone(),
        }
    }
}

impl NetworkIntent {
    /// Returns the key of a network.
    pub(crate) fn key_of(id: &Id) -> String {
        format!("{}{id}", Self::FOLDER)
    }
}

impl Record for NetworkIntent {
    const FOLDER: &'static str = "networks/";

    fn key(&self) -> String {
        Self::key_of(&self.id)
    }
}

impl SubnetIntent {
    fn request(&self) -> crate::api::SubnetRequest {
        crate::api::SubnetRequest {
            subnet: self.subnet,
            ip_range: self.ip_range,
            gateway: Some(self.gateway),
            aux_addresses: self.aux_addresses.clone(),
        }
    }
}

impl From<&Subnet> for SubnetIntent {
    fn from(subnet: &Subnet) -> Self {
        let SubnetSpec {
            subnet: prefix,
            ip_range,
            aux_addresses,
            ..
        } = subnet.spec();
        Self {
            subnet: *prefix,
            ip_range: *ip_range,
            gateway: subnet.gateway(),
            aux_addresses: aux_addresses.clone(),
        }
    }
}
