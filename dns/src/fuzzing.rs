//! The body of the fuzz target `dns`: hostile queries, and hostile answers of others.

use core::time::Duration;

use tapweave_net::Timestamp;

use crate::{
    Answered, ClientNo, Limits, NameRecord, NetworkNames, Resolver, Step, Transport, World, Zone,
};

/// Gives `data` to a resolver as a query. If that has to be asked, gives it the rest as the answer.
///
/// # Panics
///
/// When a reply does not belong to its query or is longer than it may be.
pub fn check(data: &[u8]) {
    let (len, rest) = data
        .split_first()
        .map_or((0, data), |(len, rest)| (usize::from(*len), rest));
    let (query, answer) = rest.split_at(len.min(rest.len()));
    let mut resolver = Resolver::new(Zone::new(&names()), Limits::default());
    let now = Timestamp::from_secs(1);
    let transport = Transport::Datagram { max: 1232 };
    for now in [now, now + Duration::from_secs(2)] {
        match resolver.handle_query(now, ClientNo(1), transport, query, ()) {
            Step::Answer((), reply) => check_reply(query, &reply),
            Step::Ask(question) => {
                let asked = question.encode(7);
                let mut answer = answer.to_vec();
                // What does not begin as an answer to the question would not be looked into.
                if answer.len() > 12 {
                    answer.splice(..2, 7_u16.to_be_bytes());
                    answer.splice(4..6, [0, 1]);
                    let question = asked.get(12..asked.len() - 11).unwrap_or_default();
                    answer.splice(12..12, question.iter().copied());
                }
                let outcome = match question.read(7, &answer) {
                    Answered::Answer(answer) => Some(answer),
                    Answered::Truncated | Answered::Failure | Answered::Unrelated => None,
                };
                for ((), reply) in resolver.handle_outcome(now, &question, outcome.as_ref()) {
                    check_reply(query, &reply);
                }
            }
            Step::Wait | Step::Ignore => {}
        }
    }
}

fn check_reply(query: &[u8], reply: &[u8]) {
    assert!(reply.len() >= 12 && reply.len() <= 1232, "{}", reply.len());
    assert_eq!(reply.get(..2), query.get(..2));
    assert!(reply.get(2).is_some_and(|flags| flags & 0x80 != 0));
}

fn names() -> NetworkNames {
    NetworkNames {
        domain: "lab".to_owned(),
        subnets: "10.0.0.0/24".parse().into_iter().collect(),
        gateway: "10.0.0.1".parse().into_iter().collect(),
        host: Vec::new(),
        records: vec![NameRecord {
            name: "web".to_owned(),
            addresses: "10.0.0.2".parse().into_iter().collect(),
            is_alias: false,
        }],
        world: World::Forwarded,
    }
}
