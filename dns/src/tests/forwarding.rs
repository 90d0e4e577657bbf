//! What others are asked, and what of it is kept.

use super::*;

const ID: u16 = 77;

/// Returns what a server says to `question`.
fn answer(question: &Question, answers: &[(&str, u32, &str)], code: ResponseCode) -> Message {
    let asked = Message::from_vec(&question.encode(ID)).unwrap();
    let mut message = Message::response(ID, OpCode::Query);
    message.queries = asked.queries;
    message.metadata.response_code = code;
    for (owner, ttl, address) in answers {
        let data = RData::from(address.parse::<IpAddr>().unwrap());
        let record = Record::from_rdata(name(owner), *ttl, data);
        message.answers.push(record);
    }
    message
}

fn read(question: &Question, message: &Message) -> Option<Answer> {
    match question.read(ID, &message.to_vec().unwrap()) {
        Answered::Answer(answer) => Some(answer),
        Answered::Truncated | Answered::Failure | Answered::Unrelated => None,
    }
}

#[track_caller]
fn asked(step: Step<u8>) -> Question {
    match step {
        Step::Ask(question) => question,
        other @ (Step::Answer(..) | Step::Wait | Step::Ignore) => panic!("{other:?}"),
    }
}

#[track_caller]
fn replied(step: Step<u8>) -> Message {
    match step {
        Step::Answer(_, bytes) => Message::from_vec(&bytes).unwrap(),
        other @ (Step::Ask(_) | Step::Wait | Step::Ignore) => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_passed_on_and_kept_as_long_as_it_says() {
    let mut resolver = resolver(World::Forwarded);
    let query = query("www.Example.com.", RecordType::A);
    let question = asked(resolver.put(START, 1, &query));
    // Another one waits, and nothing is asked twice.
    assert!(matches!(resolver.put(START, 2, &query), Step::Wait));
    let message = answer(
        &question,
        &[("www.example.com.", 60, "192.0.2.7")],
        ResponseCode::NoError,
    );
    let outcome = read(&question, &message).unwrap();
    let replies = resolver.handle_outcome(START, &question, Some(&outcome));
    assert_eq!(replies.len(), 2);
    let first = Message::from_vec(&replies[0].1).unwrap();
    assert_eq!(first.metadata.id, 0x1234);
    assert!(!first.metadata.authoritative && first.metadata.recursion_available);
    assert_eq!(first.answers[0].name.to_ascii(), "www.Example.com.");

    let later = START + Duration::from_secs(20);
    let cached = replied(resolver.put(later, 1, &query));
    assert_eq!(cached.answers[0].ttl, 40);
    asked(resolver.put(START + Duration::from_mins(1), 1, &query));
}

#[test]
fn what_is_not_there_is_remembered_as_its_soa_says() {
    let soa = |ttl, minimum| {
        let host = name("example.com.");
        let soa = SOA::new(host.clone(), host.clone(), 1, 1, 1, 1, minimum);
        Record::from_rdata(host, ttl, RData::SOA(soa))
    };
    for (authority, kept_secs) in [
        (Some(soa(300, 30)), 30),
        (Some(soa(10, 900)), 10),
        (Some(soa(90_000, 90_000)), 3600),
        (None, 0),
    ] {
        for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
            let mut resolver = resolver(World::Forwarded);
            let query = query("no.example.com.", RecordType::A);
            let question = asked(resolver.put(START, 1, &query));
            let mut message = answer(&question, &[], code);
            message.authorities.extend(authority.clone());
            let outcome = read(&question, &message);
            resolver.handle_outcome(START, &question, outcome.as_ref());
            if kept_secs > 0 {
                let last = START + Duration::from_secs(kept_secs - 1);
                assert_eq!(
                    replied(resolver.put(last, 1, &query))
                        .metadata
                        .response_code,
                    code
                );
            }
            asked(resolver.put(START + Duration::from_secs(kept_secs), 1, &query));
        }
    }
}

#[test]
fn what_nobody_answers_fails_and_is_soon_asked_again() {
    let mut resolver = resolver(World::Forwarded);
    let query = query("www.example.com.", RecordType::A);
    let question = asked(resolver.put(START, 1, &query));
    let replies = resolver.handle_outcome(START, &question, None);
    let reply = Message::from_vec(&replies[0].1).unwrap();
    assert_eq!(code(&reply), ResponseCode::ServFail);
    assert_eq!(
        code(&replied(resolver.put(START, 1, &query))),
        ResponseCode::ServFail
    );
    asked(resolver.put(START + Duration::from_secs(1), 1, &query));
    // Local names do not care.
    assert_eq!(
        code(&resolver.ask("web.", RecordType::A)),
        ResponseCode::NoError
    );
}

#[test]
fn only_the_answer_to_the_question_is_believed() {
    let mut resolver = resolver(World::Forwarded);
    let question = asked(resolver.put(START, 1, &query("www.example.com.", RecordType::A)));
    let good = answer(&question, &[], ResponseCode::NoError);
    let mut id = good.clone();
    id.metadata.id = ID + 1;
    let mut other = good.clone();
    other.queries[0].set_name(name("www.example.org."));
    let mut kind = good.clone();
    kind.queries[0].set_query_type(RecordType::AAAA);
    let mut none = good.clone();
    none.queries.clear();
    let mut query = good.clone();
    query.metadata.message_type = MessageType::Query;
    for wrong in [id, other, kind, none, query] {
        let read = question.read(ID, &wrong.to_vec().unwrap());
        assert_eq!(read, Answered::Unrelated);
    }
    let mut truncated = good.clone();
    truncated.metadata.truncation = true;
    let read = |message: &Message| question.read(ID, &message.to_vec().unwrap());
    assert_eq!(read(&truncated), Answered::Truncated);
    let mut refused = good.clone();
    refused.metadata.response_code = ResponseCode::Refused;
    assert_eq!(read(&refused), Answered::Failure);
    let mut bytes = good.to_vec().unwrap();
    bytes.pop();
    bytes.pop();
    assert_eq!(question.read(ID, &bytes), Answered::Failure);
}

#[test]
fn what_else_an_answer_says_changes_nothing_for_other_names() {
    let mut resolver = resolver(World::Forwarded);
    let question = asked(resolver.put(START, 1, &query("evil.example.", RecordType::A)));
    let message = answer(
        &question,
        &[
            ("evil.example.", 60, "192.0.2.7"),
            ("bank.example.", 60, "192.0.2.66"),
            ("web.lab.", 60, "192.0.2.66"),
        ],
        ResponseCode::NoError,
    );
    let outcome = read(&question, &message);
    resolver.handle_outcome(START, &question, outcome.as_ref());
    asked(resolver.put(START, 1, &query("bank.example.", RecordType::A)));
    let web = resolver.ask("web.lab.", RecordType::A);
    assert_eq!(addresses(&web), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
}

#[test]
fn one_client_that_asks_for_everything_leaves_the_others_their_share() {
    let mut resolver = resolver(World::Forwarded);
    let ask = |resolver: &mut Resolver<u8>, client, n: usize| {
        let query = query(&format!("n{n}.example.com."), RecordType::A);
        resolver.put(START, client, &query)
    };
    let limits = Limits::default();
    for n in 0..limits.waiting_of_client {
        asked(ask(&mut resolver, 1, n));
    }
    let refused = replied(ask(&mut resolver, 1, 1000));
    assert_eq!(code(&refused), ResponseCode::ServFail);
    assert_eq!(resolver.stats().limited, 1);
    asked(ask(&mut resolver, 2, 1001));
    // Local names are no part of it.
    assert_eq!(
        code(&resolver.ask("web.", RecordType::A)),
        ResponseCode::NoError
    );
}

#[test]
fn a_client_may_ask_as_fast_as_the_limit_permits() {
    let limits = Limits {
        rate_of_client: 10,
        ..Limits::default()
    };
    let mut resolver = Resolver::new(Zone::new(&names(World::Forwarded)), limits);
    let mut count_at = |now, from: usize| {
        let mut count = 0;
        for n in from..from + 30 {
            let query = query(&format!("n{n}.example.com."), RecordType::A);
            if let Step::Ask(question) = resolver.put(now, 1, &query) {
                resolver.handle_outcome(now, &question, None);
                count += 1;
            }
        }
        count
    };
    assert_eq!(count_at(START, 0), 10);
    assert_eq!(count_at(START + Duration::from_millis(500), 100), 5);
}

#[test]
fn the_cache_stays_within_its_bound_and_can_be_emptied() {
    let limits = Limits {
        cache: 10,
        ..Limits::default()
    };
    let mut resolver = Resolver::new(Zone::new(&names(World::Forwarded)), limits);
    for n in 0..100 {
        let owner = format!("n{n}.example.com.");
        let question = asked(resolver.put(START, n, &query(&owner, RecordType::A)));
        let message = answer(
            &question,
            &[(&owner, 60, "192.0.2.7")],
            ResponseCode::NoError,
        );
        let outcome = read(&question, &message);
        resolver.handle_outcome(START, &question, outcome.as_ref());
    }
    assert_eq!(resolver.stats().cache_len, 10);
    replied(resolver.put(START, 1, &query("n99.example.com.", RecordType::A)));
    asked(resolver.put(START, 1, &query("n1.example.com.", RecordType::A)));
    resolver.flush();
    asked(resolver.put(START, 1, &query("n99.example.com.", RecordType::A)));
}

#[test]
fn who_does_not_want_others_asked_learns_nothing_of_what_they_were_asked() {
    let mut resolver = resolver(World::Forwarded);
    let mut query = query("www.example.com.", RecordType::A);
    query.metadata.recursion_desired = false;
    assert_eq!(
        code(&replied(resolver.put(START, 1, &query))),
        ResponseCode::Refused
    );
}

#[test]
fn what_a_server_says_that_is_not_asked_any_more_is_passed_on_and_not_kept() {
    let mut resolver = resolver(World::Forwarded);
    let query = query("www.example.com.", RecordType::A);
    let question = asked(resolver.put(START, 1, &query));
    resolver.flush();
    let mut answered = |last: &str| {
        let message = answer(
            &question,
            &[("www.example.com.", 60, last)],
            ResponseCode::NoError,
        );
        let outcome = read(&question, &message);
        let replies = resolver.handle_outcome(START, &question, outcome.as_ref());
        assert_eq!(replies.len(), 1);
        resolver.put(START, 1, &query)
    };
    asked(answered("192.0.2.7"));
    let cached = replied(answered("192.0.2.8"));
    assert_eq!(addresses(&cached), ["192.0.2.8".parse::<IpAddr>().unwrap()]);
}
