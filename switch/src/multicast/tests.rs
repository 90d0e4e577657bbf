//! The rules of RFC 4541 one by one, with jumped time.

use core::time::Duration;

use proptest::prelude::*;
use tapweave_net::{PortNo, Timestamp, Vid};

use super::published::{Reach, Route};
use super::test_packets::{Packet, data, group_query, igmp, join, leave, mld, query, report};
use super::{
    Family, FastLeave, MdbEntry, MdbKind, Outcome, QuerierRole, Snooping, SnoopingConfig, Vlan,
};
use crate::Isolation;

const GROUP: &str = "239.1.1.1";
const GROUP_V6: &str = "ff15::1";
const ROUTER: PortNo = PortNo::new(9, 0);
const A: PortNo = PortNo::new(1, 0);
const B: PortNo = PortNo::new(2, 0);

/// A network whose clock is moved by hand.
struct Lab {
    snooping: Snooping,
    now: Timestamp,
    vlan: Vlan,
    isolation: Isolation,
}

impl Lab {
    fn new(config: SnoopingConfig) -> Self {
        Self {
            snooping: Snooping::new(config, 7),
            now: Timestamp::from_secs(1000),
            vlan: None,
            isolation: Isolation::Open,
        }
    }

    /// A network in which a router asked and everybody has answered.
    fn with_router() -> Self {
        let mut lab = Self::new(SnoopingConfig::default());
        lab.hear(ROUTER, &query("10.0.0.1", 10));
        lab.hear(ROUTER, &query("fe80::1", 10));
        lab.pass(10);
        lab
    }

    fn querier(config: SnoopingConfig) -> Self {
        let mut lab = Self::new(SnoopingConfig {
            querier: QuerierRole::Querier,
            ..config
        });
        assert_eq!(lab.poll().len(), 2, "one query for each IP");
        lab.pass(10);
        lab
    }

    fn hear(&mut self, port: PortNo, packet: &Packet) -> Outcome {
        let heard = packet.heard();
        self.snooping
            .handle(self.now, port, self.isolation, self.vlan, &heard)
    }

    fn pass_millis(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.poll();
    }

    fn pass(&mut self, secs: u64) {
        self.pass_millis(secs * 1000);
    }

    fn poll(&mut self) -> Vec<super::query::Question> {
        self.snooping.poll(self.now, &[A, B, ROUTER], &[self.vlan])
    }

    fn route(&self, packet: &Packet) -> (Reach, Option<Vec<PortNo>>) {
        match self.snooping.route(self.now, self.vlan, &packet.heard()) {
            Route::Everyone(reach) => (reach, None),
            Route::Ports(reach, ports) => (reach, Some(ports.iter().collect())),
        }
    }

    /// Returns the ports that get data for a group; none for all.
    fn listeners(&self, group: &str) -> Option<Vec<PortNo>> {
        self.route(&data(group)).1
    }

    fn memberships(&self) -> usize {
        let timers = self.snooping.timer_count();
        let usage = self.snooping.usage();
        let entries = self.snooping.entries(self.now);
        let marks = entries.iter().filter(|entry| entry.kind == MdbKind::Router);
        assert_eq!(timers, usage.membership_count + marks.count());
        usage.membership_count
    }
}

#[test]
fn rfc_4541_2_1_1_1_reports_go_to_router_ports_only() {
    let mut lab = Lab::with_router();
    for packet in [join(GROUP), leave(GROUP), join(GROUP_V6)] {
        assert_eq!(lab.route(&packet), (Reach::Report, Some(vec![ROUTER])));
    }
    let v1 = igmp("10.0.0.2", GROUP, &[0x12, 0, 0, 0, 239, 1, 1, 1]);
    assert_eq!(lab.route(&v1), (Reach::Report, Some(vec![ROUTER])));
    lab.hear(A, &join(GROUP));
    assert_eq!(lab.route(&v1), (Reach::Report, Some(vec![ROUTER])));
}

