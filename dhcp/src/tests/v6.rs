//! Information over IPv6.

use dhcproto::v6::{self, DhcpOption, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};

use crate::Refusal;
use crate::fuzzing::server;

fn ask(message: &v6::Message) -> Result<v6::Message, Refusal> {
    let reply = server().handle_v6(&message.to_vec().unwrap())?;
    Ok(v6::Message::decode(&mut Decoder::new(&reply)).unwrap())
}

fn information_request() -> v6::Message {
    v6::Message::new_with_id(MessageType::InformationRequest, [1, 2, 3])
}

#[test]
fn a_client_gets_the_resolver_and_the_search_domain() {
    let mut request = information_request();
    let client = DhcpOption::ClientId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 7]);
    request.opts_mut().insert(client.clone());
    let wanted = vec![OptionCode::DomainNameServers, OptionCode::DomainSearchList];
    let wanted = DhcpOption::ORO(v6::ORO { opts: wanted });
    request.opts_mut().insert(wanted);
    let reply = ask(&request).unwrap();
    assert_eq!(reply.msg_type(), MessageType::Reply);
    assert_eq!(reply.xid(), [1, 2, 3]);
    let duid = DhcpOption::ServerId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 0xfe]);
    for want in [
        client,
        duid,
        DhcpOption::DomainNameServers(vec!["fd00::1".parse().unwrap()]),
    ] {
        assert_eq!(reply.opts().get(OptionCode::from(&want)), Some(&want));
    }
    let search = reply.opts().get(OptionCode::DomainSearchList);
    assert!(
        matches!(search, Some(DhcpOption::DomainSearchList(names)) if names[0].to_string() == "blue.")
    );
    let refresh = reply.opts().get(OptionCode::InformationRefreshTime);
    assert_eq!(refresh, None);
}

#[test]
fn what_is_not_asked_for_is_not_given() {
    let mut request = information_request();
    let wanted = vec![OptionCode::InformationRefreshTime];
    let wanted = DhcpOption::ORO(v6::ORO { opts: wanted });
    request.opts_mut().insert(wanted);
    let reply = ask(&request).unwrap();
    assert_eq!(reply.opts().get(OptionCode::DomainNameServers), None);
    let refresh = reply.opts().get(OptionCode::InformationRefreshTime);
    // Which `dhcproto` writes and does not read.
    assert_eq!(
        refresh.unwrap().to_vec().unwrap(),
        DhcpOption::InformationRefreshTime(3600).to_vec().unwrap()
    );
}

#[test]
fn addresses_relays_and_other_servers_are_refused() {
    let solicit = v6::Message::new_with_id(MessageType::Solicit, [0; 3]);
    assert_eq!(ask(&solicit).unwrap_err(), Refusal::Unsupported);
    let mut other = information_request();
    other
        .opts_mut()
        .insert(DhcpOption::ServerId(vec![0, 3, 0, 1, 9]));
    assert_eq!(ask(&other).unwrap_err(), Refusal::OtherServer);
    let relayed = server().handle_v6(&[12, 0, 0, 0, 0]);
    assert_eq!(relayed, Err(Refusal::Relayed));
    let cut = server().handle_v6(&[11, 1, 2, 3, 0, 1, 0, 9, 0]);
    assert_eq!(cut, Err(Refusal::Malformed));
}
