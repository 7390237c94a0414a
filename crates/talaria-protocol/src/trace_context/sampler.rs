//! Which traces are recorded (contract §12.3).

use std::str::FromStr;

use super::{Sampling, TraceContext};

/// The decision whether something is recorded. It depends on the caller's decision and on the id of the trace alone, so that
/// gateways with the same ratio record the same traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// What the decision of the caller means.
    pub parent: ParentRule,
    /// How much is recorded of what no caller has decided.
    pub ratio: Ratio,
}

/// What the decision of a caller means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentRule {
    /// It holds (`parentBased: honor`).
    Honor,
    /// It does not matter (`parentBased: ignore`).
    Ignore,
}

/// A share of all traces, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(
    /// The share of 2^63.
    u64,
);

/// The text is not a number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 0 to 1, such as 0.01")]
pub struct RatioError;

impl Sampler {
    /// Whether something is recorded that continues a trace.
    #[must_use]
    pub fn samples(&self, parent: &TraceContext) -> bool {
        match self.parent {
            ParentRule::Honor => parent.sampling == Sampling::Sampled,
            ParentRule::Ignore => self.ratio.contains(parent.trace_id.low()),
        }
    }

    /// Whether something is recorded that begins a trace, whose id will end with these random bits.
    #[must_use]
    pub fn samples_new(&self, low: u64) -> bool {
        self.ratio.contains(low)
    }

    /// Whether anything can be recorded at all.
    #[must_use]
    pub fn records(&self) -> bool {
        self.parent == ParentRule::Honor || self.ratio != Ratio::NONE
    }
}

impl Ratio {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Everything.
    pub const ALL: Self = Self(1 << 63);

    /// As OpenTelemetry's `TraceIdRatioBased` decides.
    fn contains(self, low: u64) -> bool {
        low >> 1 < self.0
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let share: f64 = text.trim().parse().map_err(|_| RatioError)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(RatioError);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 2^63, which an f64 holds"
        )]
        Ok(Self((share * 9_223_372_036_854_775_808.0) as u64))
    }
}
