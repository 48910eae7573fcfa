//! Durations as people write them: `90s`, `5m`, `1h30m`, `7d`.

use std::time::Duration;

use thiserror::Error;

/// A text that is no duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{found}` is no duration: {reason}")]
pub struct ParseDurationError {
    /// The text.
    pub found: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a duration looks like, for messages.
pub(crate) const DURATION_EXPECTED: &str =
    "numbers with units `ms`, `s`, `m`, `h` or `d`, such as `90s` or `1h30m`";

/// Units in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads numbers with units, the larger unit first, without or with spaces between.
///
/// # Errors
/// No number, no unit, an unknown unit, units in another order, or more than 100 years.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    const LONGEST: u64 = 100 * 366 * 86_400_000;
    let fault = |reason| ParseDurationError { found: text.to_owned(), reason };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fault("it is empty"));
    }
    let (mut total, mut least) = (0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(fault("a number is missing"));
        }
        let number: u64 = rest[..digits].parse().map_err(|_| fault("it is too long"))?;
        rest = rest[digits..].trim_start();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if letters == 0 {
            return Err(fault("a number has no unit"));
        }
        let unit = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).map(|(_, unit)| *unit);
        let unit = unit.ok_or_else(|| fault("a unit is unknown"))?;
        if unit >= least {
            return Err(fault("its units are not in falling order"));
        }
        least = unit;
        total = number
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| fault("it is too long"))?;
        rest = rest[letters..].trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration as [`parse_duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut shown = String::new();
    for (name, unit) in UNITS {
        if rest / unit > 0 {
            shown.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written() {
        for (text, seconds, shown) in [
            ("90s", 90, "1m30s"),
            ("5m", 300, "5m"),
            ("1h 30m", 5400, "1h30m"),
            ("7d", 604_800, "7d"),
            ("0s", 0, "0s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_secs(seconds), "{text}");
            assert_eq!(show_duration(duration), shown);
            assert_eq!(parse_duration(shown).unwrap(), duration);
        }
        assert_eq!(show_duration(parse_duration("1s250ms").unwrap()), "1s250ms");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (text, reason) in [
            ("", "empty"),
            ("5", "no unit"),
            ("m", "a number is missing"),
            ("5 minutes", "unit is unknown"),
            ("5m1h", "falling order"),
            ("-5m", "a number is missing"),
            ("1.5h", "no unit"),
            ("99999999999999999999s", "too long"),
            ("9999999d", "too long"),
            ("5ü", "no unit"),
        ] {
            let message = parse_duration(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}
