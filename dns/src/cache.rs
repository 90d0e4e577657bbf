//! What other servers said, as long as it holds.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use tapweave_net::Timestamp;

use crate::Question;
use crate::question::Answer;
use crate::reply::Reply;

/// How long it is remembered that nobody could answer (RFC 9520 §3.2).
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);

/// Answers by question. When it is full, what has been in it for longest goes.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<Question, Entry>,
    /// In the order in which they came. A number tells an entry from a later one of the same question.
    order: VecDeque<(Question, u64)>,
    next: u64,
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    reply: Reply,
    number: u64,
    since: Timestamp,
    lifetime: Duration,
}

impl Cache {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            limit,
        }
    }

    /// Returns an answer that still holds, with the time that it still does. Records of the name that was asked for
    /// get it as `name` spells it.
    pub(crate) fn find(&self, question: &Question, name: &Name, now: Timestamp) -> Option<Reply> {
        let entry = self.entries.get(question)?;
        let age = now.since(entry.since);
        if age >= entry.lifetime {
            return None;
        }
        let mut reply = respelt(&entry.reply, name);
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        let sections = [
            &mut reply.answers,
            &mut reply.authorities,
            &mut reply.additionals,
        ];
        for record in sections.into_iter().flatten() {
            record.decrement_ttl(age);
        }
        Some(reply)
    }

    /// Keeps what was answered, or that nothing was, if it may be kept.
    pub(crate) fn keep(&mut self, question: &Question, answer: Option<&Answer>, now: Timestamp) {
        let (reply, lifetime) = match answer {
            Some(answer) => (answer.reply.clone(), answer.lifetime),
            None => (Reply::only(ResponseCode::ServFail), FAILURE_LIFETIME),
        };
        if lifetime.is_zero() || self.limit == 0 {
            return;
        }
        while self.entries.len() >= self.limit || self.order.len() >= 2 * self.limit {
            let Some((oldest, number)) = self.order.pop_front() else {
                break;
            };
            if self
                .entries
                .get(&oldest)
                .is_some_and(|entry| entry.number == number)
            {
                self.entries.remove(&oldest);
            }
        }
        let number = self.next;
        self.next += 1;
        self.order.push_back((question.clone(), number));
        let entry = Entry {
            reply,
            number,
            since: now,
            lifetime,
        };
        self.entries.insert(question.clone(), entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Returns a reply whose records of the name that was asked for have it as the asker spelt it.
pub(crate) fn respelt(reply: &Reply, name: &Name) -> Reply {
    let mut reply = reply.clone();
    for record in &mut reply.answers {
        if record.name == *name {
            record.name = name.clone();
        }
    }
    reply
}
