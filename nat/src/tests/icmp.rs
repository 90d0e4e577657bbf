//! ICMP queries and errors (RFC 5508).

use core::net::IpAddr;
use core::time::Duration;

use super::world::*;
use crate::packet::tests::build::{ip_packet, link, sum};
use crate::*;

/// An ICMP error from `src` to `dst` about a packet. Port unreachable.
fn unreachable(src: &str, dst: IpAddr, about: &Sent) -> Vec<u8> {
    let src: IpAddr = src.parse().unwrap();
    let quoted = &about.frame()[14..];
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend(quoted);
    let checksum = !sum(&[&message]);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    link(&ip_packet((src, dst), 1, 64, &[], &message))
}

fn outer(bytes: &[u8]) -> (IpAddr, IpAddr) {
    let ip = tapweave_net::Ipv4View::parse(&bytes[14..]).unwrap();
    (ip.src().into(), ip.dst().into())
}

/// RFC 5508 REQ-1: "a NAT device MUST permit ICMP Queries and their associated responses, when the
/// Query is initiated from a private host to the external hosts." (a): "NAT mapping of ICMP Query
/// Identifiers SHOULD be external host independent."
#[test]
fn rfc5508_req_1_echo_goes_out_and_back_with_an_identifier_that_is_the_hosts() {
    let world = World::new();
    let external = world.external(&ping("10.0.0.2:77", "198.51.100.1:0"));
    let answer = pong("198.51.100.1:0", external);
    assert_eq!(world.arrival(&answer), Ok(socket("10.0.0.2:77")));
    assert_eq!(
        world.external(&ping("10.0.0.2:77", "198.51.100.2:0")),
        external
    );
    let other = world.external(&ping("10.0.0.3:77", "198.51.100.1:0"));
    assert_ne!(other, external);
    let v6 = world.external(&ping("[fd00::2]:77", "[2001:db8:ffff::1]:0"));
    let answer = pong("[2001:db8:ffff::1]:0", v6);
    assert_eq!(world.arrival(&answer), Ok(socket("[fd00::2]:77")));
}

/// RFC 5508 REQ-2: "An ICMP Query session timer MUST NOT expire in less than 60 seconds."
#[test]
fn rfc5508_req_2_a_query_is_remembered_for_a_minute() {
    let mut world = World::new();
    let external = world.external(&ping("10.0.0.2:77", "198.51.100.1:0"));
    let answer = pong("198.51.100.1:0", external);
    world.wait(Duration::from_mins(1));
    world.sweep();
    world.arrival(&answer).unwrap();
    world.wait(Duration::from_secs(62));
    assert_eq!(world.inward(&answer), Err(NatDrop::NoMapping));
    world.sweep();
    assert!(world.nat.is_empty());
}

#[test]
fn answers_that_nobody_asked_for_are_dropped() {
    let world = World::new();
    let external = world.external(&ping("10.0.0.2:77", "198.51.100.1:0"));
    let stranger = pong("198.51.100.9:0", external);
    assert_eq!(world.inward(&stranger), Err(NatDrop::NoMapping));
    let unasked = pong("10.0.0.2:0", "198.51.100.1:5");
    assert_eq!(world.out(RED, &unasked), Err(NatDrop::NoMapping));
}

#[test]
fn an_echo_request_to_an_external_address_is_the_gateways() {
    let world = World::new();
    let request = ping("198.51.100.1:5", "192.0.2.1:0");
    assert_eq!(world.inward(&request).unwrap().0, In::Local);
    let inside = ping("10.0.0.2:5", "192.0.2.1:0");
    assert_eq!(world.out(RED, &inside).unwrap().0, Out::Local);
    let elsewhere = ping("198.51.100.1:5", "10.0.0.2:0");
    assert_eq!(world.inward(&elsewhere).unwrap().0, In::Untranslated);
    assert!(world.nat.is_empty());
}

/// RFC 5508 REQ-4: an error from outside gets the inner destination, inside and outside of the
/// quotation; its type and code and who sent it stay. RFC 4787 REQ-12, RFC 5382 REQ-9.
#[test]
fn rfc5508_req_4_an_error_from_outside_reaches_the_sender_of_what_it_quotes() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    for router in ["203.0.113.1", "198.51.100.1"] {
        let mut bytes = unreachable(router, external.ip(), &udp(external, X));
        let dst = socket(A).ip();
        assert_eq!(world.in_bytes(&mut bytes), Ok(In::To { network: RED, dst }));
        assert_eq!(outer(&bytes), (router.parse().unwrap(), dst));
        let quoted = ends_of(&bytes);
        assert_eq!(to_socket(quoted.src), socket(A));
        assert_eq!(to_socket(quoted.dst), socket(X));
        assert_eq!(bytes[34..36], [3, 3]);
    }
}

