//! Hosts that share a subnet, by example and at random against registers that count.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::{Subnet, SubnetSpec};

/// Registers that are changed by compare-and-swap only, each with the number of its changes.
#[derive(Clone, Default)]
struct Registers {
    held: BTreeMap<IpNet, (Block, u64)>,
    changes: u64,
}

impl Registers {
    fn read(&self, prefix: IpNet) -> Option<(Block, u64)> {
        self.held.get(&prefix).cloned()
    }

    /// Does a swap, or does nothing and tells so.
    fn swap(&mut self, proposal: &Proposal<u64>) -> bool {
        let present = self
            .held
            .get(&proposal.prefix)
            .map(|(_, revision)| *revision);
        if present != proposal.expected {
            return false;
        }
        self.changes += 1;
        match &proposal.block {
            Some(block) => self
                .held
                .insert(proposal.prefix, (block.clone(), self.changes)),
            None => self.held.remove(&proposal.prefix),
        };
        true
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn subnet(prefix: &str) -> Subnet {
    Subnet::new(prefix.parse::<IpNet>().unwrap().into()).unwrap()
}

fn host(plan: &BlockPlan, name: &str, borrowing: Borrowing) -> Blocks<u64> {
    Blocks::new(plan.clone(), NodeId::new(name), borrowing)
}

/// Reads all registers.
fn refresh(blocks: &mut Blocks<u64>, registers: &Registers) {
    let known = blocks.known.values().map(|(block, _)| block.prefix());
    let prefixes: BTreeSet<_> = known.chain(registers.held.keys().copied()).collect();
    for prefix in prefixes {
        blocks.observe(prefix, registers.read(prefix)).unwrap();
    }
}

/// Tries until it is done, as a host does.
fn lease(blocks: &mut Blocks<u64>, registers: &mut Registers, owner: &str) -> Option<IpAddr> {
    loop {
        match blocks.propose_lease(owner).ok()? {
            Lease::Held(address) => return Some(address),
            Lease::Proposed { address, proposal } => {
                let is_done = registers.swap(&proposal);
                let prefix = proposal.prefix;
                blocks.observe(prefix, registers.read(prefix)).unwrap();
                if is_done {
                    return Some(address);
                }
            }
        }
    }
}

fn apply(blocks: &mut Blocks<u64>, registers: &mut Registers, proposal: &Proposal<u64>) -> bool {
    let is_done = registers.swap(proposal);
    let prefix = proposal.prefix;
    blocks.observe(prefix, registers.read(prefix)).unwrap();
    is_done
}

#[test]
fn a_host_claims_a_block_and_gives_from_it_until_it_is_full() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/24"), Some(28)).unwrap();
    let (mut a, mut b) = (
        host(&plan, "a", Borrowing::Permitted),
        host(&plan, "b", Borrowing::Permitted),
    );
    let mut registers = Registers::default();
    let mut of_a = BTreeSet::new();
    for turn in 0..20 {
        of_a.insert(lease(&mut a, &mut registers, &format!("s{turn}")).unwrap());
    }
    assert_eq!((of_a.len(), a.own_prefixes().count()), (20, 2));
    // The other host knows nothing yet, and learns by being refused.
    for turn in 0..3 {
        let given = lease(&mut b, &mut registers, &format!("s{turn}")).unwrap();
        assert!(!of_a.contains(&given));
    }
    assert_eq!(b.own_prefixes().count(), 1);
    assert_eq!(registers.held.len(), 3);
    // Nobody has the gateway, the network's or the broadcast address.
    for reserved in ["10.0.0.0", "10.0.0.1", "10.0.0.255"] {
        assert!(!of_a.contains(&ip(reserved)));
        let error = a.propose_fixed(ip(reserved), "x").unwrap_err();
        assert!(matches!(error, BlockError::Reserved { .. }), "{error}");
    }
}

#[test]
fn every_address_is_given_once_and_then_others_lend() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/27"), Some(29)).unwrap();
    let mut registers = Registers::default();
    let mut lender = host(&plan, "lender", Borrowing::Permitted);
    let first = lease(&mut lender, &mut registers, "first").unwrap();
    let lent = lender.own_prefixes().next().unwrap();
    for borrowing in [Borrowing::Refused, Borrowing::Permitted] {
        let mut registers = registers.clone();
        let mut taker = host(&plan, "taker", borrowing);
        let mut given = BTreeSet::from([first]);
        let mut turn = 0;
        while let Some(address) = lease(&mut taker, &mut registers, &format!("s{turn}")) {
            assert!(given.insert(address));
            turn += 1;
        }
        let of_lent = given.iter().filter(|address| lent.contains(*address));
        // 32 addresses without the first, the last and the gateway.
        match borrowing {
            Borrowing::Permitted => assert_eq!(given.len(), 29),
            Borrowing::Refused => assert_eq!(of_lent.count(), 1),
        }
        let error = taker.propose_lease("one more").unwrap_err().to_string();
        assert_eq!(
            error,
            "no address is free for host taker in 10.0.0.0/27: 4 blocks of it are claimed"
        );
    }
}

