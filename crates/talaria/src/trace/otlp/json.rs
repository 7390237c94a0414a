//! A batch of spans as a line of JSON, as OTLP defines it: ids in hexadecimal, numbers of 64 bits as texts.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{ExportRequest, KeyValue, OneValue, Resource, Scope, Span};

/// A request with its line feed.
pub(super) fn line(request: &ExportRequest) -> Vec<u8> {
    let mut line = to_json(request).to_string().into_bytes();
    line.push(b'\n');
    line
}

fn to_json(request: &ExportRequest) -> Json {
    let of_resource = |resource: &Resource| json!({"attributes": attributes(&resource.attributes)});
    let of_scope = |scope: &Scope| json!({"name": scope.name, "version": scope.version});
    let resources = request.resource_spans.iter().map(|spans| {
        let scopes = spans.scope_spans.iter().map(|scope| {
            json!({
                "scope": scope.scope.as_ref().map(of_scope),
                "spans": scope.spans.iter().map(of_span).collect::<Vec<_>>(),
                "schemaUrl": scope.schema_url,
            })
        });
        json!({
            "resource": spans.resource.as_ref().map(of_resource),
            "scopeSpans": scopes.collect::<Vec<_>>(),
            "schemaUrl": spans.schema_url,
        })
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()})
}

fn of_span(span: &Span) -> Json {
    json!({
        "traceId": hex(&span.trace_id),
        "spanId": hex(&span.span_id),
        "traceState": span.trace_state,
        "parentSpanId": hex(&span.parent_span_id),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.start_time_unix_nano.to_string(),
        "endTimeUnixNano": span.end_time_unix_nano.to_string(),
        "attributes": attributes(&span.attributes),
        "status": span.status.as_ref().map_or_else(|| json!({}), |status| json!({"code": status.code})),
        "flags": span.flags,
    })
}

fn attributes(attributes: &[KeyValue]) -> Vec<Json> {
    let attribute = |attribute: &KeyValue| {
        let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(OneValue::Text(text)) => json!({"stringValue": text}),
            Some(OneValue::Number(number)) => json!({"intValue": number.to_string()}),
            None => Json::Null,
        };
        json!({"key": attribute.key, "value": value})
    };
    attributes.iter().map(attribute).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
