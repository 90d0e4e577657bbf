//! What `--publish` takes: `[IP:][HOSTPORT[-END]:]PORT[-END][/PROTO]`, as Docker writes it.
//!
//! Only the words are read here. Whether the address is one of the uplink's and whether the ports are
//! free is known where the endpoint is planned (`model::publishing`). `IP::PORT` and `IP:PORT` both leave
//! the port of the uplink open. IPv6 addresses stand in brackets, because ports follow a colon as well.

mod port_range;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::datapath::Transport;

pub use port_range::{PortRange, PortRangeError};

/// Ports of a sandbox that the outside is to reach.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishSpec {
    host: Option<IpAddr>,
    host_ports: Option<PortRange>,
    ports: PortRange,
    transport: Transport,
}

/// A text that says nothing about ports to be published.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PublishSpecError {
    /// A part too many, or an IPv6 address without brackets.
    #[error(
        "{text:?} is not [IP:][HOSTPORT[-END]:]PORT[-END][/PROTO]; IPv6 addresses stand in brackets"
    )]
    Syntax {
        /// What was given.
        text: String,
    },
    /// The address is none.
    #[error("{given:?} is not an IP address")]
    Address {
        /// What was given.
        given: String,
    },
    /// A port, or a range of them, is none.
    #[error(transparent)]
    Ports(#[from] PortRangeError),
    /// As many ports here as there is impossible.
    #[error("{host_ports} and {ports} are ranges of different lengths")]
    Lengths {
        /// Ports of the uplink.
        host_ports: PortRange,
        /// Ports of the sandbox.
        ports: PortRange,
    },
    /// A protocol that has ports and that no gateway translates.
    #[error("{given} ports cannot be published: the gateway translates TCP, UDP and ICMP only")]
    NotTranslated {
        /// What was given.
        given: String,
    },
    /// No protocol.
    #[error("protocol {given:?} is not tcp or udp")]
    Protocol {
        /// What was given.
        given: String,
    },
}

impl PublishSpec {
    /// Returns the address of the uplink that was asked for. Unspecified addresses mean all of their
    /// family; none means that nothing was said.
    pub const fn host(&self) -> Option<IpAddr> {
        self.host
    }

    /// Returns the ports of the uplink that were asked for: as many as those of the sandbox, or more for a
    /// single one of the sandbox, which gets a free one of them. None for any that are free.
    pub const fn host_ports(&self) -> Option<PortRange> {
        self.host_ports
    }

    /// Returns the ports of the sandbox.
    pub const fn ports(&self) -> PortRange {
        self.ports
    }

    /// Returns the protocol.
    pub const fn transport(&self) -> Transport {
        self.transport
    }
}

impl FromStr for PublishSpec {
    type Err = PublishSpecError;

    fn from_str(text: &str) -> Result<Self, PublishSpecError> {
        let (places, transport) = match text.split_once('/') {
            Some((places, protocol)) => (places, transport(protocol)?),
            None => (text, Transport::Tcp),
        };
        let syntax = || PublishSpecError::Syntax {
            text: text.to_owned(),
        };
        let (host, places) = match places.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or_else(syntax)?;
                let rest = rest.strip_prefix(':').ok_or_else(syntax)?;
                let address = address
                    .parse::<Ipv6Addr>()
                    .map_err(|_not_v6| bad_address(address))?;
                (Some(IpAddr::V6(address).to_canonical()), rest)
            }
            None => split_host(places)?,
        };
        let (host_ports, ports) = match places.split_once(':') {
            None => (None, places),
            Some(("", ports)) if host.is_some() => (None, ports),
            Some((_, more)) if more.contains(':') => return Err(syntax()),
            Some((host_ports, ports)) => (Some(host_ports.parse::<PortRange>()?), ports),
        };
        let ports: PortRange = ports.parse()?;
        match host_ports {
            Some(host_ports) if ports.further() > 0 && host_ports.further() != ports.further() => {
                Err(PublishSpecError::Lengths { host_ports, ports })
            }
            _ => Ok(Self {
                host,
                host_ports,
                ports,
                transport,
            }),
        }
    }
}

/// Splits an IPv4 address off, which is told from a port by its dots or by what follows.
fn split_host(places: &str) -> Result<(Option<IpAddr>, &str), PublishSpecError> {
    let Some((first, rest)) = places.split_once(':') else {
        return Ok((None, places));
    };
    if !first.contains('.') && !rest.contains(':') {
        return Ok((None, places));
    }
    if rest.matches(':').count() > 1 {
        return Err(PublishSpecError::Syntax {
            text: places.to_owned(),
        });
    }
    let address = first.parse().map_err(|_not_v4| bad_address(first))?;
    Ok((Some(IpAddr::V4(address)), rest))
}

fn bad_address(given: &str) -> PublishSpecError {
    PublishSpecError::Address {
        given: given.to_owned(),
    }
}

fn transport(protocol: &str) -> Result<Transport, PublishSpecError> {
    let given = protocol.to_ascii_lowercase();
    match given.as_str() {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        "sctp" | "dccp" | "udplite" => Err(PublishSpecError::NotTranslated { given }),
        _ => Err(PublishSpecError::Protocol {
            given: protocol.to_owned(),
        }),
    }
}

impl fmt::Display for PublishSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        if let Some(host_ports) = self.host_ports {
            write!(f, "{host_ports}:")?;
        } else if self.host.is_some() {
            f.write_str(":")?;
        }
        write!(f, "{}/{}", self.ports, self.transport)
    }
}

