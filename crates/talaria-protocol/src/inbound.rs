//! What a binary message of a device means (contract §2.13): it is decoded, checked for UTF-8 and for its source, and
//! stamped.
//!
//! Start reading at [`read`], a pure function that does not allocate for a valid message. Where an accepted message goes,
//! what is counted, and the text of the time stamp are the gateway's matter.

use wrp::{DecodeError, DeviceId, MessageRef, MessageType, NotUtf8Error, OCTET_STREAM, Text};

/// The metadata key of the time at which the gateway took the message.
pub const TIMESTAMP: &str = "/xmidt-timestamp";

/// The fields that the gateway sets, whatever the device wrote there.
#[derive(Clone, Copy, Debug)]
pub struct Stamps<'a> {
    /// The id that the device is connected as.
    pub device_id: &'a DeviceId,
    /// Its partner, alone.
    pub partner_ids: &'a [&'a str],
    /// The connection's session id.
    pub session_id: &'a str,
    /// Now, RFC 3339 with nanoseconds.
    pub timestamp: &'a str,
}

/// A message that passed the checks.
#[derive(Debug)]
pub struct Accepted<'a> {
    /// The message, with the gateway's stamps.
    pub message: MessageRef<'a>,
    /// Where it goes.
    pub route: Route,
    /// The source check's verdict, to be counted.
    pub source: SourceVerdict,
}

/// What happens to a message whose source is not the device that sends it (contract §2.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceCheck {
    /// It is counted and passed on.
    #[default]
    Monitor,
    /// It is counted and dropped.
    Enforce,
}

/// Where a device's message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the dispatcher.
    Event,
    /// To the request that waits for its transaction_uuid, if one does.
    Answer,
}

/// Why a device's message is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// It is not a WRP message.
    #[error("not a WRP message: {0}")]
    Decode(#[from] DecodeError),
    /// One of its texts is not UTF-8.
    #[error(transparent)]
    NotUtf8(#[from] NotUtf8Error),
    /// Its source is not the device, and the check is enforced.
    #[error("the source is not this device: {}", .0.reason())]
    Source(SourceVerdict),
}

/// The verdict on a message's source: the labels of `wrp_source_check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceVerdict {
    finding: SourceFinding,
    is_rejected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceFinding {
    Match,
    Empty,
    ParseError,
    Mismatch,
}

/// Reads one binary message of a device.
///
/// # Errors
/// [`InboundError`]
pub fn read<'a>(
    frame: &'a [u8],
    stamps: &Stamps<'a>,
    check: SourceCheck,
) -> Result<Accepted<'a>, InboundError> {
    let mut message = MessageRef::decode_v3(frame)?;
    message.check_utf8()?;
    let source = check_source(message.source, stamps.device_id, check);
    if source.is_rejected {
        return Err(InboundError::Source(source));
    }
    stamp(&mut message, stamps);
    let route = if message.is_transaction_part() { Route::Answer } else { Route::Event };
    Ok(Accepted { message, route, source })
}

impl SourceCheck {
    /// The check that the configuration names (`wrpSourceCheck.type`): only `enforce`, in lower case, enforces.
    #[must_use]
    pub fn from_type(name: &str) -> SourceCheck {
        if name == "enforce" { SourceCheck::Enforce } else { SourceCheck::Monitor }
    }
}

impl InboundError {
    /// The label `reason` of `device_refused_messages`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            InboundError::Decode(_) => "not_wrp",
            InboundError::NotUtf8(_) => "not_utf8",
            InboundError::Source(_) => "source",
        }
    }
}

impl SourceVerdict {
    /// How many verdicts there are.
    pub const COUNT: usize = 8;

    /// The verdict's number, below [`COUNT`](SourceVerdict::COUNT).
    #[must_use]
    pub fn index(self) -> usize {
        2 * self.finding as usize + usize::from(self.is_rejected)
    }

    /// The label `outcome`.
    #[must_use]
    pub fn outcome(self) -> &'static str {
        if self.is_rejected { "rejected" } else { "accepted" }
    }

    /// The label `reason`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self.finding {
            SourceFinding::Match => "id_match",
            SourceFinding::Empty => "empty",
            SourceFinding::ParseError => "parse_error",
            SourceFinding::Mismatch => "id_mismatch",
        }
    }
}

fn check_source(source: Text<'_>, device_id: &DeviceId, check: SourceCheck) -> SourceVerdict {
    let finding = find_source(source, device_id);
    let is_rejected = check == SourceCheck::Enforce && finding != SourceFinding::Match;
    SourceVerdict { finding, is_rejected }
}

fn find_source(source: Text<'_>, device_id: &DeviceId) -> SourceFinding {
    // What nearly every message has: the canonical id, with or without a service.
    if let Some(rest) = source.as_bytes().strip_prefix(device_id.as_str().as_bytes())
        && matches!(rest, [] | [b'/', ..])
    {
        return SourceFinding::Match;
    }
    if is_blank(source) {
        return SourceFinding::Empty;
    }
    match source.to_str().map(str::parse::<DeviceId>) {
        Ok(Ok(id)) if id == *device_id => SourceFinding::Match,
        Ok(Ok(_)) => SourceFinding::Mismatch,
        Ok(Err(_)) | Err(_) => SourceFinding::ParseError,
    }
}

/// Whether a text is white space only, which counts as absent.
fn is_blank(text: Text<'_>) -> bool {
    text.to_str().is_ok_and(|text| text.trim_start().is_empty())
}

fn stamp<'a>(message: &mut MessageRef<'a>, stamps: &Stamps<'a>) {
    if is_blank(message.content_type) {
        message.content_type = Text::from(OCTET_STREAM);
    }
    message.set_metadata(TIMESTAMP, stamps.timestamp);
    message.set_partner_ids(stamps.partner_ids);
    if message.msg_type == MessageType::SIMPLE_EVENT {
        message.session_id = Text::from(stamps.session_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_only_begins_like_the_device_is_another() {
        let id: DeviceId = "serial:1".parse().unwrap();
        for (source, reason) in [
            ("serial:1", "id_match"),
            ("serial:1/config", "id_match"),
            ("SERIAL:1", "id_match"),
            ("serial:12", "id_mismatch"),
            ("  ", "empty"),
            ("self:/x", "parse_error"),
        ] {
            let verdict = check_source(Text::from(source), &id, SourceCheck::Monitor);
            assert_eq!(verdict.reason(), reason, "{source}");
            assert_eq!(verdict.outcome(), "accepted");
        }
    }
}
