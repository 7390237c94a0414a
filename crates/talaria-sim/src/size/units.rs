//! Numbers with units, as options give them and as the report prints them. None of them can be NaN, infinite or negative.

use std::fmt::{self, Display};
use std::iter::Sum;
use std::ops::{Add, Mul};
use std::str::FromStr;
use std::time::Duration;

const SECONDS_OF_A_DAY: f64 = 86_400.0;
/// More than there are devices or files anywhere. Up to here an `f64` is exact.
const MOST: f64 = 1e12;
const UNITS: [(&str, f64); 5] = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1.0)];
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;
const GIB: f64 = 1024.0 * MIB;
const TIB: f64 = 1024.0 * GIB;

/// Why an option was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number of things.
    #[error("expected a whole number from 1 to 1e12, such as 30000000, 30_000_000 or 30e6")]
    Count,
    /// Not a number of times a day.
    #[error("expected a number from 0 to 1e9, such as 100 or 0.5")]
    PerDay,
    /// Not a rate.
    #[error("expected a number above 0 and up to 1e9, such as 2000")]
    PerSecond,
    /// Not a factor.
    #[error("expected a number from 1 to 1000, such as 3")]
    Factor,
    /// Not a share.
    #[error("expected a share from 0% to 100%, such as 60%")]
    Share,
    /// Not a size.
    #[error("expected a size with a unit (B, KiB, MiB, GiB or TiB), such as 16GiB, above 0")]
    Bytes,
}

/// A number of things, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(u64);

impl Count {
    /// The number, or 1 instead of 0.
    #[must_use]
    pub const fn at_least_one(number: u64) -> Self {
        Self(if number == 0 { 1 } else { number })
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many parts of this many there are in so much, with the last one not full.
    pub(super) fn of_parts(all: f64, part: f64) -> Self {
        Self::at_least_one((all / part).ceil() as u64)
    }

    pub(super) fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl FromStr for Count {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = number(&text.replace('_', "")).ok_or(UnitError::Count)?;
        let is_count = (1.0..=MOST).contains(&number) && number.fract() == 0.0;
        if is_count { Ok(Self(number as u64)) } else { Err(UnitError::Count) }
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&thousands(self.0))
    }
}

/// How often something happens to one device in a day.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct PerDay(f64);

impl PerDay {
    /// Once a day and device.
    pub const ONCE: Self = Self(1.0);

    /// The mean rate of a fleet.
    pub(super) fn of(self, devices: Count) -> PerSecond {
        PerSecond(self.0 * devices.as_f64() / SECONDS_OF_A_DAY)
    }
}

impl FromStr for PerDay {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text).filter(|number| (0.0..=1e9).contains(number)).map(Self).ok_or(UnitError::PerDay)
    }
}

impl Display for PerDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct PerSecond(f64);

impl PerSecond {
    /// The rate of what happens to each device once in this time; no rate if that is zero.
    pub(super) fn once_in(period: Duration, devices: Count) -> Self {
        if period.is_zero() { Self(0.0) } else { Self(devices.as_f64() / period.as_secs_f64()) }
    }

    /// How many of them are under way if each takes this time (Little's law).
    pub(super) fn under_way(self, time: Duration) -> Count {
        Count::of_parts(self.0 * time.as_secs_f64(), 1.0)
    }

    pub(super) fn share_of(self, parts: Count) -> Self {
        Self(self.0 / parts.as_f64())
    }

    /// In how many parts a rate has to be divided so that no part exceeds `most`.
    pub(super) fn parts_of(self, most: Self) -> Count {
        Count::of_parts(self.0, most.0)
    }
}

impl FromStr for PerSecond {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = number(text).filter(|number| *number > 0.0 && *number <= 1e9);
        number.map(Self).ok_or(UnitError::PerSecond)
    }
}

impl Add for PerSecond {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// At a peak.
impl Mul<Factor> for PerSecond {
    type Output = Self;

    fn mul(self, factor: Factor) -> Self {
        Self(self.0 * factor.0)
    }
}

impl Mul<Share> for PerSecond {
    type Output = Self;

    fn mul(self, share: Share) -> Self {
        Self(self.0 * share.0)
    }
}

/// What happens at this rate, each time for so long on a core.
impl Mul<Duration> for PerSecond {
    type Output = Cores;

    fn mul(self, cost: Duration) -> Cores {
        Cores(self.0 * cost.as_secs_f64())
    }
}

/// Bytes a second.
impl Mul<Bytes> for PerSecond {
    type Output = Bytes;

    fn mul(self, each: Bytes) -> Bytes {
        Bytes(self.0 * each.0)
    }
}

impl Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10.0 {
            write!(f, "{:.1}/s", self.0)
        } else {
            write!(f, "{}/s", Count(self.0.round() as u64))
        }
    }
}

/// A peak as a multiple of the mean, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Factor(f64);

impl FromStr for Factor {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text).filter(|number| (1.0..=1000.0).contains(number)).map(Self).ok_or(UnitError::Factor)
    }
}

impl Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// A half.
    pub const HALF: Self = Self(0.5);

    pub(super) fn rest(self) -> Self {
        Self(1.0 - self.0)
    }

    pub(super) fn is_zero(self) -> bool {
        self.0 == 0.0
    }
}

/// `60%`; a number without `%` could be meant either way.
impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let percent = text.strip_suffix('%').and_then(number).ok_or(UnitError::Share)?;
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(UnitError::Share) }
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1000.0).round() / 10.0)
    }
}

/// Seconds of CPU in a second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Cores(f64);

impl Cores {
    /// What these cores have time for when they are used to this share.
    pub(super) fn of(cores: Count, used: Share) -> Self {
        Self(cores.as_f64() * used.0)
    }

