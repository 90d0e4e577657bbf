//! Replies in bytes.

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::Record;

use crate::DATAGRAM_MAX;
use crate::request::{HeaderOnly, Request};

/// What is said to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) code: ResponseCode,
    /// Whether the resolver is who decides on the name.
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

impl Reply {
    /// Returns a reply that only says this.
    pub(crate) const fn only(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }

    /// Returns the message that gives this to `request`. What is too long is replaced by "truncated" (RFC 2181 §9).
    pub(crate) fn encode(self, request: &Request) -> Vec<u8> {
        let mut message = Message::response(request.id, Request::OPCODE);
        message.metadata.authoritative = self.authoritative;
        message.metadata.recursion_desired = request.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = request.checking_disabled;
        message.metadata.response_code = self.code;
        message.queries.push(request.query.clone());
        message.answers = self.answers;
        message.authorities = self.authorities;
        message.additionals = self.additionals;
        message.edns = request.edns.map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(DATAGRAM_MAX);
            edns.set_dnssec_ok(asked.dnssec_ok);
            edns
        });
        let fits = |bytes: &Vec<u8>| bytes.len() <= usize::from(request.max_len);
        if let Some(bytes) = message.to_vec().ok().filter(fits) {
            return bytes;
        }
        // Additional records are left out silently first: they were not asked for.
        message.additionals.clear();
        if let Some(bytes) = message.to_vec().ok().filter(fits) {
            return bytes;
        }
        message.truncate().to_vec().unwrap_or_default()
    }
}

/// Returns the message of a refusal that consists of a header.
pub(crate) fn header_only(refusal: HeaderOnly) -> Vec<u8> {
    let [high, low] = refusal.id;
    let mut bytes = vec![high, low, refusal.flags | 0x80, 0x80 | refusal.code];
    bytes.resize(12, 0);
    bytes
}
