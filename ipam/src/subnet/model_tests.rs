//! One subnet against a model that knows every address by itself.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Strategy, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

/// Host parts are 0 to 31, the range is 16 to 23, the gateway 1, the first and the last are reserved.
const RANGE: std::ops::Range<u8> = 16..24;
const USABLE: std::ops::Range<u8> = 2..31;

/// A subnet as a list of what happened to each address.
#[derive(Default)]
struct Model {
    leased: BTreeMap<u8, String>,
    /// In the order of release.
    rested: Vec<(u8, Option<String>)>,
    last_chosen: u8,
}

impl Model {
    fn next(&mut self, owner: &str) -> Option<u8> {
        let had = self
            .rested
            .iter()
            .rposition(|(_, had)| had.as_deref() == Some(owner));
        let rested: BTreeSet<u8> = self.rested.iter().map(|(host, _)| *host).collect();
        let round = RANGE.filter(|host| *host > self.last_chosen);
        let mut round = round.chain(RANGE);
        let host = if let Some(place) = had {
            self.rested.remove(place).0
        } else if let Some(host) =
            round.find(|host| !self.leased.contains_key(host) && !rested.contains(host))
        {
            self.last_chosen = host;
            host
        } else if self.rested.is_empty() {
            return None;
        } else {
            self.rested.remove(0).0
        };
        self.leased.insert(host, owner.to_owned());
        Some(host)
    }

    fn lease(&mut self, host: u8, owner: &str) -> bool {
        let is_possible = USABLE.contains(&host) && !self.leased.contains_key(&host);
        if is_possible {
            self.rested.retain(|(rested, _)| *rested != host);
            self.leased.insert(host, owner.to_owned());
        }
        is_possible
    }

    fn end(&mut self, host: u8, is_remembered: bool) -> bool {
        let owner = self.leased.remove(&host);
        if let Some(owner) = &owner
            && RANGE.contains(&host)
        {
            // The model has no limit: the range is smaller.
            self.rested
                .push((host, is_remembered.then(|| owner.clone())));
        }
        owner.is_some()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Next(u8),
    Lease(u8, u8),
    Release(u8),
    SetAside(u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let owner = || 0..12_u8;
    prop_oneof![
        4 => owner().prop_map(Step::Next),
        1 => (0..40_u8, owner()).prop_map(|(host, owner)| Step::Lease(host, owner)),
        4 => (0..40_u8).prop_map(Step::Release),
        1 => (0..40_u8).prop_map(Step::SetAside),
        1 => prop::strategy::Just(Step::Restart),
    ]
}

fn subnet() -> Subnet {
    Subnet::new(SubnetSpec {
        ip_range: Some("10.0.0.16/29".parse().unwrap()),
        ..SubnetSpec::from("10.0.0.0/27".parse::<IpNet>().unwrap())
    })
    .unwrap()
}

fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

proptest! {
    #[test]
    fn a_subnet_gives_what_the_model_gives(steps in prop::collection::vec(step(), 0..200)) {
        let (mut subnet, mut model) = (subnet(), Model::default());
        for step in steps {
            match step {
                Step::Next(owner) => {
                    let owner = format!("s{owner}");
                    let given = subnet.lease_next(&owner);
                    prop_assert_eq!(given, model.next(&owner).map(address));
                }
                Step::Lease(host, owner) => {
                    let owner = format!("s{owner}");
                    let leased = subnet.lease(address(host), &owner).is_ok();
                    prop_assert_eq!(leased, model.lease(host, &owner));
                }
                Step::Release(host) => {
                    prop_assert_eq!(subnet.release(address(host)), model.end(host, true));
                }
                Step::SetAside(host) => {
                    prop_assert_eq!(subnet.set_aside(address(host)), model.end(host, false));
                }
                Step::Restart => {
                    let mut after = self::subnet();
                    for released in subnet.released() {
                        after.remember(&released);
                    }
                    for (host, owner) in &model.leased {
                        after.lease(address(*host), owner).unwrap();
                    }
                    // What is not remembered is as if it had never been used.
                    model.rested.retain(|(_, owner)| owner.is_some());
                    model.last_chosen = 0;
                    subnet = after;
                }
            }
            subnet.resting.assert_consistent();
            for host in USABLE {
                let holder = model.leased.get(&host).map(|owner| Holder::Endpoint(owner.as_str().into()));
                prop_assert_eq!(subnet.holder(address(host)), holder.as_ref());
            }
            let leased = model.leased.keys().filter(|host| RANGE.contains(*host)).count();
            prop_assert!(leased + model.rested.len() <= RANGE.len());
        }
    }
}