#[test]
fn rfc_4541_2_1_1_1_a_query_from_no_address_makes_no_router_port() {
    let mut lab = Lab::new(SnoopingConfig::default());
    lab.hear(ROUTER, &query("0.0.0.0", 10));
    lab.pass(10);
    assert_eq!(lab.listeners(GROUP), Some(vec![]));
    assert_eq!(lab.snooping.entries(lab.now), []);
}

#[test]
fn rfc_4541_2_1_1_2_queries_go_everywhere() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    let everywhere = (Reach::Query, None);
    assert_eq!(lab.route(&query("10.0.0.1", 10)), everywhere);
    assert_eq!(lab.route(&group_query(GROUP, 0, 0)), everywhere);
    assert_eq!(lab.route(&query("fe80::1", 10)), everywhere);
}

#[test]
fn rfc_4541_2_1_2_1_data_goes_to_members_and_router_ports() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    lab.hear(B, &join(GROUP_V6));
    assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
    assert_eq!(lab.listeners(GROUP_V6), Some(vec![B, ROUTER]));
    lab.hear(ROUTER, &join(GROUP));
    assert_eq!(
        lab.listeners(GROUP),
        Some(vec![A, ROUTER]),
        "each port once"
    );
}

#[test]
fn rfc_4541_2_1_2_2_groups_of_the_link_are_never_limited() {
    let mut lab = Lab::with_router();
    for group in ["224.0.0.251", "224.0.0.1", "ff02::1"] {
        lab.hear(A, &join(group));
        assert_eq!(
            lab.route(&data(group)),
            (Reach::NeverLimited, None),
            "{group}"
        );
    }
    assert_eq!(lab.memberships(), 0);
}

#[test]
fn rfc_4541_2_1_2_3_data_for_nobody_goes_to_router_ports() {
    let lab = Lab::with_router();
    let routers = Some(vec![ROUTER]);
    assert_eq!(lab.route(&data(GROUP)), (Reach::NoMembers, routers.clone()));
    assert_eq!(lab.route(&data(GROUP_V6)), (Reach::NoMembers, routers));
}

#[test]
fn rfc_4541_3_neighbor_discovery_does_not_need_a_report() {
    let mut lab = Lab::with_router();
    let solicited = "ff02::1:ff00:1";
    assert_eq!(lab.route(&data(solicited)), (Reach::NoMembers, None));
    lab.hear(A, &join(solicited));
    assert_eq!(lab.listeners(solicited), Some(vec![A, ROUTER]));
}

#[test]
fn without_a_querier_everything_goes_everywhere() {
    let mut lab = Lab::new(SnoopingConfig::default());
    lab.hear(A, &join(GROUP));
    assert_eq!(lab.route(&data(GROUP)), (Reach::NobodyAsks, None));
    assert_eq!(lab.route(&join(GROUP)), (Reach::NobodyAsks, None));
    assert_eq!(lab.memberships(), 1);
}

#[test]
fn a_querier_is_believed_when_everybody_has_answered() {
    let mut lab = Lab::new(SnoopingConfig::default());
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    lab.pass_millis(9999);
    assert_eq!(lab.listeners(GROUP), None);
    lab.pass_millis(1);
    assert_eq!(lab.listeners(GROUP), Some(vec![ROUTER]));
    assert_eq!(lab.listeners(GROUP_V6), None, "only IGMP was asked");
    lab.vlan = Vid::new(5).ok();
    assert_eq!(lab.listeners(GROUP), None, "only one VLAN was asked");
}

#[test]
fn a_querier_that_is_silent_for_255_seconds_is_gone() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    lab.pass_millis(244_999);
    assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
    lab.pass_millis(1);
    assert_eq!(lab.listeners(GROUP), None);
    assert_eq!(lab.memberships(), 1, "the membership lasts 260 s");
    lab.pass(15);
    assert_eq!(lab.memberships(), 0);
    assert_eq!(lab.snooping.entries(lab.now), []);
}

