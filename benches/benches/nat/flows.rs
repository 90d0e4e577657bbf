//! A NAT full of flows, and packets of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tapweave_nat::fragments::FragmentLimits;
use tapweave_nat::table::{Hint, Realm};
use tapweave_nat::{
    Limits, Masquerade, Nat, NatConfig, NatRules, NetworkRules, Out, Pass, RulesConfig, Timeouts,
};
use tapweave_net::{Frame, HeaderError, NetworkNo, ParsedFrame, Timestamp};

use super::Numbers;
use super::template::{ACK, Class, ECHO, MAX_LEN, SYN, TCP};

/// Packets that are made at once, outside of what is measured: their frames and parses fit the
/// first-level cache.
const BATCH_LEN: usize = 64;
const NETWORK: NetworkNo = NetworkNo(1);
const NOW: Timestamp = Timestamp::from_secs(1000);
/// Flows of one port of a sandbox, to as many servers.
const FLOWS_PER_PORT: u32 = 16;
/// Ports of one sandbox.
const PORTS_PER_HOST: u32 = 64;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Out,
    In,
}

/// What is measured: the packets, and how they are given to the translation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) way: Way,
    /// Packets of one flow that come one after the other.
    pub(crate) train_len: usize,
    pub(crate) reading: Reading,
}

/// When the translation reads of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// When a packet of it is translated.
    OnTheWay,
    /// Also before the batch, as workers have it.
    Ahead,
}

/// Flows of one class.
pub(crate) struct Rig {
    class: Class,
    nat: Nat,
    rules: NatRules,
    /// The external end of each flow.
    external: Vec<SocketAddr>,
    template: Vec<u8>,
}

