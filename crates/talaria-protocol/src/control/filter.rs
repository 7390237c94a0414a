//! The requests to set and to remove a filter.

use serde_json::{Map, Value};

use super::request::{ControlError, Input, object};
use crate::attributes::Values;

/// The longest key, in bytes, and the most values of one filter.
const LONGEST_KEY: usize = 256;
const MOST_VALUES: usize = 10_000;

/// A filter: devices whose attribute `key` is one of the values are kept out.
#[derive(Clone, Debug)]
pub struct FilterRequest {
    /// The attribute's name.
    pub key: String,
    /// The values.
    pub values: Values,
}

impl FilterRequest {
    /// Reads a body `{"key", "values"}`.
    ///
    /// # Errors
    /// [`ControlError::Invalid`]
    pub fn read(input: &Input) -> Result<Self, ControlError> {
        let mut asked = object(&input.body)?;
        Ok(Self { key: key(&asked)?, values: values(&mut asked)? })
    }

    /// Reads a body `{"key"}`.
    ///
    /// # Errors
    /// [`ControlError::Invalid`]
    pub fn read_key(input: &Input) -> Result<String, ControlError> {
        key(&object(&input.body)?)
    }
}

/// The attribute that a filter or a drain compares.
pub(super) fn key(asked: &Map<String, Value>) -> Result<String, ControlError> {
    match asked.get("key") {
        None | Some(Value::Null) => Err(ControlError::new("missing filter key")),
        Some(Value::String(key)) if key.is_empty() => Err(ControlError::new("missing filter key")),
        Some(Value::String(key)) if key.len() > LONGEST_KEY => {
            Err(ControlError::new(format!("the filter key is longer than {LONGEST_KEY} bytes")))
        }
        Some(Value::String(key)) => Ok(key.clone()),
        Some(_) => Err(ControlError::new("the filter key must be a text")),
    }
}

/// The values that it is compared with.
pub(super) fn values(asked: &mut Map<String, Value>) -> Result<Values, ControlError> {
    match asked.get_mut("values").map(Value::take) {
        None | Some(Value::Null) => Err(ControlError::new("missing filter values")),
        Some(Value::Array(values)) if values.is_empty() => Err(ControlError::new("missing filter values")),
        Some(Value::Array(values)) if values.len() > MOST_VALUES => {
            Err(ControlError::new(format!("there are more than {MOST_VALUES} filter values")))
        }
        Some(Value::Array(values)) => {
            Values::new(values).map_err(|error| ControlError::new(format!("filter {error}")))
        }
        Some(_) => Err(ControlError::new("the filter values must be a list")),
    }
}
