//! How memberships, routers and queriers leave the tables, and come into others.
//!
//! A port that is being asked whether anybody still listens comes back as one that listens: it is asked again in
//! general, soon, and leaves when its time is over.

use tapweave_net::Timestamp;

use super::timers::{MEMBERSHIP_INTERVAL, QUERIER_INTERVAL, Timer};
use super::{Snooping, Vlan};
use crate::{Learned, LearnedGroupPort, LearnedMember};

impl Snooping {
    /// Returns how many messages and ends there were: while it is the same, nothing has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Adds to `learned` what is known.
    pub(crate) fn learned(&self, learned: &mut Learned) {
        let state = self.state();
        let members = state.memberships.iter();
        learned.members.extend(
            members.map(|((vid, group), port, membership)| LearnedMember {
                vid,
                group,
                port,
                since: membership.since,
                expires: membership.expires,
                v1_until: membership.v1_until,
            }),
        );
        let routers = state.routers.iter_routers();
        let routers = routers.map(|(port, family, heard)| (port, Some(family), heard));
        let overfull = state.routers.iter_overfull();
        let overfull = overfull.map(|(port, heard)| (port, None, heard));
        learned
            .group_ports
            .extend(
                routers
                    .chain(overfull)
                    .map(|(port, router, heard)| LearnedGroupPort {
                        port,
                        router,
                        since: heard.since,
                        expires: heard.expires,
                    }),
            );
        learned.queriers.extend(state.queriers.iter());
    }

    /// Takes in what an earlier process knew, of ports that are there; tells how much of it is in. What is over is
    /// left out, and what does not fit, and what is known by now.
    pub(crate) fn restore(&self, learned: &Learned, now: Timestamp) -> usize {
        let mut state = self.state();
        let state = &mut *state;
        state.changes += 1;
        let mut count = 0;
        for member in &learned.members {
            let key: (Vlan, _) = (member.vid, member.group);
            let limits = (now, now + MEMBERSHIP_INTERVAL);
            if member.group.is_never_limited()
                || !state.memberships.restore(key, member, limits, |expires| {
                    let timer = Timer::Membership(key, member.port);
                    state.timers.set(expires, timer);
                })
            {
                continue;
            }
            self.published.publish_group(key, &state.memberships);
            count += 1;
        }
        for port in &learned.group_ports {
            let limit = match port.router {
                Some(_) => now + QUERIER_INTERVAL,
                None => now + MEMBERSHIP_INTERVAL,
            };
            let timers = &mut state.timers;
            count += usize::from(state.routers.restore(port, (now, limit), timers));
        }
        for querier in &learned.queriers {
            count += usize::from(state.queriers.restore(querier, now));
        }
        self.publish_outlook(state);
        count
    }
}
