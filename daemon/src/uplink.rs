//! How the networks reach the world: chooses the uplink, opens it, keeps it open, and says what it is.
//!
//! # Theory of operation
//!
//! An uplink is a [`Line`](keeper::Line): something with queues that is a port of the switch. One thread,
//! the keeper, owns it. The keeper sleeps until the host's interfaces or addresses change, until the line itself
//! has something to do, or for some seconds; then it looks at everything anew. What it finds missing it
//! opens again, so an interface that goes and comes back needs nobody's help; what changed it tells the
//! packet path, the log, and whoever asks for the state.
//!
//! The packet path never waits for the keeper: frames that find no uplink are dropped and counted.
//!
//! An uplink of sockets, for hosts without privileges, would be one more line. The way of a network to the LAN of
//! its parent interface is kept open by the same means.

mod choice;
mod keeper;
mod lan;
mod nic;
mod parent;
mod prefixes;
mod shown;
mod steps;
mod tun;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapweave_control::datapath::UplinkState;
use tapweave_control::did_you_mean;
use tapweave_device::HostLink;
use tapweave_device::{Capabilities, OwnNamespaces, TunDevice};
use tokio::time::sleep;
use tracing::warn;

pub use self::choice::{NicAddress, NicChoice, TunChoice, UplinkChoice, UplinkChoiceError};
pub(crate) use self::keeper::{Keeper, Line};
use self::nic::NicLine;
pub(crate) use self::parent::ParentLine;
use self::shown::Shown;
use self::tun::{PrefixInUse, TunLine};
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::holdings::Holdings;

/// How often a prefix that is in use is tried again at start, and after how long.
const PREFIX_TRIES: u32 = 10;
const PREFIX_PAUSE: Duration = Duration::from_millis(50);

/// What the daemon is told of its uplink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UplinkOptions {
    /// Which.
    pub choice: UplinkChoice,
    /// Bytes of the longest packet; 1,280 to 65,535. Of an interface of the host at most what that has.
    pub mtu: u16,
}

impl UplinkOptions {
    /// The MTU of most of the world.
    pub const DEFAULT_MTU: u16 = 1500;
}

impl Default for UplinkOptions {
    fn default() -> Self {
        Self {
            choice: UplinkChoice::Auto,
            mtu: Self::DEFAULT_MTU,
        }
    }
}

/// Says that the host has no Ethernet interface `ifname`, and which one may have been meant.
fn no_interface(ifname: &str) -> String {
    // Without the names there is no suggestion, and the message is as true.
    let names = HostLink::names().unwrap_or_default();
    let suggestion = did_you_mean(ifname, names.iter().map(String::as_str));
    format!("there is no Ethernet interface {ifname}{suggestion}")
}

/// An uplink that is kept open until this is dropped.
#[derive(Debug)]
pub(crate) struct Uplink {
    /// None where there is nothing to keep.
    _keeper: Option<Keeper>,
}

impl Uplink {
    /// Opens the uplink that is wanted, or takes that of an earlier daemon over, and starts to keep it. `instance` tells
    /// several daemons of a machine apart.
    ///
    /// # Errors
    ///
    /// When an uplink that was named cannot be opened. With `auto` there is none then.
    pub(crate) async fn open(
        options: &UplinkOptions,
        capabilities: &Capabilities,
        datapath: &Arc<SwitchDatapath>,
        holdings: &Arc<Holdings>,
        (instance, clock): (&str, Clock),
    ) -> Result<Self> {
        let keep = |line: TunLine| Keeper::start(Shown::new(line), Arc::downgrade(datapath));
        let keep_nic = |line: NicLine| Keeper::start(Shown::new(line), Arc::downgrade(datapath));
        let none = |reason: &str| {
            datapath.set_uplink_state(UplinkState::none(reason));
            Self { _keeper: None }
        };
        let keeper = match &options.choice {
            UplinkChoice::None => return Ok(none("--uplink none")),
            UplinkChoice::Tun(choice) => {
                let line =
                    patiently(|| TunLine::new(choice, options.mtu, "--uplink tun", holdings)).await;
                keep(line.context("cannot open the uplink")?)?
            }
            UplinkChoice::Nic(choice) => {
                let line = NicLine::new(choice, options.mtu, instance, clock, holdings);
                keep_nic(line.context("cannot open the uplink")?)?
            }
            UplinkChoice::Auto => match patiently(|| auto(options, capabilities, holdings))
                .await
                .and_then(keep)
            {
                Ok(keeper) => keeper,
                Err(error) => {
                    let reason = format!("{error:#}");
                    warn!("networks have no way out: {reason}");
                    return Ok(none(&reason));
                }
            },
        };
        Ok(Self {
            _keeper: Some(keeper),
        })
    }
}

/// Opens a TUN, and tries again for a moment while its prefix is in use: the kernel may take the interface of a daemon
/// that was killed away only after its end.
async fn patiently(open: impl Fn() -> Result<TunLine>) -> Result<TunLine> {
    for _ in 0..PREFIX_TRIES {
        match open() {
            Err(error) if error.is::<PrefixInUse>() => sleep(PREFIX_PAUSE).await,
            outcome => return outcome,
        }
    }
    open()
}

/// Returns what suits this process best.
fn auto(
    options: &UplinkOptions,
    capabilities: &Capabilities,
    holdings: &Arc<Holdings>,
) -> Result<TunLine> {
    anyhow::ensure!(
        capabilities.own_namespaces == OwnNamespaces::Administered,
        "an uplink needs CAP_NET_ADMIN in the daemon's network namespace: run the daemon as root, or \
         in `unshare -Urn`"
    );
    anyhow::ensure!(
        matches!(capabilities.tun, TunDevice::Usable),
        "{}",
        capabilities.tun
    );
    let reason = "the daemon may administer its network namespace";
    TunLine::new(&TunChoice::default(), options.mtu, reason, holdings)
}
