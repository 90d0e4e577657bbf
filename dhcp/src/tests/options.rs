//! What a client is told besides its address, and in which order.

use super::*;
use crate::fuzzing::settings;
use crate::{Names, WayOut};

/// Returns the codes of an answer's options as they stand in it.
fn codes(message: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    let mut rest = &message[240..];
    while let [code, len, behind @ ..] = rest
        && *code != 255
    {
        codes.push(*code);
        rest = &behind[usize::from(*len)..];
    }
    codes
}

fn wanting(codes: &[u8]) -> v4::Message {
    let mut discover = discover(mac(ASKED));
    let codes = codes.iter().map(|code| OptionCode::from(*code)).collect();
    let list = DhcpOption::ParameterRequestList(codes);
    discover.opts_mut().insert(list);
    discover
}

#[test]
fn options_come_in_the_order_that_the_client_gives_the_mask_first() {
    let mut world = World::new(ASKED);
    let offer = world.say(&wanting(&[15, 6, 6, 3, 1, 77, 26, 119]));
    let offer = offer.unwrap().unwrap();
    let fixed = [53, 54, 51, 58, 59, 1];
    let want = [&fixed[..], &[15, 6, 3, 26, 119]].concat();
    assert_eq!(codes(&offer.reply.message), want);
    let unasked = world.say(&discover(mac(ASKED))).unwrap().unwrap();
    let want = [&fixed[..], &[3, 6, 15, 26, 28, 12]].concat();
    assert_eq!(codes(&unasked.reply.message), want);
}

#[test]
fn the_options_say_what_the_network_is() {
    let mut world = World::new(ASKED);
    let offer = world.say(&wanting(&[3, 6, 12, 15, 26, 28, 119, 121]));
    let offer = offer.unwrap().unwrap();
    let route = |subnet: &str| (subnet.parse().unwrap(), SERVER);
    for want in [
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::Router(vec![SERVER]),
        DhcpOption::DomainNameServer(vec![SERVER]),
        DhcpOption::Hostname("vm1".to_owned()),
        DhcpOption::DomainName("blue".to_owned()),
        DhcpOption::InterfaceMtu(1450),
        DhcpOption::BroadcastAddr(Ipv4Addr::new(10, 0, 0, 255)),
        DhcpOption::ClasslessStaticRoute(vec![route("10.0.9.0/24"), route("0.0.0.0/0")]),
    ] {
        assert_eq!(offer.option(OptionCode::from(&want)), Some(&want));
    }
    let Some(DhcpOption::DomainSearch(search)) = offer.option(OptionCode::DomainSearch) else {
        panic!("no search list");
    };
    assert_eq!(search[0].to_string(), "blue.");
}

#[test]
fn a_closed_network_without_names_has_neither_router_nor_resolver() {
    let mut world = World::new(ASKED);
    world.server.set_settings(crate::Settings {
        way_out: WayOut::Closed,
        names: Names::Unanswered,
        domain: None,
        ..settings()
    });
    let offer = world
        .say(&wanting(&[3, 6, 15, 26, 119, 121]))
        .unwrap()
        .unwrap();
    assert_eq!(codes(&offer.reply.message), [53, 54, 51, 58, 59, 1, 26]);
}

#[test]
fn the_identifier_comes_back_and_others_do_not_get_the_endpoints_name() {
    let mut world = World::new(ASKED);
    let mut discover = discover(behind(1));
    let id = DhcpOption::ClientIdentifier(vec![255, 1, 2, 3]);
    discover.opts_mut().insert(id.clone());
    let offer = world.say(&discover).unwrap().unwrap();
    assert_eq!(offer.option(OptionCode::ClientIdentifier), Some(&id));
    assert_eq!(offer.option(OptionCode::Hostname), None);
}

#[test]
fn the_answer_is_as_long_as_bootp_and_no_longer_than_the_client_takes() {
    let mut world = World::new(ASKED);
    let nets = (0..80).map(|third| {
        format!("10.1.{third}.1/24")
            .parse::<ipnet::Ipv4Net>()
            .unwrap()
    });
    let mut many = settings();
    many.gateways.extend(nets);
    world.server.set_settings(many);
    let mut wanting = wanting(&[121, 15]);
    let offer = world.say(&wanting).unwrap().unwrap();
    assert_eq!(offer.reply.message.len(), 300);
    assert_eq!(codes(&offer.reply.message).last(), Some(&15));
    let size = DhcpOption::MaxMessageSize(1500);
    wanting.opts_mut().insert(size);
    let offer = world.say(&wanting).unwrap().unwrap();
    let Some(DhcpOption::ClasslessStaticRoute(routes)) =
        offer.option(OptionCode::ClasslessStaticRoute)
    else {
        panic!("no routes");
    };
    assert_eq!(routes.len(), 82);
}
