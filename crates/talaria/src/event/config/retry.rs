//! Which failed attempts to post an event are followed by another one, and when: `retries`, `retryInterval`,
//! `retryMaxInterval` and `retryOn` (contract §5.6).

use std::time::Duration;

use ::http::StatusCode;

/// The words of `retryOn` that are not statuses.
const CONNECT: &str = "connect";
const RESET: &str = "reset";

/// Further attempts to post an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// `retries`: attempts after the first one.
    pub retries: u32,
    /// `retryInterval`: the longest wait before the second attempt. Each further wait may be twice as long.
    pub interval: Duration,
    /// `retryMaxInterval`: the longest wait before any attempt. `interval` if that is longer.
    pub max_interval: Duration,
    /// `retryOn`: what is followed by another attempt.
    pub on: RetryOn,
}

/// What is followed by another attempt, besides temporary errors, which always are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// `connect`: there was no connection.
    pub connect: bool,
    /// `reset`: the connection was closed instead of an answer.
    pub reset: bool,
    /// Statuses of answers.
    pub statuses: Vec<StatusCode>,
}

impl RetryConfig {
    /// For a host that a device names: one more attempt at most, and none that the reference would not make.
    pub(in crate::event) fn for_named_hosts(&self) -> Self {
        Self { retries: self.retries.min(1), on: RetryOn::reference(), ..self.clone() }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retries: 10,
            interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            on: RetryOn::default(),
        }
    }
}

impl RetryOn {
    /// The value of the key; none if one of its items is neither a word nor a status from 400 to 599.
    #[must_use]
    pub fn parse(items: &[String]) -> Option<Self> {
        let mut on = Self { connect: false, reset: false, statuses: Vec::new() };
        for item in items {
            match item.as_str() {
                CONNECT => on.connect = true,
                RESET => on.reset = true,
                status => {
                    let is_error = |status: &StatusCode| status.is_client_error() || status.is_server_error();
                    on.statuses.push(status.parse().ok().filter(is_error)?);
                }
            }
        }
        Some(on)
    }

    /// What the Go Talaria does: 408, 429 and 504.
    fn reference() -> Self {
        let statuses =
            vec![StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS, StatusCode::GATEWAY_TIMEOUT];
        Self { connect: false, reset: false, statuses }
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        let statuses = vec![
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_EARLY,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        Self { connect: true, reset: true, statuses }
    }
}