#[test]
fn a_fixed_address_is_had_from_whichever_block_and_refused_with_its_holder() {
    let plan = BlockPlan::new(&subnet("fd00::/64"), None).unwrap();
    let mut registers = Registers::default();
    let (mut a, mut b) = (
        host(&plan, "a", Borrowing::Permitted),
        host(&plan, "b", Borrowing::Permitted),
    );
    let wanted = ip("fd00::1:2:3:4");
    let Lease::Proposed { proposal, .. } = a.propose_fixed(wanted, "web").unwrap() else {
        panic!("nobody has it yet");
    };
    assert_eq!(proposal.prefix.to_string(), "fd00::1:2:3:0/122");
    assert!(apply(&mut a, &mut registers, &proposal));
    assert_eq!(a.propose_fixed(wanted, "web").unwrap(), Lease::Held(wanted));
    // The other host's picture is old: its swap is refused, and then it knows.
    let Lease::Proposed { proposal, .. } = b.propose_fixed(wanted, "db").unwrap() else {
        panic!("it cannot have it");
    };
    assert!(!apply(&mut b, &mut registers, &proposal));
    let error = b.propose_fixed(wanted, "db").unwrap_err().to_string();
    assert_eq!(error, "fd00::1:2:3:4 is in use by web on host a");
    let outside = b.propose_fixed(ip("fd01::1"), "db").unwrap_err();
    assert_eq!(outside.to_string(), "fd01::1 is outside of fd00::/64");
    let mut strict = host(&plan, "c", Borrowing::Refused);
    refresh(&mut strict, &registers);
    let error = strict.propose_fixed(ip("fd00::1:2:3:5"), "x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "block fd00::1:2:3:0/122 is that of host a"
    );
}

#[test]
fn a_swap_whose_answer_was_lost_is_not_done_twice() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/24"), None).unwrap();
    let mut registers = Registers::default();
    let mut a = host(&plan, "a", Borrowing::Permitted);
    let Lease::Proposed { address, proposal } = a.propose_lease("web").unwrap() else {
        panic!("it has none");
    };
    assert!(registers.swap(&proposal));
    refresh(&mut a, &registers);
    assert_eq!(a.propose_lease("web").unwrap(), Lease::Held(address));
    assert_eq!(a.address_of("web"), Some(address));
}

#[test]
fn the_blocks_of_a_dead_host_are_taken_back_and_it_finds_that_out() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/24"), Some(28)).unwrap();
    let mut registers = Registers::default();
    let mut dead = host(&plan, "dead", Borrowing::Permitted);
    for turn in 0..30 {
        lease(&mut dead, &mut registers, &format!("s{turn}")).unwrap();
    }
    let mut heir = host(&plan, "heir", Borrowing::Permitted);
    refresh(&mut heir, &registers);
    let mut turns = 0;
    while let Some(proposal) = heir.propose_reclaim(&NodeId::new("dead")) {
        assert!(apply(&mut heir, &mut registers, &proposal));
        turns += 1;
    }
    assert!(turns >= 2 && registers.held.is_empty());
    // It was only slow: it can do nothing with what it thinks that it has.
    let proposal = dead.propose_release("s3").unwrap();
    assert!(!apply(&mut dead, &mut registers, &proposal));
    refresh(&mut dead, &registers);
    assert_eq!(dead.address_of("s3"), None);
    assert!(lease(&mut dead, &mut registers, "s3").is_some());
}

