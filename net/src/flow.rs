//! The flow that a frame belongs to.
//!
//! A flow is what must stay in order and on one path: the 5-tuple where it can be had, and as much of
//! it as can be had otherwise. All parts of a fragmented packet have one key, without ports, since
//! only the first part has them. Frames that are not IP are told apart by their MAC addresses and
//! type.
//!
//! The key says nothing of the network, the VLAN or the ingress port. A cache of decisions has to
//! add every one of those that the decision read.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::field::get;
use crate::{EtherType, IpProtocol, MacAddr};

/// Names a flow in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlowKey {
    /// IPv4.
    V4 {
        /// The address that the flow comes from.
        src: Ipv4Addr,
        /// The address that it goes to.
        dst: Ipv4Addr,
        /// What stands behind the IP header.
        protocol: IpProtocol,
        /// The ports of TCP and UDP; `None` for other protocols and for fragments.
        ports: Option<L4Ports>,
    },
    /// IPv6.
    V6 {
        /// The address that the flow comes from.
        src: Ipv6Addr,
        /// The address that it goes to.
        dst: Ipv6Addr,
        /// What stands behind the extension headers; for fragments the Next Header of the Fragment
        /// header, which is the same in all of them.
        protocol: IpProtocol,
        /// The ports of TCP and UDP; `None` for other protocols and for fragments.
        ports: Option<L4Ports>,
    },
    /// Neither.
    Link {
        /// The station that the flow comes from.
        src: MacAddr,
        /// The station or group that it goes to.
        dst: MacAddr,
        /// What it carries.
        ethertype: EtherType,
    },
}

/// The ports of TCP or UDP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct L4Ports {
    /// The port that the flow comes from.
    pub src: u16,
    /// The port that it goes to.
    pub dst: u16,
}

impl FlowKey {
    /// Returns the ports, if the flow has any.
    pub const fn ports(&self) -> Option<L4Ports> {
        match self {
            Self::V4 { ports, .. } | Self::V6 { ports, .. } => *ports,
            Self::Link { .. } => None,
        }
    }

    /// Returns a number that is the same for the same flow and `seed`, evenly spread over 64 bits.
    ///
    /// For spreading flows over queues, paths and source ports (entropy of RFC 7348 §5). With a
    /// `seed` that peers do not know they cannot aim for collisions; it is no cryptographic hash.
    #[inline]
    pub fn hash(&self, seed: u64) -> u64 {
        match *self {
            Self::V4 {
                src,
                dst,
                protocol,
                ports,
            } => {
                let addresses = u64::from(u32::from(src)) << 32 | u64::from(u32::from(dst));
                let state = mix(addresses ^ SECRET[0], seed ^ SECRET[1]);
                finish(mix(l4_word(protocol, ports) ^ SECRET[2], state))
            }
            Self::V6 {
                src,
                dst,
                protocol,
                ports,
            } => {
                let [[a, b], [c, d]] = [src, dst].map(halves);
                let state = mix(a ^ SECRET[0], b ^ seed);
                let state = mix(c ^ SECRET[1], d ^ state);
                finish(mix(l4_word(protocol, ports) ^ SECRET[3], state))
            }
            Self::Link {
                src,
                dst,
                ethertype,
            } => {
                let state = mix(src.to_u64() ^ SECRET[0], seed ^ SECRET[2]);
                let tail = dst.to_u64() << 16 | u64::from(ethertype.0);
                finish(mix(tail ^ SECRET[3], state))
            }
        }
    }
}

/// The first 256 bits of the fraction of pi: odd-looking constants that nobody chose.
const SECRET: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
];

/// Multiplies to 128 bits and folds (the step of wyhash): every bit of either reaches every bit out.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn mix(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product >> 64) as u64 ^ product as u64
}

/// Spreads what one multiplication has left in rows: of words that differ by a constant, such as
/// consecutive ports, the products do too, and with an unlucky state a few bits of them hardly change.
#[inline]
const fn finish(state: u64) -> u64 {
    mix(state ^ SECRET[0], SECRET[3])
}

/// Puts protocol and ports into one word. Absent ports differ from ports of zero.
#[inline]
fn l4_word(protocol: IpProtocol, ports: Option<L4Ports>) -> u64 {
    let ports = ports.map_or(1 << 48, |ports| {
        u64::from(ports.src) << 16 | u64::from(ports.dst)
    });
    ports | u64::from(protocol.0) << 32
}

#[inline]
fn halves(address: Ipv6Addr) -> [u64; 2] {
    let octets = address.octets();
    [get::<0, 8, _>(&octets), get::<8, 8, _>(&octets)].map(u64::from_be_bytes)
}

