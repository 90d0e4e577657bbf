//! What is asked of other servers, and what is believed of their answers.

use core::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use crate::DATAGRAM_MAX;
use crate::reply::Reply;
use crate::request::Request;

/// A question, as far as it makes a difference to the answer. Names differ by more than case.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Question {
    name: Name,
    kind: RecordType,
    dnssec_ok: bool,
    checking_disabled: bool,
}

/// What a server said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    /// An answer: that something is there, or that it is not.
    Answer(Answer),
    /// That the answer is too long for a datagram.
    Truncated,
    /// That it cannot or will not answer; another server may.
    Failure,
    /// Nothing to this question: it was not sent by the server, or by mistake.
    Unrelated,
}

/// An answer of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub(crate) reply: Reply,
    /// How long it may be kept.
    pub(crate) lifetime: Duration,
}

/// Longest time that an answer is kept.
const LIFETIME_MAX: u32 = 24 * 3600;

/// Longest time that is remembered what is not there (RFC 2308 §5).
const NEGATIVE_MAX: u32 = 3600;

impl Question {
    pub(crate) fn new(request: &Request) -> Self {
        Self {
            name: request.query.name().to_lowercase(),
            kind: request.query.query_type(),
            dnssec_ok: request.edns.is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: request.checking_disabled,
        }
    }

    /// Returns the query that asks for this under a random `id`.
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message
            .queries
            .push(Query::query(self.name.clone(), self.kind));
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM_MAX);
        edns.set_dnssec_ok(self.dnssec_ok);
        message.edns = Some(edns);
        message.to_vec().unwrap_or_default()
    }

    /// Reads what came back to the query with `id`.
    pub fn read(&self, id: u16, bytes: &[u8]) -> Answered {
        // As with queries: at most one question.
        let has_header = bytes.len() >= 12 && bytes.get(4..6) == Some(&[0, 1]);
        if !has_header || bytes.get(..2) != Some(&id.to_be_bytes()) {
            return Answered::Unrelated;
        }
        let Ok(message) = Message::from_vec(bytes) else {
            return Answered::Failure;
        };
        let is_ours = message.metadata.message_type == MessageType::Response
            && message.queries.first().is_some_and(|query| {
                query.query_class() == DNSClass::IN
                    && query.query_type() == self.kind
                    && *query.name() == self.name
            });
        if !is_ours {
            return Answered::Unrelated;
        }
        if message.metadata.truncation {
            return Answered::Truncated;
        }
        if matches!(
            message.metadata.response_code,
            ResponseCode::NoError | ResponseCode::NXDomain
        ) {
            Answered::Answer(answer(message))
        } else {
            Answered::Failure
        }
    }
}

fn answer(message: Message) -> Answer {
    let code = message.metadata.response_code;
    let negative = message.authorities.iter().find_map(|record| {
        let RData::SOA(soa) = &record.data else {
            return None;
        };
        Some(record.ttl.min(soa.minimum).min(NEGATIVE_MAX))
    });
    let asked = message.queries.first().map(Query::query_type);
    let records = message.answers.iter();
    let is_there = code == ResponseCode::NoError
        && records
            .clone()
            .any(|record| Some(record.record_type()) == asked);
    let shortest = records
        .chain(&message.authorities)
        .map(|record| record.ttl)
        .min();
    // Without an SOA record it is not said how long something will be missing (RFC 2308 §5).
    let lifetime = if is_there {
        shortest
    } else {
        negative.min(shortest)
    };
    Answer {
        reply: Reply {
            code,
            authoritative: false,
            answers: message.answers,
            authorities: message.authorities,
            additionals: message.additionals,
        },
        lifetime: Duration::from_secs(lifetime.unwrap_or(0).min(LIFETIME_MAX).into()),
    }
}