#[test]
fn a_membership_lasts_260_seconds_after_the_last_report() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    for _ in 0..4 {
        lab.pass(125);
        lab.hear(ROUTER, &query("10.0.0.1", 10));
        lab.hear(A, &report(&[(2, GROUP, 0)]));
    }
    assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
    lab.pass(125);
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    lab.pass_millis(134_999);
    assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
    lab.pass_millis(1);
    assert_eq!(lab.listeners(GROUP), Some(vec![ROUTER]));
}

#[test]
fn a_slow_or_lazy_querier_cuts_nobody_off_who_answers() {
    // Queries 250 s apart let hosts wait 25 s: an answer may come 275 s after the one before.
    let mut lab = Lab::new(SnoopingConfig::default());
    lab.hear(ROUTER, &query("10.0.0.1", 25));
    lab.hear(A, &join(GROUP));
    for _ in 0..3 {
        lab.pass(250);
        lab.hear(ROUTER, &query("10.0.0.1", 25));
        for _ in 0..24 {
            lab.pass(1);
            assert!(lab.listeners(GROUP).is_none_or(|ports| ports.contains(&A)));
        }
        lab.hear(A, &report(&[(2, GROUP, 0)]));
        lab.pass(1);
        assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
        lab.pass(224);
        lab.hear(ROUTER, &query("10.0.0.1", 25));
        lab.hear(A, &report(&[(2, GROUP, 0)]));
    }
}

#[test]
fn a_query_that_lets_hosts_wait_too_long_ends_the_limits() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    // Version 3, code 0xff: 3174 s.
    let slow = [0x11, 0xff, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];
    lab.hear(B, &igmp("10.0.0.66", "224.0.0.1", &slow));
    lab.pass(1);
    assert_eq!(lab.listeners(GROUP), None);
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    lab.pass(10);
    assert!(lab.listeners(GROUP).is_some(), "a sooner answer counts");
}

#[test]
fn an_isolated_port_is_no_router() {
    let mut lab = Lab::new(SnoopingConfig::default());
    lab.isolation = Isolation::Isolated;
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    lab.pass(10);
    assert_eq!(lab.listeners(GROUP), None);
    assert_eq!(lab.snooping.entries(lab.now), []);
}

#[test]
fn records_join_or_leave_by_whether_the_host_listens_to_anybody() {
    for (group, other) in [(GROUP, "239.1.1.2"), (GROUP_V6, "ff15::2")] {
        for (kind, sources, joined) in [
            (1, 0, false),
            (1, 1, true),
            (2, 0, true),
            (3, 1, true),
            (4, 2, true),
            (5, 1, true),
            (5, 0, false),
            (6, 1, false),
            (7, 0, false),
        ] {
            let mut lab = Lab::with_router();
            lab.hear(A, &report(&[(kind, group, sources), (4, other, 0)]));
            let listens = lab.listeners(group).unwrap().contains(&A);
            assert_eq!(listens, joined, "type {kind}, {sources} sources");
            assert!(lab.listeners(other).unwrap().contains(&A));
        }
    }
}

#[test]
fn a_leave_ends_a_membership_after_two_questions_without_an_answer() {
    let mut lab = Lab::querier(SnoopingConfig::default());
    lab.hear(A, &join(GROUP));
    lab.hear(B, &join(GROUP));
    lab.hear(A, &leave(GROUP));
    lab.hear(A, &leave(GROUP));
    for _ in 0..2 {
        let questions = lab.poll();
        assert_eq!(questions.len(), 1);
        assert_eq!(questions[0].port, Some(A));
        assert!(questions[0].group.is_some());
        assert_eq!(lab.poll(), []);
        assert_eq!(lab.listeners(GROUP), Some(vec![A, B]));
        lab.now = lab.now + Duration::from_secs(1);
    }
    assert_eq!(lab.poll(), []);
    assert_eq!(lab.listeners(GROUP), Some(vec![B]));
    assert_eq!(lab.memberships(), 1);
}

