//! Networks: what is asked for, and what `inspect` shows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_net::{Vid, VidSet};

use super::HostBinding;
use super::schema;
use crate::{Id, Name};

/// A network to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNetwork {
    /// Its name.
    pub name: Name,
    /// What carries it: `bridge`, which is the default, `overlay`, or `nic`, the LAN of an interface of the
    /// host.
    #[serde(default = "bridge")]
    pub driver: String,
    /// The interface of the host whose LAN it is part of; only for the driver `nic`, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its subnets; none for one from the default pools, or with the driver `nic` for no addresses.
    #[serde(default)]
    pub subnets: Vec<SubnetRequest>,
    /// Whether it has no addresses at all and carries every `EtherType`.
    #[serde(default)]
    pub l2_only: bool,
    /// Whether it has IPv6. If no IPv6 subnet is asked for, it gets one of the default pools, or a unique local
    /// /64 where these have none.
    #[serde(default)]
    pub ipv6: bool,
    /// Whether it has no way to the outside.
    #[serde(default)]
    pub internal: bool,
    /// Largest L3 packet, in bytes; if none, 1500 or what the underlay leaves for an overlay.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// How an overlay travels: `vxlan`, one link on all hosts, if none; `fou`, `gue` or `ipip`, a subnet per
    /// host and routes between them.
    #[serde(default)]
    pub encap: Option<String>,
    /// The UDP port of an overlay; if none, the daemon's for `vxlan`, 5555 for `fou`, 6080 for `gue`;
    /// `ipip` has none.
    #[serde(default)]
    pub encap_port: Option<u16>,
    /// The VXLAN network identifier of an overlay, 0 to 16777215; only for `vxlan`, which needs it.
    #[serde(default)]
    #[schemars(range(max = 0x00ff_ffff))]
    pub vni: Option<u32>,
    /// Whether its endpoints reach each other; they do if none.
    #[serde(default)]
    pub icc: Option<bool>,
    /// Whether the sources of what leaves the network are replaced by the uplink's address; they are if
    /// none.
    #[serde(default)]
    pub masquerade: Option<bool>,
    /// Labels, kept as they are.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

fn bridge() -> String {
    "bridge".to_owned()
}

impl CreateNetwork {
    /// Asks for a bridge network called `name` with everything else by default.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            driver: bridge(),
            parent: None,
            subnets: Vec::new(),
            l2_only: false,
            ipv6: false,
            internal: false,
            mtu: None,
            encap: None,
            encap_port: None,
            vni: None,
            icc: None,
            masquerade: None,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        }
    }
}

/// A subnet of a network to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubnetRequest {
    /// Its prefix, without host bits; the unspecified address for any of that length from the default pools, such
    /// as `0.0.0.0/20`.
    #[schemars(with = "schema::Prefix")]
    pub subnet: IpNet,
    /// The part of it that addresses are taken from; all of it if none.
    #[serde(default)]
    #[schemars(with = "Option<schema::Prefix>")]
    pub ip_range: Option<IpNet>,
    /// The gateway's address; the first usable one if none.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses that something else uses, by name.
    #[serde(default)]
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// A network in the shape of `docker network inspect`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkInspect {
    /// Its name.
    pub name: Name,
    /// Its id.
    pub id: Id,
    /// When it was made (RFC 3339).
    pub created: String,
    /// How far it reaches: `local`, one host.
    pub scope: String,
    /// What carries it.
    pub driver: String,
    /// Whether it has an IPv4 subnet.
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: bool,
    /// Whether it has an IPv6 subnet.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Its addresses.
    #[serde(rename = "IPAM")]
    pub ipam: IpamInspect,
    /// Whether it has no way to the outside.
    pub internal: bool,
    /// Whether sandboxes can be connected by hand: always.
    pub attachable: bool,
    /// Docker's swarm ingress network: never.
    pub ingress: bool,
    /// Docker's configuration networks: none.
    pub config_from: ConfigFrom,
    /// Docker's configuration networks: never.
    pub config_only: bool,
    /// The sandboxes in it, by their ids.
    pub containers: BTreeMap<Id, ContainerInspect>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Why it reaches no other host or LAN: it could not be joined to them after a restart, which is tried
    /// again. Docker has no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The addresses of a network, in Docker's shape.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct IpamInspect {
    /// Who manages the addresses: `default`, or `null` for a network without.
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// The subnets.
    pub config: Vec<IpamConfig>,
}

