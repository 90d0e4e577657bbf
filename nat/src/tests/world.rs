//! Two networks behind two external addresses of each family, and strangers outside.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tapweave_net::checksum::{Verification, verify_transport};
use tapweave_net::{Frame, Ipv4View, NetworkNo, Offload, ParsedFrame, TcpFlags, Timestamp};

use crate::fragments::FragmentLimits;
use crate::packet::tests::build::{Kind, Spec, ip_packet, link, sum};
use crate::packet::{Ends, Packet, QueryKind};
use crate::table::{Endpoint, Hint};
use crate::*;

pub(super) const RED: NetworkNo = NetworkNo(1);
pub(super) const BLUE: NetworkNo = NetworkNo(2);
/// A network that is not masqueraded.
pub(super) const PLAIN: NetworkNo = NetworkNo(3);

/// A sandbox of any network.
pub(super) const A: &str = "10.0.0.2:4000";
pub(super) const B: &str = "10.0.0.3:5000";
/// Strangers.
pub(super) const X: &str = "198.51.100.1:80";
pub(super) const Y: &str = "198.51.100.2:81";

pub(super) const EXTERNAL: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];

pub(super) struct World {
    pub(super) nat: Nat,
    pub(super) rules: NatRules,
    pub(super) now: Timestamp,
}

/// A packet to send.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Udp,
    Request,
    Reply,
    Tcp(Segment),
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) flags: TcpFlags,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
    pub(super) len: usize,
    pub(super) scale: Option<u8>,
}

pub(super) fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn udp(src: impl ToString, dst: impl ToString) -> Sent {
    sent(What::Udp, src, dst)
}

/// An echo request; the port of the source is the identifier.
pub(super) fn ping(src: &str, dst: &str) -> Sent {
    sent(What::Request, src, dst)
}

/// An echo reply; the port of the destination is the identifier.
pub(super) fn pong(src: impl ToString, dst: impl ToString) -> Sent {
    sent(What::Reply, src, dst)
}

pub(super) fn tcp(src: impl ToString, dst: impl ToString, segment: Segment) -> Sent {
    sent(What::Tcp(segment), src, dst)
}