impl Rig {
    /// Opens `count` flows of `class`; TCP connections are established.
    pub(crate) fn new(class: Class, count: u32) -> Option<Self> {
        let external = (1..=4_u8).flat_map(|host| {
            [
                IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)),
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, host.into())),
            ]
        });
        let rules = NatRules::new(&RulesConfig {
            external: external.collect(),
            networks: vec![NetworkRules {
                network: NETWORK,
                masquerade: Masquerade::Yes,
            }],
            ..RulesConfig::default()
        })
        .ok()?;
        let mappings = count / FLOWS_PER_PORT;
        let mut rig = Self {
            class,
            nat: Nat::new(NatConfig {
                seed: 0x5eed,
                worker_count: 1,
                flow_limit: count + 2 * mappings + 1024,
                timeouts: Timeouts::default(),
                limits: Limits::default(),
                fragments: FragmentLimits::default(),
            }),
            rules,
            external: Vec::new(),
            template: class.frame(),
        };
        for flow in 0..count {
            rig.open(flow)?;
        }
        Some(rig)
    }

    /// The ends of a flow inside: the sandbox's and the server's.
    fn ends(&self, flow: u32) -> [SocketAddr; 2] {
        let server = flow % FLOWS_PER_PORT;
        let mapping = flow / FLOWS_PER_PORT;
        let host = mapping / PORTS_PER_HOST;
        let local = 10_000 + u16::try_from(mapping % PORTS_PER_HOST).unwrap_or(0);
        let remote = if self.class.protocol == ECHO { 0 } else { 443 };
        let [.., high, low] = host.to_be_bytes();
        let [.., server] = server.to_be_bytes();
        let [src, dst]: [IpAddr; 2] = if self.class.is_v6 {
            let segment = u16::from_be_bytes([high, low]);
            let src = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, segment, 2);
            let dst = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, server.into());
            [src.into(), dst.into()]
        } else {
            let src = Ipv4Addr::new(10, 1, high, low);
            let dst = Ipv4Addr::new(192, 0, 2, server);
            [src.into(), dst.into()]
        };
        [SocketAddr::new(src, local), SocketAddr::new(dst, remote)]
    }

    fn pass(&self, hint: Hint) -> Pass<'_> {
        Pass {
            now: NOW,
            worker: 0,
            rules: &self.rules,
            hint,
        }
    }

    fn open(&mut self, flow: u32) -> Option<()> {
        let mut bytes = self.template.clone();
        let [src, dst] = self.ends(flow);
        if self.class.protocol == TCP {
            self.class.set_segment(&mut bytes, SYN, 0, 0);
        }
        self.class.set_ends(&mut bytes, src, dst);
        self.send(&mut bytes, Way::Out)?;
        self.external.push(self.class.src(&bytes)?);

        if self.class.protocol == TCP {
            self.class.set_segment(&mut bytes, SYN | ACK, 0, 1);
        }
        self.class.set_ends(&mut bytes, dst, self.external_of(flow));
        self.send(&mut bytes, Way::In)?;

        self.class.set_ends(&mut bytes, src, dst);
        if self.class.protocol == TCP {
            self.class.set_segment(&mut bytes, ACK, 1, 1);
        }
        self.send(&mut bytes, Way::Out)
    }

    fn external_of(&self, flow: u32) -> SocketAddr {
        let place = usize::try_from(flow).unwrap_or(usize::MAX);
        let end = self.external.get(place).copied();
        end.unwrap_or_else(|| SocketAddr::from(([0; 4], 0)))
    }

    fn send(&self, bytes: &mut [u8], way: Way) -> Option<()> {
        let parsed = ParsedFrame::parse(bytes).ok()?;
        let mut frame = Frame::new(bytes, 0, self.class.offload());
        self.translate(&mut frame, &parsed, Hint::NONE, way)
            .then_some(())
    }

    #[inline]
    fn translate(&self, frame: &mut Frame<'_>, parsed: &ParsedFrame, hint: Hint, way: Way) -> bool {
        let pass = self.pass(hint);
        match way {
            Way::Out => {
                let out = self
                    .nat
                    .translate_out(&pass, NETWORK, frame, parsed, &mut |_, _| {});
                out == Ok(Out::ToUplink)
            }
            Way::In => self
                .nat
                .translate_in(&pass, frame, parsed, &mut |_, _| {})
                .is_ok(),
        }
    }

    /// Writes a packet of a flow.
    fn write(&self, bytes: &mut [u8], flow: u32, way: Way) {
        for (to, from) in bytes.iter_mut().zip(&self.template) {
            *to = *from;
        }
        let [src, dst] = self.ends(flow);
        match way {
            Way::Out => self.class.set_ends(bytes, src, dst),
            Way::In => self.class.set_ends(bytes, dst, self.external_of(flow)),
        }
    }

    /// Returns how long `batch_count` batches take, of flows drawn at random, as `traffic`
    /// says: as many times the median of a batch, because of those in which other processes had the core.
    /// The two clock readings of a batch are in it: less than a nanosecond a packet.
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark measures with the real clock"
    )]
    pub(crate) fn time(
        &self,
        batch_count: u64,
        traffic: Traffic,
        numbers: &mut Numbers,
    ) -> Result<Duration, HeaderError> {
        let Traffic { way, train_len, .. } = traffic;
        let realm = match way {
            Way::Out => Realm::of(NETWORK),
            Way::In => Realm::OUTSIDE,
        };
        let (mut times, mut hints) = (Vec::new(), Vec::with_capacity(BATCH_LEN));
        let mut buffers = [[0; MAX_LEN]; BATCH_LEN];
        let len = self.template.len();
        for _ in 0..batch_count {
            hints.clear();
            let mut batch = Vec::with_capacity(BATCH_LEN);
            let mut flow = 0;
            for (place, buffer) in buffers.iter_mut().enumerate() {
                let bytes = buffer.get_mut(..len).unwrap_or_default();
                if place.is_multiple_of(train_len) {
                    flow = numbers.below(self.external.len());
                }
                self.write(bytes, u32::try_from(flow).unwrap_or(0), way);
                let parsed = ParsedFrame::parse(bytes)?;
                batch.push((Frame::new(bytes, 0, self.class.offload()), parsed));
            }
            let start = Instant::now();
            if traffic.reading == Reading::Ahead {
                let packets = batch.iter().map(|(_, parsed)| Some(parsed));
                self.nat.read_ahead(realm, packets, &mut hints);
            }
            for (place, (frame, parsed)) in batch.iter_mut().enumerate() {
                let hint = hints.get(place).copied().unwrap_or_default();
                let is_sent = self.translate(frame, parsed, hint, way);
                assert!(is_sent, "a packet was dropped");
            }
            times.push(start.elapsed());
        }
        Ok(median(&mut times) * u32::try_from(batch_count).unwrap_or(u32::MAX))
    }

    /// Returns the allocations that translating one packet of each of the first 100 flows takes.
    pub(crate) fn allocations(&self, way: Way) -> u64 {
        let mut bytes = self.template.clone();
        (0..100)
            .zip(&self.external)
            .map(|(flow, _)| {
                self.write(&mut bytes, flow, way);
                let counted = allocation_counter::measure(|| {
                    assert!(self.send(&mut bytes, way).is_some(), "a packet was dropped");
                });
                counted.count_total
            })
            .sum()
    }

    pub(crate) const fn batch_len() -> u64 {
        BATCH_LEN as u64
    }
}

fn median(times: &mut [Duration]) -> Duration {
    let middle = times.len() / 2;
    if times.is_empty() {
        return Duration::ZERO;
    }
    *times.select_nth_unstable(middle).1
}