/// A subnet, in Docker's shape.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct IpamConfig {
    /// Its prefix.
    #[schemars(with = "schema::Prefix")]
    pub subnet: IpNet,
    /// The part of it that addresses are taken from, if limited.
    #[serde(rename = "IPRange", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Prefix>")]
    pub ip_range: Option<IpNet>,
    /// The gateway's address.
    pub gateway: IpAddr,
    /// Addresses that something else uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auxiliary_addresses: BTreeMap<String, IpAddr>,
}

/// The network that Docker would have taken a configuration from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ConfigFrom {
    /// Its name: empty.
    pub network: String,
}

/// A sandbox in a network, in Docker's shape. Addresses are with prefix length, or empty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerInspect {
    /// Its name.
    pub name: Name,
    /// The id of its endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: Id,
    /// Its MAC address.
    pub mac_address: String,
    /// Its IPv4 address.
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    /// Its IPv6 address.
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
    /// The VLAN of its untagged frames, if they are in one. Docker has no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Vlan>")]
    pub vlan: Option<Vid>,
    /// The VLANs of its tagged frames, for a trunk. Docker has no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Vlans>")]
    pub trunk: Option<VidSet>,
    /// What leads to its ports from outside, by `PORT/PROTOCOL`. Docker shows it at the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Vec<HostBinding>>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn inspect_has_the_keys_of_docker() {
        let id = Id::from_random([7; 32]);
        let container = ContainerInspect {
            name: "web".parse().unwrap(),
            endpoint_id: id.clone(),
            mac_address: "02:00:0a:00:00:02".to_owned(),
            ipv4_address: "10.0.0.2/24".to_owned(),
            ipv6_address: String::new(),
            vlan: None,
            trunk: None,
            ports: BTreeMap::new(),
        };
        let config = IpamConfig {
            subnet: "10.0.0.0/24".parse().unwrap(),
            ip_range: Some("10.0.0.0/25".parse().unwrap()),
            gateway: "10.0.0.1".parse().unwrap(),
            auxiliary_addresses: BTreeMap::from([("dns".to_owned(), "10.0.0.9".parse().unwrap())]),
        };
        let inspect = NetworkInspect {
            name: "net".parse().unwrap(),
            id: id.clone(),
            created: String::new(),
            scope: "local".to_owned(),
            driver: "bridge".to_owned(),
            enable_ipv4: true,
            enable_ipv6: false,
            ipam: IpamInspect {
                driver: "default".to_owned(),
                options: BTreeMap::new(),
                config: vec![config],
            },
            internal: false,
            attachable: true,
            ingress: false,
            config_from: ConfigFrom::default(),
            config_only: false,
            containers: BTreeMap::from([(id.clone(), container)]),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
            problem: None,
        };
        let expected = json!({
            "Name": "net", "Id": id, "Created": "", "Scope": "local", "Driver": "bridge",
            "EnableIPv4": true, "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Options": {}, "Config": [{
                "Subnet": "10.0.0.0/24", "IPRange": "10.0.0.0/25", "Gateway": "10.0.0.1",
                "AuxiliaryAddresses": {"dns": "10.0.0.9"},
            }]},
            "Internal": false, "Attachable": true, "Ingress": false,
            "ConfigFrom": {"Network": ""}, "ConfigOnly": false,
            "Containers": {id.as_str(): {
                "Name": "web", "EndpointID": id, "MacAddress": "02:00:0a:00:00:02",
                "IPv4Address": "10.0.0.2/24", "IPv6Address": "",
            }},
            "Options": {}, "Labels": {},
        });
        assert_eq!(serde_json::to_value(&inspect).unwrap(), expected);
        let back: NetworkInspect = serde_json::from_value(expected).unwrap();
        assert_eq!(back, inspect);
    }

    #[test]
    fn a_request_with_an_unknown_field_or_a_subnet_without_length_is_refused() {
        let parse = |value: Value| serde_json::from_value::<CreateNetwork>(value);
        let name: Name = "n".parse().unwrap();
        assert_eq!(
            parse(json!({"name": "n"})).unwrap(),
            CreateNetwork::new(name)
        );
        let error = parse(json!({"name": "n", "nmae": "n"})).unwrap_err();
        assert!(error.to_string().contains("unknown field `nmae`"));
        parse(json!({"name": "n", "subnets": [{"subnet": "10.0.0.0"}]})).unwrap_err();
        parse(json!({"name": "n", "subnets": ["10.0.0.0/8"]})).unwrap_err();
    }
}