#[test]
fn an_answer_keeps_the_membership_that_another_host_on_the_port_left() {
    let mut lab = Lab::querier(SnoopingConfig::default());
    lab.hear(A, &join(GROUP));
    lab.hear(A, &leave(GROUP));
    assert_eq!(lab.poll().len(), 1);
    lab.hear(A, &report(&[(2, GROUP, 0)]));
    lab.now = lab.now + Duration::from_secs(1);
    assert_eq!(lab.poll(), []);
    lab.pass(100);
    assert_eq!(lab.listeners(GROUP), Some(vec![A]));
    assert_eq!(lab.memberships(), 1);
}

#[test]
fn another_querier_s_question_ends_the_membership() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    lab.hear(A, &leave(GROUP));
    lab.pass(20);
    assert_eq!(
        lab.listeners(GROUP),
        Some(vec![A, ROUTER]),
        "not our business"
    );
    // The S flag, and questions about single sources, expel nobody (RFC 3376 §4.1.5).
    lab.hear(ROUTER, &group_query(GROUP, 0x08, 0));
    lab.hear(ROUTER, &group_query(GROUP, 0, 1));
    lab.pass(2);
    assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
    lab.hear(ROUTER, &group_query(GROUP, 0, 0));
    lab.pass_millis(1999);
    assert_eq!(lab.listeners(GROUP), Some(vec![A, ROUTER]));
    lab.pass_millis(1);
    assert_eq!(lab.listeners(GROUP), Some(vec![ROUTER]));
    assert_eq!(lab.memberships(), 0);
}

#[test]
fn fast_leave_ends_a_membership_at_once() {
    let mut lab = Lab::querier(SnoopingConfig {
        fast_leave: FastLeave::On,
        ..SnoopingConfig::default()
    });
    lab.hear(A, &join(GROUP));
    assert_eq!(lab.listeners(GROUP), Some(vec![A]));
    let leave = igmp("10.0.0.2", "224.0.0.2", &[0x17, 0, 0, 0, 239, 1, 1, 1]);
    lab.hear(A, &leave);
    assert_eq!(lab.listeners(GROUP), Some(vec![]));
    assert_eq!(lab.memberships(), 0);
}

#[test]
fn rfc_2236_6_a_version_1_host_keeps_its_port_in_the_group() {
    let mut lab = Lab::querier(SnoopingConfig {
        fast_leave: FastLeave::On,
        ..SnoopingConfig::default()
    });
    lab.hear(A, &igmp("10.0.0.2", GROUP, &[0x12, 0, 0, 0, 239, 1, 1, 1]));
    lab.hear(
        A,
        &igmp("10.0.0.3", "224.0.0.2", &[0x17, 0, 0, 0, 239, 1, 1, 1]),
    );
    assert_eq!(lab.listeners(GROUP), Some(vec![A]));
}

#[test]
fn mld_version_1_joins_and_leaves() {
    let mut lab = Lab::querier(SnoopingConfig {
        fast_leave: FastLeave::On,
        ..SnoopingConfig::default()
    });
    let group = "ff15::1".parse::<core::net::Ipv6Addr>().unwrap().octets();
    let message = |kind| [&[kind, 0, 0, 0, 0, 0, 0, 0], &group[..]].concat();
    lab.hear(A, &mld("fe80::2", "ff15::1", &message(131)));
    assert_eq!(lab.listeners(GROUP_V6), Some(vec![A]));
    lab.hear(A, &mld("fe80::2", "ff02::2", &message(132)));
    assert_eq!(lab.listeners(GROUP_V6), Some(vec![]));
}

#[test]
fn the_querier_asks_twice_at_first_and_then_every_125_seconds() {
    let mut lab = Lab::new(SnoopingConfig {
        querier: QuerierRole::Querier,
        ..SnoopingConfig::default()
    });
    let start = lab.now;
    let mut asked = Vec::new();
    for half_seconds in 0..600 {
        lab.now = start + Duration::from_millis(500 * half_seconds);
        let questions = lab.poll();
        assert!(questions.iter().all(|question| question.port.is_none()));
        asked.extend(
            questions
                .iter()
                .map(|question| (half_seconds, question.family)),
        );
    }
    let at: Vec<_> = asked.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [0, 0, 63, 63, 313, 313, 563, 563]);
    assert_eq!(asked[0].1, Family::V4);
    assert_eq!(asked[1].1, Family::V6);
}

