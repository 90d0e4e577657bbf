//! VLANs as the daemon sees them.

use tapweave_net::{TagAction, Vid, VlanTag};

use super::*;
use crate::{FdbAddError, PortVlans};

/// A network of two access ports of VLAN 10, one of VLAN 20, a trunk of both and a transparent port.
struct Rig {
    switch: Arc<Switch>,
    network: NetworkNo,
    a: PortNo,
    b: PortNo,
    other: PortNo,
    trunk: PortNo,
    transparent: PortNo,
    pipeline: Pipeline,
}

fn vid(value: u16) -> Vid {
    Vid::new(value).unwrap()
}

fn tag(value: u16) -> VlanTag {
    VlanTag::new(vid(value), 0)
}

fn rig() -> Rig {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let add = |vlans| {
        switch
            .add_port(network, PortConfig { vlans, ..OPEN })
            .unwrap()
    };
    Rig {
        a: add(PortVlans::Access(vid(10))),
        b: add(PortVlans::Access(vid(10))),
        other: add(PortVlans::Access(vid(20))),
        trunk: add(PortVlans::Trunk {
            tagged: [vid(10), vid(20)].into_iter().collect(),
            native: None,
        }),
        transparent: add(PortVlans::Transparent),
        pipeline: switch.pipeline(0),
        network,
        switch,
    }
}

impl Rig {
    fn send(
        &mut self,
        ingress: PortNo,
        tag: Option<VlanTag>,
        to: MacAddr,
        from: MacAddr,
    ) -> Verdict {
        let mut data = vec![0; 4];
        data.extend(bytes(to, from));
        let mut frame = Frame::new(&mut data, 4, Offload::NONE);
        if let Some(tag) = tag {
            frame.push_tag(tag).unwrap();
        }
        let mut verdicts = Vec::new();
        self.pipeline
            .handle_batch(NOW, ingress, &[frame], &mut verdicts);
        verdicts[0]
    }

    fn egress(&self, ingress: PortNo, verdict: Verdict) -> Vec<EgressPort> {
        match verdict {
            Verdict::Flood(vlan) => self.pipeline.flood_set(ingress, vlan).collect(),
            Verdict::Forward(egress) => vec![egress],
            Verdict::Multicast(vlan, group) => {
                self.pipeline.group_set(ingress, vlan, group).collect()
            }
            Verdict::Gateway | Verdict::Answer(_) => {
                panic!("no network here has a gateway or suppression")
            }
            Verdict::Drop(reason) => panic!("dropped: {reason}"),
        }
    }
}

const fn to(port: PortNo, tag: TagAction) -> EgressPort {
    EgressPort { port, tag }
}

#[test]
fn a_frame_is_flooded_to_the_members_of_its_vlan() {
    let mut rig = rig();
    let untagged = rig.send(rig.a, None, MacAddr::BROADCAST, mac(1));
    let push = TagAction::Push(tag(10));
    assert_eq!(
        rig.egress(rig.a, untagged),
        [
            to(rig.b, TagAction::Keep),
            to(rig.trunk, push),
            to(rig.transparent, push),
        ]
    );
    let tagged = rig.send(rig.trunk, Some(tag(20)), MacAddr::BROADCAST, mac(2));
    assert_eq!(
        rig.egress(rig.trunk, tagged),
        [
            to(rig.other, TagAction::Pop),
            to(rig.transparent, TagAction::Keep),
        ]
    );
    // What is in no VLAN passes between transparent ports, and there is only one.
    let nowhere = rig.send(rig.transparent, None, MacAddr::BROADCAST, mac(3));
    assert_eq!(rig.egress(rig.transparent, nowhere), []);
}

