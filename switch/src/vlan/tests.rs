use tapweave_net::{Frame, Offload};

use super::*;

fn vid(value: u16) -> Vid {
    Vid::new(value).unwrap()
}

fn trunk(list: &str, native: Option<u16>) -> PortVlans {
    PortVlans::Trunk {
        tagged: list.parse().unwrap(),
        native: native.map(vid),
    }
}

/// Priority 5, drop eligible.
const PRIORITY: VlanTag = VlanTag::from_tci(0xb000);

fn tag(value: u16) -> VlanTag {
    PRIORITY.with_vid(vid(value))
}

/// What the port makes of an untagged, a priority-tagged and a tagged frame.
fn classes(port: &PortVlans, tagged: u16) -> [Result<Option<u16>, DropReason>; 3] {
    [None, Some(PRIORITY), Some(tag(tagged))].map(|tag| {
        let vid = port.classify(tag)?;
        Ok(vid.map(Vid::to_u16))
    })
}

#[test]
fn a_transparent_port_puts_frames_where_their_tag_says() {
    let port = PortVlans::Transparent;
    assert_eq!(classes(&port, 10), [Ok(None), Ok(None), Ok(Some(10))]);
}

#[test]
fn an_access_port_takes_what_is_untagged_and_nothing_else() {
    let port = PortVlans::Access(vid(10));
    for tagged in [9, 10] {
        let refused = Err(DropReason::VlanTagged);
        assert_eq!(
            classes(&port, tagged),
            [Ok(Some(10)), Ok(Some(10)), refused]
        );
    }
}

#[test]
fn a_trunk_takes_its_vlans_tagged() {
    let port = trunk("10,20-29", None);
    let untagged = Err(DropReason::VlanUntagged);
    for member in [10, 20, 25, 29] {
        assert_eq!(
            classes(&port, member),
            [untagged, untagged, Ok(Some(member))]
        );
    }
    for other in [1, 11, 19, 30, 4094] {
        let refused = Err(DropReason::VlanNotCarried);
        assert_eq!(classes(&port, other), [untagged, untagged, refused]);
    }
}

#[test]
fn the_native_vlan_of_a_trunk_comes_untagged_and_may_come_tagged() {
    let port = trunk("10,20-29", Some(5));
    assert_eq!(classes(&port, 20), [Ok(Some(5)), Ok(Some(5)), Ok(Some(20))]);
    assert_eq!(classes(&port, 5), [Ok(Some(5)); 3]);
    assert_eq!(classes(&port, 6)[2], Err(DropReason::VlanNotCarried));
}

#[test]
fn no_port_takes_vid_4095() {
    for port in [
        PortVlans::Transparent,
        PortVlans::Access(Vid::MAX),
        trunk("1-4094", None),
        trunk("1-4093", Some(4094)),
    ] {
        for tci in [0x0fff, 0xffff] {
            let refused = port.classify(Some(VlanTag::from_tci(tci)));
            assert_eq!(refused, Err(DropReason::VlanReserved), "{port}");
        }
    }
}

/// What is done to the frame of VLAN 10 that came untagged, priority-tagged and tagged.
fn actions(port: &PortVlans) -> [Option<TagAction>; 3] {
    [None, Some(PRIORITY), Some(tag(10))].map(|tag| {
        port.egress(FrameVlan {
            vid: Some(vid(10)),
            tag,
        })
    })
}

#[test]
fn a_frame_leaves_in_the_form_that_the_port_takes() {
    let tagged = [
        Some(TagAction::Push(VlanTag::from_tci(10))),
        Some(TagAction::Replace(tag(10))),
        Some(TagAction::Keep),
    ];
    let untagged = [
        Some(TagAction::Keep),
        Some(TagAction::Pop),
        Some(TagAction::Pop),
    ];
    assert_eq!(actions(&PortVlans::Transparent), tagged);
    assert_eq!(actions(&trunk("10", None)), tagged);
    assert_eq!(actions(&trunk("10", Some(5))), tagged);
    assert_eq!(actions(&trunk("20", Some(10))), untagged);
    assert_eq!(actions(&PortVlans::Access(vid(10))), untagged);
    for outsider in [
        PortVlans::Access(vid(11)),
        trunk("20-30", None),
        trunk("20", Some(5)),
    ] {
        assert_eq!(actions(&outsider), [None; 3], "{outsider}");
    }
}

#[test]
fn the_actions_of_a_vlan_are_those_that_its_ports_ask_for() {
    let ports = [
        PortVlans::Transparent,
        PortVlans::Access(vid(10)),
        trunk("10", None),
        trunk("20", Some(10)),
    ];
    for vid in [None, Some(vid(10))] {
        for tag in [None, Some(PRIORITY), Some(tag(10))] {
            if vid.is_none() && tag == Some(self::tag(10)) {
                continue;
            }
            let vlan = FrameVlan { vid, tag };
            let stated: Vec<_> = vlan.tag_actions().collect();
            for action in ports.iter().filter_map(|port| port.egress(vlan)) {
                let count = stated.iter().filter(|other| **other == action).count();
                assert_eq!(count, 1, "{action:?} for {vlan:?}");
            }
            let mut buf = [0xa5; 40];
            let mut frame = Frame::new(&mut buf, 8, Offload::NONE);
            if let Some(tag) = tag {
                frame.push_tag(tag).unwrap();
            }
            for action in stated {
                assert_eq!(frame.apply_tag(action), Ok(()), "{action:?} for {vlan:?}");
            }
        }
    }
}

#[test]
fn what_is_in_no_vlan_passes_transparent_ports_as_it_is_and_no_other() {
    for tag in [None, Some(PRIORITY)] {
        let vlan = FrameVlan { vid: None, tag };
        assert_eq!(PortVlans::Transparent.egress(vlan), Some(TagAction::Keep));
        for port in [
            PortVlans::Access(Vid::MIN),
            trunk("1-4094", None),
            trunk("2", Some(1)),
        ] {
            assert_eq!(port.egress(vlan), None, "{port}");
        }
    }
}

#[test]
fn a_port_says_what_it_carries() {
    for (port, text) in [
        (PortVlans::Transparent, "transparent port"),
        (PortVlans::Access(vid(10)), "access port of VLAN 10"),
        (trunk("21,20", None), "trunk port of VLANs 20-21"),
        (
            trunk("20", Some(5)),
            "trunk port of VLANs 20 with VLAN 5 untagged",
        ),
    ] {
        assert_eq!(port.to_string(), text);
    }
}
