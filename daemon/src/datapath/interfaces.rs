//! The interfaces in sandboxes: taken over from an earlier daemon where there is one, made where there is none.

use std::sync::Arc;

use tapweave_control::Id;
use tapweave_control::datapath::{DatapathError, DatapathErrorKind as Kind, InterfaceSettings};
use tapweave_device::{Attacher, HeldKey, Interface, NetNamespace};
use tracing::{info, warn};

use crate::holdings::{self, Holdings};
use crate::settings::interface_spec;

/// An interface of an endpoint.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) interface: Interface,
    pub(super) origin: Origin,
}

/// Who has made an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// This daemon, just now.
    New,
    /// An earlier one; what is in its sandbox may have been changed since.
    TakenUp,
}

/// Makes interfaces, which outlive the daemon if it is killed.
#[derive(Debug)]
pub(crate) struct Interfaces {
    attacher: Attacher,
    holdings: Arc<Holdings>,
}

impl Interfaces {
    pub(crate) const fn new(attacher: Attacher, holdings: Arc<Holdings>) -> Self {
        Self { attacher, holdings }
    }

    /// Returns what keeps them.
    pub(super) const fn holdings(&self) -> &Arc<Holdings> {
        &self.holdings
    }

    /// Returns the interface of an endpoint, whose life is that of its queues and of what is kept until
    /// [`Interfaces::let_go`].
    pub(super) fn make(
        &self,
        namespace: &NetNamespace,
        settings: &InterfaceSettings,
        segments_max: Option<u16>,
    ) -> Result<Made, DatapathError> {
        let key = key(&settings.endpoint);
        if let Some(adopted) = self.adopt(&key, namespace) {
            return Ok(Made {
                interface: adopted,
                origin: Origin::TakenUp,
            });
        }
        let made = self
            .attacher
            .attach(namespace, &interface_spec(settings, segments_max))
            .map_err(|error| DatapathError::new(Kind::Denied, error))?;
        self.holdings.keep(&key, &made.note(), &made.fds());
        Ok(Made {
            interface: made,
            origin: Origin::New,
        })
    }

    /// Takes up the interface that an earlier daemon had made, if it is still there.
    fn adopt(&self, key: &HeldKey, namespace: &NetNamespace) -> Option<Interface> {
        let held = self.holdings.claim(key)?;
        match Interface::adopt(held.fds, &held.note, namespace) {
            Ok(interface) => {
                info!(%key, ifname = interface.ifname, "an interface is taken over");
                Some(interface)
            }
            Err(error) => {
                warn!(%key, reason = %error, "an interface cannot be taken over and is made anew");
                // It would have the name of the new one.
                self.holdings.let_go(key);
                None
            }
        }
    }

    /// Has the interface of an endpoint go with its queues.
    pub(super) fn let_go(&self, endpoint: &Id) {
        self.holdings.let_go(&key(endpoint));
    }

    /// Has all interfaces go with their queues.
    pub(super) fn end(&self) {
        self.holdings.end();
    }
}

fn key(endpoint: &Id) -> HeldKey {
    HeldKey::new(holdings::PORT, endpoint)
}
