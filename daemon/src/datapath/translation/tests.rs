//! Flows in the words of the control plane, and rules that follow what there is.

use std::net::SocketAddr;
use std::time::Duration;

use tapweave_nat::{FlowState, TcpState};

use super::*;

const RED: NetworkNo = NetworkNo(1);
const BLUE: NetworkNo = NetworkNo(2);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A flow from a sandbox of `RED` to the outside.
fn entry(protocol: IpProtocol) -> FlowEntry {
    FlowEntry {
        kind: FlowKind::Masqueraded,
        protocol,
        opened_in: Some(RED),
        answered_in: None,
        original: Endpoints {
            src: at("10.0.0.2:4000"),
            dst: at("198.51.100.7:80"),
        },
        reply: Endpoints {
            src: at("198.51.100.7:80"),
            dst: at("192.0.2.1:50000"),
        },
        state: FlowState::Tcp(TcpState::Established),
        expires_in: Duration::from_secs(7),
        original_packets: 3,
        original_bytes: 180,
        reply_packets: 2,
        reply_bytes: 120,
    }
}

#[test]
fn the_inner_side_is_that_of_who_opened_the_flow_or_of_who_answers_it() {
    let out = nat_flow(&entry(IpProtocol::TCP)).unwrap();
    assert_eq!((out.network, out.inner), (RED, at("10.0.0.2:0").ip()));
    let inward = FlowEntry {
        kind: FlowKind::Published,
        opened_in: None,
        answered_in: Some(BLUE),
        reply: Endpoints {
            src: at("10.0.1.9:80"),
            dst: at("203.0.113.5:4000"),
        },
        ..entry(IpProtocol::TCP)
    };
    let inward = nat_flow(&inward).unwrap();
    assert_eq!(
        (inward.network, inward.inner),
        (BLUE, at("10.0.1.9:0").ip())
    );
    let mapping = FlowEntry {
        kind: FlowKind::Mapping,
        ..entry(IpProtocol::UDP)
    };
    assert_eq!(nat_flow(&mapping), None);
}

#[test]
fn ports_are_shown_of_transports_and_identifiers_of_queries() {
    let tcp = nat_flow(&entry(IpProtocol::TCP)).unwrap();
    assert_eq!(tcp.original.to_string(), "10.0.0.2:4000 > 198.51.100.7:80");
    assert_eq!(tcp.protocol, "tcp");
    let query = nat_flow(&entry(IpProtocol::ICMPV4)).unwrap();
    assert_eq!(query.protocol, "icmp");
    assert_eq!(
        query.original.to_string(),
        "10.0.0.2 > 198.51.100.7 id 4000"
    );
    assert_eq!(query.reply.to_string(), "198.51.100.7 > 192.0.2.1 id 50000");
}
