//! What a network knows itself.

use super::*;

#[track_caller]
fn assert_addresses(text: &str, kind: RecordType, expected: &[&str]) {
    let reply = resolver(World::Closed).ask(text, kind);
    let mut found = addresses(&reply);
    found.sort();
    let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(found, expected, "{text}");
    assert_eq!(code(&reply), ResponseCode::NoError);
    assert!(reply.metadata.authoritative);
    let ttls = reply.answers.iter().map(|record| record.ttl);
    assert!(ttls.into_iter().all(|ttl| ttl == LOCAL_TTL));
}

#[test]
fn names_and_aliases_are_found_bare_and_in_the_networks_domain() {
    assert_addresses("web.", RecordType::A, &["10.0.0.2"]);
    assert_addresses("web.lab.", RecordType::A, &["10.0.0.2"]);
    assert_addresses("web.lab.", RecordType::AAAA, &["fd00::2"]);
    assert_addresses("all.", RecordType::A, &["10.0.0.2", "10.0.0.3"]);
    assert_addresses("a.b.", RecordType::A, &["10.0.0.4"]);
    assert_addresses("a.b.lab.", RecordType::A, &["10.0.0.4"]);
    assert_addresses("gateway.internal.", RecordType::A, &["10.0.0.1"]);
    assert_addresses("host.internal.", RecordType::A, &["192.0.2.1"]);
    assert_addresses("localhost.", RecordType::A, &["127.0.0.1"]);
    assert_addresses("x.localhost.", RecordType::AAAA, &["::1"]);
}

#[test]
fn what_exists_without_such_a_record_is_told_from_what_does_not_exist() {
    for (text, kind, expected) in [
        ("db.lab.", RecordType::AAAA, ResponseCode::NoError),
        ("db.", RecordType::TXT, ResponseCode::NoError),
        ("b.lab.", RecordType::A, ResponseCode::NoError),
        ("lab.", RecordType::A, ResponseCode::NoError),
        ("nobody.lab.", RecordType::A, ResponseCode::NXDomain),
        ("nobody.", RecordType::A, ResponseCode::NXDomain),
        ("nobody.", RecordType::AAAA, ResponseCode::NXDomain),
        ("web.local.", RecordType::A, ResponseCode::NXDomain),
        ("x.invalid.", RecordType::A, ResponseCode::NXDomain),
    ] {
        let reply = resolver(World::Forwarded).ask(text, kind);
        assert_eq!(code(&reply), expected, "{text}");
        assert!(reply.answers.is_empty());
        // Without one, nobody may remember it (RFC 2308 §5).
        let soa = reply.authorities.first().unwrap();
        assert_eq!(soa.record_type(), RecordType::SOA);
        assert!(soa.name.zone_of(&name(text)), "{text}");
    }
}

#[test]
fn addresses_are_called_what_their_endpoint_is_called_in_the_domain() {
    let mut resolver = resolver(World::Forwarded);
    for (address, expected) in [
        ("10.0.0.2", "web.lab."),
        ("10.0.0.4", "a.b.lab."),
        ("fd00::2", "web.lab."),
        ("10.0.0.1", "gateway.internal."),
    ] {
        let address: IpAddr = address.parse().unwrap();
        let reply = resolver.ask(&Name::from(address).to_ascii(), RecordType::PTR);
        let found = reply.answers.iter().map(|record| record.data.to_string());
        assert_eq!(found.collect::<Vec<_>>(), [expected]);
    }
    let unknown = resolver.ask("77.0.0.10.in-addr.arpa.", RecordType::PTR);
    assert_eq!(code(&unknown), ResponseCode::NXDomain);
    let between = resolver.ask("0.0.10.in-addr.arpa.", RecordType::PTR);
    assert_eq!(code(&between), ResponseCode::NoError);
}