#[test]
fn an_unused_block_is_given_back_if_there_is_room_elsewhere() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/24"), Some(30)).unwrap();
    let mut registers = Registers::default();
    let mut a = host(&plan, "a", Borrowing::Permitted);
    for turn in 0..8 {
        lease(&mut a, &mut registers, &format!("s{turn}")).unwrap();
    }
    let before = registers.held.len();
    assert_eq!(a.propose_return(), None);
    for turn in 0..8 {
        let proposal = a.propose_release(&format!("s{turn}")).unwrap();
        assert!(apply(&mut a, &mut registers, &proposal));
    }
    assert_eq!(registers.held.len(), before, "its blocks stay");
    while let Some(proposal) = a.propose_return() {
        assert!(apply(&mut a, &mut registers, &proposal));
    }
    assert_eq!(registers.held.len(), 1, "it keeps one");
}

#[test]
fn what_is_no_block_is_refused() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/24"), Some(28)).unwrap();
    let mut a = host(&plan, "a", Borrowing::Permitted);
    let block = |prefix: &str| Block::claimed(prefix.parse().unwrap(), NodeId::new("b"));
    for (register, held) in [
        ("10.0.0.0/27", "10.0.0.0/27"),
        ("10.0.1.0/28", "10.0.1.0/28"),
        ("10.0.0.0/28", "10.0.0.16/28"),
    ] {
        let observed = a.observe(register.parse().unwrap(), Some((block(held), 1)));
        observed.unwrap_err();
    }
    let text = r#"{"prefix":"10.0.0.0/28","affinity":"b","leases":{"16":{"node":"b","owner":"x"}},"next":0}"#;
    let outside: Block = serde_json::from_str(text).unwrap();
    let observed = a.observe("10.0.0.0/28".parse().unwrap(), Some((outside, 1)));
    assert!(matches!(observed, Err(BlockError::Malformed { .. })));
    for (prefix, len) in [("10.0.0.0/24", 23), ("10.0.0.0/8", 19), ("fd00::/64", 115)] {
        BlockPlan::new(&subnet(prefix), Some(len)).unwrap_err();
    }
    let refusal = BlockPlan::new(&subnet("10.0.0.0/24"), Some(33)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "10.0.0.0/24 cannot be divided into /33 blocks: give a length from 24 to 32"
    );
}

#[test]
fn a_block_keeps_its_form_in_the_store() {
    let plan = BlockPlan::new(&subnet("10.0.0.0/28"), None).unwrap();
    let a = host(&plan, "a", Borrowing::Permitted);
    let Lease::Proposed { proposal, .. } = a.propose_lease("web").unwrap() else {
        panic!("it has none");
    };
    let block = proposal.block.unwrap();
    let text = serde_json::to_string(&block).unwrap();
    assert_eq!(
        text,
        r#"{"prefix":"10.0.0.0/28","affinity":"a","leases":{"2":{"node":"a","owner":"web"}},"next":3}"#
    );
    assert_eq!(serde_json::from_str::<Block>(&text).unwrap(), block);
}

#[derive(Clone, Debug)]
enum Step {
    /// A host reads one register, by its place among those that there are.
    Read {
        host: usize,
        register: usize,
    },
    /// A host makes a proposal from what it knows, and keeps it.
    Plan {
        host: usize,
        owner: u8,
    },
    PlanFixed {
        host: usize,
        owner: u8,
        last: u8,
    },
    PlanRelease {
        host: usize,
        owner: u8,
    },
    PlanReturn {
        host: usize,
    },
    PlanReclaim {
        host: usize,
        dead: usize,
    },
    /// Its kept proposal reaches the store, and the answer the host, or not.
    Send {
        host: usize,
        is_answer_lost: bool,
    },
    /// It dies, with all that it knows and has; until others have cleared away after it, it is not back.
    Die {
        host: usize,
    },
}

