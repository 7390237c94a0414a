//! Requests of operators: any parameters, any body.
//!
//! The input: the first byte says whether the body is a form; then the query, a line feed, the body.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use talaria_protocol::control::drain::{Amount, Connected, Job, Order};
use talaria_protocol::control::{ControlError, FilterRequest, Input, read_gate};
use talaria_protocol::convey::Convey;
use wrp::DeviceId;

use crate::allocation;
use crate::cost::Cost;

/// An expression of 1 KiB may compile to 1 MiB, whatever the length of the rest.
const EXPRESSION: Duration = Duration::from_millis(2000);

static INPUT: Cost = Cost::measured("input", 110);
static GATE: Cost = Cost::measured("gate", 15);
static FILTER: Cost = Cost::measured("filter", 60);
static DRAIN: Cost = Cost::measured("drain", 400).with_base(EXPRESSION);

/// One input.
pub fn run(data: &[u8]) {
    let [is_form, rest @ ..] = data else { return };
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    if is_form % 2 == 1 {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
    }
    assert_eq!(Input::check(&headers), Ok(()));
    let (input, peak) =
        INPUT.hold(data.len(), || allocation::peak(|| Input::read(&headers, Some(&query), body.clone())));
    // `&a` is two bytes of text and two owned texts in a list that grows by doubling.
    assert!(peak <= 128 * data.len() + 4096, "{peak} bytes for {} of parameters", data.len());
    let input = match input {
        Ok(input) => input,
        Err(error) => return is_an_answer(&error),
    };
    let answers = [
        GATE.hold(data.len(), || read_gate(&input)).map(|_| ()),
        FILTER.hold(data.len(), || FilterRequest::read_key(&input)).map(|_| ()),
        FILTER.hold(data.len(), || FilterRequest::read(&input)).map(|filter| filter_is_well(&filter)),
        DRAIN.hold(data.len(), || Order::read(&input)).map(|order| order_is_well(&order)),
    ];
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        is_an_answer(error);
    }
}

fn filter_is_well(filter: &FilterRequest) {
    assert!(!filter.key.is_empty());
    let listed = filter.values.listed();
    assert!(!listed.is_empty());
    for value in listed {
        assert!(filter.values.match_any(value), "{value} is not itself");
        assert!(filter.values.match_any(&vec![value.clone()].into()), "a list with {value}");
    }
}

fn order_is_well(order: &Order) {
    let all = order.amount == Amount::All;
    assert_eq!(Job::of(order, 7).count == 7, all || Job::of(order, 7).count == 7);
    assert!(order.rate != Some(0) && order.tick != Some(Duration::ZERO));
    let job = Job::of(order, usize::MAX);
    assert!(job.describe().contains_key("count"));
    let id: DeviceId = "mac:112233445566".parse().expect("a device id");
    let device = Connected {
        id: &id,
        partner_id: "unknown",
        convey: &Convey::from_header(None),
        claims: None,
        session_id: "0ujsswThIGTUYm2K8FjOOfXtY1K",
    };
    // Whatever the conditions are, they can be compared.
    let _matches = order.selection.matches(device);
}

fn is_an_answer(error: &ControlError) {
    assert!(error.status().is_client_error());
    assert!(!error.to_string().is_empty());
}