pub(super) fn syn(seq: u32) -> Segment {
    Segment {
        flags: TcpFlags::SYN,
        seq,
        ack: 0,
        window: 64_000,
        len: 0,
        scale: None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so that tests read well")]
pub(super) fn sent(what: What, src: impl ToString, dst: impl ToString) -> Sent {
    let [src, dst] = [src.to_string(), dst.to_string()].map(|text| socket(&text));
    Sent { src, dst, what }
}

impl Segment {
    pub(super) fn new(flags: TcpFlags, seq: u32, ack: u32, len: usize) -> Self {
        Self {
            flags,
            seq,
            ack,
            window: 64_000,
            len,
            scale: None,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let options = match self.scale {
            Some(scale) => vec![3, 3, scale, 1],
            None => Vec::new(),
        };
        let header_len = u8::try_from((20 + options.len()) / 4).unwrap() << 4;
        let [seq, ack] = [self.seq, self.ack].map(u32::to_be_bytes);
        let flags = [
            TcpFlags::FIN,
            TcpFlags::SYN,
            TcpFlags::RST,
            TcpFlags::PSH,
            TcpFlags::ACK,
        ];
        let flags: u8 = (0..)
            .zip(flags)
            .map(|(bit, flag)| u8::from(self.flags.contains(flag)) << bit)
            .sum();
        let rest = [
            &[header_len, flags][..],
            &self.window.to_be_bytes(),
            &[0; 4],
        ]
        .concat();
        [&seq[..], &ack, &rest, &options, &vec![7; self.len]].concat()
    }
}

impl Sent {
    pub(super) fn frame(&self) -> Vec<u8> {
        let ends = Ends {
            src: self.src.into(),
            dst: self.dst.into(),
        };
        match self.what {
            What::Udp => Spec::new(Kind::Udp, ends, b"data").frame(),
            What::Request => Spec::new(Kind::Query(QueryKind::Request), ends, b"data").frame(),
            What::Reply => Spec::new(Kind::Query(QueryKind::Reply), ends, b"data").frame(),
            What::Unknown => link(&ip_packet(
                (self.src.ip(), self.dst.ip()),
                47,
                64,
                &[],
                &[0; 8],
            )),
            What::Tcp(segment) => self.tcp_frame(&segment),
        }
    }

    fn tcp_frame(&self, segment: &Segment) -> Vec<u8> {
        let ports = [self.src.port(), self.dst.port()]
            .map(u16::to_be_bytes)
            .concat();
        let mut l4 = [ports, segment.bytes()].concat();
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let len = u32::try_from(l4.len()).unwrap().to_be_bytes();
        let (src, dst) = (octets(self.src.ip()), octets(self.dst.ip()));
        let checksum = !sum(&[&src, &dst, &len, &[0, 6], &l4]);
        l4[16..18].copy_from_slice(&checksum.to_be_bytes());
        link(&ip_packet((self.src.ip(), self.dst.ip()), 6, 64, &[], &l4))
    }
}

pub(super) fn config() -> NatConfig {
    NatConfig {
        seed: 0x5eed,
        worker_count: 4,
        flow_limit: 1000,
        timeouts: Timeouts::default(),
        limits: Limits::default(),
        fragments: FragmentLimits::default(),
    }
}

pub(super) fn rules_config() -> RulesConfig {
    let network = |network, masquerade| NetworkRules {
        network,
        masquerade,
    };
    RulesConfig {
        external: EXTERNAL.map(|text| text.parse().unwrap()).to_vec(),
        networks: vec![
            network(RED, Masquerade::Yes),
            network(BLUE, Masquerade::Yes),
            network(PLAIN, Masquerade::No),
        ],
        ..RulesConfig::default()
    }
}

pub(super) fn published(protocol: PortProtocol, host: &str, target: &str) -> Published {
    let host = socket(host);
    let target = socket(target);
    Published {
        protocol,
        host_addr: (!host.ip().is_unspecified()).then_some(host.ip()),
        host_ports: host.port()..=host.port(),
        network: RED,
        target: target.ip(),
        target_port: target.port(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(config(), &rules_config())
    }

    pub(super) fn of(config: NatConfig, rules: &RulesConfig) -> Self {
        Self {
            nat: Nat::new(config),
            rules: NatRules::new(rules).unwrap(),
            now: Timestamp::from_secs(1000),
        }
    }

    pub(super) fn with_published(list: Vec<Published>) -> Self {
        let rules = RulesConfig {
            published: list,
            ..rules_config()
        };
        Self::of(config(), &rules)
    }

    pub(super) fn pass(&self) -> Pass<'_> {
        Pass {
            now: self.now,
            worker: 0,
            rules: &self.rules,
            hint: Hint::NONE,
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(super) fn sweep(&self) -> usize {
        self.nat.poll_expiry(self.now, usize::MAX)
    }

    /// Sends the bytes of a frame out of a network, and returns what they are afterwards.
    pub(super) fn out_bytes(&self, network: NetworkNo, bytes: &mut [u8]) -> Result<Out, NatDrop> {
        let parsed = ParsedFrame::parse(bytes).unwrap();
        let mut frame = Frame::new(bytes, 0, Offload::NONE);
        let nothing = &mut |_: &mut Frame<'_>, _| panic!("nothing was held");
        self.nat
            .translate_out(&self.pass(), network, &mut frame, &parsed, nothing)
    }

    /// Sends the bytes of a frame in from an uplink.
    pub(super) fn in_bytes(&self, bytes: &mut [u8]) -> Result<In, NatDrop> {
        let parsed = ParsedFrame::parse(bytes).unwrap();
        let mut frame = Frame::new(bytes, 0, Offload::NONE);
        let nothing = &mut |_: &mut Frame<'_>, _| panic!("nothing was held");
        self.nat
            .translate_in(&self.pass(), &mut frame, &parsed, nothing)
    }

    /// Sends a packet out of a network, and returns its ends afterwards. A packet that is refused or not
    /// translated has not changed, and one that is translated has right checksums.
    pub(super) fn out(&self, network: NetworkNo, sent: &Sent) -> Result<(Out, Ends), NatDrop> {
        let before = sent.frame();
        let mut bytes = before.clone();
        let verdict = self.out_bytes(network, &mut bytes);
        if !matches!(verdict, Ok(Out::ToUplink | Out::Hairpin { .. })) {
            assert_eq!(before, bytes);
        }
        verdict.map(|verdict| (verdict, ends_of(&bytes)))
    }

    /// As [`World::out`], from an uplink.
    pub(super) fn inward(&self, sent: &Sent) -> Result<(In, Ends), NatDrop> {
        let before = sent.frame();
        let mut bytes = before.clone();
        let verdict = self.in_bytes(&mut bytes);
        if !matches!(verdict, Ok(In::To { .. })) {
            assert_eq!(before, bytes);
        }
        verdict.map(|verdict| (verdict, ends_of(&bytes)))
    }

    /// Sends a packet from [`RED`] to the outside and returns its external source.
    pub(super) fn external(&self, sent: &Sent) -> SocketAddr {
        let (verdict, ends) = self.out(RED, sent).unwrap();
        assert_eq!(verdict, Out::ToUplink);
        assert_eq!(to_socket(ends.dst), sent.dst);
        to_socket(ends.src)
    }

    /// Sends a packet from outside and returns where in [`RED`] it arrives.
    pub(super) fn arrival(&self, sent: &Sent) -> Result<SocketAddr, NatDrop> {
        let (verdict, ends) = self.inward(sent)?;
        let dst = to_socket(ends.dst);
        assert_eq!(
            verdict,
            In::To {
                network: RED,
                dst: dst.ip()
            }
        );
        assert_eq!(to_socket(ends.src), sent.src);
        Ok(dst)
    }

    pub(super) fn flows(&self) -> Vec<FlowEntry> {
        let flows = self.nat.flows(self.now, FlowFilter::default());
        let flows = flows.filter(|flow| flow.kind != FlowKind::Mapping);
        let mut flows: Vec<_> = flows.collect();
        flows.sort_by_key(|flow| (flow.kind, flow.original));
        flows
    }

    pub(super) fn mapping_count(&self) -> usize {
        let flows = self.nat.flows(self.now, FlowFilter::default());
        flows.filter(|flow| flow.kind == FlowKind::Mapping).count()
    }
}

pub(super) fn to_socket(end: Endpoint) -> SocketAddr {
    SocketAddr::new(end.ip(), end.port())
}

/// Reads the ends of a frame and verifies its checksums.
pub(super) fn ends_of(bytes: &[u8]) -> Ends {
    let parsed = ParsedFrame::parse(bytes).unwrap();
    if let Ok(ip) = Ipv4View::parse(&bytes[parsed.l3_offset()..]) {
        assert!(ip.verify_checksum());
    }
    let verification = verify_transport(bytes, &parsed);
    assert!(matches!(
        verification,
        Verification::Right | Verification::Unknown
    ));
    let mut bytes = bytes.to_vec();
    let frame = Frame::new(&mut bytes, 0, Offload::NONE);
    match Packet::read(&frame, &parsed) {
        Ok(Packet::Flow(flow)) => flow.ends,
        Ok(Packet::Error(error)) => error.quoted.ends,
        Ok(Packet::Later(_)) | Err(_) => Ends {
            src: Endpoint::ANY_V4,
            dst: Endpoint::ANY_V4,
        },
    }
}