const HOSTS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let host = || 0..HOSTS;
    let owner = || 0..12_u8;
    prop_oneof![
        2 => (host(), 0..8_usize).prop_map(|(host, register)| Step::Read { host, register }),
        6 => (host(), owner()).prop_map(|(host, owner)| Step::Plan { host, owner }),
        1 => (host(), owner(), 0..32_u8)
            .prop_map(|(host, owner, last)| Step::PlanFixed { host, owner, last }),
        3 => (host(), owner()).prop_map(|(host, owner)| Step::PlanRelease { host, owner }),
        1 => host().prop_map(|host| Step::PlanReturn { host }),
        2 => (host(), host()).prop_map(|(host, dead)| Step::PlanReclaim { host, dead }),
        9 => (host(), prop::bool::weighted(0.1))
            .prop_map(|(host, is_answer_lost)| Step::Send { host, is_answer_lost }),
        1 => host().prop_map(|host| Step::Die { host }),
    ]
}

/// The address that an endpoint has when a proposal is done.
type Promise = (IpAddr, String);

/// One host with what it has asked the store for.
struct Station {
    blocks: Blocks<u64>,
    outbox: Option<(Proposal<u64>, Option<Promise>)>,
    is_dead: bool,
}

impl Station {
    fn new(number: usize, borrowing: Borrowing) -> Self {
        let spec = SubnetSpec {
            aux_addresses: BTreeMap::from([("dns".to_owned(), ip("10.0.0.9"))]),
            ..SubnetSpec::from("10.0.0.0/27".parse::<IpNet>().unwrap())
        };
        let plan = BlockPlan::new(&Subnet::new(spec).unwrap(), Some(30)).unwrap();
        Self {
            blocks: host(&plan, &format!("h{number}"), borrowing),
            outbox: None,
            is_dead: false,
        }
    }
}

/// Returns all addresses that are leased, with their holders; each stands in one register only.
fn leased(registers: &Registers) -> BTreeMap<IpAddr, (NodeId, String)> {
    let blocks = registers.held.values().map(|(block, _)| block);
    let all = (0..HOSTS).map(|number| NodeId::new(&format!("h{number}")));
    let all: Vec<_> = all.collect();
    let mut leased = BTreeMap::new();
    for block in blocks {
        for node in &all {
            for (address, owner) in block.leases_of(node) {
                let before = leased.insert(address, (node.clone(), owner.to_owned()));
                assert_eq!(before, None, "{address} is leased twice");
            }
        }
    }
    leased
}

