//! The snooping of one network: what was heard goes in, what must be asked comes out.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapweave_net::{PortNo, Timestamp, Vid};

use super::membership::{Joined, Key, Memberships};
use super::message::{Change, Query, Report};
use super::published::{Published, Route};
use super::querier::{Queriers, Schedule};
use super::query::{Asker, Question};
use super::routers::Routers;
use super::timers::{
    LAST_MEMBER_COUNT, LAST_MEMBER_INTERVAL, MEMBERSHIP_INTERVAL, RESPONSE_INTERVAL, Timer, Timers,
};
use super::{
    Family, FastLeave, Group, Heard, MDB_LIMIT_MAX, QuerierRole, QueryGuard, SnoopingConfig, Vlan,
};
use crate::Isolation;

/// Questions for single groups that one call asks at most; the rest waits for the next. A host that
/// leaves and joins all the time gets no more of them than this.
const QUESTION_BUDGET: usize = 256;

/// The snooping of one network.
pub(crate) struct Snooping {
    config: SnoopingConfig,
    asker: Asker,
    state: Mutex<State>,
    pub(super) published: Published,
}

pub(super) struct State {
    pub(super) memberships: Memberships,
    pub(super) routers: Routers,
    pub(super) queriers: Queriers,
    schedule: Schedule,
    pub(super) timers: Timers,
    /// Groups that somebody left, and how often the port is still to be asked.
    doubts: BTreeMap<(Key, PortNo), Doubt>,
    /// Whether who asks has changed since it was last made known.
    stale: bool,
    /// Messages that were noted, and ends.
    pub(super) changes: u64,
}

/// A group that somebody on a port left.
struct Doubt {
    left: u8,
    next: Timestamp,
}

/// What a message did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It was noted.
    Noted,
    /// A membership did not fit.
    Full,
}

/// One line of a multicast database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MdbEntry {
    /// The VLAN; none for untagged frames of a port without VLANs, and for what is about all VLANs.
    pub vid: Option<Vid>,
    /// Which IP it is about.
    pub family: Family,
    /// The group; none for what is about all groups.
    pub group: Option<Group>,
    /// The port.
    pub port: PortNo,
    /// Why the port gets frames.
    pub kind: MdbKind,
    /// Time since the port joined or was marked.
    pub age: Duration,
    /// Time until that ends, unless it is heard from again; zero when it is about to.
    pub expires_in: Duration,
}

/// Why a port gets frames for groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MdbKind {
    /// Somebody on it listens to the group.
    Member,
    /// A router is on it.
    Router,
    /// It has more memberships than fit.
    Overfull,
}

/// How full a multicast database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MdbUsage {
    /// Groups that somebody listens to, by VLAN.
    pub group_count: usize,
    /// Memberships: ports in groups.
    pub membership_count: usize,
    /// Most memberships.
    pub limit: usize,
}

impl Snooping {
    /// Returns the snooping of a network that knows nothing yet. `seed` is random in production.
    pub(crate) fn new(config: SnoopingConfig, seed: u64) -> Self {
        Self {
            config,
            asker: Asker::new(seed),
            state: Mutex::new(State {
                memberships: Memberships::new(config.mdb_limit.min(MDB_LIMIT_MAX)),
                routers: Routers::default(),
                queriers: Queriers::default(),
                schedule: Schedule::default(),
                timers: Timers::default(),
                doubts: BTreeMap::new(),
                stale: false,
                changes: 0,
            }),
            published: Published::new(seed),
        }
    }

    /// Returns where a frame goes. Takes no lock.
    pub(crate) fn route(&self, now: Timestamp, vlan: Vlan, heard: &Heard<'_>) -> Route {
        self.published.route(now, vlan, heard)
    }

    /// Tells whether queries from ports are dropped.
    pub(crate) const fn refuses_queries(&self) -> bool {
        matches!(self.config.query_guard, QueryGuard::On)
    }

    /// Notes what was heard in a frame that was not dropped.
    pub(crate) fn handle(
        &self,
        now: Timestamp,
        port: PortNo,
        isolation: Isolation,
        vlan: Vlan,
        heard: &Heard<'_>,
    ) -> Outcome {
        match heard {
            Heard::Query(query) => {
                // The other isolated ports do not hear it, and so cannot answer.
                if isolation == Isolation::Open {
                    self.handle_query(now, port, vlan, query);
                }
                Outcome::Noted
            }
            Heard::Report(report) => self.handle_report(now, port, vlan, report),
            Heard::Other | Heard::Data(_) | Heard::Invalid(_) => Outcome::Noted,
        }
    }

