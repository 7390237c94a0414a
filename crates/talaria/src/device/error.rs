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
    /// The device's queue is full.
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
            SendError::InvalidDeviceName
            | SendError::EmptyTransactionKey
            | SendError::DuplicateTransaction => StatusCode::BAD_REQUEST,
            SendError::NotConnected => StatusCode::NOT_FOUND,
            SendError::TransactionCanceled
            | SendError::Busy
            | SendError::Closed
            | SendError::TransactionsClosed
            | SendError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The error's text: the label `error` of `api_request_errors_total` (contract §10.9), and what the REST API's
    /// `X-Xmidt-Message-Error` says.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            SendError::InvalidDeviceName => DeviceNameError::TEXT,
            SendError::NotConnected => "the device does not exist",
            SendError::EmptyTransactionKey => "transaction keys must be non-empty strings",
            SendError::DuplicateTransaction => "that transaction is already registered",
            SendError::TransactionCanceled => "the transaction has been canceled",
            SendError::Busy => "that device is busy",
            SendError::Closed => "that device has been closed",
            SendError::TransactionsClosed => "transactions are closed for that device",
            SendError::Timeout => "context deadline exceeded",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for SendError {}
