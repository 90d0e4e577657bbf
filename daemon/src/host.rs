//! The machine that the daemon runs on, as the control plane asks about it.

use std::fs;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;
use tapweave_control::Host;
use tapweave_control::datapath::{DatapathError, DatapathErrorKind};
use tapweave_net::Timestamp;

use crate::clock::Clock;

/// The real machine.
#[derive(Debug)]
pub(crate) struct Machine;

impl Host for Machine {
    #[expect(
        clippy::disallowed_methods,
        reason = "the daemon is where clocks are read"
    )]
    fn unix_time(&self) -> Duration {
        // A clock set before 1970 gives networks a creation date that is wrong anyway.
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        Clock::new().now()
    }

    fn fill_random(&self, buf: &mut [u8]) -> Result<(), DatapathError> {
        getrandom::fill(buf).map_err(|error| DatapathError::new(DatapathErrorKind::Internal, error))
    }

    fn boot_id(&self) -> Result<String, DatapathError> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.map(|text| text.trim().to_owned())
            .map_err(|error| DatapathError::new(DatapathErrorKind::Internal, error))
    }

    fn prefixes_in_use(&self) -> Result<Vec<IpNet>, DatapathError> {
        tapweave_device::prefixes_in_use()
            .map_err(|error| DatapathError::new(DatapathErrorKind::Internal, error))
    }
}
