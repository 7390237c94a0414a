//! Traces of messages and requests: through the gateway, to the sinks and devices, and to a collector (contract §12).

use std::time::{Duration, Instant};

use talaria::trace::Protocol;
use talaria::trace::otlp::Span;
use tokio_tungstenite::tungstenite::Message as Frame;
use wrp::{Message, MessageRef};
use wrpkafka::mock::MockKafka;

use crate::support::collector::{Behaviour, Collector, attribute, hex};
use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::gateway::{MAC, question, send};
use crate::support::http::request;
use crate::support::process::{GatewayProcess, failed_start};
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

const ALL: &str = "parentBased: honor, noParent: always";

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Waits until the collector has as many spans of this name.
async fn spans(collector: &Collector, name: &str, count: usize) -> Vec<Span> {
    let named = || collector.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
    eventually(&format!("{count} spans {name:?}"), PATIENCE, async || named().len() >= count).await;
    let spans = named();
    assert_eq!(spans.len(), count, "{name}");
    spans
}

async fn span(collector: &Collector, name: &str) -> Span {
    spans(collector, name, 1).await.remove(0)
}

/// The `traceparent` of a span that is recorded.
fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

fn with_headers(message: Message, headers: &[&str]) -> Message {
    Message { headers: Some(headers.iter().collect()), ..message }
}

fn kafka(kafka: &MockKafka) -> String {
    format!("kafka: {{enabled: true, brokers: ['{}']}}\n", kafka.brokers())
}

