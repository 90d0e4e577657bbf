//! What an interface in a sandbox is to be like, checked before anything is made.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tapweave_net::MacAddr;
use thiserror::Error;

use crate::fd_message::MAX_FD_COUNT;
use crate::sys::tun::IFNAME_LEN;
use crate::tun_queues::descriptor_count;

/// What an interface in a sandbox is to be like.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceSpec {
    /// Its name, 1 to 15 bytes; none: the first `ethN` that is free in the namespace.
    pub ifname: Option<String>,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Bytes of the longest IP packet, 68 to 65,521; at least 1,280 with IPv6.
    pub mtu: u16,
    /// Its addresses with the lengths of their prefixes. IPv6 addresses are usable at once: the
    /// switch sees to it that they are unique (no RFC 4862 §5.4 detection).
    pub addresses: Vec<IpNet>,
    /// Next hops of the default routes, at most one per family, each within an address's prefix. Where the
    /// namespace has a default route of somebody else's, that one stays and no other is made.
    pub default_gateways: Vec<IpAddr>,
    /// Metric of the default routes, one of [`InterfaceSpec::METRICS`]. Of several interfaces of a namespace, the
    /// routes of that with the lowest are used, and when it goes, those of the next.
    pub route_metric: u32,
    /// Queues, 1 to 64. More than one needs a reader for each.
    pub queue_count: u16,
    /// Whether super-frames and partial checksums cross the interface.
    pub offloading: Offloading,
    /// Most segments of a super-frame that the sandbox itself sends; none: as many as the kernel likes.
    pub segments_max: Option<u16>,
}

/// Whether an interface passes work on instead of doing it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offloading {
    /// All that the kernel offers.
    #[default]
    On,
    /// None: complete frames no longer than the MTU.
    Off,
}

/// Why an interface cannot be what is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The kernel would not take the name.
    #[error(
        "{ifname:?} is not an interface name (1 to 15 bytes, no blank, '/', ':' or '%', not '.' or '..')"
    )]
    Ifname {
        /// What was asked for.
        ifname: String,
    },
    /// A group address, or zero.
    #[error("{mac} cannot be the address of an interface: it is a group address or zero")]
    Mac {
        /// What was asked for.
        mac: MacAddr,
    },
    /// No TAP takes it.
    #[error("an MTU of {mtu} bytes is not possible (68 to 65521)")]
    Mtu {
        /// What was asked for.
        mtu: u16,
    },
    /// RFC 8200 §5.
    #[error("an MTU of {mtu} bytes is too small for IPv6, which needs 1280")]
    MtuForV6 {
        /// What was asked for.
        mtu: u16,
    },
    /// Other routes would be preferred, or taken for ours.
    #[error("default routes with a metric of {metric} are not possible (1 to 1023)")]
    RouteMetric {
        /// What was asked for.
        metric: u32,
    },
    /// Not a number of queues.
    #[error("{queue_count} queues are not possible (1 to 64)")]
    QueueCount {
        /// What was asked for.
        queue_count: u16,
    },
    /// Two gateways of one family.
    #[error("{gateway} is a second default gateway of its family")]
    SecondGateway {
        /// The second.
        gateway: IpAddr,
    },
    /// The kernel would not find the gateway.
    #[error("default gateway {gateway} is in the prefix of no address")]
    FarGateway {
        /// What was asked for.
        gateway: IpAddr,
    },
    /// One address twice.
    #[error("address {address} is given twice")]
    SecondAddress {
        /// The address.
        address: IpAddr,
    },
}

/// With the socket to see the interface through.
const _: () = assert!(descriptor_count(InterfaceSpec::MAX_QUEUE_COUNT as usize) < MAX_FD_COUNT);

impl InterfaceSpec {
    /// Most queues of an interface: nobody has as many cores, and one message takes them all.
    pub const MAX_QUEUE_COUNT: u16 = 64;

    /// Metrics of default routes: before 1024, which the kernel gives to those that routers advertise
    /// (`IP6_RT_PRIO_USER`), since a gateway does that too in each of the namespace's networks.
    pub const METRICS: RangeInclusive<u32> = 1..=1023;

