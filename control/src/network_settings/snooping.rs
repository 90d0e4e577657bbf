//! The options that say how a network limits multicast to those who listen.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use tapweave_switch::{FastLeave, MDB_LIMIT_MAX, QuerierRole, QueryGuard, SnoopingConfig};

use super::{OptionError, boolean, parsed};

/// Memberships of one network; one takes about 300 bytes.
const MDB_LIMITS: RangeInclusive<u32> = 1..=MDB_LIMIT_MAX;

pub(super) const OPTION_SNOOPING: &str = "tapweave.snooping";
pub(super) const OPTION_QUERIER: &str = "tapweave.querier";
pub(super) const OPTION_FAST_LEAVE: &str = "tapweave.fast_leave";
pub(super) const OPTION_QUERY_GUARD: &str = "tapweave.query_guard";
pub(super) const OPTION_MDB_LIMIT: &str = "tapweave.mdb_limit";
/// Reads the options of snooping from `options`; none when it is switched off.
pub(super) fn read(
    options: &BTreeMap<String, String>,
) -> Result<Option<SnoopingConfig>, OptionError> {
    let flag = |name| parsed(options, name, "a boolean", boolean);
    let querier = flag(OPTION_QUERIER)?;
    let fast_leave = flag(OPTION_FAST_LEAVE)?;
    let query_guard = flag(OPTION_QUERY_GUARD)?;
    let mdb_limit = parsed(
        options,
        OPTION_MDB_LIMIT,
        "a number from 1 to 1048576",
        |text| text.parse().ok().filter(|limit| MDB_LIMITS.contains(limit)),
    )?;
    if flag(OPTION_SNOOPING)? == Some(false) {
        let of_snooping = [
            (OPTION_QUERIER, querier == Some(true)),
            (OPTION_FAST_LEAVE, fast_leave == Some(true)),
            (OPTION_QUERY_GUARD, query_guard == Some(true)),
            (OPTION_MDB_LIMIT, mdb_limit.is_some()),
        ];
        return match of_snooping.into_iter().find(|(_, wanted)| *wanted) {
            Some((name, _)) => Err(OptionError::NeedsSnooping { name }),
            None => Ok(None),
        };
    }
    let default = SnoopingConfig::default();
    Ok(Some(SnoopingConfig {
        querier: match querier {
            Some(true) => QuerierRole::Querier,
            Some(false) | None => QuerierRole::Listener,
        },
        fast_leave: match fast_leave {
            Some(true) => FastLeave::On,
            Some(false) | None => FastLeave::Off,
        },
        query_guard: match query_guard {
            Some(true) => QueryGuard::On,
            Some(false) | None => QueryGuard::Off,
        },
        mdb_limit: mdb_limit.unwrap_or(default.mdb_limit),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snooping_has_its_own_options() {
        let snooping = |options: &[(&str, &str)]| {
            let options = options.iter();
            read(
                &options
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            )
        };
        let all = snooping(&[
            ("tapweave.querier", "true"),
            ("tapweave.fast_leave", "1"),
            ("tapweave.query_guard", "true"),
            ("tapweave.mdb_limit", "100"),
        ]);
        let expected = SnoopingConfig {
            querier: QuerierRole::Querier,
            fast_leave: FastLeave::On,
            query_guard: QueryGuard::On,
            mdb_limit: 100,
        };
        assert_eq!(all, Ok(Some(expected)));
        let off = ("tapweave.snooping", "false");
        assert_eq!(snooping(&[off]), Ok(None));
        assert_eq!(snooping(&[off, ("tapweave.querier", "false")]), Ok(None));
        assert_eq!(
            snooping(&[off, ("tapweave.querier", "true")])
                .unwrap_err()
                .to_string(),
            "option tapweave.querier needs tapweave.snooping, which is switched off"
        );
    }
}
