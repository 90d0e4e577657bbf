//! Published ports: what a request has to know, and what the packet path is told.

use std::sync::PoisonError;

use tracing::{info, warn};

use super::Controller;
use crate::datapath::DatapathError;
use crate::model::{Outside, Publish};
use crate::{ControlError, PublishSpec};

impl Controller {
    /// Returns what is needed to publish `specs`, `None` when there are none.
    pub(super) fn publish_request(
        &self,
        specs: &[PublishSpec],
    ) -> Result<Option<Publish>, ControlError> {
        if specs.is_empty() {
            return Ok(None);
        }
        let outside = Outside {
            uplink: self.datapath.uplink(),
            reserved: self.datapath.reserved_ports(),
            draw: u16::from_ne_bytes(self.random()?),
        };
        Ok(Some(Publish {
            specs: specs.to_vec(),
            outside,
        }))
    }

    /// Opens the ports of before a restart that nobody on the host has any more, and tells what has changed. The packet
    /// path is told by what follows in the audit.
    pub(super) fn look_at_held_up_ports(&self) {
        if !self.model().has_held_up_ports() {
            return;
        }
        let reserved = self.datapath.reserved_ports();
        let news = self.model().look_at_held_up_ports(&reserved);
        for news in news {
            let port = &news.endpoint.port;
            let ports = &news.mapping;
            if let Some(reason) = &ports.problem {
                warn!(%port, %ports, reason, "published ports are held up");
            } else {
                info!(%port, %ports, "published ports are no longer held up");
            }
            self.tell_publication(&news);
        }
    }

    /// Tells the packet path which ports are published now.
    pub(super) fn publish(&self) -> Result<(), DatapathError> {
        let _newest_last = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ports = self.model().published();
        self.datapath.set_published(&ports)
    }
}