    pub(super) fn parts_of(self, most: Self) -> Count {
        Count::of_parts(self.0, most.0)
    }

    /// How long these cores take for so many pieces of work.
    pub(super) fn time_for(self, pieces: Count, cost: Duration) -> Duration {
        Duration::from_secs_f64(pieces.as_f64() * cost.as_secs_f64() / self.0)
    }
}

impl Mul<Count> for Cores {
    type Output = Self;

    fn mul(self, times: Count) -> Self {
        Self(self.0 * times.as_f64())
    }
}

impl Sum for Cores {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        Self(all.map(|cores| cores.0).sum())
    }
}

impl Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 < 1.0 { 2 } else { 1 };
        write!(f, "{:.digits$}", self.0)
    }
}

/// A size. Not whole bytes, because a rate of bytes is one, too.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Bytes(f64);

impl Bytes {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u32) -> Self {
        Self(bytes as f64)
    }

    /// What is left of it, if anything is.
    pub(super) fn less(self, other: Self) -> Option<Self> {
        (self.0 > other.0).then_some(Self(self.0 - other.0))
    }

    pub(super) fn parts_of(self, most: Self) -> Count {
        Count::of_parts(self.0, most.0)
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let parse = |(unit, size): (&str, f64)| Some(number(text.strip_suffix(unit)?.trim_end())? * size);
        let bytes = UNITS.into_iter().find_map(parse).filter(|bytes| *bytes > 0.0 && *bytes <= MOST * KIB);
        bytes.map(Self).ok_or(UnitError::Bytes)
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Mul<Count> for Bytes {
    type Output = Self;

    fn mul(self, times: Count) -> Self {
        Self(self.0 * times.as_f64())
    }
}

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = UNITS.into_iter().find(|(_, size)| self.0 >= *size).unwrap_or(("B", 1.0));
        let number = self.0 / size;
        let digits = usize::from(unit != "B" && number < 100.0);
        write!(f, "{number:.digits$} {unit}")
    }
}

/// With a comma for each thousand.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number that is one: Rust also reads `NaN` and `inf`.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written_and_nothing_else_is() {
        for text in ["30e6", "30000000", "30_000_000", "3e7"] {
            assert_eq!(text.parse(), Ok(Count(30_000_000)), "{text}");
        }
        for text in ["0", "-1", "NaN", "inf", "1.5", "1e13", "", "many", "30M"] {
            assert_eq!(text.parse::<Count>(), Err(UnitError::Count), "{text}");
        }
        for text in ["-1", "NaN", "inf", "", "1e10", "100/s"] {
            assert_eq!(text.parse::<PerDay>(), Err(UnitError::PerDay), "{text}");
        }
        assert_eq!("0".parse(), Ok(PerDay(0.0)));
        for text in ["0", "-1", "NaN", "inf", "1e10"] {
            assert_eq!(text.parse::<PerSecond>(), Err(UnitError::PerSecond), "{text}");
        }
        for text in ["0.5", "0", "NaN", "inf", "x3"] {
            assert_eq!(text.parse::<Factor>(), Err(UnitError::Factor), "{text}");
        }
    }

    #[test]
    fn shares_and_sizes_need_their_unit() {
        assert_eq!("60%".parse(), Ok(Share(0.6)));
        for text in ["60", "0.6", "101%", "-1%", "NaN%", "%"] {
            assert_eq!(text.parse::<Share>(), Err(UnitError::Share), "{text}");
        }
        assert_eq!("16GiB".parse(), Ok(Bytes(16.0 * GIB)));
        assert_eq!("1.5 KiB".parse(), Ok(Bytes(1536.0)));
        assert_eq!("350B".parse(), Ok(Bytes(350.0)));
        for text in ["16", "16GB", "16G", "0B", "-1GiB", "NaNGiB", "GiB", "infB"] {
            assert_eq!(text.parse::<Bytes>(), Err(UnitError::Bytes), "{text}");
        }
    }

    #[test]
    fn numbers_are_printed_for_readers() {
        assert_eq!(Count(1).to_string(), "1");
        assert_eq!(Count(30_000_000).to_string(), "30,000,000");
        assert_eq!(PerSecond(1234.5).to_string(), "1,235/s");
        assert_eq!(PerSecond(0.25).to_string(), "0.2/s");
        assert_eq!(Bytes(1536.0).to_string(), "1.5 KiB");
        assert_eq!(Bytes(350.0).to_string(), "350 B");
        assert_eq!(Bytes(200.0 * GIB).to_string(), "200 GiB");
        assert_eq!(Share(0.605).to_string(), "60.5 %");
        assert_eq!(Cores(0.126).to_string(), "0.13");
        assert_eq!(Cores(12.34).to_string(), "12.3");
    }

    #[test]
    fn rates_costs_and_sizes_multiply_to_what_they_mean() {
        let devices = Count(864_000);
        let rate = PerDay(100.0).of(devices);
        assert_eq!(rate, PerSecond(1000.0));
        assert_eq!(rate * Duration::from_micros(50), Cores(0.05));
        assert_eq!(rate * Factor(3.0), PerSecond(3000.0));
        assert_eq!(rate * Bytes(350.0), Bytes(350_000.0));
        assert_eq!(rate.under_way(Duration::from_millis(50)), Count(50));
        assert_eq!(PerSecond::once_in(Duration::from_secs(864), devices), rate);
        assert_eq!(PerSecond::once_in(Duration::ZERO, devices), PerSecond(0.0));
        assert_eq!(Cores(2.0).time_for(Count(1000), Duration::from_millis(4)), Duration::from_secs(2));
        assert_eq!(Bytes(10.0).parts_of(Bytes(4.0)), Count(3));
        assert_eq!(Bytes(10.0).less(Bytes(10.0)), None);
    }
}
