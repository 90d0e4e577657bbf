//! The helper's side: enter, create, configure, hand over.
//!
//! A user namespace can only be entered by a process of one thread, and the capabilities that this
//! gives are lost by `exec`; so the daemon starts itself anew with a hidden argument, and everything is
//! done in this one process, which knows nothing of the daemon. After it has entered a foreign
//! namespace it loads no code, resolves no name and opens no path but `/dev/net/tun`, which is the
//! host's: the mount namespace is not entered.
//!
//! From the moment when it is in a foreign user namespace, root of that namespace has `CAP_SYS_PTRACE`
//! over it, and could make it open files of the daemon's mount namespace. So before, it makes itself
//! undumpable: then that capability is asked for in the daemon's user namespace.
//!
//! Whatever fails, the descriptors of the interface are closed and it is gone. The loopback interface
//! comes last, since it would stay up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::default_route::add_default_route;
use super::message::{Reply, Step};
use super::sight;
use super::spec::InterfaceSpec;
use crate::fd_message;
use crate::namespace::NamespaceId;
use crate::rtnl::{LOOPBACK_INDEX, RouteSocket};
use crate::sys::nsfs;
use crate::tun_queues::{Layer, TunQueues};

/// The first argument that makes a program the helper.
pub(crate) const HELPER_ARGUMENT: &str = "__tapweave-attach";

/// Acts as the attach helper, which has the daemon's socket as its standard input.
pub(crate) fn serve() -> ExitCode {
    let stdin = io::stdin();
    let socket = stdin.as_fd();
    let reply = attach(socket);
    let sent = match &reply {
        Ok(Attached { made, sight }) => {
            let reply = Reply::Attached {
                ifname: made.ifname.clone(),
                ifindex: made.ifindex,
                segmentation: made.segmentation,
            };
            let fds = made.descriptors.iter().map(AsFd::as_fd);
            let fds: Vec<_> = fds.chain([sight.as_fd()]).collect();
            fd_message::send(socket, &reply, &fds)
        }
        Err(Failure { step, source }) => {
            let reply = Reply::Failed {
                step: *step,
                errno: source.raw_os_error().unwrap_or(libc::EIO),
            };
            fd_message::send(socket, &reply, &[])
        }
    };
    // A daemon that is gone needs no answer, and nothing is left of an interface without queues.
    sent.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

struct Attached {
    made: TunQueues,
    /// A socket of the namespace.
    sight: OwnedFd,
}

struct Failure {
    step: Step,
    source: io::Error,
}

impl Step {
    /// For `map_err`: this is what failed.
    fn failed<E: Into<io::Error>>(self) -> impl FnOnce(E) -> Failure {
        move |error| Failure {
            step: self,
            source: error.into(),
        }
    }
}

fn attach(socket: BorrowedFd<'_>) -> Result<Attached, Failure> {
    let request = fd_message::recv::<InterfaceSpec>(socket);
    let (spec, fds) = request.map_err(Step::ReadRequest.failed())?;
    let [namespace] = fds.as_slice() else {
        return Err(Step::ReadRequest.failed()(Errno::BADMSG));
    };
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Step::Shield.failed())?;
    enter(namespace.as_fd())?;
    // A name with a number to fill in never means an interface that is there already. A given name
    // is set afterwards, which fails when it is taken; `TUNSETIFF` could join a queue of its owner.
    let pattern = if spec.ifname.is_some() {
        "tapweave%d"
    } else {
        "eth%d"
    };
    let mut made = TunQueues::create(Layer::Ethernet, pattern, spec.queue_count, spec.offloading)
        .map_err(|(step, source)| Failure { step, source })?;
    let sight = sight::open().map_err(Step::OpenSight.failed())?;
    configure(&spec, &mut made)?;
    Ok(Attached { made, sight })
}

/// Enters a network namespace, by way of the user namespace that owns it if that is another one.
fn enter(namespace: BorrowedFd<'_>) -> Result<(), Failure> {
    let own = rustix::fs::open(
        "/proc/self/ns/user",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let own = own.map_err(Step::FindOwner.failed())?;
    let own = NamespaceId::of(own.as_fd()).map_err(Step::FindOwner.failed())?;
    let owner = nsfs::owner(namespace).map_err(Step::FindOwner.failed())?;
    let owner_id = NamespaceId::of(owner.as_fd()).map_err(Step::FindOwner.failed())?;
    if owner_id != own {
        move_into_link_name_space(owner.as_fd(), Some(LinkNameSpaceType::User))
            .map_err(Step::EnterUserNamespace.failed())?;
    }
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .map_err(Step::EnterNetNamespace.failed())
}

fn configure(spec: &InterfaceSpec, made: &mut TunQueues) -> Result<(), Failure> {
    let mut netlink = RouteSocket::open().map_err(Step::OpenNetlink.failed())?;
    let index = made.ifindex;
    if let Some(ifname) = &spec.ifname {
        netlink
            .rename(index, ifname)
            .map_err(Step::Rename.failed())?;
        made.ifname.clone_from(ifname);
    }
    netlink
        .set_link(index, spec.mac, spec.mtu, spec.segments_max)
        .map_err(Step::SetLink.failed())?;
    for &address in &spec.addresses {
        netlink
            .add_address(index, address)
            .map_err(Step::AddAddress(address).failed())?;
    }
    netlink.bring_up(index).map_err(Step::BringUp.failed())?;
    for &gateway in &spec.default_gateways {
        add_default_route(&mut netlink, index, gateway, spec.route_metric)
            .map_err(Step::AddRoute(gateway).failed())?;
    }
    netlink
        .bring_up(LOOPBACK_INDEX)
        .map_err(Step::BringLoopbackUp.failed())
}
