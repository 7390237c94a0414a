//! The reference's own cases for what the device side decides: who a device is, and what becomes of its messages up to
//! the dispatcher.

use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use talaria::device::{Config, Device, session_id};
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::{Candidate, ConnectError};
use talaria_protocol::inbound::{self, InboundError, Route, SourceCheck, Stamps};
use vectors::{Case, same};
use wrp::{DeviceId, Message, MessageRef, MetadataBuf};

#[test]
fn vectors_online_event_device_view() {
    vectors::run("online_event.json", |case| {
        let candidate = candidate(&case.value["connect"]);
        match &case.value["refused"] {
            Value::Null => {
                let candidate = candidate.map_err(|refusal| format!("refused: {refusal}"))?;
                let device = Device::new(candidate.identity().clone(), &Config::default());
                check_device(&device, case)
            }
            refused => match candidate {
                Ok(_) => Err("not refused".to_owned()),
                Err(refusal) => check_refusal(refusal, refused),
            },
        }
    });
}

#[test]
fn vectors_device_message_inbound() {
    vectors::run("device_message.json", |case| {
        let case = &case.value;
        let claims = claims(&case["claims"]);
        let id: DeviceId = text(&case["device_name"])?.parse().map_err(|error| format!("{error}"))?;
        let partner = claims.as_ref().map_or(Some("unknown"), Claims::partner_id).unwrap_or("unknown");
        let trust = claims.as_ref().map_or(0, Claims::trust).to_string();
        let stamps = Stamps {
            device_id: &id,
            partner_ids: &[partner],
            trust: &trust,
            account_id: claims.as_ref().and_then(Claims::account_id).unwrap_or_default(),
            session_id: "<session>",
            timestamp: "<timestamp>",
        };
        let check = SourceCheck::from_type(&text(&case["source_check"])?);
        let frame = vectors::hex(&text(&case["hex"])?);
        let result = &case["result"];
        let accepted = match inbound::read(&frame, &stamps, check, &wrp::Limits::default()) {
            Ok(accepted) if !result.is_null() => accepted,
            Ok(_) => return Err("not refused".to_owned()),
            Err(InboundError::Source(verdict)) if result.is_null() => {
                return same("outcome", &"rejected", &verdict.outcome());
            }
            Err(_) if result.is_null() => return Ok(()),
            Err(refused) => return Err(format!("refused: {refused}")),
        };
        let route = if result["as"] == "TransactionBroken" { Route::Answer } else { Route::Event };
        same("route", &route, &accepted.route)?;
        same("reason", &result["source_check"]["reason"].as_str(), &Some(accepted.source.reason()))?;
        same("outcome", &result["source_check"]["outcome"].as_str(), &Some(accepted.source.outcome()))?;
        if let Some(message) = result.get("http").and_then(|http| http.get("message")) {
            let mut expected = vectors::message(message);
            // contract §14.27: what metadata says about the device is the connection's own.
            if let Some(metadata) = expected.metadata.as_mut().filter(|_| check == SourceCheck::Enforce) {
                for (key, own) in [
                    ("/hw-deviceid", id.as_str()),
                    ("/trust", stamps.trust),
                    ("/account-id", stamps.account_id),
                    ("/partner-id", partner),
                ] {
                    if metadata.get(key).is_some() {
                        metadata.insert(key, own);
                    }
                }
            }
            same("message", &encoded(&expected.as_ref())?, &encoded(&accepted.message)?)?;
        }
        Ok(())
    });
}

fn candidate(connect: &Value) -> Result<Candidate, ConnectError> {
    let mut headers = HeaderMap::new();
    for (key, header) in [
        ("device_name", "x-webpa-device-name"),
        ("convey", "x-webpa-convey"),
        ("intermediate_context", "x-intermediate-context"),
    ] {
        if let Some(value) = connect.get(key) {
            headers
                .insert(header, HeaderValue::from_bytes(&vectors::bytes(value)).expect("a header's value"));
        }
    }
    Candidate::new(&headers, session_id::random())?.with_claims(claims(&connect["claims"]))
}

fn claims(claims: &Value) -> Option<Claims> {
    claims.as_object().map(Claims::new)
}

fn check_device(device: &Device, case: &Case) -> Result<(), String> {
    let view = &case.value["device"];
    same("id", &view["id"].as_str(), &Some(device.id().as_str()))?;
    same("partner_id", &view["partner_id"].as_str(), &Some(device.partner_id()))?;
    same("trust", &view["trust"].as_i64(), &Some(device.trust()))?;
    same("account_id", &view["account_id"].as_str(), &Some(device.account_id()))?;
    let compliance = device.convey().header_compliance().as_str();
    same("compliance", &view["compliance"].as_str(), &Some(compliance))?;
    // The reference keeps these few claims; ours keeps all (contract §2.5).
    let kept = device.claims().map(Claims::all).unwrap_or_default();
    for claim in view["claims_kept"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        same(claim, &case.value["connect"]["claims"].get(claim), &kept.get(claim))?;
    }
    let expected = vectors::message(&case.value["event"]).metadata.unwrap_or_default();
    let mut metadata: MetadataBuf = device.event_metadata().collect();
    metadata.insert("/xmidt-timestamp", "<timestamp>");
    same("metadata", &expected, &metadata)
}

fn check_refusal(refusal: ConnectError, refused: &Value) -> Result<(), String> {
    let response = refusal.response::<String>();
    same("status", &refused["status"].as_u64(), &Some(u64::from(response.status().as_u16())))?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    same("content type", &refused["content_type"].as_str(), &content_type)?;
    let body = refused["body"].as_str().unwrap_or_default();
    // A raw line feed is no JSON: ours escapes it (contract §14.16).
    same("body", &body.replace('\n', "\\n").as_str(), &response.body().as_str())
}

/// A message as it would be after its way over the wire.
fn encoded(message: &MessageRef<'_>) -> Result<Message, String> {
    let mut bytes = Vec::new();
    message.encode_v3(&mut bytes);
    MessageRef::decode_v3(&bytes).map(|message| message.to_owned()).map_err(|error| error.to_string())
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("not a text: {value}"))
}
