//! Sandboxes: known by connecting them, forgotten on request or when their namespace ends.

use tracing::info;

use super::Controller;
use crate::api::{EventAction, Sandbox};
use crate::datapath::{NamespaceRef, SandboxNo};
use crate::{ControlError, Id, Name};

impl Controller {
    /// Frees everything of a sandbox whose namespace has ended: ports, addresses, endpoints, its name.
    ///
    /// Called by the packet path, once, from a thread that may block: the call waits for a request
    /// that is just changing the sandbox, so it must not come from a thread that such a request
    /// depends on. Numbers that are not known are ignored.
    pub fn sandbox_ended(&self, number: SandboxNo) {
        let Some(name) = self.model().sandbox_name(number).cloned() else {
            return;
        };
        let _turn = self.turns.take(&name);
        if self.model().sandbox_by_no(number).is_some() {
            info!(sandbox = %name, "sandbox ended");
            self.bury(number);
        }
    }

    /// Disconnects a sandbox from everything and forgets it. Its namespace is not touched otherwise.
    ///
    /// # Errors
    ///
    /// `NoSuch`, `Ambiguous` or `SandboxBusy`.
    pub fn remove_sandbox(&self, reference: &str) -> Result<(), ControlError> {
        let name = self.model().sandbox(reference)?.name.clone();
        let _turn = self.turns.request(&name)?;
        // It may have gone, and even come back, while this request waited.
        let number = {
            let model = self.model();
            let sandbox = model.sandbox_named(name.as_str());
            sandbox.map(|sandbox| sandbox.number)
        };
        let Some(number) = number else {
            return Ok(());
        };
        let (id, endpoints) = self.belongings(number);
        let endpoints: Vec<_> = endpoints.iter().collect();
        self.journal.write(self.gone(&endpoints, id.as_ref())?)?;
        self.clear_sandbox(number, &endpoints);
        Ok(())
    }

    /// Returns the sandboxes in order of their names.
    pub fn sandboxes(&self) -> Vec<Sandbox> {
        let model = self.model();
        model
            .sandboxes()
            .map(|sandbox| sandbox.view(&model))
            .collect()
    }

    /// Returns one sandbox.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous`.
    pub fn sandbox(&self, reference: &str) -> Result<Sandbox, ControlError> {
        let model = self.model();
        let sandbox = model.sandbox(reference)?;
        Ok(sandbox.view(&model))
    }

    /// Returns the number of a sandbox and whether it is new. The caller has its turn.
    pub(super) fn find_or_open(
        &self,
        name: &Name,
        namespace: Option<&NamespaceRef>,
    ) -> Result<(SandboxNo, bool), ControlError> {
        let known = {
            let model = self.model();
            let sandbox = model.sandbox_named(name.as_str());
            sandbox.map(|sandbox| (sandbox.number, sandbox.identity.id))
        };
        let Some(namespace) = namespace else {
            return match known {
                Some((number, _)) => Ok((number, false)),
                None => Err(ControlError::SandboxUnknown {
                    sandbox: name.to_string(),
                    nearest: None,
                }),
            };
        };
        let opened = self.model().open_sandbox(name.clone());
        let identity = self.datapath.add_sandbox(opened, namespace);
        match (known, identity) {
            (_, Err(cause)) => {
                self.model().forget_sandbox(opened);
                Err(cause.into())
            }
            (Some((number, identity)), Ok(found)) => {
                // It was opened only to see which namespace it is.
                self.abandon(opened);
                if identity == found.id {
                    Ok((number, false))
                } else {
                    Err(ControlError::SandboxElsewhere {
                        sandbox: name.clone(),
                    })
                }
            }
            (None, Ok(identity)) => {
                let admitted = self.new_id().and_then(|id| {
                    let mut model = self.model();
                    model.admit_sandbox(opened, id.clone(), namespace.clone(), identity)?;
                    self.tell_sandbox(EventAction::Known, &id, name);
                    Ok(())
                });
                if let Err(error) = admitted {
                    self.abandon(opened);
                    return Err(error);
                }
                Ok((opened, true))
            }
        }
    }

    /// Lets go of a sandbox that has no endpoints.
    pub(super) fn abandon(&self, number: SandboxNo) {
        self.datapath.remove_sandbox(number);
        let mut model = self.model();
        if let Some(sandbox) = model.forget_sandbox(number) {
            self.tell_sandbox(EventAction::Ended, &sandbox.id, &sandbox.name);
        }
    }

    /// Removes a sandbox that has ended, with all that it had. The caller has its turn.
    pub(super) fn bury(&self, number: SandboxNo) {
        let (id, endpoints) = self.belongings(number);
        let endpoints: Vec<_> = endpoints.iter().collect();
        self.note_gone(&endpoints, id.as_ref());
        self.clear_sandbox(number, &endpoints);
    }

    /// Returns the ids of a sandbox and of its endpoints.
    fn belongings(&self, number: SandboxNo) -> (Option<Id>, Vec<Id>) {
        let model = self.model();
        let sandbox = model.sandbox_by_no(number);
        let endpoints = sandbox.map(|sandbox| sandbox.endpoints.values().cloned());
        let endpoints = endpoints.into_iter().flatten().collect();
        (sandbox.map(|sandbox| sandbox.id.clone()), endpoints)
    }

    fn clear_sandbox(&self, number: SandboxNo, endpoints: &[&Id]) {
        for id in endpoints {
            self.detach(id);
        }
        self.abandon(number);
    }
}
