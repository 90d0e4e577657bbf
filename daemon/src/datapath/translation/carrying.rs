//! Flows that come from an earlier daemon, and the journal for the next one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapweave_carry::names::Networks;
use tapweave_control::Id;
use tapweave_nat::table::Entry;
use tapweave_nat::{Nat, NatRules};
use tapweave_net::{NetworkNo, Timestamp};
use tracing::info;

use crate::carry::{FlowNews, Journal, Tally, Waiting};

/// What flows are carried over by.
#[derive(Debug)]
pub(super) struct Carrying {
    state: Mutex<State>,
    journal: Option<Journal>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct State {
    /// The networks whose flows there can be.
    networks: BTreeMap<NetworkNo, Id>,
    waiting: Waiting,
    /// The flows that have come in, by the places that they stood in, until nothing can become of them over there.
    present: BTreeMap<u32, Entry>,
}

impl Carrying {
    pub(super) fn new(journal: Option<Journal>) -> Self {
        Self {
            state: Mutex::default(),
            journal,
            tally: Tally::default(),
        }
    }

    /// Takes in the flows of an earlier daemon whose networks are there; the others wait for theirs. Those that were
    /// taken in before give way as far as they have changed.
    pub(super) fn inherit(&self, nat: &Nat, news: FlowNews, now: Timestamp) {
        let (gone, flows) = {
            let mut state = self.state();
            let State {
                networks,
                waiting,
                present,
            } = &mut *state;
            match news {
                FlowNews::All(carried) => {
                    *waiting = Waiting::new(*carried);
                    let made = networks.iter();
                    let flows = made.flat_map(|(&number, id)| waiting.network_made(id, number));
                    let gone = std::mem::take(present).into_values();
                    (gone.collect::<Vec<_>>(), flows.collect())
                }
                FlowNews::Changes(changes) => {
                    let gone = changes.keys().filter_map(|place| present.remove(place));
                    (gone.collect(), waiting.change(changes))
                }
            }
        };
        // Before others come: one of these may have what one of those had.
        for flow in &gone {
            nat.withdraw(flow);
        }
        self.tally.withdraw(gone.len());
        self.restore(nat, flows, now);
    }

    /// Takes in the flows that have waited for a network.
    pub(super) fn network_made(&self, nat: &Nat, id: &Id, network: NetworkNo, now: Timestamp) {
        let flows = {
            let mut state = self.state();
            state.networks.insert(network, id.clone());
            state.waiting.network_made(id, network)
        };
        self.restore(nat, flows, now);
    }

    fn restore(&self, nat: &Nat, flows: Vec<(u32, Entry)>, now: Timestamp) {
        let count_before = flows.len();
        let restored = flows.into_iter().filter(|(_, flow)| nat.restore(flow, now));
        let restored: Vec<_> = restored.collect();
        self.tally
            .count(restored.len(), count_before - restored.len());
        self.state().present.extend(restored);
    }

    /// Forgets a network, whose flows are gone.
    pub(super) fn network_gone(&self, network: NetworkNo) {
        self.state().networks.remove(&network);
    }

    /// States that all that was there before is there again, as far as it can be, and that these are the rules. Gives up what
    /// nothing came for, and ends what no rule allows.
    pub(super) fn settle(&self, nat: &Nat, rules: &NatRules) {
        {
            let mut state = self.state();
            self.tally.count(0, state.waiting.give_up());
            state.present = BTreeMap::new();
        }
        let ended = nat.finish_restoring(rules);
        let (flows, not_restored) = (self.tally.restored(), self.tally.not_restored());
        if flows > 0 || not_restored > 0 {
            info!(
                flows,
                not_restored, ended, "translated flows of an earlier daemon go on"
            );
        }
    }

    /// Writes down what has become of flows since the last call, if anything has.
    pub(super) fn write_journal(&self, now: Timestamp) {
        if let Some(journal) = &self.journal {
            journal.write(|| self.networks(), now);
        }
    }

    /// Writes down all that is left to be written.
    pub(super) fn finish_journal(&self, now: Timestamp) {
        if let Some(journal) = &self.journal {
            journal.finish(|| self.networks(), now);
        }
    }

    /// Tells whether there is something to write down.
    pub(super) fn is_journal_due(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_due)
    }