#[test]
fn the_querier_asks_new_ports_and_vlans_at_once() {
    let mut lab = Lab::querier(SnoopingConfig::default());
    let vid = Vid::new(5).ok();
    let new = PortNo::new(30, 0);
    let asked = |lab: &Lab| {
        let ports = [A, B, ROUTER, new];
        let questions = lab.snooping.poll(lab.now, &ports, &[None, vid]);
        let asked = questions.iter().map(|asked| (asked.vlan, asked.port));
        asked.collect::<Vec<_>>()
    };
    let port = (None, Some(new));
    assert_eq!(asked(&lab), [port, port, (vid, None), (vid, None)]);
    // A VLAN may be known by its groups only.
    lab.vlan = Vid::new(6).ok();
    lab.hear(A, &join(GROUP));
    lab.hear(B, &join(GROUP_V6));
    assert_eq!(asked(&lab), [(lab.vlan, None), (lab.vlan, None)]);
}

#[test]
fn the_querier_yields_to_another_and_takes_over_from_it() {
    let mut lab = Lab::querier(SnoopingConfig::default());
    let asked = |lab: &mut Lab, secs: u64| {
        let mut families = Vec::new();
        for _ in 0..secs {
            lab.now = lab.now + Duration::from_secs(1);
            families.extend(lab.poll().iter().map(|question| question.family));
        }
        families
    };
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    // Its MLD address is higher than any that we can have.
    lab.hear(ROUTER, &query("fe80:ffff::1", 10));
    assert_eq!(asked(&mut lab, 200), [Family::V6; 2]);
    let both = [Family::V4, Family::V6, Family::V4, Family::V6];
    assert_eq!(asked(&mut lab, 200), both, "255 s later");
    lab.hear(ROUTER, &query("fe80::1", 10));
    assert_eq!(asked(&mut lab, 250), [Family::V4; 2]);
}

#[test]
fn a_port_that_is_gone_is_forgotten() {
    let mut lab = Lab::with_router();
    lab.hear(A, &join(GROUP));
    lab.hear(B, &join(GROUP));
    lab.snooping.remove_port(A);
    lab.snooping.remove_port(ROUTER);
    assert_eq!(lab.listeners(GROUP), Some(vec![B]));
    assert_eq!(lab.snooping.usage().membership_count, 1);
    lab.snooping.remove_port(B);
    assert_eq!(lab.listeners(GROUP), Some(vec![]));
    assert_eq!(lab.snooping.entries(lab.now), []);
}

#[test]
fn a_port_whose_memberships_do_not_fit_gets_everything() {
    let mut lab = Lab::new(SnoopingConfig {
        mdb_limit: 16,
        ..SnoopingConfig::default()
    });
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    lab.pass(10);
    assert_eq!(lab.hear(A, &join("239.0.0.1")), Outcome::Noted);
    assert_eq!(lab.hear(A, &join("239.0.0.2")), Outcome::Noted);
    assert_eq!(lab.hear(A, &join("239.0.0.3")), Outcome::Full);
    assert_eq!(
        lab.snooping.usage().membership_count,
        2,
        "an eighth of the table"
    );
    assert_eq!(lab.hear(B, &join(GROUP)), Outcome::Noted);
    assert_eq!(lab.listeners("239.0.0.3"), Some(vec![A, ROUTER]));
    assert_eq!(lab.listeners(GROUP), Some(vec![A, B, ROUTER]));
    assert_eq!(
        lab.route(&join(GROUP)),
        (Reach::Report, Some(vec![ROUTER])),
        "but no reports"
    );
    lab.pass(125);
    lab.hear(ROUTER, &query("10.0.0.1", 10));
    lab.hear(B, &join(GROUP));
    lab.pass(135);
    assert_eq!(lab.listeners(GROUP), Some(vec![B, ROUTER]));
}

