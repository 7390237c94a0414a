//! The errors of sending to a device.

use std::fmt;

use http::StatusCode;
use wrp::DeviceNameError;

/// Why a message did not reach a device, or its answer did not arrive (contract §3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The destination of the message is not a device id.
    InvalidDeviceName,
    /// No device of that id is connected.
    NotConnected,
    /// A request without a transaction_uuid.
    EmptyTransactionKey,
    /// Another request of that transaction_uuid is waiting for its answer.
    DuplicateTransaction,
    /// The request was cancelled before its answer arrived.
    TransactionCanceled,
    /// The device's queue is full, or the queues of all devices together are.
    Busy,
    /// The device's connection ended.
    Closed,
    /// The device's connection had ended before the request was registered.
    TransactionsClosed,
    /// The deadline passed: no room in the queue, not written, or no answer.
    Timeout,
}

impl SendError {
    /// The REST API's status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidDeviceName | Self::EmptyTransactionKey | Self::DuplicateTransaction => {
                StatusCode::BAD_REQUEST
            }
            Self::NotConnected => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TransactionCanceled | Self::Closed | Self::TransactionsClosed | Self::Timeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }

    /// The error's text: the label `error` of `api_request_errors_total` (contract §10.9), and what the REST API's
    /// `X-Xmidt-Message-Error` says.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::InvalidDeviceName => DeviceNameError::TEXT,
            Self::NotConnected => "the device does not exist",
            Self::EmptyTransactionKey => "transaction keys must be non-empty strings",
            Self::DuplicateTransaction => "that transaction is already registered",
            Self::TransactionCanceled => "the transaction has been canceled",
            Self::Busy => "that device is busy",
            Self::Closed => "that device has been closed",
            Self::TransactionsClosed => "transactions are closed for that device",
            Self::Timeout => "context deadline exceeded",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for SendError {}
