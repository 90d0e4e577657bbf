//! What is not translated: networks without masquerade, packets for nobody here.

use super::world::*;
use crate::*;

#[test]
fn a_network_without_masquerade_is_routed_as_it_is_and_leaves_no_trace() {
    let world = World::new();
    for what in [What::Udp, What::Tcp(syn(1)), What::Request, What::Unknown] {
        let packet = sent(what, "10.0.0.2:7", "198.51.100.1:0");
        assert_eq!(world.out(PLAIN, &packet).unwrap().0, Out::Untranslated);
        let back = sent(packet.what, "198.51.100.1:7", "10.0.0.2:0");
        assert_eq!(world.inward(&back).unwrap().0, In::Untranslated);
    }
    assert!(world.nat.is_empty());
}

#[test]
fn answers_of_a_published_port_are_translated_in_a_network_without_masquerade() {
    let mut one = published(PortProtocol::Udp, "192.0.2.1:53", "10.0.0.9:53");
    one.network = PLAIN;
    let world = World::with_published(vec![one]);
    let dst = socket("10.0.0.9:53").ip();
    let (verdict, _) = world.inward(&udp(X, "192.0.2.1:53")).unwrap();
    assert_eq!(
        verdict,
        In::To {
            network: PLAIN,
            dst
        }
    );
    let (verdict, ends) = world.out(PLAIN, &udp("10.0.0.9:53", X)).unwrap();
    assert_eq!(verdict, Out::ToUplink);
    assert_eq!(to_socket(ends.src), socket("192.0.2.1:53"));
}

#[test]
fn protocols_without_ports_are_refused_where_they_would_need_an_external_address() {
    let world = World::new();
    let packet = sent(What::Unknown, "10.0.0.2:0", "198.51.100.1:0");
    assert_eq!(world.out(RED, &packet), Err(NatDrop::Protocol));
    let packet = sent(What::Unknown, "198.51.100.1:0", "192.0.2.1:0");
    assert_eq!(world.inward(&packet), Err(NatDrop::Protocol));
    let packet = sent(What::Unknown, "10.0.0.2:0", "192.0.2.1:0");
    assert_eq!(world.out(PLAIN, &packet), Err(NatDrop::Protocol));
    assert_eq!(world.nat.stats().dropped(NatDrop::Protocol), 3);
}
