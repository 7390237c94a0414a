//! Numbers as the screen shows them: short, with a unit, in few columns. What is not known is `-`.

use std::time::Duration;

const UNKNOWN: &str = "-";

/// A number of things: `12,345`, from ten million on `12.3M`.
pub(crate) fn count(value: Option<f64>) -> String {
    known(value, |value| {
        if value.abs() >= 1e10 {
            format!("{:.1}G", value / 1e9)
        } else if value.abs() >= 1e7 {
            format!("{:.1}M", value / 1e6)
        } else {
            grouped(value)
        }
    })
}

/// A rate: with one decimal below ten, so that a few in a minute are not shown as none.
pub(crate) fn rate(value: Option<f64>) -> String {
    known(value, |value| match value {
        0.0 => "0".to_owned(),
        value if value < 0.05 => "<0.1".to_owned(),
        value if value < 9.95 => format!("{value:.1}"),
        value => count(Some(value)),
    })
}

/// A rate with its unit.
pub(crate) fn per_second(value: Option<f64>) -> String {
    known(value, |value| format!("{}/s", rate(Some(value))))
}

/// A latency in seconds: `0.4ms`, `12ms`, `1.2s`.
pub(crate) fn latency(seconds: Option<f64>) -> String {
    known(seconds, |seconds| match seconds * 1e3 {
        0.0 => "0ms".to_owned(),
        ms if ms < 9.95 => format!("{ms:.1}ms"),
        ms if ms < 999.5 => format!("{ms:.0}ms"),
        ms if ms < 99_500.0 => format!("{:.1}s", ms / 1e3),
        ms => format!("{:.0}s", ms / 1e3),
    })
}

/// A size: `64 KiB`.
pub(crate) fn bytes(value: Option<f64>) -> String {
    known(value, |value| {
        let units = ["B", "KiB", "MiB", "GiB"];
        let mut value = value;
        let mut unit = 0;
        while value >= 1023.5 && unit + 1 < units.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = usize::from(unit > 0 && value < 9.95);
        format!("{value:.decimals$} {}", units[unit])
    })
}

/// A part of a whole: `12%`.
pub(crate) fn percent(part: Option<f64>) -> String {
    known(part, |part| format!("{:.0}%", part * 100.0))
}

/// A number with two decimals: `0.43`.
pub(crate) fn decimal(value: Option<f64>) -> String {
    known(value, |value| format!("{value:.2}"))
}

/// A time that has passed, in its two largest units: `3h12m`.
pub(crate) fn age(passed: Duration) -> String {
    let seconds = passed.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

fn known(value: Option<f64>, shown: impl FnOnce(f64) -> String) -> String {
    value.filter(|value| !value.is_nan()).map_or_else(|| UNKNOWN.to_owned(), shown)
}

/// Rounded, with commas.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value <= -0.5 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_their_unit() {
        for (value, shown) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
            (2.5e7, "25.0M"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(count(Some(value)), shown);
        }
        for (value, shown) in [(0.0, "0"), (0.01, "<0.1"), (0.25, "0.2"), (9.96, "10"), (4000.4, "4,000")] {
            assert_eq!(rate(Some(value)), shown);
        }
        for (value, shown) in
            [(0.0, "0ms"), (0.0004, "0.4ms"), (0.0123, "12ms"), (1.25, "1.2s"), (160.0, "160s")]
        {
            assert_eq!(latency(Some(value)), shown);
        }
        for (value, shown) in
            [(0.0, "0 B"), (1024.0, "1.0 KiB"), (30_904_320.0, "29 MiB"), (5e12, "4657 GiB")]
        {
            assert_eq!(bytes(Some(value)), shown);
        }
        assert_eq!((percent(Some(0.126)), decimal(Some(0.4))), ("13%".to_owned(), "0.40".to_owned()));
        assert_eq!(
            (count(None), per_second(None), latency(Some(f64::NAN))),
            ("-".into(), "-".into(), "-".into())
        );
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        for (seconds, shown) in [(59, "59s"), (61, "1m1s"), (11_520, "3h12m"), (200_000, "2d7h")] {
            assert_eq!(age(Duration::from_secs(seconds)), shown);
        }
    }
}