#[test]
fn a_hostile_flood_stays_within_the_limits() {
    let mut lab = Lab::new(SnoopingConfig {
        mdb_limit: 64,
        ..SnoopingConfig::default()
    });
    for number in 0..2000_u16 {
        let [c, d] = number.to_be_bytes();
        let port = PortNo::new(u32::from(number % 20), 0);
        let group = format!("239.0.{c}.{d}");
        lab.hear(port, &join(&group));
        lab.hear(port, &query(&format!("10.0.{c}.{d}"), 10));
        lab.vlan = Vid::new(number % 3 + 1).ok();
    }
    let usage = lab.snooping.usage();
    assert_eq!((usage.membership_count, usage.limit), (64, 64));
    assert!(lab.snooping.timer_count() <= 64 + 2 * 20);
    lab.pass(300);
    assert_eq!(lab.snooping.usage().membership_count, 0);
    assert_eq!(lab.snooping.timer_count(), 0);
}

/// Something that happens to a network.
#[derive(Clone, Debug)]
enum Event {
    Join(usize, usize),
    Leave(usize, usize),
    Ask(usize),
    AskGroup(usize, usize),
    Remove(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let (port, group) = (0..PORTS.len(), 0..GROUPS.len());
    prop_oneof![
        4 => (port.clone(), group.clone()).prop_map(|(port, group)| Event::Join(port, group)),
        2 => (port.clone(), group.clone()).prop_map(|(port, group)| Event::Leave(port, group)),
        2 => port.clone().prop_map(Event::Ask),
        1 => (port.clone(), group).prop_map(|(port, group)| Event::AskGroup(port, group)),
        1 => port.prop_map(Event::Remove),
        3 => (0_u64..200_000).prop_map(Event::Pass),
    ]
}

const PORTS: [PortNo; 4] = [A, B, ROUTER, PortNo::new(12, 3)];
const GROUPS: [&str; 5] = [GROUP, "239.1.1.2", "239.129.1.1", "224.1.1.1", "232.5.5.5"];

proptest! {
    #[test]
    fn frames_see_what_the_database_says(
        events in prop::collection::vec(event(), 1..60),
        querier in any::<bool>(),
        mdb_limit in prop_oneof![Just(8_u32), Just(1000)],
    ) {
        let role = if querier { QuerierRole::Querier } else { QuerierRole::Listener };
        let mut lab = Lab::new(SnoopingConfig {
            querier: role,
            mdb_limit,
            ..SnoopingConfig::default()
        });
        for event in events {
            match event {
                Event::Join(port, group) => drop(lab.hear(PORTS[port], &join(GROUPS[group]))),
                Event::Leave(port, group) => drop(lab.hear(PORTS[port], &leave(GROUPS[group]))),
                Event::Ask(port) => drop(lab.hear(PORTS[port], &query("10.0.0.1", 10))),
                Event::AskGroup(port, group) => {
                    lab.hear(PORTS[port], &group_query(GROUPS[group], 0, 0));
                }
                Event::Remove(port) => lab.snooping.remove_port(PORTS[port]),
                Event::Pass(millis) => lab.pass_millis(millis),
            }
            let usage = lab.snooping.usage();
            prop_assert!(usage.membership_count <= usage.limit);
            let entries = lab.snooping.entries(lab.now);
            for group in GROUPS {
                let gets = |entry: &&MdbEntry| match entry.group {
                    Some(of) => of.to_string() == group,
                    None => entry.family == Family::V4,
                };
                let mut ports: Vec<_> =
                    entries.iter().filter(gets).map(|entry| entry.port).collect();
                ports.sort_unstable();
                ports.dedup();
                if let Some(listeners) = lab.listeners(group) {
                    prop_assert_eq!(listeners, ports, "{} in {:?}", group, entries);
                }
            }
        }
        // All that is known ends when nothing is heard any more, and no timer is left.
        lab.pass(300);
        lab.pass(300);
        prop_assert_eq!(lab.snooping.entries(lab.now), []);
        prop_assert_eq!(lab.snooping.timer_count(), 0);
    }
}
