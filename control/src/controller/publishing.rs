//! Published ports: what a request has to know, and what the packet path is told.

use std::sync::PoisonError;

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