    fn handle_query(&self, now: Timestamp, port: PortNo, vlan: Vlan, query: &Query) {
        let mut state = self.state();
        let state = &mut *state;
        state.changes += 1;
        if let Some(group) = query.group {
            if query.expels {
                let answer = (query.max_response * u32::from(LAST_MEMBER_COUNT))
                    .max(LAST_MEMBER_INTERVAL * u32::from(LAST_MEMBER_COUNT));
                let key = (vlan, group);
                for port in state.memberships.ports(key) {
                    state.shorten(key, port, now + answer);
                }
            }
        } else {
            let own = match self.config.querier {
                QuerierRole::Listener => None,
                QuerierRole::Querier => Some(self.asker.address(query.family)),
            };
            let response = query.max_response;
            state.queriers.hear(now, vlan, query.source, own, response);
            state.stale = true;
        }
        if query.source.is_unspecified() {
            return;
        }
        let routers = &mut state.routers;
        if routers.mark_router(now, port, query.family, &mut state.timers) {
            self.publish_outlook(state);
        }
    }

    fn handle_report(
        &self,
        now: Timestamp,
        port: PortNo,
        vlan: Vlan,
        report: &Report<'_>,
    ) -> Outcome {
        let mut state = self.state();
        let state = &mut *state;
        state.changes += 1;
        let mut outcome = Outcome::Noted;
        report.for_each(|group, change| {
            if group.is_never_limited() {
                return;
            }
            let key = (vlan, group);
            match change {
                Change::Join | Change::JoinV1 => {
                    outcome = match self.join(state, now, key, port, change) {
                        Outcome::Noted => outcome,
                        Outcome::Full => Outcome::Full,
                    };
                }
                Change::Leave => self.leave(state, now, key, port),
            }
        });
        outcome
    }

    fn join(
        &self,
        state: &mut State,
        now: Timestamp,
        key: Key,
        port: PortNo,
        change: Change,
    ) -> Outcome {
        match state.memberships.join(now, key, port) {
            Joined::New(expires) => {
                state.timers.set(expires, Timer::Membership(key, port));
                self.published.publish_group(key, &state.memberships);
            }
            Joined::Renewed => {
                state.doubts.remove(&(key, port));
            }
            Joined::Full => {
                if state.routers.mark_overfull(now, port, &mut state.timers) {
                    self.publish_outlook(state);
                }
                return Outcome::Full;
            }
        }
        if change == Change::JoinV1
            && let Some(membership) = state.memberships.find(key, port)
        {
            membership.v1_until = now + MEMBERSHIP_INTERVAL;
        }
        Outcome::Noted
    }

    fn leave(&self, state: &mut State, now: Timestamp, key: Key, port: PortNo) {
        let (vlan, group) = key;
        let Some(membership) = state.memberships.find(key, port) else {
            return;
        };
        if membership.v1_until > now || membership.doubted {
            return;
        }
        if self.config.fast_leave == FastLeave::On {
            self.end(state, key, port);
            return;
        }
        let other = state.queriers.other_is_present(now, vlan, group.family());
        match self.config.querier {
            // It is for the other querier to ask; its question shortens the membership.
            _ if other => {}
            QuerierRole::Querier => {
                membership.doubted = true;
                let doubt = Doubt {
                    left: LAST_MEMBER_COUNT,
                    next: now,
                };
                state.doubts.insert((key, port), doubt);
            }
            // Nobody asks, and so nothing is limited: whoever still listens says so at the first query.
            QuerierRole::Listener => {
                let wait = LAST_MEMBER_INTERVAL * u32::from(LAST_MEMBER_COUNT);
                state.shorten(key, port, now + wait);
            }
        }
    }

    /// Ends a membership.
    fn end(&self, state: &mut State, key: Key, port: PortNo) {
        state.changes += 1;
        if let Some(membership) = state.memberships.leave(key, port) {
            let timer = Timer::Membership(key, port);
            state.timers.clear(membership.armed, timer);
            state.doubts.remove(&(key, port));
            self.published.publish_group(key, &state.memberships);
        }
    }

    /// Forgets a port that is gone.
    pub(crate) fn remove_port(&self, port: PortNo) {
        let mut state = self.state();
        let state = &mut *state;
        for key in state.memberships.groups_of(port) {
            self.end(state, key, port);
        }
        if state.routers.remove_port(port) {
            self.publish_outlook(state);
        }
    }

    /// Ends what has expired, makes known who asks, and returns what is to be asked now. `ports` are
    /// those of the network, `vlans` the ones of their untagged frames, both in order and each once.
    ///
    /// Call it twice a second: a leave takes effect with that delay, and so does the first query of a
    /// querier.
    pub(crate) fn poll(&self, now: Timestamp, ports: &[PortNo], vlans: &[Vlan]) -> Vec<Question> {
        let mut state = self.state();
        let state = &mut *state;
        while let Some(timer) = state.timers.take_due(now) {
            self.expire(state, now, timer);
        }
        state.stale |= state.queriers.expire(now);
        let mut questions = Vec::new();
        if self.config.querier == QuerierRole::Querier {
            ask_everybody(state, now, ports, vlans, &mut questions);
            ask_doubted(state, now, &mut questions);
        }
        if state.stale {
            self.publish_outlook(state);
        }
        questions
    }

