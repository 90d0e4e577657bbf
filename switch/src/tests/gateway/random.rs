//! Whatever comes in, the gateway survives it and keeps the networks apart.

use proptest::prelude::*;

use super::*;

/// What a packet says: good parts most of the time, so that it gets far.
#[derive(Clone, Debug)]
struct Recipe {
    ingress: usize,
    to: usize,
    src: usize,
    dst: usize,
    hops: u8,
    is_ping: bool,
    payload_len: usize,
    /// Octets that are replaced, by their place.
    noise: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
    offload: Offload,
}

const V4: [&str; 12] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.99",
    "10.0.0.255",
    "10.9.0.1",
    "10.9.0.2",
    "192.0.2.1",
    "192.0.2.2",
    "198.51.100.7",
    "127.0.0.1",
    "224.0.0.1",
];
const V6: [&str; 12] = [
    "fd00::1",
    "fd00::2",
    "fd00::3",
    "fd00::99",
    "fe80::ff:fe00:fe",
    "fd09::1",
    "fd09::2",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:7::7",
    "::1",
    "ff02::1",
];

fn recipes() -> impl Strategy<Value = Recipe> {
    let offload =
        (0_u16..200, 0_u16..40, 1_u16..3000, 0..4_usize).prop_map(|(start, offset, size, kind)| {
            let kinds = [
                None,
                Some(tapweave_net::GsoKind::TcpV4),
                Some(tapweave_net::GsoKind::TcpV6),
                Some(tapweave_net::GsoKind::Udp),
            ];
            Offload {
                checksum: tapweave_net::ChecksumOffload::Partial { start, offset },
                gso: kinds[kind].map(|kind| tapweave_net::Gso {
                    kind,
                    ecn: false,
                    size,
                    header_len_hint: 0,
                }),
            }
        });
    let noise = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let ends = (0..4_usize, 0..4_usize, 0..24_usize, 0..12_usize);
    (
        ends,
        (prop_oneof![Just(1), Just(64)], any::<bool>(), 0..3000_usize),
        prop_oneof![3 => Just(Vec::new()), 1 => noise],
        prop::option::weighted(0.1, any::<prop::sample::Index>()),
        prop_oneof![3 => Just(Offload::NONE), 1 => offload],
    )
        .prop_map(
            |(ends, (hops, is_ping, payload_len), noise, cut, offload)| Recipe {
                ingress: ends.0,
                to: ends.1,
                src: ends.2,
                dst: ends.3,
                hops,
                is_ping,
                payload_len,
                noise,
                cut,
                offload,
            },
        )
}

fn frame(recipe: &Recipe) -> Vec<u8> {
    let family = if recipe.src < V4.len() { V4 } else { V6 };
    let way = Way {
        from: mac(2),
        to: [GATEWAY, OTHER_GATEWAY, UPLINK, MacAddr::BROADCAST][recipe.to],
        src: family[recipe.src % V4.len()],
        dst: family[recipe.dst],
        hops: recipe.hops,
    };
    let payload = vec![0x5a; recipe.payload_len];
    let mut frame = if recipe.is_ping {
        way.ping(7, &payload)
    } else {
        way.udp(&payload)
    };
    for (place, octet) in &recipe.noise {
        let place = place.index(frame.len());
        frame[place] = *octet;
    }
    if let Some(cut) = recipe.cut {
        frame.truncate(cut.index(frame.len()));
    }
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What a network sends leaves by one of its own ports or by the uplink, and what comes from the uplink goes
    /// back there or into the network whose subnet it is for.
    #[test]
    fn no_frame_reaches_a_third_network(recipe in recipes()) {
        let rig = Rig::new(Outside::Routed);
        let [a, b, c] = rig.ports;
        let ingress = [a, b, rig.other_port, rig.uplink][recipe.ingress];
        let mut buffer = [&[0xa5; HEADROOM][..], &frame(&recipe)].concat();
        let mut frame = Frame::new(&mut buffer, HEADROOM, recipe.offload);
        let dst = ParsedFrame::parse(frame.data()).ok().and_then(|parsed| match *parsed.flow() {
            tapweave_net::FlowKey::V4 { dst, .. } => Some(IpAddr::from(dst)),
            tapweave_net::FlowKey::V6 { dst, .. } => Some(IpAddr::from(dst)),
            tapweave_net::FlowKey::Link { .. } => None,
        });
        let mut sent = Vec::new();
        let mut emit = |to: EgressPort, _: &mut Frame<'_>| sent.push(to.port);
        if let Some(to) = rig.pipeline.handle_gateway(rig.now, (ingress, usize::MAX), &mut frame, &mut emit) {
            sent.push(to.port);
        }
        for port in sent {
            let is_inside = [a, b, c].contains(&port);
            let may = if port == ingress || ingress != rig.uplink && port == rig.uplink {
                true
            } else if ingress == rig.uplink {
                let subnet = if is_inside { ["10.0.0.0/24", "fd00::/64"] } else { ["10.9.0.0/24", "fd09::/64"] };
                let subnets = subnet.map(|text| text.parse::<ipnet::IpNet>().unwrap());
                dst.is_some_and(|dst| subnets.iter().any(|subnet| subnet.contains(&dst)))
            } else {
                is_inside && ingress != rig.other_port
            };
            prop_assert!(may, "{recipe:?} from {ingress} to {port}");
        }
    }

    /// Bytes without any sense do no harm either.
    #[test]
    fn nothing_is_made_of_nonsense(
        data in prop::collection::vec(any::<u8>(), 0..200),
        ethertype in prop_oneof![Just([0x08, 0x00]), Just([0x08, 0x06]), Just([0x86, 0xdd]), Just([0x81, 0x00])],
        ingress in 0..4_usize,
    ) {
        let rig = Rig::new(Outside::Routed);
        let [a, b, _] = rig.ports;
        let ingress = [a, b, rig.other_port, rig.uplink][ingress];
        let mut buffer = vec![0xa5; HEADROOM];
        buffer.extend(GATEWAY.octets());
        buffer.extend(mac(2).octets());
        buffer.extend(ethertype);
        buffer.extend(data);
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        rig.pipeline.handle_gateway(rig.now, (ingress, usize::MAX), &mut frame, &mut |_, _| {});
    }
}
