//! The machine and network namespace that the daemon runs in: what its interfaces, addresses, routes and
//! listening programs are. Nothing here changes anything.

mod addresses;
mod link;
mod ports;
mod prefixes;
mod routing;
mod watch;

pub use addresses::host_addresses;
pub use link::{HostLink, interface_index};
pub use ports::{ListeningPort, PortTable, holders, listening_ports};
pub use prefixes::prefixes_in_use;
pub use routing::{DefaultRoutes, forwards, has_ipv6};
pub use watch::HostWatch;
