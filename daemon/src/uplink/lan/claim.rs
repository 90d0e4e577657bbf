//! An address that we want on a LAN, from the question whether it is free to its defence.
//!
//! ```text
//!  Probing ──nobody──► Announcing ──told──► Held
//!     └──somebody──► Taken ──after a minute──► Probing
//! ```
//!
//! IPv4 is probed as in RFC 5227, but faster: three questions a fifth of a second apart instead of one
//! to two seconds, because networks of today pass frames in milliseconds and everybody waits for us.
//! IPv6 is probed as in RFC 4862 §5.4: one question, a second. What is ours is announced twice. An IPv4
//! address that another station claims later is announced once more, at most every ten seconds, and
//! kept (RFC 5227 §2.4 b); the log says who it is.

use std::net::IpAddr;
use std::time::Duration;

use tapweave_net::{ArpPacket, MacAddr, Timestamp};
use tracing::warn;

use super::message::{announcement, probe};
use crate::uplink::choice::NicAddress;

const PROBE_COUNT_V4: u8 = 3;
const PROBE_INTERVAL_V4: Duration = Duration::from_millis(200);
/// `DupAddrDetectTransmits` and `RetransTimer` (RFC 4862 §5.1, RFC 4861 §10).
const PROBE_COUNT_V6: u8 = 1;
const PROBE_INTERVAL_V6: Duration = Duration::from_secs(1);
/// `ANNOUNCE_NUM` and `ANNOUNCE_INTERVAL` (RFC 5227 §1.1).
const ANNOUNCE_COUNT: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// `DEFEND_INTERVAL` (RFC 5227 §1.1).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// `RATE_LIMIT_INTERVAL` (RFC 5227 §1.1).
const RETRY_INTERVAL: Duration = Duration::from_mins(1);

/// One address.
#[derive(Debug)]
pub(super) struct Claim {
    place: NicAddress,
    mac: MacAddr,
    phase: Phase,
    /// When to do what is next.
    next: Timestamp,
    /// Until when another station's claim is not answered.
    quiet_until: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Probing {
        sent: u8,
    },
    Announcing {
        sent: u8,
    },
    Held,
    /// Who has it, if that is known.
    Taken(Option<MacAddr>),
}

impl Claim {
    pub(super) const fn new(place: NicAddress, mac: MacAddr, now: Timestamp) -> Self {
        Self {
            place,
            mac,
            phase: Phase::Probing { sent: 0 },
            next: now,
            quiet_until: now,
        }
    }

    /// An address that an earlier daemon had: it is ours unless somebody has claimed it since, which is heard before
    /// the first [`Claim::poll`].
    pub(super) const fn left(place: NicAddress, mac: MacAddr, now: Timestamp) -> Self {
        let mut claim = Self::new(place, mac, now);
        claim.phase = Phase::Probing {
            // All that there is to ask is asked.
            sent: u8::MAX,
        };
        claim
    }

    pub(super) const fn place(&self) -> NicAddress {
        self.place
    }

    pub(super) const fn set_gateway(&mut self, gateway: Option<IpAddr>) {
        self.place.gateway = gateway;
    }

