//! The limits, periods and checks of devices.

use std::time::Duration;

use talaria_protocol::inbound::SourceCheck;
use talaria_protocol::rate::MessageRate;
use talaria_protocol::refusal::RefusalRules;
use talaria_protocol::ws::Limits;

/// The section `device.manager` of the configuration. `Default` has the contract's defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many devices may be connected; no limit if none (`maxDevices`, where 0 means no limit).
    pub max_devices: Option<usize>,
    /// What may wait to be sent to one device (`deviceMessageQueueSize`).
    pub outbox: OutboxLimit,
    /// How often a device is pinged (`pingPeriod`).
    pub ping_period: Duration,
    /// How long a device may send neither a pong nor a message before its connection is closed (`idlePeriod`).
    pub idle_period: Duration,
    /// How long one write to a device may take (`writeTimeout`).
    pub write_timeout: Duration,
    /// The longest message that a device may send, in bytes (`maxMessageSize`); a longer one ends its connection.
    pub max_message_size: usize,
    /// The memory that the unfinished messages of all devices may take together, in bytes (`maxUnfinishedBytes`). Beyond
    /// it, the connection of the device with the largest one is closed with "try again later".
    pub max_unfinished_bytes: usize,
    /// How long after the `exp` of its token a device is closed (`closeExpired`, the time is the leeway of tokens); never if
    /// none.
    pub close_expired: Option<Duration>,
    /// Over which time the devices are closed that a stop or a drain without a rate closes (`closeOver`).
    pub close_over: Duration,
    /// The share of all cores that ends of sessions may take, from 1 to 100 (`disconnectCpuPercent`).
    pub disconnect_cpu_percent: u32,
    /// The bytes of the messages that may wait to be written to all devices together (`maxQueuedBytes`). Beyond it, the device
    /// that has most of them and does not read is closed, or the message is refused.
    pub max_queued_bytes: usize,
    /// How long a message may take from its first byte to its last (`messageTimeout`).
    pub message_timeout: Duration,
    /// How long a device with a token may take to answer the ping that is sent because a connection without a token wants
    /// its id (`takeoverTimeout`).
    pub takeover_timeout: Duration,
    /// How many connections may wait for such answers, one for each id (`maxTakeovers`); further ones are refused at once.
    pub max_takeovers: usize,
    /// What a message may hold beside its payload (`maxMessageEntries`, `maxMessageFieldBytes`); one that is over a limit
    /// is dropped.
    pub message_limits: wrp::Limits,
    /// How much one device may send; any amount if none (`rate`).
    pub rate: Option<RateLimit>,
    /// Which ids and addresses are refused for a time (`refusal`).
    pub refusal: RefusalRules,
    /// What happens to messages whose source is not the device (`wrpSourceCheck.type`).
    pub source_check: SourceCheck,
}

/// The bounds of one device's queue of outgoing messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimit {
    /// Messages.
    pub messages: usize,
    /// Payload bytes of all messages together. One message alone may always be larger.
    pub bytes: usize,
}

/// The limit on what one device sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Messages and bytes (`messagesPerSecond`, `messagesBurst`, `bytesPerSecond`, `bytesBurst`).
    pub rate: MessageRate,
    /// What happens beyond it (`beyond`).
    pub beyond: BeyondRate,
}

/// What happens when a device sends more than its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeyondRate {
    /// Nothing more is read from it until its rate allows the next message.
    #[default]
    Pause,
    /// Its messages are dropped, and acknowledged with `rdr` 100 where they want an acknowledgement.
    Drop,
}

impl BeyondRate {
    /// Its name in the configuration, and the label `beyond` of `device_rate_exceeded_total`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Drop => "drop",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_devices: None,
            outbox: OutboxLimit { messages: 100, bytes: 16 * 1024 * 1024 },
            ping_period: Duration::from_secs(45),
            idle_period: Duration::from_secs(135),
            write_timeout: Duration::from_secs(60),
            // The reference has no limit; it was seen to deliver 20 MB (contract §2.18).
            max_message_size: 32 * 1024 * 1024,
            max_unfinished_bytes: 1024 * 1024 * 1024,
            close_expired: None,
            close_over: Duration::from_secs(10),
            disconnect_cpu_percent: 25,
            max_queued_bytes: 256 * 1024 * 1024,
            message_timeout: Duration::from_secs(60),
            takeover_timeout: Duration::from_secs(5),
            max_takeovers: 4096,
            message_limits: wrp::Limits::default(),
            rate: None,
            refusal: RefusalRules::none(),
            source_check: SourceCheck::Monitor,
        }
    }
}

impl Config {
    /// The limits of a device's frames.
    #[must_use]
    pub fn frame_limits(&self) -> Limits {
        Limits { max_message: self.max_message_size }
    }
}
