//! What a binary message of a device means (contract §2.13): it is decoded, checked for UTF-8 and for its source, and
//! stamped.
//!
//! Start reading at [`read`], a pure function that does not allocate for a valid message. Where an accepted message goes,
//! what is counted, and the text of the time stamp are the gateway's matter.

use wrp::{
    DecodeError, DeviceId, Limits, MessageRef, MessageType, NotUtf8Error, OCTET_STREAM, Scheme, Text,
    WireError,
};

/// The metadata key of the time at which the gateway took the message.
pub const TIMESTAMP: &str = "/xmidt-timestamp";

/// The metadata key of the device's id.
pub const HARDWARE_DEVICE_ID: &str = "/hw-deviceid";

/// The metadata key of the device's trust.
pub const TRUST: &str = "/trust";

/// The metadata key of the account.
pub const ACCOUNT_ID: &str = "/account-id";

/// The metadata key of the partner.
const PARTNER_ID: &str = "/partner-id";

/// The type of the events that tell which devices are connected.
const DEVICE_STATUS: &str = "device-status";

/// The fields that the gateway sets, whatever the device wrote there.
#[derive(Clone, Copy, Debug)]
pub struct Stamps<'a> {
    /// The id that the device is connected as.
    pub device_id: &'a DeviceId,
    /// Its partner, alone.
    pub partner_ids: &'a [&'a str],
    /// Its trust, as events carry it.
    pub trust: &'a str,
    /// Its account; empty if it has none.
    pub account_id: &'a str,
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

/// What happens to a message that claims to be another device's or about one (contract §2.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceCheck {
    /// A source that is not the device is counted, and every message is passed on as it is.
    #[default]
    Monitor,
    /// A message whose source is not the device, or that is a status event of another device, is counted and dropped;
    /// metadata that names the device, its trust, account and partner becomes the connection's own.
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
    /// It is not a WRP message, or over a limit of messages ([`InboundError::is_limit`]).
    #[error("not a WRP message: {0}")]
    Decode(#[from] DecodeError),
    /// One of its texts is not UTF-8.
    #[error(transparent)]
    NotUtf8(#[from] NotUtf8Error),
    /// Its source is not the device, and the check is enforced.
    #[error("the source is not this device: {}", .0.reason())]
    Source(SourceVerdict),
    /// It is a status event (`event:device-status/…`) of another device, and the check is enforced.
    #[error("the message is a status event of another device")]
    StatusOfAnother,
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
    limits: &Limits,
) -> Result<Accepted<'a>, InboundError> {
    let mut message = MessageRef::decode_v3_within(frame, limits)?;
    message.check_utf8()?;
    let source = check_source(message.source, stamps.device_id, check);
    if source.is_rejected {
        return Err(InboundError::Source(source));
    }
    if check == SourceCheck::Enforce {
        if is_status_of_another(message.dest, stamps.device_id) {
            return Err(InboundError::StatusOfAnother);
        }
        set_own_metadata(&mut message, stamps);
    }
    stamp(&mut message, stamps);
    let route = if message.is_transaction_part() { Route::Answer } else { Route::Event };
    Ok(Accepted { message, route, source })
}

/// What can be acknowledged of a message that is over its limits: its type, source, ids and qos, stamped. `None` if it
/// wants no acknowledgement, or gets none because the rest of it would be rejected as well.
///
/// Takes time proportional to the length of the frame, and allocates nothing.
#[must_use]
pub fn read_oversized<'a>(
    frame: &'a [u8],
    stamps: &Stamps<'a>,
    check: SourceCheck,
    limits: &Limits,
) -> Option<MessageRef<'a>> {
    let head = MessageRef::decode_v3_head(frame).ok().filter(MessageRef::wants_ack)?;
    let within = |text: Text<'a>, most: usize| if text.len() <= most { text } else { Text::default() };
    let mut message = MessageRef {
        msg_type: head.msg_type,
        source: within(head.source, limits.field_bytes),
        transaction_uuid: within(head.transaction_uuid, limits.id_bytes),
        qos: head.qos,
        ..MessageRef::default()
    };
    message.check_utf8().ok()?;
    let is_of_another = check == SourceCheck::Enforce && is_status_of_another(head.dest, stamps.device_id);
    if is_of_another || check_source(message.source, stamps.device_id, check).is_rejected {
        return None;
    }
    stamp(&mut message, stamps);
    Some(message)
}

