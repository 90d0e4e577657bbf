//! What happens to the packet path by itself, and the control plane has to know.

use tapweave_control::datapath::SandboxNo;
use tapweave_net::PortNo;

/// Something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A sandbox's namespace is no longer what it was named by.
    SandboxEnded(SandboxNo),
    /// A port's interface is gone.
    PortFailed(PortNo),
    /// The worker of this number has ended without being told to; its ports are dead.
    WorkerFailed(usize),
}