impl fmt::Display for L4Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.src, self.dst)
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4 {
                src,
                dst,
                protocol,
                ports: Some(ports),
            } => {
                let L4Ports { src: from, dst: to } = ports;
                write!(f, "{protocol} {src}:{from} > {dst}:{to}")
            }
            Self::V6 {
                src,
                dst,
                protocol,
                ports: Some(ports),
            } => {
                let L4Ports { src: from, dst: to } = ports;
                write!(f, "{protocol} [{src}]:{from} > [{dst}]:{to}")
            }
            Self::V4 {
                src, dst, protocol, ..
            } => write!(f, "{protocol} {src} > {dst}"),
            Self::V6 {
                src, dst, protocol, ..
            } => write!(f, "{protocol} {src} > {dst}"),
            Self::Link {
                src,
                dst,
                ethertype,
            } => write!(f, "{ethertype} {src} > {dst}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn v4(host: u8, port: u16) -> FlowKey {
        FlowKey::V4 {
            src: Ipv4Addr::new(10, 0, 0, host),
            dst: Ipv4Addr::new(10, 0, 0, 254),
            protocol: IpProtocol::TCP,
            ports: Some(L4Ports { src: port, dst: 80 }),
        }
    }

    #[test]
    fn consecutive_ports_are_spread_whatever_the_seed() {
        for seed in 0..300_u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for (step, shift) in [(1, 0), (1, 12), (1, 48), (2, 48), (16, 48), (1, 60)] {
                let hashes = (0..64).map(|flow| v4(2, 2000 + step * flow).hash(seed));
                let bins: HashSet<u64> = hashes.map(|hash| hash >> shift & 15).collect();
                // Thrown at random, 64 balls leave 0.26 of 16 bins empty, and hardly ever six.
                assert!(bins.len() > 10, "{seed:#x} {step} {shift}: {}", bins.len());
            }
        }
    }

    #[test]
    fn flows_that_differ_in_one_field_hash_apart() {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let base = |protocol, ports| FlowKey::V4 {
            src,
            dst,
            protocol,
            ports,
        };
        let zero = L4Ports { src: 0, dst: 0 };
        let keys = [
            base(IpProtocol::TCP, None),
            base(IpProtocol::UDP, None),
            base(IpProtocol::TCP, Some(zero)),
            base(IpProtocol::TCP, Some(L4Ports { src: 0, dst: 1 })),
            base(IpProtocol::TCP, Some(L4Ports { src: 1, dst: 0 })),
            FlowKey::V4 {
                src: dst,
                dst: src,
                protocol: IpProtocol::TCP,
                ports: None,
            },
            FlowKey::V6 {
                src: src.to_ipv6_mapped(),
                dst: dst.to_ipv6_mapped(),
                protocol: IpProtocol::TCP,
                ports: None,
            },
            FlowKey::V6 {
                src: dst.to_ipv6_mapped(),
                dst: src.to_ipv6_mapped(),
                protocol: IpProtocol::TCP,
                ports: None,
            },
            FlowKey::Link {
                src: MacAddr::ZERO,
                dst: MacAddr::BROADCAST,
                ethertype: EtherType::ARP,
            },
        ];
        for seed in [0, 1, u64::MAX] {
            let hashes: HashSet<u64> = keys.iter().map(|key| key.hash(seed)).collect();
            assert_eq!(hashes.len(), keys.len());
        }
        assert_ne!(keys[0].hash(1), keys[0].hash(2));
        assert_eq!(keys[0].hash(7), keys[0].hash(7));
    }

    #[test]
    fn neighbouring_flows_spread_evenly_over_16_queues() {
        // 16,384 flows over 16 queues: 1,024 each, standard deviation 31. Both ends of the hash.
        for shift in [0, 60] {
            let mut queues = [0_u32; 16];
            for host in 0..64 {
                for port in 0..256 {
                    let hash = v4(host, 40_000 + port).hash(0x5eed);
                    queues[usize::try_from(hash >> shift & 15).unwrap()] += 1;
                }
            }
            assert!(
                queues.iter().all(|count| (870..1180).contains(count)),
                "{queues:?}"
            );
        }
    }

    #[test]
    fn a_flow_is_printed_with_what_is_known_of_it() {
        assert_eq!(v4(1, 9).to_string(), "TCP 10.0.0.1:9 > 10.0.0.254:80");
        let v6 = |ports| FlowKey::V6 {
            src: Ipv6Addr::LOCALHOST,
            dst: Ipv6Addr::UNSPECIFIED,
            protocol: IpProtocol::UDP,
            ports,
        };
        assert_eq!(v6(None).to_string(), "UDP ::1 > ::");
        let ports = L4Ports { src: 1, dst: 2 };
        assert_eq!(v6(Some(ports)).to_string(), "UDP [::1]:1 > [::]:2");
        assert_eq!(v6(Some(ports)).ports(), Some(ports));
    }
}
