//! The resolver of one network: queries in, answers and questions out.

use std::collections::HashMap;

use hickory_proto::op::ResponseCode;
use tapweave_net::Timestamp;

use crate::answer::{answer, closed};
use crate::cache::{Cache, respelt};
use crate::limits::Shares;
use crate::question::Answer;
use crate::reply::{Reply, header_only};
use crate::request::{Request, Unfit};
use crate::{ClientNo, Limits, Question, Transport, World, Zone};

/// What is to be done about a query. `T` is what the caller needs to answer it.
#[derive(Debug)]
pub enum Step<T> {
    /// This is sent to who asked.
    Answer(T, Vec<u8>),
    /// This is asked, and what comes of it given to [`Resolver::handle_outcome`].
    Ask(Question),
    /// Nothing: it waits for what was asked before.
    Wait,
    /// Nothing: it is no query.
    Ignore,
}

/// What a resolver did so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ResolverStats {
    /// Queries that came, malformed ones included.
    pub queries: u64,
    /// Queries that were malformed or of a kind that is not answered.
    pub refused: u64,
    /// Queries that were answered from what the network knows itself.
    pub local: u64,
    /// Queries that were answered from the cache.
    pub cached: u64,
    /// Queries that waited for others.
    pub forwarded: u64,
    /// Queries that were not forwarded because the client or the network had its share.
    pub limited: u64,
    /// Questions that nobody answered.
    pub failed: u64,
    /// Answers in the cache.
    pub cache_len: usize,
}

/// The resolver of one network.
#[derive(Debug)]
pub struct Resolver<T> {
    zone: Zone,
    cache: Cache,
    asked: HashMap<Question, Asked<T>>,
    shares: Shares,
    limits: Limits,
    turn: usize,
    stats: ResolverStats,
}

/// A question under way.
#[derive(Debug)]
struct Asked<T> {
    waiters: Vec<Waiter<T>>,
    /// Whether its answer comes from servers that are not asked any more.
    is_outdated: bool,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self {
            waiters: Vec::new(),
            is_outdated: false,
        }
    }
}

#[derive(Debug)]
struct Waiter<T> {
    client: ClientNo,
    ticket: T,
    request: Request,
}

impl<T> Resolver<T> {
    /// Returns a resolver that knows `zone`.
    pub fn new(zone: Zone, limits: Limits) -> Self {
        Self {
            zone,
            cache: Cache::new(limits.cache),
            asked: HashMap::new(),
            shares: Shares::default(),
            limits,
            turn: 0,
            stats: ResolverStats::default(),
        }
    }

    /// Replaces what the network knows itself.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Deals with a query of `client`. `ticket` comes back with the answer.
    pub fn handle_query(
        &mut self,
        now: Timestamp,
        client: ClientNo,
        transport: Transport,
        bytes: &[u8],
        ticket: T,
    ) -> Step<T> {
        self.stats.queries += 1;
        let request = match Request::parse(bytes, transport) {
            Ok(request) => request,
            Err(unfit) => {
                self.stats.refused += 1;
                return match unfit {
                    Unfit::Silence => Step::Ignore,
                    Unfit::Header(refusal) => Step::Answer(ticket, header_only(refusal)),
                    Unfit::Whole(request, code) => {
                        Step::Answer(ticket, Reply::only(code).encode(&request))
                    }
                };
            }
        };
        self.turn = self.turn.wrapping_add(1);
        if let Some(reply) = answer(&self.zone, &request, self.turn) {
            self.stats.local += 1;
            return Step::Answer(ticket, reply.encode(&request));
        }
        if self.zone.world == World::Closed {
            self.stats.local += 1;
            return Step::Answer(ticket, closed().encode(&request));
        }
        // Who does not want anybody else asked could only be looking for what others have asked.
        if !request.recursion_desired {
            self.stats.refused += 1;
            let refusal = Reply::only(ResponseCode::Refused);
            return Step::Answer(ticket, refusal.encode(&request));
        }
        let question = Question::new(&request);
        if let Some(reply) = self.cache.find(&question, request.query.name(), now) {
            self.stats.cached += 1;
            return Step::Answer(ticket, reply.encode(&request));
        }
        self.forward(now, question, client, ticket, request)
    }

    fn forward(
        &mut self,
        now: Timestamp,
        question: Question,
        client: ClientNo,
        ticket: T,
        request: Request,
    ) -> Step<T> {
        let is_asked = self.asked.contains_key(&question);
        let is_full = !is_asked && self.asked.len() >= self.limits.asked;
        if is_full || !self.shares.admit(client, &self.limits, now) {
            self.stats.limited += 1;
            let refusal = Reply::only(ResponseCode::ServFail);
            return Step::Answer(ticket, refusal.encode(&request));
        }
        self.stats.forwarded += 1;
        let waiter = Waiter {
            client,
            ticket,
            request,
        };
        let asked = self.asked.entry(question.clone()).or_default();
        asked.waiters.push(waiter);
        if is_asked {
            Step::Wait
        } else {
            Step::Ask(question)
        }
    }

    /// Takes note of what came of a question, none if nobody answered, and returns what is sent to those who wait.
    pub fn handle_outcome(
        &mut self,
        now: Timestamp,
        question: &Question,
        outcome: Option<&Answer>,
    ) -> Vec<(T, Vec<u8>)> {
        if outcome.is_none() {
            self.stats.failed += 1;
        }
        let asked = self.asked.remove(question).unwrap_or_default();
        if !asked.is_outdated {
            self.cache.keep(question, outcome, now);
        }
        let answered = asked.waiters.into_iter().map(|waiter| {
            self.shares.release(waiter.client);
            let reply = match outcome {
                Some(answer) => respelt(&answer.reply, waiter.request.query.name()),
                None => Reply::only(ResponseCode::ServFail),
            };
            (waiter.ticket, reply.encode(&waiter.request))
        });
        answered.collect()
    }

    /// Forgets what others have said: the host asks other servers now. What is under way is answered, and not kept.
    pub fn flush(&mut self) {
        self.cache = Cache::new(self.limits.cache);
        for asked in self.asked.values_mut() {
            asked.is_outdated = true;
        }
    }

    /// Returns what was done so far.
    pub fn stats(&self) -> ResolverStats {
        ResolverStats {
            cache_len: self.cache.len(),
            ..self.stats
        }
    }
}