proptest! {
    /// What the registers say is what the hosts were told: an address that a host was told it has stays its own
    /// until it gives it back or is declared dead, whatever others do, from however old a picture.
    #[test]
    fn no_address_is_ever_given_twice(
        steps in prop::collection::vec(step(), 0..400),
        is_lending in any::<bool>(),
    ) {
        let borrowing = if is_lending { Borrowing::Permitted } else { Borrowing::Refused };
        let mut registers = Registers::default();
        let mut hosts: Vec<_> = (0..HOSTS).map(|n| Station::new(n, borrowing)).collect();
        // What hosts were told that they have.
        let mut told: BTreeMap<IpAddr, (usize, String)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Read { host, register } => {
                    let prefix = registers.held.keys().nth(register).copied();
                    if let (Some(prefix), false) = (prefix, hosts[host].is_dead) {
                        let held = registers.read(prefix);
                        hosts[host].blocks.observe(prefix, held).unwrap();
                    }
                }
                Step::Plan { host, owner } if !hosts[host].is_dead => {
                    let owner = format!("s{owner}");
                    if let Ok(Lease::Proposed { address, proposal }) =
                        hosts[host].blocks.propose_lease(&owner)
                    {
                        hosts[host].outbox = Some((proposal, Some((address, owner))));
                    }
                }
                Step::PlanFixed { host, owner, last } if !hosts[host].is_dead => {
                    let address = IpAddr::from([10, 0, 0, last]);
                    let owner = format!("f{owner}-{last}");
                    if let Ok(Lease::Proposed { address, proposal }) =
                        hosts[host].blocks.propose_fixed(address, &owner)
                    {
                        hosts[host].outbox = Some((proposal, Some((address, owner))));
                    }
                }
                Step::PlanRelease { host, owner } if !hosts[host].is_dead => {
                    let owner = format!("s{owner}");
                    let proposal = hosts[host].blocks.propose_release(&owner);
                    if let Some(proposal) = proposal {
                        // Its endpoint has gone before the address is free.
                        let address = hosts[host].blocks.address_of(&owner);
                        if let Some(address) = address {
                            told.remove(&address);
                        }
                        hosts[host].outbox = Some((proposal, None));
                    }
                }
                Step::PlanReturn { host } if !hosts[host].is_dead => {
                    let proposal = hosts[host].blocks.propose_return();
                    hosts[host].outbox = proposal.map(|proposal| (proposal, None));
                }
                Step::PlanReclaim { host, dead } if !hosts[host].is_dead && hosts[dead].is_dead => {
                    let dead = NodeId::new(&format!("h{dead}"));
                    let proposal = hosts[host].blocks.propose_reclaim(&dead);
                    hosts[host].outbox = proposal.map(|proposal| (proposal, None));
                }
                Step::Send { host, is_answer_lost } => {
                    // What a host sent before it died may still arrive.
                    if let Some((proposal, gives)) = hosts[host].outbox.take() {
                        let is_done = registers.swap(&proposal);
                        if !is_answer_lost && !hosts[host].is_dead {
                            let held = registers.read(proposal.prefix);
                            hosts[host].blocks.observe(proposal.prefix, held).unwrap();
                            if let (true, Some((address, owner))) = (is_done, gives) {
                                let before = told.insert(address, (host, owner));
                                prop_assert_eq!(before, None, "{} was given twice", address);
                            }
                        }
                    }
                }
                Step::Die { host } => {
                    hosts[host].is_dead = true;
                    told.retain(|_, (of, _)| *of != host);
                }
                Step::Plan { .. }
                | Step::PlanFixed { .. }
                | Step::PlanRelease { .. }
                | Step::PlanReturn { .. }
                | Step::PlanReclaim { .. } => {}
            }
            let leased = leased(&registers);
            for (address, (host, owner)) in &told {
                let want = (NodeId::new(&format!("h{host}")), owner.clone());
                prop_assert_eq!(leased.get(address), Some(&want));
            }
            for reserved in ["10.0.0.0", "10.0.0.1", "10.0.0.9", "10.0.0.31"] {
                prop_assert!(!leased.contains_key(&ip(reserved)));
            }
        }
        // What dead hosts had is cleared away by one that lives, and everything can be had again.
        let mut heir = Station::new(HOSTS, Borrowing::Permitted).blocks;
        refresh(&mut heir, &registers);
        for (number, host) in hosts.iter().enumerate() {
            while host.is_dead
                && let Some(proposal) = heir.propose_reclaim(&NodeId::new(&format!("h{number}")))
            {
                prop_assert!(apply(&mut heir, &mut registers, &proposal));
            }
        }
        let before = leased(&registers);
        for (number, host) in hosts.iter().enumerate() {
            let node = NodeId::new(&format!("h{number}"));
            prop_assert!(!host.is_dead || before.values().all(|(of, _)| *of != node));
        }
        let mut count = before.len();
        while let Some(address) = lease(&mut heir, &mut registers, &format!("heir{count}")) {
            prop_assert!(!before.contains_key(&address));
            count += 1;
        }
        prop_assert_eq!(count, 28, "32 without network, gateway, dns and broadcast");
    }
}
