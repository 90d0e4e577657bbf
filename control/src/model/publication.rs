//! Whether a published port leads to its endpoint.
//!
//! A request is refused when a program of the host listens on a port that it wants published. After a restart that
//! can be so of an endpoint that was acknowledged long ago. It keeps its port, which no other endpoint gets, and is
//! connected; but the port does not lead to it before the program has gone. So a restored publication is *held up* until
//! it has been looked at once. From then on it stays open, whoever listens there: any user of the host may.

use super::publishing::of_host;
use super::{EndpointRecord, Model};
use crate::api::{Endpoint, PortMapping};
use crate::datapath::{PublishedPorts, ReservedPort};

/// Why a port that was restored does not lead anywhere until it was looked at.
const NOT_LOOKED_AT: &str = "it was not looked at yet whether a program of the host has the port";

/// Ports of the uplink that are an endpoint's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Publication {
    /// Which, and where they are to lead.
    pub(crate) ports: PublishedPorts,
    state: State,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// They lead there.
    Open,
    /// They were restored.
    Restored,
    /// They are in use, by whom this says.
    Busy(String),
}

/// That ports lead to their endpoint again, or do not.
#[derive(Debug)]
pub(crate) struct PublicationNews {
    /// The endpoint.
    pub(crate) endpoint: Endpoint,
    /// The ports, with what holds them up.
    pub(crate) mapping: PortMapping,
}

impl Publication {
    /// Returns ports that were asked for and found free.
    pub(crate) const fn open(ports: PublishedPorts) -> Self {
        Self {
            ports,
            state: State::Open,
        }
    }

    /// Returns ports that were asked for before the daemon was started.
    pub(crate) const fn restored(ports: PublishedPorts) -> Self {
        Self {
            ports,
            state: State::Restored,
        }
    }

    /// Returns what the API shows.
    pub(crate) fn view(&self) -> PortMapping {
        PortMapping {
            problem: match &self.state {
                State::Open => None,
                State::Restored => Some(NOT_LOOKED_AT.to_owned()),
                State::Busy(reason) => Some(reason.clone()),
            },
            ..PortMapping::from(&self.ports)
        }
    }

    fn is_held_up(&self) -> bool {
        self.state != State::Open
    }

    /// Looks whether the ports are free now, if they are held up, and tells whether that is news.
    fn look(&mut self, reserved: &[ReservedPort]) -> bool {
        let state = match of_host(&self.ports, reserved) {
            Some(busy) => State::Busy(busy.to_string()),
            None => State::Open,
        };
        let is_news = match (&self.state, &state) {
            (State::Open, _) => return false,
            // That all is well is not worth a word.
            (State::Restored, State::Open) => false,
            (before, now) => before != now,
        };
        self.state = state;
        is_news
    }
}

impl EndpointRecord {
    /// Returns the ports of the uplink that lead to it.
    pub(crate) fn open_ports(&self) -> impl Iterator<Item = PublishedPorts> {
        let open = self.published.iter().filter(|it| !it.is_held_up());
        open.map(|publication| publication.ports)
    }

    /// Tells whether ports that are to lead to it do not.
    pub(crate) fn has_held_up_ports(&self) -> bool {
        self.published.iter().any(Publication::is_held_up)
    }
}

impl Model {
    /// Tells whether there are published ports that do not lead to their endpoint.
    pub(crate) fn has_held_up_ports(&self) -> bool {
        let mut endpoints = self.endpoints.values();
        endpoints.any(EndpointRecord::has_held_up_ports)
    }

    /// Opens the ports that were held up and that nobody on the host has any more, and returns what is news.
    pub(crate) fn look_at_held_up_ports(
        &mut self,
        reserved: &[ReservedPort],
    ) -> Vec<PublicationNews> {
        let mut news = Vec::new();
        for endpoint in self.endpoints.values_mut() {
            let publications = endpoint.published.iter_mut();
            let changed = publications.filter_map(|it| it.look(reserved).then(|| it.view()));
            let changed: Vec<_> = changed.collect();
            // One that is being made has nothing that is held up.
            let Some(view) = endpoint.view() else {
                continue;
            };
            news.extend(changed.into_iter().map(|mapping| PublicationNews {
                endpoint: view.clone(),
                mapping,
            }));
        }
        news
    }
}