impl TryFrom<String> for PublishSpec {
    type Error = PublishSpecError;

    fn try_from(text: String) -> Result<Self, PublishSpecError> {
        text.parse()
    }
}

impl From<PublishSpec> for String {
    fn from(spec: PublishSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// Host, its ports, the sandbox's ports, protocol.
    type Parts = (Option<IpAddr>, Option<PortRange>, PortRange, Transport);

    fn spec((host, host_ports, ports, transport): Parts) -> PublishSpec {
        PublishSpec {
            host,
            host_ports,
            ports,
            transport,
        }
    }

    fn range(first: u16, last: u16) -> PortRange {
        PortRange::new(first, last).unwrap()
    }

    #[test]
    fn every_form_is_read() {
        let (tcp, udp) = (Transport::Tcp, Transport::Udp);
        let v4 = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let v6 = Some("2001:db8::1".parse().unwrap());
        let http = range(80, 80);
        let alternative = Some(range(8080, 8080));
        for (text, parts) in [
            ("80", (None, None, http, tcp)),
            ("80/udp", (None, None, http, udp)),
            ("80/TCP", (None, None, http, tcp)),
            ("8080:80", (None, alternative, http, tcp)),
            ("192.0.2.1:8080:80", (v4, alternative, http, tcp)),
            ("192.0.2.1::80", (v4, None, http, tcp)),
            ("192.0.2.1:80", (v4, None, http, tcp)),
            ("[2001:db8::1]:8080:80/udp", (v6, alternative, http, udp)),
            ("[2001:db8::1]:80", (v6, None, http, tcp)),
            ("[2001:db8::1]::80", (v6, None, http, tcp)),
            ("[::ffff:192.0.2.1]:80", (v4, None, http, tcp)),
            ("80-89", (None, None, range(80, 89), tcp)),
            (
                "8000-8009:80-89",
                (None, Some(range(8000, 8009)), range(80, 89), tcp),
            ),
            ("8000-8009:80", (None, Some(range(8000, 8009)), http, tcp)),
        ] {
            assert_eq!(text.parse(), Ok(spec(parts)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("", "\"\" is not a port from 1 to 65535"),
            ("0", "\"0\" is not a port from 1 to 65535"),
            ("65536", "\"65536\" is not a port from 1 to 65535"),
            ("+80", "\"+80\" is not a port from 1 to 65535"),
            (" 80", "\" 80\" is not a port from 1 to 65535"),
            ("0:80", "\"0\" is not a port from 1 to 65535"),
            (":80", "\"\" is not a port from 1 to 65535"),
            ("80:", "\"\" is not a port from 1 to 65535"),
            (
                "90-80",
                "90-80 is not a range of ports: it ends before it begins",
            ),
            ("80-", "\"\" is not a port from 1 to 65535"),
            ("80-85-90", "\"85-90\" is not a port from 1 to 65535"),
            (
                "8000-8001:80-89",
                "8000-8001 and 80-89 are ranges of different lengths",
            ),
            (
                "8000:80-89",
                "8000 and 80-89 are ranges of different lengths",
            ),
            (
                "80/sctp",
                "sctp ports cannot be published: the gateway translates TCP, UDP and ICMP only",
            ),
            ("80/", "protocol \"\" is not tcp or udp"),
            ("80/tcp/udp", "protocol \"tcp/udp\" is not tcp or udp"),
            ("192.0.2.256:80", "\"192.0.2.256\" is not an IP address"),
            ("web:8080:80", "\"web\" is not an IP address"),
            ("::80", "\"\" is not an IP address"),
            ("[192.0.2.1]:80", "\"192.0.2.1\" is not an IP address"),
            ("[fe80::1%eth0]:80", "\"fe80::1%eth0\" is not an IP address"),
        ] {
            let error = text.parse::<PublishSpec>().unwrap_err();
            assert_eq!(error.to_string(), said, "{text}");
        }
        for text in [
            "2001:db8::1:80",
            "[2001:db8::1]",
            "[2001:db8::1]80",
            "[80",
            "1.2.3.4:1:2:3",
        ] {
            let error = text.parse::<PublishSpec>().unwrap_err();
            assert!(
                matches!(error, PublishSpecError::Syntax { .. }),
                "{text}: {error}"
            );
        }
    }

    fn any_spec() -> impl Strategy<Value = PublishSpec> {
        let address = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(|octets| IpAddr::from(octets).to_canonical()),
        ];
        let ports = (1..=u16::MAX, 0..100_u16, 1..=u16::MAX);
        let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
        (option::of(address), ports, any::<bool>(), transport).prop_map(
            |(host, (first, further, host_first), is_fixed, transport)| {
                let further = further.min(u16::MAX - first).min(u16::MAX - host_first);
                spec((
                    host,
                    is_fixed.then(|| range(host_first, host_first + further)),
                    range(first, first + further),
                    transport,
                ))
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(spec in any_spec()) {
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            let json = serde_json::to_string(&spec).unwrap();
            prop_assert_eq!(serde_json::from_str::<PublishSpec>(&json).unwrap(), spec);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:./\\[\\]tcpud-]{0,24}") {
            if let Ok(spec) = text.parse::<PublishSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
                let fits = spec.host_ports().is_none_or(|host_ports| {
                    spec.ports().further() == 0 || host_ports.further() == spec.ports().further()
                });
                prop_assert!(fits);
            }
        }

        #[test]
        fn garbage_is_refused(text in "\\PC{0,12}") {
            let _either = text.parse::<PublishSpec>();
        }
    }
}
