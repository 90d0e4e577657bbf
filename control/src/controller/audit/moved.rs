//! Sandboxes whose namespace has got another name while no daemon ran.
//!
//! The sandbox is the namespace and not its name: it goes on, as long as the namespace has a name in the folder where it
//! had one. That is looked for only when a daemon starts. A daemon that runs has noticed that the name went, and to it
//! that is the end of the sandbox.

use std::path::Path;

use tracing::{error, info};

use super::fate::Fate;
use crate::api::{EventAction, EventActor, EventType};
use crate::controller::Controller;
use crate::datapath::{NamespaceRef, OpenedNamespace, SandboxNo};
use crate::journal::Changes;

/// The repair that a sandbox is found again under another name.
const REPAIR: &str = "sandboxes_moved";

impl Controller {
    /// Opens a restored sandbox at another path of its namespace, beside the `former` one, and tells whether there is one.
    /// What was opened at the former path is closed. The caller has the sandbox's turn.
    pub(super) fn open_moved(
        &self,
        number: SandboxNo,
        former: &NamespaceRef,
        identity: OpenedNamespace,
    ) -> bool {
        let NamespaceRef::Path(former) = former else {
            return false;
        };
        self.datapath.remove_sandbox(number);
        let Some(path) = self.datapath.find_namespace(former, identity) else {
            return false;
        };
        let namespace = NamespaceRef::Path(path.clone());
        // It may have gone since it was found.
        match self.fate_of(number, &namespace, identity) {
            Fate::There => {
                self.note_moved(number, former, &path);
                true
            }
            Fate::Replaced | Fate::Ended(_) | Fate::Unknown(_) => {
                self.datapath.remove_sandbox(number);
                false
            }
        }
    }

    fn note_moved(&self, number: SandboxNo, former: &Path, path: &Path) {
        let moved = {
            let mut model = self.model();
            model.move_sandbox(number, path.to_owned(), &self.boot)
        };
        let Some(sandbox) = moved else {
            return;
        };
        let mut changes = Changes::default();
        match changes.put(&sandbox) {
            Ok(()) => self.journal.note(changes),
            Err(cause) => error!(%cause, sandbox = %sandbox.name, "its new path is not stored"),
        }
        self.count(REPAIR);
        info!(
            repair = REPAIR,
            sandbox = %sandbox.name,
            before = %former.display(),
            namespace = %path.display(),
            "reconciled"
        );
        let told = |actor: EventActor| {
            let actor = actor.with("before", former.display());
            actor.with("namespace", path.display())
        };
        let actor = EventActor::new(sandbox.id.as_str()).with("sandbox", &sandbox.name);
        self.tell(EventType::Sandbox, EventAction::Changed, told(actor));
        let actor = EventActor::new(sandbox.name.as_str()).with("repair", REPAIR);
        self.tell_repair(told(actor));
    }
}