#[test]
fn the_case_of_the_question_stays_and_does_not_matter() {
    let reply = resolver(World::Closed).ask("WeB.lAb.", RecordType::A);
    assert_eq!(reply.queries[0].name().to_ascii(), "WeB.lAb.");
    assert_eq!(reply.answers[0].name.to_ascii(), "WeB.lAb.");
    assert_eq!(addresses(&reply).len(), 1);
}

#[test]
fn several_addresses_take_turns_at_being_the_first() {
    let mut resolver = resolver(World::Closed);
    let mut first = || addresses(&resolver.ask("all.", RecordType::A))[0];
    let (a, b) = (first(), first());
    assert_ne!(a, b);
    assert_eq!(first(), a);
}

#[test]
fn a_closed_network_has_no_other_names_and_asks_nobody() {
    let mut resolver = resolver(World::Closed);
    for text in ["example.com.", "web.other.", "1.1.168.192.in-addr.arpa."] {
        let reply = resolver.ask(text, RecordType::A);
        assert_eq!(code(&reply), ResponseCode::NXDomain, "{text}");
    }
}

#[test]
fn transfers_and_other_classes_are_refused_and_any_is_given_one_record() {
    let mut resolver = resolver(World::Forwarded);
    for kind in [RecordType::AXFR, RecordType::IXFR] {
        assert_eq!(code(&resolver.ask("lab.", kind)), ResponseCode::Refused);
    }
    let mut chaos = query("version.bind.", RecordType::TXT);
    chaos.queries[0].set_query_class(hickory_proto::rr::DNSClass::CH);
    assert_eq!(code(&resolver.ask_with(&chaos)), ResponseCode::Refused);
    for text in ["web.lab.", "example.com."] {
        let any = resolver.ask(text, RecordType::ANY);
        assert_eq!(any.answers.len(), 1);
        assert_eq!(any.answers[0].record_type(), RecordType::HINFO);
    }
}

#[test]
fn a_name_is_there_from_the_moment_that_it_is_set_and_gone_with_it() {
    let mut resolver = resolver(World::Closed);
    let mut names = names(World::Closed);
    names.records.push(record("new", &["10.0.0.9"], false));
    resolver.set_zone(Zone::new(&names));
    assert_eq!(addresses(&resolver.ask("new.lab.", RecordType::A)).len(), 1);
    names.records.pop();
    resolver.set_zone(Zone::new(&names));
    let reply = resolver.ask("new.lab.", RecordType::A);
    assert_eq!(code(&reply), ResponseCode::NXDomain);
}

#[test]
fn an_answer_that_is_too_long_for_a_datagram_is_truncated_and_fits_a_stream() {
    let mut names = names(World::Closed);
    let many: Vec<String> = (0..200).map(|n| format!("10.0.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    names.records.push(record("many", &many, false));
    let mut resolver = Resolver::new(Zone::new(&names), Limits::default());
    let mut asked = query("many.lab.", RecordType::A);
    for (payload, limit) in [(None, 512), (Some(100), 512), (Some(65535), 1232)] {
        asked.edns = payload.map(|payload| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            edns
        });
        let Step::Answer(_, bytes) = resolver.put(START, 1, &asked) else {
            panic!()
        };
        assert!(bytes.len() <= limit);
        let reply = Message::from_vec(&bytes).unwrap();
        assert!(reply.metadata.truncation);
        assert_eq!(reply.edns.is_some(), payload.is_some());
    }
    let bytes = asked.to_vec().unwrap();
    let whole = resolver.handle_query(START, ClientNo(1), Transport::Stream, &bytes, 9);
    let Step::Answer(_, bytes) = whole else {
        panic!()
    };
    assert_eq!(addresses(&Message::from_vec(&bytes).unwrap()).len(), 200);
}

#[test]
fn a_later_version_of_edns_is_told_which_one_there_is() {
    let mut asked = query("web.lab.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    asked.edns = Some(edns);
    let reply = resolver(World::Closed).ask_with(&asked);
    assert_eq!(u16::from(code(&reply)), u16::from(ResponseCode::BADVERS));
    assert_eq!(reply.edns.unwrap().version(), 0);
}
