//! When a gateway advertises itself, and what it says (RFC 4861 §4.2, §6.2; RFC 8106).
//!
//! To everybody every 200 to 600 seconds, the first three times after 16 seconds (§6.2.4); and to the port of a
//! host that asked, at the next tick of the control side, which is within the half second of §6.2.6. Only that
//! port gets the answer, so a host that asks again and again keeps nobody else busy. One that asks while
//! too many others wait gets what everybody gets then, every three seconds at most.

use core::net::Ipv6Addr;
use core::time::Duration;

use ipnet::IpNet;
use tapweave_net::{DomainName, Icmpv6Type, PortNo, Timestamp};

use super::config::{Information, InformationByDhcp};
use super::request::{Icmpv6, icmpv6_frame, source_link_layer};
use super::{Gateway, Outside, link_local};
use crate::Advertising;
use crate::sync::{AtomicU64, Ordering};

/// `MaxRtrAdvInterval` and `MinRtrAdvInterval` (RFC 4861 §6.2.1).
const INTERVAL_MIN_MS: u64 = 200_000;
const INTERVAL_SPREAD_MS: u64 = 400_000;
/// `MAX_INITIAL_RTR_ADVERTISEMENTS`, `MAX_INITIAL_RTR_ADVERT_INTERVAL` and `MIN_DELAY_BETWEEN_RAS` (§10).
const INITIAL_COUNT: u64 = 3;
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
const DELAY_MIN: Duration = Duration::from_secs(3);
/// `AdvDefaultLifetime`: three times `MaxRtrAdvInterval` (§6.2.1).
const ROUTER_LIFETIME_SECS: u16 = 1800;
/// `AdvCurHopLimit` (§6.2.1).
const HOP_LIMIT: u8 = 64;
/// `AdvValidLifetime` and `AdvPreferredLifetime`: 30 and 7 days (§6.2.1).
const VALID_SECS: u32 = 2_592_000;
const PREFERRED_SECS: u32 = 604_800;
/// Flags of a prefix: on the link; hosts form addresses (§4.6.2).
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;
/// The flag O: there is other configuration by DHCP (§4.2).
const OTHER_CONFIGURATION: u8 = 0x40;
/// The options Recursive DNS Server and DNS Search List (RFC 8106 §5).
const RDNSS: u8 = 25;
const DNSSL: u8 = 31;
/// All nodes on the link (RFC 4291 §2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Ports that wait for an answer at the same time.
const SOLICITORS: usize = 16;

/// When one gateway advertises itself.
#[derive(Default)]
pub(super) struct Advertiser {
    seed: u64,
    /// Ports that asked, each as its number and one; zero for none.
    solicitors: [AtomicU64; SOLICITORS],
    /// More asked than have a place; zero for no.
    crowd: AtomicU64,
    /// How often everybody was told, when last, and when next, in nanoseconds. Only the control side writes.
    count: AtomicU64,
    last_ns: AtomicU64,
    next_ns: AtomicU64,
}

/// Whom to tell now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Audience {
    Everybody,
    Ports(Vec<PortNo>),
}

impl Advertiser {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Notes that a host behind a port asked.
    pub(super) fn solicit(&self, port: PortNo) {
        let number = u64::from(port.to_u32()) + 1;
        let is_noted = self.solicitors.iter().any(|place| {
            let noted = place.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
            noted.is_ok() || noted == Err(number)
        });
        if !is_noted {
            self.crowd.store(1, Ordering::Relaxed);
        }
    }

    /// Returns whom to tell now.
    pub(super) fn poll(&self, now: Timestamp) -> Audience {
        let now_ns = now.as_nanos();
        let last = Timestamp::from_nanos(self.last_ns.load(Ordering::Relaxed));
        let count = self.count.load(Ordering::Relaxed);
        let is_first = count == 0;
        let is_crowd = self.crowd.load(Ordering::Relaxed) != 0 && now.since(last) >= DELAY_MIN;
        if is_first || is_crowd || now_ns >= self.next_ns.load(Ordering::Relaxed) {
            self.crowd.store(0, Ordering::Relaxed);
            self.count.store(count + 1, Ordering::Relaxed);
            self.last_ns.store(now_ns, Ordering::Relaxed);
            let next = now + self.interval(count);
            self.next_ns.store(next.as_nanos(), Ordering::Relaxed);
            for place in &self.solicitors {
                place.store(0, Ordering::Relaxed);
            }
            return Audience::Everybody;
        }
        let asked = self.solicitors.iter().filter_map(|place| {
            let number = place.swap(0, Ordering::Relaxed).checked_sub(1)?;
            u32::try_from(number).ok().map(PortNo::from_u32)
        });
        Audience::Ports(asked.collect())
    }

