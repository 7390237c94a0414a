//! The request to open or close the gate.

use serde_json::Value;

use super::request::{ControlError, Input, object};
use crate::go::parse_bool;

/// Reads whether the gate is to be open: the parameter `open`, or the key of a JSON body.
///
/// # Errors
/// [`ControlError::Invalid`]
pub fn read_gate(input: &Input) -> Result<bool, ControlError> {
    let not_a_bool = || ControlError::new("the open parameter must be a bool");
    match input.parameters.first("open").filter(|open| !open.is_empty()) {
        Some(open) => parse_bool(open).ok_or_else(not_a_bool),
        None if input.body.is_empty() => Err(ControlError::new("missing open parameter")),
        None => match object(&input.body)?.get("open") {
            None => Err(ControlError::new("missing open parameter")),
            Some(Value::Bool(open)) => Ok(*open),
            Some(_) => Err(not_a_bool()),
        },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    #[test]
    fn the_parameter_counts_before_the_body() {
        for (query, body, open) in [
            ("open=true", "", Some(true)),
            ("open=F", r#"{"open":true}"#, Some(false)),
            ("open=", r#"{"open":true}"#, Some(true)),
            ("", r#"{"open":"true"}"#, None),
            ("open=yes", "", None),
            ("", "", None),
        ] {
            let input = Input::read(&HeaderMap::new(), Some(query), Bytes::from(body)).unwrap();
            assert_eq!(read_gate(&input).ok(), open, "{query} {body}");
        }
    }
}
