//! What the control plane has to learn from the machine it runs on.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::datapath::DatapathError;

/// The machine: its clock, its randomness and the prefixes that are in use on it. The daemon's
/// implementation asks the kernel; tests bring their own.
pub trait Host: Send + Sync + fmt::Debug + 'static {
    /// Returns the time since 1970-01-01 00:00 UTC.
    fn unix_time(&self) -> Duration;

    /// Fills `buf` with bytes that nobody can guess.
    ///
    /// # Errors
    ///
    /// When the kernel has none to give.
    fn fill_random(&self, buf: &mut [u8]) -> Result<(), DatapathError>;

    /// Returns the prefixes of the host's routes and interfaces, which a network should not get by
    /// default. May block for milliseconds.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    fn prefixes_in_use(&self) -> Result<Vec<IpNet>, DatapathError>;
}

/// Returns a time since 1970 in the form of RFC 3339 with nanoseconds, in UTC.
pub(crate) fn rfc_3339(unix_time: Duration) -> String {
    const SECS_PER_DAY: u64 = 86_400;
    let secs = unix_time.as_secs();
    let (year, month, day) = civil_date(secs / SECS_PER_DAY);
    let second_of_day = secs % SECS_PER_DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
        second_of_day / 3600,
        second_of_day / 60 % 60,
        second_of_day % 60,
        unix_time.subsec_nanos(),
    )
}

/// Returns year, month and day of the Gregorian calendar, `days` days after 1970-01-01.
///
/// Counts in years that begin in March, so that the leap day comes last, and in eras of 400 years,
/// which all have 146,097 days.
fn civil_date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 to 1970-01-01.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 153 days in every five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (era * 400 + year_of_era + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let text = |secs, nanos| rfc_3339(Duration::new(secs, nanos));
        // The right sides are from `date -u -d @SECS`.
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(951_782_399, 1), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(text(951_782_400, 0), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(text(951_868_800, 0), "2000-03-01T00:00:00.000000000Z");
        assert_eq!(
            text(1_798_761_599, 999_999_999),
            "2026-12-31T23:59:59.999999999Z"
        );
        assert_eq!(text(4_107_542_400, 0), "2100-03-01T00:00:00.000000000Z");
    }
}
