//! Where messages go: `http_dispatch.json`, `event_type.json`.

use vectors::{run, same};
use wrp::Text;
use wrpkafka::Publisher;

use super::*;
use crate::device::Events as _;
use crate::event::config::AuthKey;

/// contract §5.1: keys match without regard to case; the reference lower-cases the key but not the event type.
fn lower_cased(dest: &str) -> String {
    match Locator::parse_v3(dest) {
        Ok(locator) if locator.scheme == Scheme::Event => {
            dest.replacen(&*locator.authority, &locator.authority.to_lowercase(), 1)
        }
        _ => dest.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn vectors_http_dispatch() {
    let mut cases = vectors::cases("http_dispatch.json");
    let mut failures = Vec::new();
    vectors::announce("http_dispatch.json", &cases);
    for case in &mut cases {
        if let Err(failure) = http_dispatch(&case.value).await {
            failures.push(format!("{}: {failure}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn http_dispatch(case: &Value) -> Result<(), String> {
    let config = match outbound(case["yaml"].as_str().unwrap_or_default()) {
        Ok(config) => config,
        Err(_) if !case["setup_error"].is_null() => return Ok(()),
        Err(error) => return Err(error),
    };
    if !case["setup_error"].is_null() {
        return Err("no fault was found in the configuration".to_owned());
    }
    let (dest, routes) = (case["dest"].as_str().unwrap_or_default(), Routes::new(&config));
    let locator = Locator::parse_v3(dest).ok();
    let ours = urls(&routes, dest);
    if ours != urls(&routes, &lower_cased(dest)) {
        return Err(format!("{ours:?} is not what the event type in lower case gives"));
    }
    let requests = case["requests"].as_array().cloned().unwrap_or_default();
    let reason = case["drop_reason"].as_str().unwrap_or_default();
    let case_matters = dest != lower_cased(dest)
        && locator.as_ref().is_some_and(|locator| {
            locator.scheme == Scheme::Event
                && config.endpoints.iter().any(|(key, _)| key == locator.authority.to_lowercase())
        });
    if case_matters {
        return Ok(());
    }

    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
    let device = device("mac:112233445566", &Value::Null);
    let mut message = MessageRef { msg_type: 4.into(), dest: Text::from(dest), ..MessageRef::default() };
    gateway.dispatcher.message(&device, &mut message);

    // contract §5.1: several URLs are all tried, the reference stops at the first that fails.
    let expected: Vec<&str> = requests.iter().filter_map(|request| request["url"].as_str()).collect();
    let queued: Vec<&str> = ours.iter().map(String::as_str).filter(|url| *url != MALFORMED).collect();
    let is_full = reason == "full outbound queue";
    if !is_full && queued.iter().take(expected.len()).ne(&expected) {
        return Err(format!("expected {expected:?}, got {ours:?}"));
    }
    let scheme = case["scheme"].as_str().unwrap_or_default();
    let metrics = if reason == "no_err" {
        vec![format!(r#"total_outbound_events{{outcome="success",reason="no_err",scheme="{scheme}"}} 1"#)]
    } else {
        vec![
            format!(r#"total_outbound_events{{outcome="failure",reason="{reason}",scheme="{scheme}"}} 1"#),
            format!(
                r#"outbound_dropped_messages{{code="message_dropped",reason="{reason}",scheme="{scheme}"}} 1"#
            ),
        ]
    };
    if let Some(missing) = metrics.iter().find(|line| !gateway.has_metric(line)) {
        return Err(format!("no metric {missing}"));
    }
    let sendable: Vec<&Value> = requests
        .iter()
        .filter(|request| address(request["url"].as_str().unwrap_or_default()).is_some())
        .collect();
    receiver.received(sendable.len()).await;
    for expected in sendable {
        let found =
            receiver.requests().iter().any(|got| is_same_request(expected, got, Credentials::for_dest(dest)));
        if !found {
            return Err(format!("expected {expected}, got {:?}", receiver.requests()));
        }
    }
    Ok(())
}

/// The section as the configuration will read it, as far as the vectors use it.
fn outbound(yaml: &str) -> Result<Config, String> {
    let section: Value = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    let mut config = Config { host: "talaria.example.com".to_owned(), ..Config::default() };
    config.endpoints =
        Endpoints::parse(&section["eventEndpoints"]).map_err(|faults| format!("{faults:?}"))?;
    if let Some(key) = section["authKey"].as_str() {
        config.auth_key = Some(AuthKey::new(key).map_err(|error| error.to_string())?);
    }
    if let Some(method) = section["method"].as_str() {
        config.method = method.parse().map_err(|_| "a method".to_owned())?;
    }
    if let Some(scheme) = section["defaultScheme"].as_str() {
        config.default_scheme = scheme.to_owned();
    }
    if let Some(size) = section["outboundQueueSize"].as_u64() {
        config.queue.messages = usize::try_from(size).unwrap();
    }
    match &section["allowedSchemes"] {
        Value::String(text) => config.allowed_schemes = text.split(',').map(str::to_owned).collect(),
        Value::Array(list) => {
            config.allowed_schemes = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        }
        _ => {}
    }
    config.check().map_err(|faults| format!("{faults:?}"))?;
    Ok(config)
}

#[test]
fn vectors_event_type() {
    run("event_type.json", |case| {
        let dest = vectors::bytes(&case.value["dest"]);
        // A message whose dest is not UTF-8 is refused before it is dispatched (contract §1.7).
        let locator = std::str::from_utf8(&dest).ok().and_then(|dest| Locator::parse_v3(dest).ok());
        let expected = &case.value["http"];
        if std::str::from_utf8(&dest).is_err() {
            return same("a dest that is not UTF-8", &None, &locator);
        }
        let got = locator.as_ref().map_or(
            Value::Null,
            |locator| json!({"scheme": locator.scheme.as_str(), "event_type": locator.event_type()}),
        );
        same("http", expected, &got)?;
        let is_for_kafka = locator.is_some_and(|locator| locator.scheme == Scheme::Event);
        same("kafka_from_device", &case.value["kafka_from_device"], &Value::Bool(is_for_kafka))
    });
}
