//! How flows outlive the process.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use tapweave_net::{IpProtocol, NetworkNo, TcpFlags, Timestamp};

use super::world::*;
use crate::packet::Ends;
use crate::table::{Endpoint, Entry, Realm};
use crate::*;

/// What a journal says: the flow of each place.
type Journal = BTreeMap<u32, Entry>;

fn poll(nat: &Nat, journal: &mut Journal, budget: usize) -> usize {
    nat.poll_changes(budget, |place, flow| {
        match flow {
            Some(flow) => journal.insert(place, flow),
            None => journal.remove(&place),
        };
    })
}

fn journal_of(world: &World) -> Journal {
    let mut journal = Journal::new();
    poll(&world.nat, &mut journal, usize::MAX);
    journal
}

/// Restores at a clock that says `now` when that of `old` says what it says.
fn restore(
    old: &World,
    journal: &Journal,
    new: &World,
    mut renumber: impl FnMut(NetworkNo) -> Option<NetworkNo>,
) -> usize {
    let flows = journal.values().filter_map(|flow| {
        let flow = flow.renumbered(&mut renumber)?;
        Some(Entry {
            expires: new.now + flow.expires.since(old.now),
            ..flow
        })
    });
    flows.filter(|flow| new.nat.restore(flow, new.now)).count()
}

/// A world with another seed and another clock.
fn successor(published: &[Published]) -> World {
    let mut new = World::with_published(published.to_vec());
    new.now = Timestamp::from_secs(7);
    new.nat = Nat::new(NatConfig {
        seed: 99,
        ..config()
    });
    new
}

fn servers() -> Vec<Published> {
    vec![
        published(PortProtocol::Udp, "192.0.2.1:53", "10.0.0.9:53"),
        published(PortProtocol::Tcp, "192.0.2.1:80", "10.0.0.9:80"),
    ]
}

fn ack(seq: u32, ack: u32, len: usize) -> Segment {
    Segment::new(TcpFlags::ACK, seq, ack, len)
}

/// Opens a connection from `A` to `X` and returns its external end.
fn connect(world: &World) -> SocketAddr {
    let external = world.external(&tcp(A, X, syn(100)));
    let answer = Segment::new(TcpFlags::SYN | TcpFlags::ACK, 500, 101, 0);
    world.arrival(&tcp(X, external, answer)).unwrap();
    assert_eq!(world.external(&tcp(A, X, ack(101, 501, 0))), external);
    external
}

fn state(world: &World) -> FlowState {
    world.flows()[0].state
}

#[test]
fn flows_and_their_ports_outlive_a_restart() {
    let mut old = World::with_published(servers());
    let external = old.external(&udp(A, X));
    old.external(&udp(A, Y));
    old.arrival(&udp(X, "192.0.2.1:53")).unwrap();
    old.out(RED, &udp(B, "192.0.2.1:53")).unwrap();
    old.wait(Duration::from_secs(100));
    let mut new = successor(&servers());
    let journal = journal_of(&old);
    assert_eq!(restore(&old, &journal, &new, Some), 4);
    let ends = |world: &World| -> Vec<_> {
        let flows = world.flows();
        flows
            .iter()
            .map(|flow| (flow.original, flow.reply))
            .collect()
    };
    assert_eq!(ends(&new), ends(&old));
    assert_eq!(new.external(&udp(A, "203.0.113.3:3")), external);
    assert_eq!(new.arrival(&udp(Y, external)), Ok(socket(A)));
    // As much time is left as there was, and at most an eighth of it more.
    new.wait(Duration::from_secs(19));
    new.sweep();
    assert_eq!(new.flows().len(), 5);
    new.wait(Duration::from_secs(18));
    new.sweep();
    assert_eq!(new.flows().len(), 2);
    new.wait(Duration::from_mins(6));
    new.sweep();
    assert!(new.nat.is_empty());
}