/// RFC 5508 REQ-4: "If a NAT device [...] does not have an active mapping for the embedded payload, the
/// NAT SHOULD silently drop the ICMP Error packet."
#[test]
fn rfc5508_req_4_an_error_about_nothing_known_is_dropped() {
    let world = World::new();
    let external = socket("192.0.2.1:5555");
    let mut bytes = unreachable("203.0.113.1", external.ip(), &udp(external, X));
    assert_eq!(world.in_bytes(&mut bytes), Err(NatDrop::IcmpUnmatched));
    let inside = socket(A);
    let mut bytes = unreachable("10.0.0.2", socket(X).ip(), &udp(X, inside));
    assert_eq!(
        world.out_bytes(RED, &mut bytes),
        Err(NatDrop::IcmpUnmatched)
    );
}

/// RFC 5508 REQ-5: an error from inside is translated too; (c): its source becomes the external address,
/// also when a router inside sends it.
#[test]
fn rfc5508_req_5_an_error_from_inside_shows_the_external_end() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    for inside in ["10.0.0.2", "10.0.0.1"] {
        let mut bytes = unreachable(inside, socket(X).ip(), &udp(X, socket(A)));
        assert_eq!(world.out_bytes(RED, &mut bytes), Ok(Out::ToUplink));
        assert_eq!(outer(&bytes), (external.ip(), socket(X).ip()));
        let quoted = ends_of(&bytes);
        assert_eq!(to_socket(quoted.src), socket(X));
        assert_eq!(to_socket(quoted.dst), external);
    }
}

/// The flow of a stranger is no record; its errors find the mapping.
#[test]
fn errors_about_packets_of_strangers_are_translated_by_the_mapping() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    world.arrival(&udp(Y, external)).unwrap();
    let mut bytes = unreachable("10.0.0.2", socket(Y).ip(), &udp(Y, socket(A)));
    assert_eq!(world.out_bytes(RED, &mut bytes), Ok(Out::ToUplink));
    assert_eq!(to_socket(ends_of(&bytes).dst), external);
    let mut bytes = unreachable("203.0.113.1", external.ip(), &udp(external, Y));
    let dst = socket(A).ip();
    assert_eq!(world.in_bytes(&mut bytes), Ok(In::To { network: RED, dst }));
}

/// RFC 5508 REQ-7: "All NAT devices MUST support the traversal of hairpinned ICMP Error messages."
#[test]
fn rfc5508_req_7_an_error_goes_through_a_hairpin() {
    let world = World::new();
    let [a, b] = [A, B].map(|src| world.external(&udp(src, X)));
    world.out(RED, &udp(A, b)).unwrap();
    // B refuses what it got, which came from a.
    let mut bytes = unreachable("10.0.0.3", a.ip(), &udp(a, socket(B)));
    let dst = socket(A).ip();
    assert_eq!(
        world.out_bytes(RED, &mut bytes),
        Ok(Out::Hairpin { network: RED, dst })
    );
    assert_eq!(outer(&bytes), (b.ip(), dst));
    let quoted = ends_of(&bytes);
    assert_eq!(to_socket(quoted.src), socket(A));
    assert_eq!(to_socket(quoted.dst), b);
}

/// RFC 4787 REQ-12, RFC 5382 REQ-10: "Receipt of any sort of ICMP message MUST NOT terminate the NAT
/// mapping or TCP connection." RFC 5508 REQ-6: nor refresh it.
#[test]
fn rfc4787_req_12_errors_neither_end_nor_prolong_anything() {
    let mut world = World::new();
    let external = world.external(&udp(A, X));
    let before = world.flows();
    world.wait(Duration::from_secs(100));
    let mut bytes = unreachable("203.0.113.1", external.ip(), &udp(external, X));
    world.in_bytes(&mut bytes).unwrap();
    let mut after = world.flows();
    assert_eq!(
        after[0].expires_in + Duration::from_secs(100),
        before[0].expires_in
    );
    after[0].expires_in = before[0].expires_in;
    assert_eq!(after, before);
}

/// RFC 5508 REQ-3: "if the ICMP checksum fails to validate, the NAT SHOULD silently drop".
#[test]
fn rfc5508_req_3_an_error_with_a_wrong_checksum_is_dropped() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    let mut bytes = unreachable("203.0.113.1", external.ip(), &udp(external, X));
    bytes[37] ^= 1;
    assert_eq!(world.in_bytes(&mut bytes), Err(NatDrop::Malformed));
}
