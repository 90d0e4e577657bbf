//! The flows of an earlier daemon, until the networks that they are of are there again.

use std::collections::BTreeMap;

use tapweave_carry::Carried;
use tapweave_carry::flows::FlowChanges;
use tapweave_control::Id;
use tapweave_nat::table::Entry;
use tapweave_net::NetworkNo;

/// Flows that wait for their networks.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The numbers that networks had, by their ids.
    former: BTreeMap<String, NetworkNo>,
    /// The numbers that they have, by those that they had.
    present: BTreeMap<NetworkNo, NetworkNo>,
    /// Each under the former number of a network that it waits for.
    flows: BTreeMap<NetworkNo, Vec<(u32, Entry)>>,
}

impl Waiting {
    /// Returns the flows that were carried over; all wait.
    pub(crate) fn new(carried: Carried) -> Self {
        let mut waiting = Self::default();
        let networks = carried.networks.into_iter();
        waiting.former = networks.map(|(number, id)| (id, number)).collect();
        for (place, flow) in carried.flows {
            waiting.put(place, flow);
        }
        waiting
    }

    /// Notes that a network is there again, and returns the flows that wait for nothing more, with the present
    /// numbers and the places that they stood in.
    pub(crate) fn network_made(&mut self, id: &Id, number: NetworkNo) -> Vec<(u32, Entry)> {
        let Some(&former) = self.former.get(id.as_str()) else {
            return Vec::new();
        };
        self.present.insert(former, number);
        let flows = self.flows.remove(&former).unwrap_or_default();
        let ready = flows.into_iter();
        ready
            .filter_map(|(place, flow)| Some((place, self.take(place, flow)?)))
            .collect()
    }

    /// Takes in what became of flows since, and returns those that wait for nothing.
    pub(crate) fn change(&mut self, changes: FlowChanges) -> Vec<(u32, Entry)> {
        for flows in self.flows.values_mut() {
            flows.retain(|(place, _)| !changes.contains_key(place));
        }
        let flows = changes.into_iter();
        flows
            .filter_map(|(place, flow)| Some((place, self.take(place, flow?)?)))
            .collect()
    }

    /// Returns a flow with the present numbers, or has it wait.
    fn take(&mut self, place: u32, flow: Entry) -> Option<Entry> {
        let renumbered = flow.renumbered(|former| self.present.get(&former).copied());
        // What has no network is no flow, and is left out with those that wait in vain.
        let renumbered = renumbered.filter(|_| flow.networks() != [None; 2]);
        if renumbered.is_none() {
            self.put(place, flow);
        }
        renumbered
    }

    /// Forgets what still waits; tells how many flows it were.
    pub(crate) fn give_up(&mut self) -> usize {
        let left = std::mem::take(self);
        left.flows.into_values().map(|flows| flows.len()).sum()
    }

    /// Has a flow wait for a network of its that is not there.
    fn put(&mut self, place: u32, flow: Entry) {
        let mut networks = flow.networks().into_iter().flatten();
        let awaited = networks.find(|network| !self.present.contains_key(network));
        // A flow without a network is none; it is left out with those that wait in vain.
        let awaited = awaited.unwrap_or(NetworkNo(0));
        self.flows.entry(awaited).or_default().push((place, flow));
    }
}

#[cfg(test)]
mod tests {
    use tapweave_nat::table::{Endpoint, Realm, Tuple};
    use tapweave_net::{IpProtocol, Timestamp};

    use super::*;

    fn id(byte: u8) -> Id {
        Id::from_random([byte; 32])
    }

    /// A flow between two networks; 0 is the outside.
    fn flow(opener: u32, server: u32) -> Entry {
        let tuple = |network| Tuple {
            realm: Realm::of(NetworkNo(network)),
            protocol: IpProtocol::UDP,
            src: Endpoint::ANY_V4,
            dst: Endpoint::ANY_V4,
        };
        Entry::new(tuple(opener), tuple(server), Timestamp::ZERO)
    }

    fn waiting(flows: &[Entry]) -> Waiting {
        let numbers = [(5, 1), (6, 2)];
        Waiting::new(Carried {
            networks: numbers
                .map(|(number, byte)| (NetworkNo(number), id(byte).to_string()))
                .into(),
            flows: (0..).zip(flows.iter().copied()).collect(),
            ..Carried::default()
        })
    }

    #[test]
    fn a_flow_comes_when_the_last_of_its_networks_does() {
        let mut waiting = waiting(&[flow(5, 0), flow(6, 5), flow(0, 6)]);
        assert_eq!(waiting.network_made(&id(9), NetworkNo(1)), []);
        assert_eq!(
            waiting.network_made(&id(1), NetworkNo(2)),
            [(0, flow(2, 0))]
        );
        let made = waiting.network_made(&id(2), NetworkNo(3));
        assert_eq!(made, [(1, flow(3, 2)), (2, flow(0, 3))]);
        assert_eq!(waiting.give_up(), 0);
    }

    #[test]
    fn flows_of_networks_that_do_not_come_are_given_up() {
        let mut waiting = waiting(&[flow(5, 0), flow(5, 6), flow(7, 0), flow(0, 0)]);
        assert_eq!(
            waiting.network_made(&id(1), NetworkNo(2)),
            [(0, flow(2, 0))]
        );
        assert_eq!(waiting.give_up(), 3);
        assert_eq!(waiting.network_made(&id(2), NetworkNo(3)), []);
    }

    #[test]
    fn what_has_changed_since_takes_the_place_of_what_waited() {
        let mut waiting = waiting(&[flow(5, 0), flow(6, 0), flow(6, 0)]);
        waiting.network_made(&id(1), NetworkNo(2));
        let changes = [(1, None), (2, Some(flow(6, 5))), (3, Some(flow(5, 0)))];
        assert_eq!(waiting.change(changes.into()), [(3, flow(2, 0))]);
        let made = waiting.network_made(&id(2), NetworkNo(3));
        assert_eq!(made, [(2, flow(3, 2))]);
        assert_eq!(waiting.change([(9, Some(flow(0, 0)))].into()), []);
        assert_eq!(waiting.give_up(), 1);
    }
}