#[test]
fn flows_of_networks_that_are_gone_are_not_restored() {
    let old = World::new();
    old.external(&udp(A, X));
    old.out(BLUE, &udp(B, X)).unwrap();
    let new = successor(&[]);
    let renumber = |old: NetworkNo| (old == BLUE).then_some(RED);
    assert_eq!(restore(&old, &journal_of(&old), &new, renumber), 1);
    assert_eq!(new.flows()[0].opened_in, Some(RED));
    new.nat.flush(&FlowFilter::default());
    assert!(new.nat.is_empty());
}

#[test]
fn an_open_connection_goes_on_wherever_its_ends_are_by_now() {
    let old = World::new();
    let external = connect(&old);
    let mut new = successor(&[]);
    assert_eq!(restore(&old, &journal_of(&old), &new, Some), 1);
    let established = FlowState::Tcp(TcpState::Established);
    assert_eq!(state(&new), established);
    // Gigabytes later, and it is prolonged by that.
    new.wait(Duration::from_hours(2));
    let far = 3_000_000_000;
    assert_eq!(new.external(&tcp(A, X, ack(far, far, 9))), external);
    assert_eq!(
        new.arrival(&tcp(X, external, ack(far, far + 9, 9))),
        Ok(socket(A))
    );
    new.wait(Duration::from_hours(2));
    new.sweep();
    assert_eq!(state(&new), established);
    // A reset counts where it is exact.
    let reset = |seq| Segment::new(TcpFlags::RST, seq, 0, 0);
    new.arrival(&tcp(X, external, reset(far + 1))).unwrap();
    assert_eq!(state(&new), established);
    new.arrival(&tcp(X, external, reset(far + 9))).unwrap();
    assert_eq!(state(&new), FlowState::Tcp(TcpState::Reset));
}

#[test]
fn a_handshake_goes_on_at_any_point() {
    let steps: [fn(&World, SocketAddr); 2] = [
        |world, external| {
            let answer = Segment::new(TcpFlags::SYN | TcpFlags::ACK, 500, 101, 0);
            world.arrival(&tcp(X, external, answer)).unwrap();
        },
        |world, external| assert_eq!(world.external(&tcp(A, X, ack(101, 501, 0))), external),
    ];
    for done in 0..=steps.len() {
        let old = World::new();
        let external = old.external(&tcp(A, X, syn(100)));
        steps[..done].iter().for_each(|step| step(&old, external));
        let new = successor(&[]);
        assert_eq!(restore(&old, &journal_of(&old), &new, Some), 1);
        steps[done..].iter().for_each(|step| step(&new, external));
        assert_eq!(state(&new), FlowState::Tcp(TcpState::Established));
    }
}

#[test]
fn rules_that_come_one_after_the_other_remove_nothing_meanwhile() {
    let old = World::with_published(servers());
    old.arrival(&udp(X, "192.0.2.1:53")).unwrap();
    old.arrival(&udp(X, "192.0.2.1:53")).unwrap();
    old.external(&udp(A, X));
    let new = successor(&[]);
    new.nat.begin_restoring();
    assert_eq!(restore(&old, &journal_of(&old), &new, Some), 2);
    assert_eq!(new.nat.retire(&NatRules::default()), 0);
    // The port is published no more.
    assert_eq!(new.nat.finish_restoring(&new.rules), 1);
    assert_eq!(new.nat.retire(&new.rules), 0);
    assert_eq!(new.flows()[0].kind, FlowKind::Masqueraded);
}

#[test]
fn a_flow_that_contradicts_one_that_is_there_leaves_nothing_behind() {
    let old = World::new();
    let external = old.external(&udp(A, X));
    let new = World::new();
    // Another sandbox has got the port.
    let [_, port] = [external.ip().to_string(), external.port().to_string()];
    let other = format!("10.0.0.77:{port}");
    assert_eq!(
        new.out(BLUE, &udp(&other, X)).map(|(out, _)| out),
        Ok(Out::ToUplink)
    );
    let before = new.nat.len();
    let restored = restore(&old, &journal_of(&old), &new, Some);
    if restored == 0 {
        assert_eq!(new.nat.len(), before);
    }
    new.nat.flush(&FlowFilter::default());
    assert!(new.nat.is_empty());
}