    /// Tells whether the address may be used.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self.phase, Phase::Announcing { .. } | Phase::Held)
    }

    /// Tells whether it is being asked who has the address.
    pub(super) const fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing { .. })
    }

    /// Returns what keeps us from the address, if anything does.
    pub(super) fn problem(&self) -> Option<String> {
        let Phase::Taken(by) = self.phase else {
            return None;
        };
        let address = self.place.address.addr();
        Some(match by {
            Some(mac) => format!("{address} is in use on the LAN by {mac}"),
            None => format!("{address} is in use on the LAN"),
        })
    }

    /// Does what is due, adding frames to send; returns after how long something is.
    pub(super) fn poll(&mut self, now: Timestamp, frames: &mut Vec<Vec<u8>>) -> Duration {
        while self.phase != Phase::Held && self.next <= now {
            self.step(now, frames);
        }
        if self.phase == Phase::Held {
            return Duration::MAX;
        }
        self.next.since(now)
    }

    fn step(&mut self, now: Timestamp, frames: &mut Vec<Vec<u8>>) {
        let address = self.place.address.addr();
        let (count, interval) = if address.is_ipv4() {
            (PROBE_COUNT_V4, PROBE_INTERVAL_V4)
        } else {
            (PROBE_COUNT_V6, PROBE_INTERVAL_V6)
        };
        match self.phase {
            Phase::Probing { sent } if sent < count => {
                frames.push(probe(address, self.mac));
                self.phase = Phase::Probing { sent: sent + 1 };
                self.next = now + interval;
            }
            Phase::Probing { .. } => self.phase = Phase::Announcing { sent: 0 },
            Phase::Announcing { sent } if sent < ANNOUNCE_COUNT => {
                frames.push(announcement(address, self.mac));
                self.phase = Phase::Announcing { sent: sent + 1 };
                self.next = now + ANNOUNCE_INTERVAL;
            }
            Phase::Announcing { .. } => self.phase = Phase::Held,
            Phase::Taken(_) => self.phase = Phase::Probing { sent: 0 },
            Phase::Held => {}
        }
    }

    /// Another station said something by ARP.
    pub(super) fn hear_arp(&mut self, packet: &ArpPacket, now: Timestamp) {
        let address = self.place.address.addr();
        if packet.sender_mac == self.mac {
            return;
        }
        // Two that probe at the same time both give way (RFC 5227 §2.1.1).
        let is_rival = packet.is_probe() && address == IpAddr::V4(packet.target_ip);
        if address == IpAddr::V4(packet.sender_ip) {
            self.dispute(Some(packet.sender_mac), now);
        } else if is_rival && matches!(self.phase, Phase::Probing { .. }) {
            self.give_way(Some(packet.sender_mac), now);
        }
    }

    /// Another station advertised this address: ours is never advertised to us.
    pub(super) fn hear_advertisement(&mut self, target: IpAddr, now: Timestamp) {
        if target == self.place.address.addr() {
            self.dispute(None, now);
        }
    }

    fn dispute(&mut self, holder: Option<MacAddr>, now: Timestamp) {
        match self.phase {
            Phase::Probing { .. } => self.give_way(holder, now),
            Phase::Announcing { .. } | Phase::Held => {
                if self.quiet_until <= now {
                    self.quiet_until = now + DEFEND_INTERVAL;
                    let address = self.place.address.addr();
                    let other = holder.map_or_else(|| "unknown".to_owned(), |mac| mac.to_string());
                    warn!(%address, other, "another station on the LAN claims an address of the uplink");
                    self.phase = Phase::Announcing {
                        sent: ANNOUNCE_COUNT - 1,
                    };
                    self.next = now;
                }
            }
            Phase::Taken(_) => {}
        }
    }

    fn give_way(&mut self, holder: Option<MacAddr>, now: Timestamp) {
        self.phase = Phase::Taken(holder);
        self.next = now + RETRY_INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use tapweave_net::ArpOperation;

    use super::*;

    const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

    fn of(address: &str) -> Claim {
        let place = NicAddress {
            address: address.parse().unwrap(),
            gateway: None,
        };
        Claim::new(place, MAC, Timestamp::from_secs(0))
    }

    /// Lets time pass as far as something is due, at most `limit`; returns the frames and the time.
    fn run(claim: &mut Claim, mut now: Timestamp, limit: Duration) -> (usize, Timestamp) {
        let end = now + limit;
        let mut frames = Vec::new();
        loop {
            let due = claim.poll(now, &mut frames);
            if due == Duration::MAX || now + due > end {
                return (frames.len(), now);
            }
            now = now + due;
        }
    }

    fn arp(sender: MacAddr, sender_ip: &str, target_ip: &str) -> ArpPacket {
        ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: sender,
            sender_ip: sender_ip.parse().unwrap(),
            target_mac: MacAddr::ZERO,
            target_ip: target_ip.parse().unwrap(),
        }
    }

    #[test]
    fn an_address_that_nobody_claims_is_ours_after_three_probes() {
        let mut claim = of("192.0.2.5/24");
        let (frames, now) = run(
            &mut claim,
            Timestamp::from_secs(0),
            Duration::from_millis(599),
        );
        assert_eq!((frames, claim.is_ours()), (3, false));
        let (frames, _) = run(&mut claim, now, Duration::from_mins(1));
        assert_eq!((frames, claim.is_ours(), claim.problem()), (2, true, None));
        let mut claim = of("2001:db8::5/64");
        let (frames, _) = run(
            &mut claim,
            Timestamp::from_secs(0),
            Duration::from_millis(999),
        );
        assert_eq!((frames, claim.is_ours()), (1, false));
        run(&mut claim, Timestamp::from_secs(0), Duration::from_mins(1));
        assert!(claim.is_ours());
    }

    #[test]
    fn an_address_that_somebody_has_is_left_and_tried_again() {
        let mut claim = of("192.0.2.5/24");
        let start = Timestamp::from_secs(0);
        claim.poll(start, &mut Vec::new());
        claim.hear_arp(&arp(OTHER, "192.0.2.6", "192.0.2.5"), start);
        claim.hear_arp(&arp(MAC, "0.0.0.0", "192.0.2.5"), start);
        assert_eq!(claim.problem(), None);
        claim.hear_arp(&arp(OTHER, "192.0.2.5", "192.0.2.9"), start);
        let problem = claim.problem().unwrap();
        assert_eq!(
            problem,
            "192.0.2.5 is in use on the LAN by 02:00:00:00:00:02"
        );
        let (frames, _) = run(&mut claim, start, Duration::from_secs(59));
        assert_eq!((frames, claim.is_ours()), (0, false));
        run(&mut claim, start, Duration::from_secs(65));
        assert!(claim.is_ours());
    }

    #[test]
    fn an_address_that_an_earlier_daemon_had_is_ours_at_once_unless_somebody_has_claimed_it() {
        let start = Timestamp::from_secs(0);
        let place = of("192.0.2.5/24").place();
        let mut claim = Claim::left(place, MAC, start);
        let mut frames = Vec::new();
        claim.poll(start, &mut frames);
        // It is announced, and nothing is asked.
        assert_eq!((frames.len(), claim.is_ours()), (1, true));
        for said in [
            arp(OTHER, "192.0.2.5", "192.0.2.9"),
            arp(OTHER, "0.0.0.0", "192.0.2.5"),
        ] {
            let mut claim = Claim::left(place, MAC, start);
            claim.hear_arp(&said, start);
            claim.poll(start, &mut frames);
            assert!(claim.problem().is_some());
        }
    }

    #[test]
    fn two_that_probe_at_the_same_time_both_give_way() {
        let mut claim = of("192.0.2.5/24");
        let start = Timestamp::from_secs(0);
        claim.hear_arp(&arp(OTHER, "0.0.0.0", "192.0.2.5"), start);
        assert!(claim.problem().is_some());
        let mut claim = of("2001:db8::5/64");
        claim.hear_advertisement("2001:db8::6".parse().unwrap(), start);
        assert_eq!(claim.problem(), None);
        claim.hear_advertisement("2001:db8::5".parse().unwrap(), start);
        assert!(claim.problem().is_some());
    }

    #[test]
    fn what_is_ours_is_defended_once_in_ten_seconds() {
        let mut claim = of("192.0.2.5/24");
        let (_, now) = run(&mut claim, Timestamp::from_secs(0), Duration::from_mins(1));
        for expected in [1, 0] {
            claim.hear_arp(&arp(OTHER, "192.0.2.5", "192.0.2.5"), now);
            let (frames, _) = run(&mut claim, now, Duration::from_secs(9));
            assert_eq!((frames, claim.is_ours()), (expected, true));
        }
        claim.hear_arp(&arp(OTHER, "0.0.0.0", "192.0.2.5"), now + DEFEND_INTERVAL);
        assert!(claim.is_ours(), "a probe is answered by the gateway");
    }
}
