//! A store that refuses: the change is taken back, and what has happened is written later.

use std::sync::atomic::{AtomicU8, Ordering};

use tapweave_store::{Prefix, StoreError};

use super::*;
use crate::api::{DnsRecordAdd, LeaseAdd, NeighborAdd, PeerAdd};
use crate::test_store::TestStore;

const WELL: u8 = 0;
/// It refuses.
const AWAY: u8 = 1;
/// It writes and says that it does not know.
const UNSURE: u8 = 2;

/// A rig on a store that does as it is told when it is to write.
struct Moods {
    rig: Rig,
    store: Arc<dyn Store>,
    mood: Arc<AtomicU8>,
}

fn moods() -> Moods {
    let mood = Arc::new(AtomicU8::new(WELL));
    let present = Arc::clone(&mood);
    let store: Arc<dyn Store> = Arc::new(TestStore::new(move |inner, transaction| {
        let source = Arc::new(std::io::Error::other("as it was told"));
        match present.load(Ordering::SeqCst) {
            AWAY => Err(StoreError::Unavailable { source }),
            UNSURE => {
                let _written = inner.commit(transaction)?;
                Err(StoreError::OutcomeUnknown { source })
            }
            _ => inner.commit(transaction),
        }
    }));
    let rig = rig_on(&store);
    Moods { rig, store, mood }
}

impl Moods {
    fn mood(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    /// The keys but those of who had an address, which is remembered of a request that failed, too.
    fn keys(&self) -> BTreeSet<String> {
        let entries = self.store.range(&Prefix::all()).unwrap().entries;
        let keys = entries.iter().map(|entry| entry.key.to_string());
        keys.filter(|key| !key.starts_with("resting/")).collect()
    }

    /// What there is, everywhere.
    fn state(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let (controller, datapath) = (&self.rig.controller, &self.rig.datapath);
        (
            (
                controller.networks(),
                controller.sandboxes(),
                controller.endpoints(),
            ),
            controller.peers(None).unwrap(),
            (
                controller.fdb(None).unwrap(),
                controller.neighbors(None).unwrap(),
                controller.dns_records(None).unwrap(),
                controller.leases(None).unwrap(),
            ),
            (datapath.population(), datapath.published()),
        )
    }
}

type Request = (&'static str, fn(&Controller) -> Result<(), ControlError>);

/// Every kind of request, in an order in which each is possible.
const REQUESTS: [Request; 15] = [
    ("create", |it| it.create_network(overlay()).map(drop)),
    ("connect", |it| {
        let request = Connect {
            publish: vec!["8080:80".parse().unwrap()],
            ..with_pid("web", 7)
        };
        it.connect("net", request).map(drop)
    }),
    ("connect again", |it| {
        it.connect("wide", Connect::new("web")).map(drop)
    }),
    ("peer add", |it| {
        it.add_peer(&PeerAdd {
            network: "wide".to_owned(),
            address: "192.0.2.7".parse().unwrap(),
            port: None,
            subnets: Vec::new(),
        })
    }),
    ("fdb add", |it| {
        it.fdb_add(&FdbAdd {
            network: "wide".to_owned(),
            mac: "02:00:00:00:00:09".parse().unwrap(),
            port: Some("wide/web".to_owned()),
            vtep: None,
            vlan: None,
        })
    }),
    ("neighbor add", |it| {
        it.neighbor_add(&NeighborAdd {
            network: "wide".to_owned(),
            address: "10.9.0.200".parse().unwrap(),
            mac: "02:00:00:00:00:09".parse().unwrap(),
            router: false,
        })
    }),
    ("dns add", |it| {
        let request = DnsRecordAdd {
            network: "wide".to_owned(),
            name: "far".parse().unwrap(),
            address: "10.9.0.200".parse().unwrap(),
        };
        it.dns_add(&request).map(drop)
    }),
    ("lease add", |it| {
        let request = LeaseAdd {
            network: "wide".to_owned(),
            address: "10.9.0.77".parse().unwrap(),
            client: "02:00:00:00:00:0a".to_owned(),
        };
        it.lease_add(&request).map(drop)
    }),
    ("lease rm", |it| {
        it.lease_del("wide", "10.9.0.77".parse().unwrap())
    }),
    ("dns rm", |it| {
        it.dns_del("wide", &"far".parse().unwrap(), None)
    }),
    ("neighbor del", |it| {
        it.neighbor_del("wide", "10.9.0.200".parse().unwrap())
    }),
    ("fdb del", |it| {
        it.fdb_del("wide", "02:00:00:00:00:09".parse().unwrap(), None)
    }),
    ("disconnect", |it| {
        let request = Disconnect {
            sandbox: "web".to_owned(),
            force: false,
        };
        it.disconnect("wide", &request)
    }),
    ("sandbox rm", |it| it.remove_sandbox("web")),
    ("rm", |it| it.remove_network("wide")),
];

fn overlay() -> CreateNetwork {
    CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(7),
        ..with_subnets("wide", &["10.9.0.0/16"])
    }
}

#[test]
fn what_cannot_be_stored_is_not_done() {
    let moods = moods();
    moods.rig.create(network("net"));
    for (name, request) in REQUESTS {
        let (before, stored) = (moods.state(), moods.keys());
        moods.mood(AWAY);
        let refusal = request(&moods.rig.controller).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Internal, "{name}");
        assert!(
            refusal.chain().contains("as it was told"),
            "{name}: {}",
            refusal.chain()
        );
        moods.mood(WELL);
        assert_eq!(moods.state(), before, "{name}");
        assert_eq!(moods.keys(), stored, "{name}");
        request(&moods.rig.controller).unwrap();
        assert_ne!(moods.keys(), stored, "{name}");
    }
    assert_eq!(moods.keys().len(), 2, "the version and a network");
}

#[test]
fn a_write_of_unknown_outcome_is_made_good() {
    let moods = moods();
    moods.rig.create(network("net"));
    for (name, request) in REQUESTS {
        let (before, stored) = (moods.state(), moods.keys());
        moods.mood(UNSURE);
        request(&moods.rig.controller).unwrap_err();
        assert_ne!(moods.keys(), stored, "{name}: it was written nevertheless");
        assert!(
            moods.rig.controller.reconcile(),
            "{name}: the store is still away"
        );
        moods.mood(WELL);
        assert!(!moods.rig.controller.reconcile(), "{name}");
        assert_eq!(moods.keys(), stored, "{name}");
        assert_eq!(moods.state(), before, "{name}");
        request(&moods.rig.controller).unwrap();
    }
}

#[test]
fn what_has_happened_is_stored_when_the_store_is_back() {
    let moods = moods();
    moods.rig.create(network("net"));
    let controller = &moods.rig.controller;
    controller.connect("net", with_pid("web", 7)).unwrap();
    controller.connect("net", with_pid("db", 8)).unwrap();
    moods.mood(AWAY);
    controller.port_failed(moods.rig.datapath.ports()[0]);
    controller.sandbox_ended(moods.rig.datapath.sandboxes()[1]);
    assert!(controller.endpoints().is_empty());
    assert!(controller.reconcile());
    moods.mood(WELL);
    assert!(!controller.reconcile());
    let stored = moods.keys();
    let count = |folder: &str| stored.iter().filter(|key| key.starts_with(folder)).count();
    // With them, who had the two addresses.
    assert_eq!((count("sandboxes/"), count("endpoints/")), (1, 0));
    assert_eq!(controller.stats().repairs["records_written"], 5);
}