#[test]
fn what_is_no_flow_is_not_taken_in() {
    let old = World::new();
    old.external(&udp(A, X));
    let flow = *journal_of(&old).values().next().unwrap();
    let broken: [fn(&mut Entry); 9] = [
        |flow| flow.label = 0,
        |flow| flow.label |= 1 << 6,
        |flow| flow.label = u32::MAX,
        |flow| flow.state |= Entry::KEPT,
        |flow| flow.reply.realm = flow.original.realm,
        |flow| flow.original.realm = Realm::OUTSIDE,
        |flow| flow.reply.protocol.0 = 6,
        |flow| flow.original.src = Endpoint::ANY_V6,
        |flow| flow.expires = Timestamp::ZERO,
    ];
    for change in broken {
        let new = World::new();
        let mut broken = flow;
        change(&mut broken);
        assert!(!new.nat.restore(&broken, new.now), "{broken:?}");
        assert!(new.nat.is_empty());
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Udp(u8, u8),
    Tcp(u8, u8, u8),
    Ping(u8),
    /// The other end of the flow of this number answers.
    Answer(u8, u8),
    Published(u8),
    Hairpin(u8),
    Wait(u8),
    Sweep,
    Flush,
    /// The journal is written, some of it.
    Write(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u8, 0..4_u8).prop_map(|(src, dst)| Step::Udp(src, dst)),
        6 => (0..6_u8, 0..4_u8, 0..5_u8).prop_map(|(src, dst, what)| Step::Tcp(src, dst, what)),
        2 => (0..6_u8).prop_map(Step::Ping),
        8 => (any::<u8>(), 0..5_u8).prop_map(|(flow, what)| Step::Answer(flow, what)),
        2 => (0..4_u8).prop_map(Step::Published),
        2 => (0..6_u8).prop_map(Step::Hairpin),
        4 => (1..60_u8).prop_map(Step::Wait),
        2 => Just(Step::Sweep),
        1 => Just(Step::Flush),
        3 => (0..9_u8).prop_map(Step::Write),
    ]
}

fn sandbox(index: u8) -> String {
    format!("10.0.0.{}:{}", 2 + index % 3, 4000 + u16::from(index))
}

fn stranger(index: u8) -> String {
    format!("198.51.100.{}:80", 1 + index)
}

fn segment(what: u8) -> Segment {
    let flags = [
        TcpFlags::SYN,
        TcpFlags::SYN | TcpFlags::ACK,
        TcpFlags::ACK,
        TcpFlags::FIN | TcpFlags::ACK,
        TcpFlags::RST,
    ];
    let seq = if what == 0 || what == 1 { 100 } else { 101 };
    let ack = if what == 0 { 0 } else { 101 };
    Segment::new(flags[usize::from(what)], seq, ack, 0)
}

