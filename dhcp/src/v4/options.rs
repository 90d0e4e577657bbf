//! Options: a code, a length and as many octets (RFC 2132 §2).
//!
//! A message has up to three fields of them: that behind the cookie, and `file` and `sname` where the option
//! *overload* says so (RFC 2131 §4.1). An option that comes again is continued (RFC 3396). What is read is bounded by the
//! length of the message; one whose options are cut short is refused as a whole, since what would be missing decides.

use std::collections::BTreeMap;

use super::HEADER_LEN;
use crate::Refusal;

/// Codes of options (RFC 2132; RFC 3397, RFC 3442).
pub(crate) mod code {
    pub(crate) const PAD: u8 = 0;
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTER: u8 = 3;
    pub(crate) const DOMAIN_NAME_SERVER: u8 = 6;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const DOMAIN_NAME: u8 = 15;
    pub(crate) const INTERFACE_MTU: u8 = 26;
    pub(crate) const BROADCAST_ADDRESS: u8 = 28;
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER_IDENTIFIER: u8 = 54;
    pub(crate) const PARAMETER_REQUEST_LIST: u8 = 55;
    pub(crate) const MAX_MESSAGE_SIZE: u8 = 57;
    pub(crate) const RENEWAL_TIME: u8 = 58;
    pub(crate) const REBINDING_TIME: u8 = 59;
    pub(crate) const CLIENT_IDENTIFIER: u8 = 61;
    pub(crate) const DOMAIN_SEARCH: u8 = 119;
    pub(crate) const CLASSLESS_ROUTES: u8 = 121;
    pub(crate) const END: u8 = 255;
}

/// The options of a message.
#[derive(Debug)]
pub(super) struct Options(BTreeMap<u8, Vec<u8>>);

/// Where `sname` and `file` stand (RFC 2131 §2).
const SNAME: core::ops::Range<usize> = 44..108;
const FILE: core::ops::Range<usize> = 108..236;

impl Options {
    /// Reads the options of a whole message.
    ///
    /// # Errors
    ///
    /// `Malformed`.
    pub(super) fn read(message: &[u8]) -> Result<Self, Refusal> {
        let mut options = Self(BTreeMap::new());
        options.add(message.get(HEADER_LEN..).ok_or(Refusal::Malformed)?)?;
        let overload = options.octet(code::OVERLOAD)?.unwrap_or(0);
        // `file` comes first, whichever order they stand in (RFC 2131 §4.1).
        for (bit, field) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                options.add(message.get(field).ok_or(Refusal::Malformed)?)?;
            }
        }
        Ok(options)
    }

    fn add(&mut self, mut field: &[u8]) -> Result<(), Refusal> {
        while let Some((&code, rest)) = field.split_first() {
            match code {
                code::PAD => field = rest,
                code::END => break,
                _ => {
                    let (&len, rest) = rest.split_first().ok_or(Refusal::Malformed)?;
                    let option = rest.split_at_checked(len.into());
                    let (value, rest) = option.ok_or(Refusal::Malformed)?;
                    self.0.entry(code).or_default().extend(value);
                    field = rest;
                }
            }
        }
        Ok(())
    }

    /// Returns the value of an option.
    pub(super) fn bytes(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// Returns the value of an option of one octet.
    pub(super) fn octet(&self, code: u8) -> Result<Option<u8>, Refusal> {
        Ok(self.array::<1>(code)?.map(|[octet]| octet))
    }

    /// Returns the value of an option of `N` octets.
    ///
    /// # Errors
    ///
    /// `Malformed` when it has another length.
    pub(super) fn array<const N: usize>(&self, code: u8) -> Result<Option<[u8; N]>, Refusal> {
        let array = |bytes| <[u8; N]>::try_from(bytes).map_err(|_other_len| Refusal::Malformed);
        self.bytes(code).map(array).transpose()
    }
}