impl SourceCheck {
    /// The check that the configuration names (`wrpSourceCheck.type`): only `enforce`, in lower case, enforces.
    #[must_use]
    pub fn from_type(name: &str) -> Self {
        if name == "enforce" { Self::Enforce } else { Self::Monitor }
    }
}

impl InboundError {
    /// Whether the message may be good, but is over a limit (contract §2.18). Its sender can be answered.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Decode(error) if error.problem.is_limit())
    }

    /// The label `reason` of `device_refused_messages`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Decode(error) => match error.problem {
                WireError::TooManyEntries => "too_many_entries",
                WireError::KeyTooLong => "key_too_long",
                WireError::IdTooLong => "id_too_long",
                WireError::FieldsTooLong => "fields_too_long",
                _ => "not_wrp",
            },
            Self::NotUtf8(_) => "not_utf8",
            Self::Source(_) => "source",
            Self::StatusOfAnother => "status_of_another",
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

/// Whether a dest says something about the status of a device that is not this one (contract §14.27).
///
/// Receivers search the text of a dest for `device-status/<id>`, so this does, too: wherever a part of the path ends like
/// that, the next part must not be another device's id. After the part `device-status` itself only this device's own id
/// may follow.
fn is_status_of_another(dest: Text<'_>, device_id: &DeviceId) -> bool {
    let Some((scheme, path)) = dest.to_str().ok().and_then(|dest| dest.split_once(':')) else { return false };
    if !scheme.trim().eq_ignore_ascii_case(Scheme::Event.as_str()) {
        return false;
    }
    let mut parts = path.split('/').map(str::trim);
    let mut part = parts.next().unwrap_or_default();
    for next in parts {
        let prefix = part.len().checked_sub(DEVICE_STATUS.len()).and_then(|at| part.split_at_checked(at));
        if let Some((before, status)) = prefix
            && status.eq_ignore_ascii_case(DEVICE_STATUS)
            && next != device_id.as_str()
        {
            match next.parse::<DeviceId>() {
                Ok(id) if id == *device_id => {}
                Ok(_) => return true,
                Err(_) if before.is_empty() => return true,
                Err(_) => {}
            }
        }
        part = next;
    }
    false
}

/// Replaces what the message's metadata says about the device by what is known of the connection. Entries that are not
/// there are not added. A key without its slash means the same to the Kafka publisher.
fn set_own_metadata<'a>(message: &mut MessageRef<'a>, stamps: &Stamps<'a>) {
    let partner = stamps.partner_ids.first().copied().unwrap_or_default();
    let own = [
        (HARDWARE_DEVICE_ID, stamps.device_id.as_str()),
        (TRUST, stamps.trust),
        (ACCOUNT_ID, stamps.account_id),
        (PARTNER_ID, partner),
    ];
    let Some(metadata) = &mut message.metadata else { return };
    let mut found = [[false; 2]; 4];
    for (key, _) in metadata.iter() {
        for ((name, _), found) in own.iter().zip(&mut found) {
            if key == *name {
                found[0] = true;
            } else if key == name[1..] {
                found[1] = true;
            }
        }
    }
    for ((name, value), [is_found, is_found_bare]) in own.into_iter().zip(found) {
        if is_found {
            metadata.set(name, value);
        }
        if is_found_bare {
            metadata.set(&name[1..], value);
        }
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
mod tests;