/// Does a step; what is refused is part of the test.
fn step(world: &mut World, step: Step) {
    let _outcome = match step {
        Step::Udp(src, dst) => out(world, RED, &udp(sandbox(src), stranger(dst))),
        Step::Tcp(src, dst, what) => {
            let sent = tcp(sandbox(src), stranger(dst), segment(what));
            out(world, RED, &sent)
        }
        Step::Ping(src) => out(world, RED, &ping(&sandbox(src), &stranger(0))),
        Step::Answer(index, what) => {
            let flows = world.flows();
            let Some(flow) = flows.get(usize::from(index) % flows.len().max(1)) else {
                return;
            };
            let (src, dst) = (flow.reply.src, flow.reply.dst);
            let answer = match flow.protocol {
                IpProtocol::TCP => tcp(src, dst, segment(what)),
                IpProtocol::UDP => udp(src, dst),
                _ => pong(src, dst),
            };
            send(world, flow.answered_in, &answer)
        }
        Step::Published(src) => inward(world, &udp(stranger(src), "192.0.2.1:53")),
        Step::Hairpin(src) => out(world, BLUE, &udp(sandbox(src), "192.0.2.1:53")),
        Step::Wait(secs) => {
            world.wait(Duration::from_secs(secs.into()));
            return;
        }
        Step::Sweep => {
            world.sweep();
            return;
        }
        Step::Flush => {
            world.nat.flush(&FlowFilter {
                network: Some(BLUE),
                ..FlowFilter::default()
            });
            return;
        }
        Step::Write(_) => return,
    };
}

/// What became of a packet: where it went, and with which ends.
type Outcome = Result<(String, Ends), NatDrop>;

fn out(world: &World, network: NetworkNo, sent: &Sent) -> Outcome {
    let outcome = world.out(network, sent);
    outcome.map(|(verdict, ends)| (format!("{verdict:?}"), ends))
}

fn inward(world: &World, sent: &Sent) -> Outcome {
    let outcome = world.inward(sent);
    outcome.map(|(verdict, ends)| (format!("{verdict:?}"), ends))
}

/// Sends out of a network, or in from outside.
fn send(world: &World, from: Option<NetworkNo>, sent: &Sent) -> Outcome {
    match from {
        Some(network) => out(world, network, sent),
        None => inward(world, sent),
    }
}

/// What of a flow has to be in a journal: all but what changes with every packet.
fn essence(flow: &Entry) -> Entry {
    let is_tcp = flow.original.protocol == IpProtocol::TCP;
    Entry {
        words: [0; 3],
        packets: [0; 2],
        bytes: [0; 2],
        // Of TCP, the largest windows are in the state too.
        state: if is_tcp {
            flow.state & 0b111
        } else {
            flow.state
        },
        ..*flow
    }
}

fn table(nat: &Nat) -> Journal {
    let flows = (0..nat.place_count()).filter_map(|place| Some((place, nat.flow_in(place)?)));
    flows.collect()
}

fn essences(journal: &Journal) -> Vec<(u32, Entry)> {
    let flows = journal.iter();
    flows.map(|(&place, flow)| (place, essence(flow))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A journal that is written to the end says what the table says, and a table that is made of it translates as
    /// the old one does.
    #[test]
    fn a_journal_makes_the_same_table(steps in proptest::collection::vec(any_step(), 1..80)) {
        let mut old = World::with_published(servers());
        let mut journal = Journal::new();
        for one in steps {
            step(&mut old, one);
            if let Step::Write(budget) = one {
                poll(&old.nat, &mut journal, budget.into());
            }
        }
        while old.nat.has_changes() {
            poll(&old.nat, &mut journal, 1);
        }
        prop_assert_eq!(essences(&journal), essences(&table(&old.nat)));
        let new = successor(&servers());
        let alive = journal.values().filter(|flow| flow.expires > old.now).count();
        prop_assert_eq!(restore(&old, &journal, &new, Some), alive);
        for flow in old.flows() {
            let packet = |src, dst| match flow.protocol {
                IpProtocol::TCP => tcp(src, dst, segment(2)),
                IpProtocol::UDP => udp(src, dst),
                _ => sent(What::Request, src, dst),
            };
            let sent = packet(flow.original.src, flow.original.dst);
            let [before, after] = [&old, &new].map(|world| send(world, flow.opened_in, &sent));
            prop_assert_eq!(before, after);
        }
        // Everything that came in can go again.
        new.nat.flush(&FlowFilter::default());
        let mut later = new;
        later.wait(Duration::from_hours(3));
        later.sweep();
        prop_assert_eq!(later.nat.len(), 0);
    }
}
