//! Multicast groups on the control side: their tables, and the queries that the switch asks by itself.

use tapweave_net::{Frame, NetworkNo, Offload, PortNo, Timestamp, VlanTag};

use crate::multicast::{GroupQuery, MdbEntry, MdbUsage, Question, Snooping, Vlan};
use crate::snapshot::{Member, Network};
use crate::{FrameVlan, PortVlans, Switch};

impl Switch {
    /// Returns the multicast database of a network: routers first, then groups in order; nothing for an
    /// unknown network and for one without snooping. What belongs to removed ports is not shown.
    pub fn mdb_entries(&self, network: NetworkNo, now: Timestamp) -> Vec<MdbEntry> {
        let snapshot = self.snapshot();
        let network = snapshot.networks.get(&network);
        let snooping = network.and_then(|network| network.snooping.as_ref());
        let mut entries = snooping.map_or_else(Vec::new, |snooping| snooping.entries(now));
        entries.retain(|entry| snapshot.port(entry.port).is_some());
        entries
    }

    /// Returns how full the multicast database of a network is; none without snooping.
    pub fn mdb_usage(&self, network: NetworkNo) -> Option<MdbUsage> {
        let snapshot = self.snapshot();
        let snooping = snapshot.networks.get(&network)?.snooping.as_ref()?;
        Some(snooping.usage())
    }

    /// Ends memberships that have expired and returns the queries that are to be sent now.
    ///
    /// Call it twice a second, from one thread: a leave takes effect with that delay, and so does the
    /// first query of a router. Each network with snooping costs at least a lock that nobody else wants;
    /// allocates.
    pub fn poll_groups(&self, now: Timestamp) -> Vec<GroupQuery> {
        let snapshot = self.snapshot();
        let mut queries = Vec::new();
        for network in snapshot.networks.values() {
            if let Some(snooping) = &network.snooping {
                poll_network(now, network, snooping, &mut queries);
            }
        }
        queries
    }

    /// Counts a query of [`Switch::poll_groups`] that was given to the device of its port. From the thread
    /// that polls.
    pub fn count_query_sent(&self, port: PortNo, byte_count: usize) {
        if let Some(port) = self.snapshot().port(port) {
            let shard = port.counters.control_shard();
            shard.tx_frames.add(1);
            shard.tx_bytes.add(byte_count as u64);
        }
    }
}

fn poll_network(
    now: Timestamp,
    network: &Network,
    snooping: &Snooping,
    queries: &mut Vec<GroupQuery>,
) {
    let ports: Vec<PortNo> = network.members.iter().map(|member| member.port).collect();
    let untagged = network
        .members
        .iter()
        .filter_map(|member| untagged_vlan(&member.vlans));
    let mut vlans: Vec<Vlan> = untagged.collect();
    vlans.sort_unstable();
    vlans.dedup();
    for question in snooping.poll(now, &ports, &vlans) {
        let asked = |member: &&Member| question.port.is_none_or(|port| port == member.port);
        let members = network.members.iter().filter(asked);
        queries.extend(members.filter_map(|member| {
            Some(GroupQuery {
                network: network.no,
                port: member.port,
                frame: frame(snooping, &question, &member.vlans)?,
            })
        }));
    }
}

/// Returns the VLAN of what a port sends and takes untagged; none for a port of tagged frames only.
const fn untagged_vlan(vlans: &PortVlans) -> Option<Vlan> {
    match vlans {
        PortVlans::Transparent => Some(None),
        PortVlans::Access(vid) => Some(Some(*vid)),
        PortVlans::Trunk { native, .. } => match native {
            Some(vid) => Some(Some(*vid)),
            None => None,
        },
    }
}

/// Returns a query as a port takes it; none for a port that is not a member of its VLAN.
fn frame(snooping: &Snooping, question: &Question, vlans: &PortVlans) -> Option<Vec<u8>> {
    let vlan = FrameVlan {
        vid: question.vlan,
        tag: None,
    };
    let action = vlans.egress(vlan)?;
    let mut buffer = vec![0; VlanTag::LEN];
    buffer.extend(snooping.frame(question));
    let mut frame = Frame::new(&mut buffer, VlanTag::LEN, Offload::NONE);
    frame.apply_tag(action).ok()?;
    Some(frame.data().to_vec())
}
