//! Interfaces whose queues are kept by a holder while there is no daemon.

use std::path::Path;
use std::time::Duration;

use tapweave_device::{AdoptError, Held, HeldKey, Holder, Interface};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, spec, within_a_second};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_held_interface_stays_and_is_adopted_by_its_new_name",
        place: Place::Outside,
        run: a_held_interface_stays_and_is_adopted_by_its_new_name,
    },
    Test {
        name: "an_interface_that_was_deleted_or_is_elsewhere_is_not_adopted",
        place: Place::Outside,
        run: an_interface_that_was_deleted_or_is_elsewhere_is_not_adopted,
    },
];

const MINUTE: Duration = Duration::from_mins(1);

/// Starts a holder as a process and has it keep an interface.
fn hold(folder: &Path, interface: &Interface) -> Holder {
    let holder = Holder::start(folder, Path::new("/proc/self/exe"), MINUTE).unwrap();
    let key = HeldKey::new("port", "a");
    holder
        .put(&key, &interface.note(), &interface.fds())
        .unwrap();
    // Answered after what was put before.
    holder.remove(&HeldKey::new("port", "none")).unwrap();
    holder
}

fn take(holder: &Holder) -> Held {
    let mut all = holder.take_all().unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn a_held_interface_stays_and_is_adopted_by_its_new_name() {
    let sandbox = Sandbox::with_user_namespace();
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("10.9.0.2/24");
    spec.queue_count = 2;
    let made = attach(&sandbox, &spec);
    let (offloads, ifindex) = (made.offloads, made.ifindex);
    let holder = hold(folder.path(), &made);
    drop(made);
    let flags = sandbox.ip_json("link show eth0")[0]["flags"].clone();
    assert!(flags.as_array().unwrap().contains(&"LOWER_UP".into()));
    sandbox.ip("link set eth0 name lan0");
    let Held { note, fds, .. } = take(&holder);
    let adopted = Interface::adopt(fds, &note, &sandbox.namespace()).unwrap();
    assert_eq!(adopted.ifname, "lan0");
    assert_eq!((adopted.offloads, adopted.ifindex), (offloads, ifindex));
    assert_eq!(adopted.queues.len(), 2);
    // Held no more, it goes with the one who has adopted it.
    holder.quit();
    assert_eq!(sandbox.ifnames(), ["lo", "lan0"]);
    drop(adopted);
    assert!(within_a_second(|| sandbox.ifnames() == ["lo"]));
}

fn an_interface_that_was_deleted_or_is_elsewhere_is_not_adopted() {
    let [sandbox, other] = [(); 2].map(|()| Sandbox::with_user_namespace());
    let folder = tempfile::tempdir().unwrap();
    let holder = hold(folder.path(), &attach(&sandbox, &spec("10.9.0.2/24")));
    let Held { note, fds, .. } = take(&holder);
    let elsewhere = Interface::adopt(fds, &note, &other.namespace()).unwrap_err();
    assert!(matches!(&elsewhere, AdoptError::Elsewhere { ifname } if ifname == "eth0"));
    let Held { fds, .. } = take(&holder);
    let newer = Interface::adopt(fds, r#"{"version":9}"#, &sandbox.namespace()).unwrap_err();
    assert!(matches!(newer, AdoptError::Note(_)));
    let one_missing = Interface::adopt(Vec::new(), &note, &sandbox.namespace()).unwrap_err();
    assert!(matches!(
        one_missing,
        AdoptError::DescriptorCount {
            expected: 1,
            there: 0
        }
    ));
    sandbox.ip("link delete eth0");
    let Held { fds, .. } = take(&holder);
    let deleted = Interface::adopt(fds, &note, &sandbox.namespace()).unwrap_err();
    assert!(matches!(deleted, AdoptError::Deleted));
    holder.quit();
}