    /// Returns what was counted, by the names that users see.
    pub(super) fn counters(&self) -> [(&'static str, u64); 4] {
        let journal = self.journal.as_ref();
        [
            ("flows_restored", self.tally.restored()),
            ("flows_not_restored", self.tally.not_restored()),
            ("journal_rounds", journal.map_or(0, Journal::rounds)),
            ("journal_failures", journal.map_or(0, Journal::failures)),
        ]
    }

    fn networks(&self) -> Networks {
        let state = self.state();
        let networks = state.networks.iter();
        networks
            .map(|(&number, id)| (number, id.to_string()))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tapweave_carry::Carried;
    use tapweave_nat::table::{Endpoint, Realm, Tuple};
    use tapweave_nat::{Masquerade, NatConfig, NetworkRules, RulesConfig};
    use tapweave_net::IpProtocol;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(50);

    fn id(byte: u8) -> Id {
        Id::from_random([byte; 32])
    }

    /// A flow of the sandbox 10.0.0.`host` in a network.
    fn flow(network: u32, host: u8) -> Entry {
        let end = |ip, port| Endpoint::new(std::net::IpAddr::from(ip), port);
        let (server, outside) = (end([198, 51, 100, 1], 53), end([192, 0, 2, 1], host.into()));
        let tuple = |realm, src, dst| Tuple {
            realm,
            protocol: IpProtocol::UDP,
            src,
            dst,
        };
        let realm = Realm::of(NetworkNo(network));
        Entry {
            label: 1 | 1 << 3,
            ..Entry::new(
                tuple(realm, end([10, 0, 0, host], 4000), server),
                tuple(Realm::OUTSIDE, server, outside),
                NOW + Duration::from_mins(1),
            )
        }
    }

    /// Three networks had flows: two of them are made again, one of these before the journal is read.
    #[test]
    fn flows_come_with_their_networks_whenever_these_are_made() {
        let nat = Nat::new(NatConfig::new(1, 1));
        nat.begin_restoring();
        let carrying = Carrying::new(None);
        carrying.network_made(&nat, &id(1), NetworkNo(1), NOW);
        let former = [(7, 1), (8, 2), (9, 3)];
        let carried = Carried {
            networks: former
                .map(|(number, byte)| (NetworkNo(number), id(byte).to_string()))
                .into(),
            flows: (0..).zip([flow(7, 2), flow(8, 3), flow(9, 4)]).collect(),
            ..Carried::default()
        };
        carrying.inherit(&nat, FlowNews::All(Box::new(carried)), NOW);
        assert_eq!(carrying.counters()[0], ("flows_restored", 1));
        carrying.network_made(&nat, &id(2), NetworkNo(2), NOW);
        assert_eq!(carrying.counters()[0], ("flows_restored", 2));
        // The second network is not masqueraded any more.
        let rules = NatRules::new(&RulesConfig {
            external: vec![[192, 0, 2, 1].into()],
            networks: vec![NetworkRules {
                network: NetworkNo(1),
                masquerade: Masquerade::Yes,
            }],
            ..RulesConfig::default()
        });
        carrying.settle(&nat, &rules.unwrap());
        assert_eq!(carrying.counters()[1], ("flows_not_restored", 1));
        // A flow and its mapping.
        assert_eq!(nat.len(), 2);
    }

    /// As when one daemon takes over: the flows come while the other one forwards, and what became of them after.
    #[test]
    fn what_became_of_flows_meanwhile_takes_the_place_of_what_they_were() {
        let nat = Nat::new(NatConfig::new(1, 1));
        nat.begin_restoring();
        let carrying = Carrying::new(None);
        let carried = Carried {
            networks: [(NetworkNo(7), id(1).to_string())].into(),
            flows: (0..).zip([2, 3, 4].map(|host| flow(7, host))).collect(),
            ..Carried::default()
        };
        carrying.inherit(&nat, FlowNews::All(Box::new(carried.clone())), NOW);
        carrying.network_made(&nat, &id(1), NetworkNo(1), NOW);
        // Three flows with a mapping each.
        assert_eq!((carrying.counters()[0].1, nat.len()), (3, 6));
        let end = Endpoint::new([203, 0, 113, 9].into(), 99);
        let mut another = flow(7, 2);
        (another.original.dst, another.reply.src) = (end, end);
        let later = Entry {
            expires: NOW + Duration::from_mins(2),
            ..flow(7, 4)
        };
        let changes = [(0, None), (2, Some(later)), (9, Some(another))];
        carrying.inherit(&nat, FlowNews::Changes(changes.into()), NOW);
        assert_eq!((carrying.counters()[0].1, nat.len()), (3, 6));
        let flows: Vec<_> = (0..nat.place_count())
            .filter_map(|place| nat.flow_in(place))
            .collect();
        let servers = flows
            .iter()
            .map(|flow| (flow.original.src.ip(), flow.original.dst.port()));
        let mut servers: Vec<_> = servers.collect();
        servers.sort_unstable();
        let host = |last| std::net::IpAddr::from([10, 0, 0, last]);
        assert_eq!(servers, [(host(2), 99), (host(3), 53), (host(4), 53)]);
        let ends = flows.iter().map(|flow| flow.expires.since(NOW));
        assert!(ends.max().is_some_and(|end| end > Duration::from_secs(100)));
        // All of it once more, as after a journal that was made anew: nothing is there twice.
        carrying.inherit(&nat, FlowNews::All(Box::new(carried)), NOW);
        assert_eq!((carrying.counters()[0].1, nat.len()), (3, 6));
        assert_eq!(carrying.counters()[1].1, 0);
    }
}
