//! What the control side tells the resolvers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tapweave_dns::{NetworkNames, ResolverStats};
use tapweave_net::NetworkNo;
use tokio::sync::oneshot;

/// A message to the thread.
#[derive(Debug)]
pub(super) enum Command {
    SetNames {
        network: NetworkNo,
        names: Box<NetworkNames>,
        mtu: u16,
    },
    Forget {
        network: NetworkNo,
    },
    SetHost {
        addresses: Vec<IpAddr>,
    },
    Ask {
        network: NetworkNo,
        query: Vec<u8>,
        answer: oneshot::Sender<Vec<u8>>,
    },
    Stats {
        answer: oneshot::Sender<BTreeMap<NetworkNo, ResolverStats>>,
    },
}
