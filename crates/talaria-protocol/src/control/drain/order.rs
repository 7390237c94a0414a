//! A drain as the operator requests it.
//!
//! Everything that is not understood is an error: a misspelt condition would drain every device. How many devices are
//! connected does not matter yet; that is [`Job`](super::Job)'s.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::selection::{Selection, SelectionError};
use crate::control::filter;
use crate::control::request::{ControlError, Input, object};
use crate::go::{duration, parse_bool};

/// A request to drain devices, checked.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// How many devices are to go.
    pub amount: Amount,
    /// How many of them each `tick`; as fast as possible if not given.
    pub rate: Option<u64>,
    /// The time between two batches.
    pub tick: Option<Duration>,
    /// Which devices may go.
    pub selection: Arc<Selection>,
    /// Whether they are counted only.
    pub is_dry_run: bool,
}

/// How many devices are to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Amount {
    /// As many as are connected at the start.
    #[default]
    All,
    /// So many.
    Count(u64),
    /// So many of a hundred that are connected at the start.
    Percent(u64),
}

/// How many devices go at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Devices in a batch.
    pub rate: u64,
    /// The time before each batch, the first one too.
    pub tick: Duration,
}

/// A number of the reference's parameters: nothing, zero and less mean that it is not given.
#[derive(Default)]
struct Numbers {
    count: Option<u64>,
    percent: Option<u64>,
    rate: Option<u64>,
}

impl Order {
    /// Reads an order from the parameters and the JSON body. The body overrides the parameters.
    ///
    /// # Errors
    /// [`ControlError::Invalid`]
    pub fn read(input: &Input) -> Result<Self, ControlError> {
        let mut order = Self::default();
        let mut numbers = Numbers::default();
        let mut selection = Selection::default();
        for name in input.parameters.names() {
            let values: Vec<&str> = input.parameters.all(name).collect();
            let last = values.last().copied().unwrap_or_default();
            if let Some(number) = numbers.named(name) {
                *number = positive(name, last)?;
            } else if name == "tick" {
                order.tick = tick(last)?;
            } else if name == "dryRun" {
                order.is_dry_run = parse_bool(last).ok_or_else(|| unconvertible(name))?;
            } else {
                let texts = values.into_iter().map(str::to_owned).collect();
                condition(&mut selection, name, texts)?;
            }
        }
        if !input.body.trim_ascii().is_empty() {
            order.read_body(object(&input.body)?, &mut numbers, &mut selection)?;
        }
        order.amount = match (numbers.percent, numbers.count) {
            (Some(percent), _) => Amount::Percent(percent),
            (None, Some(count)) => Amount::Count(count),
            (None, None) => Amount::All,
        };
        order.rate = numbers.rate;
        order.selection = Arc::new(selection);
        Ok(order)
    }

    fn read_body(
        &mut self,
        mut asked: Map<String, Value>,
        numbers: &mut Numbers,
        selection: &mut Selection,
    ) -> Result<(), ControlError> {
        if asked.contains_key("key") || asked.contains_key("values") {
            let key = filter::key(&asked)?;
            selection.set_filter(key, filter::values(&mut asked)?);
        }
        for (name, value) in asked {
            if matches!(name.as_str(), "key" | "values") {
                continue;
            }
            if let Some(number) = numbers.named(&name) {
                *number = match &value {
                    Value::Number(_) => positive(&name, &value.to_string())?,
                    Value::String(text) => positive(&name, text)?,
                    _ => return Err(unconvertible(&name)),
                };
            } else if name == "tick" {
                self.tick = tick(value.as_str().ok_or_else(|| unconvertible(&name))?)?;
            } else if name == "dryRun" {
                self.is_dry_run = value.as_bool().ok_or_else(|| unconvertible(&name))?;
            } else {
                condition(selection, &name, texts(&name, value)?)?;
            }
        }
        Ok(())
    }
}

impl Numbers {
    fn named(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "count" => Some(&mut self.count),
            "percent" => Some(&mut self.percent),
            "rate" => Some(&mut self.rate),
            _ => None,
        }
    }
}

fn condition(selection: &mut Selection, name: &str, texts: Vec<String>) -> Result<(), ControlError> {
    selection.restrict(name, texts).map_err(|error| match error {
        // In the reference's words.
        SelectionError::Unknown => ControlError::new(format!("schema: invalid path {name:?}")),
        other => ControlError::new(format!("{name} {other}")),
    })
}

fn positive(name: &str, text: &str) -> Result<Option<u64>, ControlError> {
    if text.is_empty() {
        return Ok(None);
    }
    let number: i64 = text.parse().map_err(|_| unconvertible(name))?;
    Ok(u64::try_from(number).ok().filter(|number| *number > 0))
}

fn tick(text: &str) -> Result<Option<Duration>, ControlError> {
    let nanoseconds = duration::parse(text).map_err(|_| unconvertible("tick"))?;
    Ok(u64::try_from(nanoseconds).ok().filter(|tick| *tick > 0).map(Duration::from_nanos))
}

fn texts(name: &str, value: Value) -> Result<Vec<String>, ControlError> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(ControlError::new(format!("{name} must be a text or a list of texts"))),
    };
    match value {
        Value::Array(items) => items.into_iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

fn unconvertible(name: impl fmt::Debug) -> ControlError {
    ControlError::new(format!("schema: error converting value for {name:?}"))
}