    /// Returns the time after the advertisement of this number, spread evenly so that gateways do not come to
    /// speak at the same time.
    fn interval(&self, count: u64) -> Duration {
        if count + 1 < INITIAL_COUNT {
            return INITIAL_INTERVAL;
        }
        let spread = scramble(self.seed.wrapping_add(count)) % INTERVAL_SPREAD_MS;
        Duration::from_millis(INTERVAL_MIN_MS + spread)
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, 2014).
const fn scramble(seed: u64) -> u64 {
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Returns the frame by which a gateway of a network with this MTU tells all nodes of itself; `None` when it has no
/// IPv6 address or is to be silent.
pub(super) fn advertisement(gateway: &Gateway, mtu: u16) -> Option<Vec<u8>> {
    let config = &gateway.config;
    let autonomous = match config.advertising {
        Advertising::Silent => return None,
        Advertising::Assigned => 0,
        Advertising::Autonomous => AUTONOMOUS,
    };
    let prefixes = config.addresses.iter().filter_map(|own| match own {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net.trunc()),
    });
    let lifetime = match config.outside {
        // There is nothing behind this router.
        Outside::Closed => 0,
        Outside::Masqueraded | Outside::Routed => ROUTER_LIFETIME_SECS,
    };
    // Reachable Time and Retrans Timer: no advice.
    let mut body = vec![0; 8];
    body.extend(source_link_layer(config.mac));
    body.extend([5, 1, 0, 0]);
    body.extend(u32::from(mtu).to_be_bytes());
    let mut prefix_count = 0;
    for prefix in prefixes {
        // Hosts form addresses of 64 bits (RFC 4862 §5.5.3 (d), RFC 2464 §4).
        let forms = if prefix.prefix_len() == 64 {
            autonomous
        } else {
            0
        };
        body.extend([3, 4, prefix.prefix_len(), ON_LINK | forms]);
        body.extend(VALID_SECS.to_be_bytes());
        body.extend(PREFERRED_SECS.to_be_bytes());
        body.extend([0; 4]);
        body.extend(prefix.addr().octets());
        prefix_count += 1;
    }
    add_information(&mut body, &config.information);
    let flags = match config.information.dhcp {
        InformationByDhcp::Available => OTHER_CONFIGURATION,
        InformationByDhcp::Unavailable => 0,
    };
    let [high, low] = lifetime.to_be_bytes();
    let message = Icmpv6 {
        mac: config.mac,
        src: link_local(config.mac),
        dst: ALL_NODES,
        kind: Icmpv6Type::ROUTER_ADVERTISEMENT,
        rest_of_header: u32::from_be_bytes([HOP_LIMIT, flags, high, low]),
        body: &body,
    };
    (prefix_count > 0).then(|| icmpv6_frame(&message))
}

/// Adds the options by which hosts find the resolver and the search domain. They are believed as long as the router is
/// (RFC 8106 §5.1).
fn add_information(body: &mut Vec<u8>, information: &Information) {
    let Information {
        resolvers, search, ..
    } = information;
    let lifetime = u32::from(ROUTER_LIFETIME_SECS).to_be_bytes();
    let addresses: Vec<u8> = resolvers.iter().flat_map(Ipv6Addr::octets).collect();
    let domain = search.as_ref().map_or(&[][..], DomainName::wire);
    for (kind, value) in [(RDNSS, &*addresses), (DNSSL, domain)] {
        // In units of eight octets, the head is one (RFC 4861 §4.6). What is longer is nobody's configuration.
        let units = u8::try_from(1 + value.len().div_ceil(8));
        let Some(units) = units.ok().filter(|_| !value.is_empty()) else {
            continue;
        };
        body.extend([kind, units, 0, 0]);
        body.extend(lifetime);
        body.extend(value);
        body.resize(body.len().next_multiple_of(8), 0);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use tapweave_net::MacAddr;

    use super::*;
    use crate::GatewayConfig;

    fn gateway(information: Information) -> Gateway {
        let config = GatewayConfig {
            mac: MacAddr::new([2, 0, 0, 0, 0, 0xfe]),
            addresses: vec!["fd00::1/64".parse().unwrap()],
            outside: Outside::Routed,
            advertising: Advertising::Assigned,
            information,
        };
        Gateway::new(config, 7)
    }

    #[test]
    fn an_advertisement_names_resolver_and_domain_in_the_bytes_of_rfc_8106() {
        let silent = advertisement(&gateway(Information::default()), 1500).unwrap();
        let full = advertisement(
            &gateway(Information {
                resolvers: vec!["fd00::1".parse().unwrap()],
                search: DomainName::new("blue"),
                dhcp: InformationByDhcp::Available,
            }),
            1500,
        );
        let full = full.unwrap();
        // Behind Ethernet and IPv6 stand type, code, checksum, hop limit and flags.
        assert_eq!((silent[59], full[59]), (0, 0x40));
        let resolver = "fd00::1".parse::<Ipv6Addr>().unwrap().octets();
        let want = [
            &[25, 3, 0, 0, 0, 0, 0x07, 0x08][..],
            &resolver,
            &[31, 2, 0, 0, 0, 0, 0x07, 0x08],
            b"\x04blue\0\0\0",
        ];
        assert_eq!(full[silent.len()..], want.concat());
        // The length of the packet, and options that end with it.
        assert_eq!(
            usize::from(full[19]) | usize::from(full[18]) << 8,
            full.len() - 54
        );
        assert_eq!((full.len() - 70) % 8, 0);
    }

    #[test]
    fn a_domain_fills_its_option_up_to_eight_octets() {
        for len in 1..=63 {
            let mut body = vec![0; 16];
            let information = Information {
                search: DomainName::new(&"a".repeat(len)),
                ..Information::default()
            };
            add_information(&mut body, &information);
            assert_eq!(body.len() % 8, 0);
            assert_eq!(usize::from(body[17]) * 8, body.len() - 16);
        }
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn everybody_is_told_three_times_soon_and_then_every_few_minutes() {
        let advertiser = Advertiser::new(7);
        let mut now = Timestamp::ZERO;
        let mut told = Vec::new();
        for _ in 0..3600 {
            if advertiser.poll(now) == Audience::Everybody {
                told.push(now);
            }
            now = now + Duration::from_secs(1);
        }
        let gaps: Vec<_> = told.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert_eq!(gaps[..2], [INITIAL_INTERVAL; 2]);
        assert!(gaps[2..].iter().all(|gap| *gap >= Duration::from_secs(200)));
        assert!(gaps.iter().all(|gap| *gap <= Duration::from_secs(601)));
        assert!(gaps.len() > 6);
    }

    #[test]
    fn a_port_that_asks_is_told_once() {
        let advertiser = Advertiser::new(7);
        assert_eq!(advertiser.poll(Timestamp::ZERO), Audience::Everybody);
        let now = Timestamp::from_secs(1);
        let ports = [PortNo::new(3, 0), PortNo::new(0, 0)];
        for port in [ports[0], ports[1], ports[0]] {
            advertiser.solicit(port);
        }
        assert_eq!(advertiser.poll(now), Audience::Ports(ports.to_vec()));
        assert_eq!(advertiser.poll(now), Audience::Ports(Vec::new()));
    }

    #[test]
    fn a_crowd_is_told_all_at_once_every_three_seconds_at_most() {
        let advertiser = Advertiser::new(7);
        let start = Timestamp::from_secs(100);
        assert_eq!(advertiser.poll(start), Audience::Everybody);
        for index in 0..20 {
            advertiser.solicit(PortNo::new(index, 0));
        }
        let soon = start + Duration::from_secs(1);
        assert!(
            matches!(advertiser.poll(soon), Audience::Ports(ports) if ports.len() == SOLICITORS)
        );
        assert_eq!(advertiser.poll(start + DELAY_MIN), Audience::Everybody);
        let later = start + MINUTE;
        let _initial = advertiser.poll(later);
        assert_eq!(advertiser.poll(later), Audience::Ports(Vec::new()));
    }
}
