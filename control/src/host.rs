//! What the control plane has to learn from the machine it runs on.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use tapweave_net::Timestamp;

use crate::datapath::DatapathError;

/// The machine: its clock, its randomness and the prefixes that are in use on it. The daemon's
/// implementation asks the kernel; tests bring their own.
pub trait Host: Send + Sync + fmt::Debug + 'static {
    /// Returns the time since 1970-01-01 00:00 UTC: the time of day, which may be set at any moment, forward or back.
    /// It is what is shown; nothing lasts or ends by it.
    fn unix_time(&self) -> Duration;

    /// Returns the time by a clock that neither jumps nor goes back while the daemon runs.
    fn now(&self) -> Timestamp;

    /// Fills `buf` with bytes that nobody can guess.
    ///
    /// # Errors
    ///
    /// When the kernel has none to give.
    fn fill_random(&self, buf: &mut [u8]) -> Result<(), DatapathError>;

    /// Returns what tells this boot of the machine from every other.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    fn boot_id(&self) -> Result<String, DatapathError>;

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

/// Reads seconds since 1970 with at most nine decimals, or a time as RFC 3339 writes it, in UTC.
pub fn unix_time_of(text: &str) -> Option<Duration> {
    let (date, clock) = match text.split_once('T') {
        None => return seconds(text),
        Some((date, clock)) => (date, clock.strip_suffix('Z')?),
    };
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (digits(clock.next()?)?, digits(clock.next()?)?);
    let second = seconds(clock.next()?)?;
    let is_real = date.next().is_none() && hour < 24 && minute < 60 && second.as_secs() < 60;
    // Every date but those before 1970 is found by going back from what it is written as.
    let days = days_to(year, month, day)?;
    let is_real = is_real && civil_date(days) == (year, month, day);
    is_real.then(|| Duration::from_secs((days * 24 + hour) * 3600 + minute * 60) + second)
}

fn digits(text: &str) -> Option<u64> {
    let is_number = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    digits(decimals).filter(|_| decimals.len() <= 9)?;
    let nanos = format!("{decimals:0<9}").parse().ok()?;
    Some(Duration::new(digits(whole)?, nanos))
}

/// Returns the number of days from 1970-01-01 to a date, some number for a date that is none, `None` for one
/// before 1970 or after 9999.
fn days_to(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let (year_from_march, month_from_march) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let leap_days = year_from_march / 4 - year_from_march / 100 + year_from_march / 400;
    let days = year_from_march * 365 + leap_days + (153 * month_from_march + 2) / 5 + day;
    days.checked_sub(719_469)
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
    fn times_are_read_as_they_are_written() {
        for secs in [0, 951_782_400, 951_868_800, 1_798_761_599, 4_107_542_400] {
            let time = Duration::new(secs, 12_300);
            assert_eq!(unix_time_of(&rfc_3339(time)), Some(time));
        }
        let noon = Duration::from_hours(12);
        assert_eq!(unix_time_of("1970-01-01T12:00:00Z"), Some(noon));
        assert_eq!(unix_time_of("43200"), Some(noon));
        assert_eq!(unix_time_of("0.25"), Some(Duration::from_millis(250)));
        for text in [
            "",
            "-1",
            "+1",
            "1.",
            ".5",
            "1e3",
            "0.0123456789",
            "1969-12-31T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "99999999999999999999",
            "2026-01-01",
        ] {
            assert_eq!(unix_time_of(text), None, "{text}");
        }
    }

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