#[test]
fn one_address_is_a_station_of_its_own_in_each_vlan() {
    let mut rig = rig();
    rig.send(rig.a, None, MacAddr::BROADCAST, mac(1));
    rig.send(rig.other, None, MacAddr::BROADCAST, mac(1));
    rig.send(rig.transparent, None, MacAddr::BROADCAST, mac(1));
    let entries = rig.switch.fdb_entries(rig.network, NOW);
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (entry.vid, entry.port))
        .collect();
    assert_eq!(
        entries,
        [
            (None, rig.transparent),
            (Some(vid(10)), rig.a),
            (Some(vid(20)), rig.other),
        ]
    );
    for (value, port) in [(10, rig.a), (20, rig.other)] {
        let verdict = rig.send(rig.trunk, Some(tag(value)), mac(1), mac(9));
        assert_eq!(verdict, Verdict::Forward(to(port, TagAction::Pop)));
    }
    // Known in two VLANs, but not in this one.
    let verdict = rig.send(rig.transparent, Some(tag(30)), mac(1), mac(9));
    assert!(matches!(verdict, Verdict::Flood(_)));
    assert_eq!(rig.switch.port_stats(rig.other).unwrap().fdb_moves, 0);
}

#[test]
fn a_frame_that_its_port_does_not_take_is_counted_and_not_learned_from() {
    let mut rig = rig();
    for (port, tag, reason) in [
        (rig.a, Some(tag(10)), DropReason::VlanTagged),
        (rig.trunk, None, DropReason::VlanUntagged),
        (rig.trunk, Some(tag(30)), DropReason::VlanNotCarried),
        (
            rig.transparent,
            Some(VlanTag::from_tci(4095)),
            DropReason::VlanReserved,
        ),
    ] {
        let verdict = rig.send(port, tag, MacAddr::BROADCAST, mac(1));
        assert_eq!(verdict, Verdict::Drop(reason));
        assert_eq!(rig.switch.port_stats(port).unwrap().dropped(reason), 1);
    }
    assert_eq!(rig.switch.fdb_entries(rig.network, NOW), []);
}

#[test]
fn a_static_entry_stands_in_a_vlan_that_its_port_carries() {
    let rig = rig();
    let add = |vid, port| rig.switch.fdb_add(rig.network, mac(1), vid, port, NOW);
    assert_eq!(add(Some(vid(10)), rig.trunk), Ok(()));
    assert_eq!(add(Some(vid(99)), rig.transparent), Ok(()));
    assert_eq!(add(None, rig.transparent), Ok(()));
    for (vid, port, text) in [
        (Some(vid(20)), rig.a, "port 0.0 does not carry VLAN 20"),
        (
            None,
            rig.a,
            "port 0.0 does not carry frames that are in no VLAN",
        ),
    ] {
        let error = add(vid, port).unwrap_err();
        assert_eq!(error, FdbAddError::NotInVlan { port, vid });
        assert_eq!(error.to_string(), text);
    }
    let del = |vid| rig.switch.fdb_del(rig.network, mac(1), vid);
    assert!(del(Some(vid(10))) && !del(Some(vid(10))) && !del(Some(vid(20))));
    assert!(del(None) && del(Some(vid(99))));
}

#[test]
fn an_explanation_says_which_vlan_and_what_happens_to_the_tag() {
    let rig = rig();
    let mut data = bytes(mac(2), mac(1));
    let frame = Frame::new(&mut data, 0, Offload::NONE);
    let explanation = rig.switch.explain(NOW, rig.a, &frame);
    assert_eq!(
        explanation.to_string(),
        "ingress      port 0.0 of network 1\n\
         size         frame of 60 bytes, packet of 46 bytes, MTU 1500\n\
         vlan         untagged, access port of VLAN 10: VLAN 10\n\
         guard        none on this port\n\
         source       02:00:00:00:00:01: new, would be learned\n\
         destination  02:00:00:00:00:02: unknown\n\
         verdict      flood in VLAN 10 to port 1.0, port 3.0 (tagged vlan 10, p 0), \
         port 4.0 (tagged vlan 10, p 0)"
    );
    let refused = rig.switch.explain(NOW, rig.trunk, &frame);
    assert_eq!(
        refused.to_string(),
        "ingress      port 3.0 of network 1\n\
         size         frame of 60 bytes, packet of 46 bytes, MTU 1500\n\
         vlan         untagged, trunk port of VLANs 10,20: not taken\n\
         verdict      drop: vlan_untagged"
    );
}