    /// Checks everything that can be checked outside of the namespace.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), SpecError> {
        if let Some(ifname) = &self.ifname
            && !is_ifname(ifname)
        {
            let ifname = ifname.clone();
            return Err(SpecError::Ifname { ifname });
        }
        if !self.mac.is_station() {
            return Err(SpecError::Mac { mac: self.mac });
        }
        let mtu = self.mtu;
        if !(68..=65_521).contains(&mtu) {
            return Err(SpecError::Mtu { mtu });
        }
        let has_v6 = self
            .addresses
            .iter()
            .any(|address| address.addr().is_ipv6());
        if has_v6 && mtu < 1280 {
            return Err(SpecError::MtuForV6 { mtu });
        }
        let queue_count = self.queue_count;
        if !(1..=Self::MAX_QUEUE_COUNT).contains(&queue_count) {
            return Err(SpecError::QueueCount { queue_count });
        }
        let metric = self.route_metric;
        if !Self::METRICS.contains(&metric) {
            return Err(SpecError::RouteMetric { metric });
        }
        self.validate_addresses()
    }

    fn validate_addresses(&self) -> Result<(), SpecError> {
        for (count, address) in self.addresses.iter().map(IpNet::addr).enumerate() {
            let mut before = self.addresses.iter().take(count);
            if before.any(|other| other.addr() == address) {
                return Err(SpecError::SecondAddress { address });
            }
        }
        for (count, &gateway) in self.default_gateways.iter().enumerate() {
            let mut before = self.default_gateways.iter().take(count);
            if before.any(|other| other.is_ipv4() == gateway.is_ipv4()) {
                return Err(SpecError::SecondGateway { gateway });
            }
            if !self
                .addresses
                .iter()
                .any(|address| address.contains(&gateway))
            {
                return Err(SpecError::FarGateway { gateway });
            }
        }
        Ok(())
    }
}

/// What `dev_valid_name` of `net/core/dev.c` takes, without `%`, for which the kernel would fill in a
/// number.
fn is_ifname(name: &str) -> bool {
    let is_usable =
        |byte: u8| !byte.is_ascii_whitespace() && !matches!(byte, 0 | 0x0b | b'/' | b':' | b'%');
    !name.is_empty()
        && name.len() < IFNAME_LEN
        && !matches!(name, "." | "..")
        && name.bytes().all(is_usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> InterfaceSpec {
        InterfaceSpec {
            ifname: Some("eth0".to_owned()),
            mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            segments_max: None,
            addresses: vec![
                "10.1.0.2/24".parse().unwrap(),
                "fd00::2/64".parse().unwrap(),
            ],
            default_gateways: vec!["10.1.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            route_metric: 512,
            queue_count: 1,
            offloading: Offloading::On,
        }
    }

    fn refusal(change: impl FnOnce(&mut InterfaceSpec)) -> String {
        let mut spec = good();
        change(&mut spec);
        spec.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_spec_survives_the_way_to_the_helper() {
        good().validate().unwrap();
        let text = serde_json::to_string(&good()).unwrap();
        assert_eq!(
            serde_json::from_str::<InterfaceSpec>(&text).unwrap(),
            good()
        );
    }

    #[test]
    fn names_that_the_kernel_refuses_are_refused() {
        for name in [
            "",
            "sixteen-bytes-xx",
            ".",
            "..",
            "a/b",
            "a:b",
            "a b",
            "eth%d",
            "a\u{b}",
            "a\0",
        ] {
            let text = refusal(|spec| spec.ifname = Some(name.to_owned()));
            assert!(text.contains("is not an interface name"), "{text}");
        }
        for name in ["fifteen-bytes-x", "e", "veth.1", "größe"] {
            let mut spec = good();
            spec.ifname = Some(name.to_owned());
            spec.validate().unwrap();
        }
    }

    #[test]
    fn what_no_interface_can_be_is_refused() {
        assert!(refusal(|spec| spec.mac = MacAddr::BROADCAST).contains("group address"));
        assert!(refusal(|spec| spec.mac = MacAddr::ZERO).contains("or zero"));
        assert!(refusal(|spec| spec.mtu = 67).contains("67 bytes"));
        assert!(refusal(|spec| spec.mtu = 65_522).contains("65522 bytes"));
        assert!(refusal(|spec| spec.mtu = 1279).contains("IPv6"));
        assert!(refusal(|spec| spec.route_metric = 0).contains("metric of 0"));
        assert!(refusal(|spec| spec.route_metric = 1024).contains("metric of 1024"));
        assert!(refusal(|spec| spec.queue_count = 0).contains("0 queues"));
        assert!(refusal(|spec| spec.queue_count = 65).contains("65 queues"));
        let far = refusal(|spec| spec.default_gateways[0] = "10.2.0.1".parse().unwrap());
        assert!(far.contains("10.2.0.1 is in the prefix of no address"));
        let second = refusal(|spec| spec.default_gateways[1] = "10.1.0.3".parse().unwrap());
        assert!(second.contains("second default gateway"));
        let twice = refusal(|spec| spec.addresses[1] = "10.1.0.2/16".parse().unwrap());
        assert!(twice.contains("10.1.0.2 is given twice"));
    }
}
