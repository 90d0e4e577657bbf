//! Ports of the uplink that lead to a sandbox.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PortRange;
use crate::datapath::{PublishedPorts, Transport};

/// Ports of the uplink, and the ports of the sandbox that they lead to: as many, in the same order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PortMapping {
    /// The protocol.
    pub protocol: Transport,
    /// The address of the uplink; unspecified for every one of its family.
    pub host_ip: IpAddr,
    /// Ports of the uplink, such as `8000-8009`.
    pub host_ports: PortRange,
    /// Ports of the sandbox.
    pub ports: PortRange,
    /// Why they do not lead there: after a restart a program of the host has one of them, which is looked at again. None
    /// while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// An address and a port of the uplink, in the shape of `docker inspect`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct HostBinding {
    /// The address; unspecified for every one of its family.
    pub host_ip: IpAddr,
    /// The port.
    pub host_port: String,
}

/// Returns what leads to each port of a sandbox now, by `PORT/PROTOCOL`, as `docker inspect` shows it under
/// `NetworkSettings.Ports`.
pub fn docker_ports<'m>(
    mappings: impl IntoIterator<Item = &'m PortMapping>,
) -> BTreeMap<String, Vec<HostBinding>> {
    let mut ports: BTreeMap<String, Vec<HostBinding>> = BTreeMap::new();
    for mapping in mappings.into_iter().filter(|it| it.problem.is_none()) {
        let pairs = mapping.ports.ports().zip(mapping.host_ports.ports());
        for (port, host_port) in pairs {
            let bindings = ports.entry(format!("{port}/{}", mapping.protocol));
            bindings.or_default().push(HostBinding {
                host_ip: mapping.host_ip,
                host_port: host_port.to_string(),
            });
        }
    }
    ports
}

impl From<&PublishedPorts> for PortMapping {
    fn from(published: &PublishedPorts) -> Self {
        Self {
            protocol: published.transport,
            host_ip: published.host_or_any(),
            host_ports: published.host_ports,
            ports: published.target_ports,
            problem: None,
        }
    }
}

impl fmt::Display for PortMapping {
    /// Writes `192.0.2.1:8080->80/tcp`, as `docker ps` does, and whether it waits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            IpAddr::V4(address) => write!(f, "{address}")?,
            IpAddr::V6(address) => write!(f, "[{address}]")?,
        }
        write!(f, ":{}->{}/{}", self.host_ports, self.ports, self.protocol)?;
        match self.problem {
            Some(_) => f.write_str(" (waiting)"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(host_ip: &str, host_ports: &str, ports: &str) -> PortMapping {
        PortMapping {
            protocol: Transport::Tcp,
            host_ip: host_ip.parse().unwrap(),
            host_ports: host_ports.parse().unwrap(),
            ports: ports.parse().unwrap(),
            problem: None,
        }
    }

    #[test]
    fn mappings_are_written_as_docker_does() {
        let one = mapping("192.0.2.1", "8080", "80");
        assert_eq!(one.to_string(), "192.0.2.1:8080->80/tcp");
        let some = mapping("::", "8000-8001", "80-81");
        assert_eq!(some.to_string(), "[::]:8000-8001->80-81/tcp");
        let waiting = PortMapping {
            problem: Some("somebody has it".to_owned()),
            ..one
        };
        assert_eq!(waiting.to_string(), "192.0.2.1:8080->80/tcp (waiting)");
        assert!(docker_ports(&[waiting]).is_empty());
    }

    #[test]
    fn every_port_has_its_bindings() {
        let mappings = [
            mapping("0.0.0.0", "8000-8001", "80-81"),
            mapping("::", "8000-8001", "80-81"),
        ];
        let shown = serde_json::to_value(docker_ports(&mappings)).unwrap();
        let expected = json!({
            "80/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "8000"},
                {"HostIp": "::", "HostPort": "8000"},
            ],
            "81/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "8001"},
                {"HostIp": "::", "HostPort": "8001"},
            ],
        });
        assert_eq!(shown, expected);
    }
}