fn endpoint(receiver: &Receiver) -> String {
    format!(
        "device: {{outbound: {{eventEndpoints: {{sensor-report: '{}'}}, retryInterval: 10ms}}}}\n",
        receiver.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_way_of_a_message_is_one_trace() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let collector = Collector::start(protocol, Behaviour::Takes).await;
        let (broker, receiver) = (MockKafka::start(1).unwrap(), Receiver::start().await);
        let sections = [collector.section(ALL), kafka(&broker), endpoint(&receiver)].concat();
        let gateway = GatewayProcess::start(&sections).await;
        let device = Device::connect(gateway.primary(), MAC).await;
        let parent = format!("traceparent: {PARENT}");
        device.send(with_headers(event(MAC, 1, 75), &["x: y", &parent, "tracestate: a=1"]));

        let process = span(&collector, "process event").await;
        assert_eq!(
            (hex(&process.trace_id), hex(&process.parent_span_id)),
            (TRACE.into(), "b7ad6b7169203331".into())
        );
        assert_eq!((process.kind, process.trace_state.as_str()), (5, "a=1"));
        let dest = format!("event:sensor-report/{MAC}/1");
        assert_eq!(attribute(&process, "messaging.destination.name"), Some(dest));
        assert_eq!(attribute(&process, "messaging.client.id").as_deref(), Some(MAC));
        assert_eq!(attribute(&process, "wrp.qos").as_deref(), Some("75"));

        let publish = span(&collector, "send wrp-events").await;
        let post = span(&collector, "POST").await;
        for (child, kind) in [(&publish, 4), (&post, 3)] {
            assert_eq!((&child.trace_id, &child.parent_span_id), (&process.trace_id, &process.span_id));
            assert_eq!((child.kind, &child.status), (kind, &None));
            assert!(child.start_time_unix_nano >= process.start_time_unix_nano);
            assert!(child.end_time_unix_nano >= child.start_time_unix_nano);
        }
        assert_eq!(attribute(&publish, "messaging.system").as_deref(), Some("kafka"));
        assert_eq!(attribute(&post, "url.full"), Some(receiver.url()));
        assert_eq!(attribute(&post, "http.response.status_code").as_deref(), Some("202"));

        let posted = receiver.take().remove(0);
        assert_eq!(posted.headers["traceparent"], traceparent(&post));
        assert_eq!(posted.headers["tracestate"], "a=1");
        let records = broker.records("wrp-events", 2, PATIENCE).unwrap();
        let traced: Vec<_> = records.iter().filter(|record| !record.headers.is_empty()).collect();
        assert_eq!(traced.len(), 1, "the online event has no trace");
        let expected = [("traceparent", traceparent(&publish)), ("tracestate", "a=1".to_owned())];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.into_bytes()));
        assert_eq!(traced[0].headers, expected);
        assert_eq!(gateway.metric("talaria_talaria_trace_spans_dropped_total", &[]).await, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_to_post_is_a_span_and_says_how_it_failed() {
    let collector = Collector::start(Protocol::Http, Behaviour::Takes).await;
    let outbound = "device: {outbound: {eventEndpoints: {default: 'http://user:secret@127.0.0.1:9/x?key=hidden'}, retries: 2, retryInterval: 10ms}}\n";
    let gateway = GatewayProcess::start(&[&collector.section(ALL), outbound].concat()).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    device.send(event(MAC, 1, 0));
    let attempts = spans(&collector, "POST", 3).await;
    let process = span(&collector, "process event").await;
    for (number, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt.parent_span_id, process.span_id);
        assert_eq!(
            (attempt.status.as_ref().unwrap().code, attribute(attempt, "error.type").as_deref()),
            (2, Some("op_error"))
        );
        assert_eq!(attribute(attempt, "http.request.resend_count"), (number > 0).then(|| number.to_string()));
        assert_eq!(attribute(attempt, "url.full").as_deref(), Some("http://***@127.0.0.1:9/x"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_device_and_the_answer_are_one_trace() {
    let collector = Collector::start(Protocol::Grpc, Behaviour::Takes).await;
    let gateway = GatewayProcess::start(&collector.section(ALL)).await;
    let mut device = gateway.device(MAC).await;
    // A field that the gateway does not know must reach the device.
    let mut body = Vec::new();
    with_headers(
        question(),
        &["X: y", "TraceParent: 00-11111111111111111111111111111111-2222222222222222-01"],
    )
    .as_ref()
    .encode_v3(&mut body);
    body[0] += 1;
    body.extend_from_slice(b"\xa7unknown\xa1!");
    let headers = format!(
        "{}Content-Type: application/msgpack\r\ntraceparent: {PARENT}\r\ntracestate: a=1\r\n",
        "Authorization: Basic dTpw\r\n"
    );
    let asked = tokio::spawn(request(gateway.primary(), send(&headers, &body)));
    let frame = {
        use futures_util::StreamExt as _;
        loop {
            if let Frame::Binary(frame) = device.next().await.unwrap().unwrap() {
                break frame;
            }
        }
    };
    let message = MessageRef::decode_v3(&frame).unwrap();
    let mut reply = message.to_owned();
    std::mem::swap(&mut reply.source, &mut reply.dest);
    let mut bytes = Vec::new();
    reply.as_ref().encode_v3(&mut bytes);
    {
        use futures_util::SinkExt as _;
        device.send(Frame::binary(bytes)).await.unwrap();
    }
    assert_eq!(asked.await.unwrap().status, 200);

    let server = span(&collector, "POST /device/send").await;
    let exchange = span(&collector, "send device").await;
    assert_eq!(
        (hex(&server.trace_id), hex(&server.parent_span_id)),
        (TRACE.into(), "b7ad6b7169203331".into())
    );
    assert_eq!((&exchange.trace_id, &exchange.parent_span_id), (&server.trace_id, &server.span_id));
    assert_eq!(attribute(&server, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(attribute(&server, "http.route").as_deref(), Some("/device/send"));
    assert!(server.start_time_unix_nano <= exchange.start_time_unix_nano);
    assert!(server.end_time_unix_nano >= exchange.end_time_unix_nano);
    let lines: Vec<String> = message.headers.unwrap().iter().map(|line| line.to_string()).collect();
    assert_eq!(
        lines,
        ["X: y".to_owned(), format!("traceparent: {}", traceparent(&exchange)), "tracestate: a=1".to_owned()]
    );
    assert!(frame.windows(10).any(|bytes| bytes == b"\xa7unknown\xa1!"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_callers_and_devices_have_decided_holds_if_it_is_honored() {
    let collector = Collector::start(Protocol::Http, Behaviour::Takes).await;
    let receiver = Receiver::start().await;
    let sections = [collector.section("parentBased: honor, noParent: never"), endpoint(&receiver)].concat();
    let gateway = GatewayProcess::start(&sections).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    device.send(event(MAC, 1, 0));
    device.send(with_headers(event(MAC, 2, 0), &[&format!("traceparent: {UNSAMPLED}"), "tracestate: a=1"]));
    device.send(with_headers(event(MAC, 3, 0), &["traceparent: 00-nonsense"]));
    device.send(with_headers(event(MAC, 4, 0), &[&format!("traceparent: {PARENT}")]));
    eventually("all events arrive", PATIENCE, async || receiver.count() == 4).await;
    let post = span(&collector, "POST").await;
    assert_eq!(collector.spans().len(), 2, "{:?}", collector.spans());
    let mut posted = receiver.take();
    posted.sort_by_key(|posted| posted.message.dest.to_string());
    let headers =
        |at: usize| posted[at].headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(
        [headers(0), headers(1), headers(2)],
        [None, Some(UNSAMPLED.to_owned()), None],
        "passed on as it is"
    );
    assert_eq!(posted[1].headers["tracestate"], "a=1");
    assert_eq!(headers(3), Some(traceparent(&post)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ratio_decides_where_nobody_has_or_where_it_is_ignored() {
    const EVENTS: usize = 400;
    let collector = Collector::start(Protocol::Http, Behaviour::Takes).await;
    let gateway = GatewayProcess::start(&collector.section("sampleRatio: 0.5, maxQueueSize: 10000")).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    // What this trace's id decides at a half; 8448… is above.
    for number in 0..EVENTS {
        let parent =
            if number % 2 == 0 { PARENT } else { "00-0af7651916cd43dd7448eb211c80319c-b7ad6b7169203331-00" };
        device.send(with_headers(event(MAC, number, 0), &[&format!("traceparent: {parent}")]));
    }
    let own = spans(&collector, "process event", EVENTS / 2).await;
    assert!(own.iter().all(|span| hex(&span.trace_id).contains("7448")));
    for number in 0..EVENTS {
        device.send(event(MAC, number, 0));
    }
    let sampled = || collector.spans().len() - EVENTS / 2;
    // Six standard deviations.
    eventually("about a half", PATIENCE, async || sampled() > EVENTS / 2 - 60).await;
    assert!(gateway.terminate().await.success());
    assert!(sampled() < EVENTS / 2 + 60, "{} of {EVENTS}", sampled());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_nothing_is_added() {
    let (broker, receiver) = (MockKafka::start(1).unwrap(), Receiver::start().await);
    let gateway = GatewayProcess::start(&[kafka(&broker), endpoint(&receiver)].concat()).await;
    let mut socket = gateway.device(MAC).await;
    let message = with_headers(event(MAC, 1, 75), &[&format!("traceparent: {PARENT}")]);
    let mut frame = Vec::new();
    message.as_ref().encode_v3(&mut frame);
    {
        use futures_util::SinkExt as _;
        socket.send(Frame::binary(frame)).await.unwrap();
    }
    eventually("the event arrives", PATIENCE, async || receiver.count() == 1).await;
    let posted = receiver.take().remove(0);
    let mut names: Vec<_> = posted.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "content-length", "content-type", "host", "user-agent"]);
    let records = broker.records("wrp-events", 2, PATIENCE).unwrap();
    assert!(records.len() == 2 && records.iter().all(|record| record.headers.is_empty()));

    let mut body = Vec::new();
    question().as_ref().encode_v3(&mut body);
    let headers = format!("Authorization: Basic dTpw\r\ntraceparent: {PARENT}\r\n");
    let asked = tokio::spawn(request(gateway.primary(), send(&headers, &body)));
    use futures_util::StreamExt as _;
    let to_device = loop {
        match socket.next().await.unwrap().unwrap() {
            Frame::Binary(frame)
                if MessageRef::decode_v3(&frame).unwrap().msg_type
                    == wrp::MessageType::SIMPLE_REQUEST_RESPONSE =>
            {
                break frame;
            }
            _ => {}
        }
    };
    assert_eq!(*to_device, *body, "the same bytes");
    asked.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_collector_that_is_down_silent_or_refuses() {
    let collector = Collector::start(Protocol::Grpc, Behaviour::Silent).await;
    let receiver = Receiver::start().await;
    let keys = format!("{ALL}, maxQueueSize: 20, exportTimeout: 300ms");
    let gateway = GatewayProcess::start(&[collector.section(&keys), endpoint(&receiver)].concat()).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    let dropped = async |reason: &str| {
        let label = format!("reason=\"{reason}\"");
        gateway.metric("talaria_talaria_trace_spans_dropped_total", &[&label]).await
    };
    let mut sent = 0;
    let mut burst = async |what: &str| {
        let started = Instant::now();
        for _ in 0..100 {
            sent += 1;
            device.send(event(MAC, sent, 0));
        }
        eventually(&format!("all events arrive: {what}"), PATIENCE, async || receiver.count() == sent).await;
        assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
    };
    let lines = |start: &str| {
        gateway.log().lines().filter(|line| line.contains(&format!("\"msg\":\"{start}"))).count()
    };
    burst("silent").await;
    eventually("spans are dropped", PATIENCE, async || dropped("queue_full").await >= 100.0).await;
    let unreachable = "collector cannot be reached";
    eventually("the log has the line of the silence", PATIENCE, async || lines(unreachable) == 1).await;
    eventually("it is tried again", PATIENCE, async || collector.requests().len() >= 3).await;

    // Down altogether.
    let address = collector.address();
    drop(collector);
    burst("down").await;
    assert_eq!(lines(unreachable), 1, "nothing has changed");
    assert_eq!(gateway.metric("talaria_talaria_trace_collector_up", &[]).await, 0.0);

    let collector = Collector::start_at(address, Protocol::Grpc, Behaviour::Takes).await;
    let again = "collector takes spans";
    eventually("the log has the line of the return", PATIENCE, async || lines(again) >= 1).await;
    eventually("what had waited arrives", PATIENCE, async || !collector.spans().is_empty()).await;
    eventually("none are dropped any more", PATIENCE, async || {
        device.send(event(MAC, 0, 0));
        lines("collector takes spans again") == 1
    })
    .await;
    assert_eq!(gateway.metric("talaria_talaria_trace_collector_up", &[]).await, 1.0);

    collector.set(Behaviour::Refuses);
    device.send(event(MAC, 0, 0));
    eventually("what is refused is dropped", PATIENCE, async || dropped("refused").await >= 2.0).await;
    eventually("the log has the line of the refusal", PATIENCE, async || {
        lines("collector refuses spans") == 1
    })
    .await;
    assert_eq!(lines(unreachable), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_collector_gets_the_same_spans_again() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let collector = Collector::start(protocol, Behaviour::Busy).await;
        let gateway = GatewayProcess::start(&collector.section(ALL)).await;
        let device = Device::connect(gateway.primary(), MAC).await;
        device.send(event(MAC, 1, 0));
        eventually("it is asked again", PATIENCE, async || collector.requests().len() >= 2).await;
        assert!(collector.spans().is_empty());
        collector.set(Behaviour::Takes);
        span(&collector, "process event").await;
        collector.set(Behaviour::RejectsOne);
        device.send(event(MAC, 2, 0));
        let metric = "talaria_talaria_trace_spans_dropped_total";
        eventually("one is counted", PATIENCE, async || gateway.metric(metric, &["refused"]).await == 1.0)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_waits() {
    let collector = Collector::start(Protocol::Grpc, Behaviour::Takes).await;
    let receiver = Receiver::start().await;
    let gateway = GatewayProcess::start(&[collector.section(ALL), endpoint(&receiver)].concat()).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    device.send(event(MAC, 1, 0));
    eventually("the event arrives", PATIENCE, async || receiver.count() == 1).await;
    assert!(gateway.terminate().await.success());
    assert_eq!(collector.spans().len(), 2);

    // One that does not answer does not hold up the stop.
    collector.set(Behaviour::Silent);
    let sections = [collector.section(ALL), endpoint(&receiver), "shutdownTimeout: 3s\n".to_owned()].concat();
    let gateway = GatewayProcess::start(&sections).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    device.send(event(MAC, 1, 0));
    eventually("the event arrives", PATIENCE, async || receiver.count() == 2).await;
    let started = Instant::now();
    assert!(gateway.terminate().await.success());
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn tracing_changes_while_the_gateway_runs() {
    // So that there is one line for each change.
    const UNWATCHED: &str = "config: {watch: false}\n";
    let first = Collector::start(Protocol::Grpc, Behaviour::Takes).await;
    let second = Collector::start(Protocol::Http, Behaviour::Takes).await;
    let headers = std::env::temp_dir().join(format!("talaria-headers-{}", std::process::id()));
    std::fs::write(&headers, "# a secret\nAuthorization: Bearer one\n").unwrap();
    let mut gateway = GatewayProcess::start(UNWATCHED).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    device.send(event(MAC, 1, 0));
    gateway.reload(&[UNWATCHED, &first.section(ALL)].concat());
    gateway.logged("configuration reloaded").await;
    device.send(event(MAC, 2, 0));
    span(&first, "process event").await;
    let keys = format!("{ALL}, headersFile: '{}'", headers.display());
    gateway.reload(&[UNWATCHED, &second.section(&keys)].concat());
    gateway.logged("configuration reloaded").await;
    device.send(event(MAC, 3, 0));
    span(&second, "process event").await;
    assert_eq!(second.requests()[0]["authorization"], "Bearer one");
    std::fs::write(&headers, "Authorization: Bearer two\n").unwrap();
    device.send(event(MAC, 4, 0));
    spans(&second, "process event", 2).await;
    assert_eq!(second.requests().last().unwrap()["authorization"], "Bearer two");
    gateway.reload(UNWATCHED);
    gateway.logged("configuration reloaded").await;
    device.send(event(MAC, 5, 1));
    assert!(device.is_connected());
    assert!(gateway.terminate().await.success());
    assert_eq!((first.spans().len(), second.spans().len()), (1, 2));
    std::fs::remove_file(headers).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stdout_gets_a_line_of_json_for_each_batch() {
    let gateway = GatewayProcess::start(&format!("tracing: {{provider: stdout, {ALL}}}\n")).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    device.send(with_headers(event(MAC, 1, 0), &[&format!("traceparent: {PARENT}")]));
    let mut found = None;
    eventually("the line", PATIENCE, async || {
        let log = gateway.log();
        let line = log.lines().find(|line| line.starts_with("{\"resourceSpans\""));
        found = line.and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        found.is_some()
    })
    .await;
    let found = found.unwrap();
    let span = &found["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!((&span["traceId"], &span["name"]), (&TRACE.into(), &"process event".into()));
    assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
}

#[test]
fn a_provider_that_is_not_known_stops_the_start() {
    let (code, complaint) = failed_start(
        "tracing: {provider: bogus, sampleRatio: 2, noParent: sometimes, endpoint: 'ftp://x'}\n",
        &[],
    );
    assert_eq!(code, Some(78), "{complaint}");
    for expected in [
        r#"tracing.provider is "bogus", expected noop, otlp/grpc, otlp/http or stdout"#,
        r#"tracing.sampleRatio is 2, expected a number from 0 to 1, such as 0.01"#,
        r#"tracing.noParent is "sometimes", expected never or always"#,
        r#"tracing.endpoint is "ftp://x", expected host:port or a URL such as https://collector:4318"#,
    ] {
        assert!(complaint.contains(expected), "{complaint}");
    }
}