    /// Returns the frame that asks a question, without a tag.
    pub(crate) fn frame(&self, question: &Question) -> Vec<u8> {
        self.asker.frame(question)
    }

    fn expire(&self, state: &mut State, now: Timestamp, timer: Timer) {
        let Timer::Membership(key, port) = timer else {
            let routers = &mut state.routers;
            if routers.expire(now, timer, &mut state.timers) {
                state.stale = true;
            }
            return;
        };
        let Some(membership) = state.memberships.find(key, port) else {
            return;
        };
        if membership.expires > now {
            membership.armed = membership.expires;
            state.timers.set(membership.expires, timer);
        } else {
            self.end(state, key, port);
        }
    }

    pub(super) fn publish_outlook(&self, state: &mut State) {
        self.published
            .publish_outlook(&state.queriers, &state.routers);
        state.stale = false;
    }

    /// Returns everything that is known, routers and overfull ports first, then groups in order.
    ///
    /// What has expired is still there, and still gets frames, until the timers are polled.
    pub(crate) fn entries(&self, now: Timestamp) -> Vec<MdbEntry> {
        let state = self.state();
        let mut entries = Vec::new();
        for (port, family, heard) in state.routers.iter_routers() {
            entries.push(MdbEntry {
                vid: None,
                family,
                group: None,
                port,
                kind: MdbKind::Router,
                age: now.since(heard.since),
                expires_in: heard.expires.since(now),
            });
        }
        for (port, heard) in state.routers.iter_overfull() {
            entries.extend([Family::V4, Family::V6].map(|family| MdbEntry {
                vid: None,
                family,
                group: None,
                port,
                kind: MdbKind::Overfull,
                age: now.since(heard.since),
                expires_in: heard.expires.since(now),
            }));
        }
        for ((vid, group), port, membership) in state.memberships.iter() {
            entries.push(MdbEntry {
                vid,
                family: group.family(),
                group: Some(group),
                port,
                kind: MdbKind::Member,
                age: now.since(membership.since),
                expires_in: membership.expires.since(now),
            });
        }
        entries
    }

    /// Returns how full the table is.
    pub(crate) fn usage(&self) -> MdbUsage {
        let state = self.state();
        MdbUsage {
            group_count: state.memberships.group_count(),
            membership_count: state.memberships.len(),
            limit: state.memberships.limit(),
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn timer_count(&self) -> usize {
        self.state().timers.len()
    }

    /// A panic cannot leave the state half changed in a way that matters: at worst a group is flooded
    /// or limited until its next report.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets a membership end at `at` unless it is renewed before.
    fn shorten(&mut self, key: Key, port: PortNo, at: Timestamp) {
        let Some(membership) = self.memberships.find(key, port) else {
            return;
        };
        membership.expires = membership.expires.min(at);
        if membership.armed > at {
            let timer = Timer::Membership(key, port);
            self.timers.clear(membership.armed, timer);
            self.timers.set(at, timer);
            membership.armed = at;
        }
    }
}

/// Adds the general queries that are due: all of them when a round is, else those of what is new.
fn ask_everybody(
    state: &mut State,
    now: Timestamp,
    ports: &[PortNo],
    vlans: &[Vlan],
    questions: &mut Vec<Question>,
) {
    let mut vlans = vlans.to_vec();
    vlans.extend(state.memberships.vlans());
    vlans.sort_unstable();
    vlans.dedup();
    let round = state.schedule.poll(now, ports, &vlans);
    for &vlan in &vlans {
        for family in [Family::V4, Family::V6] {
            if state.queriers.other_is_present(now, vlan, family) {
                continue;
            }
            let general = |port| Question {
                vlan,
                family,
                group: None,
                port,
            };
            if round.vlans.contains(&vlan) {
                state.queriers.ask(now, vlan, family, RESPONSE_INTERVAL);
                state.stale = true;
                questions.push(general(None));
            } else {
                questions.extend(round.ports.iter().map(|&port| general(Some(port))));
            }
        }
    }
}

/// Adds the questions for groups that somebody left.
fn ask_doubted(state: &mut State, now: Timestamp, questions: &mut Vec<Question>) {
    let mut done = Vec::new();
    let due = state
        .doubts
        .iter_mut()
        .filter(|(_, doubt)| doubt.next <= now);
    for (&((vlan, group), port), doubt) in due.take(QUESTION_BUDGET) {
        questions.push(Question {
            vlan,
            family: group.family(),
            group: Some(group),
            port: Some(port),
        });
        doubt.left -= 1;
        doubt.next = now + LAST_MEMBER_INTERVAL;
        if doubt.left == 0 {
            done.push(((vlan, group), port));
        }
    }
    for (key, port) in done {
        state.doubts.remove(&(key, port));
        state.shorten(key, port, now + LAST_MEMBER_INTERVAL);
    }
}
