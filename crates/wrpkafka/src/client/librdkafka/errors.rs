//! What librdkafka's errors mean for records.

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::client::DeliveryError;
use crate::error::PublishError;

/// What an error of librdkafka means for the record.
pub(super) fn delivery_error(code: Code) -> DeliveryError {
    match code {
        Code::QueueFull | Code::Fatal | Code::PurgeQueue => DeliveryError::NotSent,
        Code::PurgeInflight => DeliveryError::MaybeWritten,
        Code::MessageTimedOut => DeliveryError::Final(PublishError::Timeout),
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::NotLeaderForPartition
        | Code::KafkaStorageError
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId => DeliveryError::Transient(broker_error(code)),
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::TopicAuthorizationFailed
        | Code::LeaderNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend => DeliveryError::TopicFailed(broker_error(code)),
        Code::MessageSizeTooLarge => DeliveryError::BatchTooLarge(broker_error(code)),
        _ => DeliveryError::Final(broker_error(code)),
    }
}

pub(super) fn broker_error(code: Code) -> PublishError {
    // The crate prints `Name (description)`.
    let text = code.to_string();
    let reason = text.split_once(" (").map_or(text.as_str(), |(_, reason)| reason.trim_end_matches(')'));
    PublishError::Broker { code: format!("{code:?}").into(), reason: reason.into() }
}
