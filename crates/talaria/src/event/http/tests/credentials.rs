//! What single receivers are shown with a request (contract §5.10).

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::event::config::{
    ClientCertificate, CredentialsConfig, OAuth2Config, PipelineDepth, ReceiverTls, SignatureConfig,
    SignatureFormat, UrlPrefix,
};

const OLD: &str = "the old key of the receiver";
const NEW: &str = "the new key of the receiver";

/// A file that is removed at the end.
struct TestFile(PathBuf);

impl TestFile {
    fn with(content: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("talaria-credentials-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let file = Self(std::env::temp_dir().join(name));
        fs::write(&file.0, content).unwrap();
        file
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

fn signing(url: &str, at: &str, file: &TestFile) -> Config {
    let signature = SignatureConfig { key_file: file.0.clone(), format: SignatureFormat::Standard };
    let credentials = vec![CredentialsConfig {
        at: UrlPrefix::parse(at).unwrap(),
        signature: Some(signature),
        tls: None,
        oauth2: None,
    }];
    let allowed_schemes = vec!["http".to_owned(), "https".to_owned()];
    Config { credentials, allowed_schemes, ..config(url) }
}

fn header<'a>(request: &'a Received, name: &str) -> Option<&'a str> {
    let header = request.headers.iter().find(|(there, _)| there.eq_ignore_ascii_case(name));
    header.map(|(_, value)| value.as_str())
}

/// The keys among these by which a request is signed, in the order of its signatures.
fn signed_by<'k>(request: &Received, keys: &[&'k str]) -> Vec<&'k str> {
    let (Some(id), Some(at)) = (header(request, "webhook-id"), header(request, "webhook-timestamp")) else {
        return Vec::new();
    };
    let mut content = format!("{id}.{at}.").into_bytes();
    content.extend(&request.body);
    let signatures = header(request, "webhook-signature").unwrap().split(' ');
    let tags = signatures.map(|signature| STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap());
    tags.filter_map(|tag| {
        let is_valid = |key: &&&str| {
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), &content, &tag).is_ok()
        };
        keys.iter().find(is_valid).copied()
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_is_signed_by_each_key_and_its_attempts_have_one_id() {
    let receiver = Receiver::new(|_, number| Answer::Status(if number == 1 { 504 } else { 202 }));
    let file = TestFile::with(&format!("{NEW}\n{OLD}\n"));
    let bench = Bench::in_memory(
        &signing("http://memory/notify", "http://memory", &file),
        [("memory", receiver.clone())],
    );
    for body in ["one", "two"] {
        bench.send("event:iot/x", body);
        bench.drained().await;
    }
    let requests = receiver.requests();
    for request in &requests {
        assert_eq!(signed_by(request, &[OLD, NEW]), [NEW, OLD]);
    }
    let ids: Vec<_> = requests.iter().map(|request| header(request, "webhook-id")).collect();
    assert!(ids.len() == 3 && ids[0] == ids[1] && ids[0] != ids[2], "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_read_again_and_one_that_is_bad_changes_nothing() {
    let receiver = Receiver::answering(Answer::Status(202));
    let file = TestFile::with(OLD);
    let bench =
        Bench::in_memory(&signing("http://memory/", "http://memory", &file), [("memory", receiver.clone())]);
    for (content, expected) in [(OLD, vec![OLD]), (NEW, vec![NEW]), ("short", vec![NEW])] {
        fs::write(&file.0, content).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        bench.send("event:iot/x", "body");
        bench.drained().await;
        let requests = receiver.requests();
        assert_eq!(signed_by(requests.last().unwrap(), &[OLD, NEW]), expected, "{content}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_receivers_that_are_meant_get_a_signature() {
    for (url, at, is_signed) in [
        ("http://memory/a/b", "http://memory/a", true),
        ("http://memory/ab", "http://memory/a", false),
        ("http://memory/a", "https://memory/a", false),
        ("http://memory/a", "http://other/a", false),
    ] {
        let receiver = Receiver::answering(Answer::Status(202));
        let file = TestFile::with(OLD);
        let bench = Bench::in_memory(&signing(url, at, &file), [("*", receiver.clone())]);
        bench.send("event:iot/x", "body");
        bench.send("dns:http://memory/a/b", "body");
        bench.drained().await;
        let mut signed: Vec<bool> =
            receiver.requests().iter().map(|request| header(request, "webhook-id").is_some()).collect();
        signed.sort_unstable();
        assert_eq!(signed, [false, is_signed], "{url} {at}: never a host that a device names");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_another_origin_is_followed_without_a_signature() {
    let receiver = Receiver::new(|request, _| match &*request.path {
        "/" => Answer::Redirect(307, "http://other/there".to_owned()),
        _ => Answer::Status(202),
    });
    let file = TestFile::with(OLD);
    let bench =
        Bench::in_memory(&signing("http://memory/", "http://memory", &file), [("*", receiver.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    let signed: Vec<bool> =
        receiver.requests().iter().map(|request| header(request, "webhook-id").is_some()).collect();
    assert_eq!(signed, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_never_leads_to_a_receiver_that_knows_the_gateway_by_its_certificate() {
    let nowhere = PathBuf::from("/nowhere");
    let client = ClientCertificate { certificate_file: nowhere.clone(), key_file: nowhere };
    for (from, is_followed) in [("https://first/", false), ("https://second/", true)] {
        let receiver = Receiver::new(|request, _| match &*request.path {
            "/" => Answer::Redirect(307, "https://second/there".to_owned()),
            _ => Answer::Status(202),
        });
        let credentials = vec![CredentialsConfig {
            at: UrlPrefix::parse("https://second").unwrap(),
            signature: None,
            tls: Some(ReceiverTls { ca_file: None, client: Some(client.clone()) }),
            oauth2: None,
        }];
        let bench = Bench::in_memory(&Config { credentials, ..config(from) }, [("*", receiver.clone())]);
        bench.send("event:iot/x", "body");
        bench.drained().await;
        let expected = if is_followed { DELIVERED } else { Verdict::ReceiverRefused };
        assert_eq!(bench.verdicts(), [expected], "{from}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_key_an_event_is_not_sent() {
    let receiver = Receiver::answering(Answer::Status(202));
    let file = TestFile::with("short");
    let config = Config { retry: retries(0), ..signing("http://memory/", "http://memory", &file) };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!((receiver.requests().len(), bench.verdicts()), (0, vec![Verdict::ReceiverUnreachable]));
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="credentials_not_available",scheme="event"} 1"#,
    );
}

/// A token server on this host. Its answer number n is a token named tn, or an error.
struct TokenServer {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    fn start(status: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut request) = (stream.unwrap(), Vec::new());
                let mut buffer = [0; 4096];
                // The form is the last part of the request.
                while !String::from_utf8_lossy(&request).contains("scope=") {
                    let length = stream.read(&mut buffer).unwrap();
                    request.extend(&buffer[..length]);
                }
                let number = {
                    let mut seen = seen.lock();
                    seen.push(String::from_utf8(request).unwrap());
                    seen.len()
                };
                let body =
                    format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":3600}}"#);
                let head = format!(
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        Self { url, requests }
    }

    fn config(&self, secret: &TestFile) -> Config {
        let oauth2 = OAuth2Config {
            token_url: self.url.clone(),
            client_id: "talaria".to_owned(),
            client_secret_file: secret.0.clone(),
            scopes: vec!["events".to_owned()],
        };
        let credentials = vec![CredentialsConfig {
            at: UrlPrefix::parse("http://memory").unwrap(),
            signature: None,
            tls: None,
            oauth2: Some(oauth2),
        }];
        let auth_key = Some(AuthKey::new("a2V5").unwrap());
        Config { credentials, auth_key, retry: retries(0), ..config("http://memory/") }
    }
}

#[tokio::test]
async fn one_token_is_fetched_for_all_events_and_another_when_it_is_refused() {
    let receiver = Receiver::new(|request, _| {
        let is_refused = request.body == b"refused" && header(request, "authorization") == Some("Bearer t1");
        Answer::Status(if is_refused { 401 } else { 202 })
    });
    let (server, secret) = (TokenServer::start("200 OK"), TestFile::with("s3cret\n"));
    let bench = Bench::in_memory(&server.config(&secret), [("memory", receiver.clone())]);
    for _ in 0..20 {
        bench.send("event:iot/x", "body");
    }
    bench.drained().await;
    assert_eq!(bench.verdicts(), [DELIVERED; 20]);
    assert!(receiver.requests().iter().all(|request| header(request, "authorization") == Some("Bearer t1")));
    {
        let requests = server.requests.lock();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].contains(&STANDARD.encode("talaria:s3cret")), "{}", requests[0]);
        assert!(requests[0].ends_with("grant_type=client_credentials&scope=events"), "{}", requests[0]);
    }
    bench.send("event:iot/x", "refused");
    bench.drained().await;
    assert_eq!((bench.verdicts(), server.requests.lock().len()), (vec![DELIVERED; 21], 2));
    assert_eq!(header(receiver.requests().last().unwrap(), "authorization"), Some("Bearer t2"));
}

/// All of them had been sent with the same token.
#[tokio::test]
async fn events_under_way_with_a_token_that_is_refused_are_all_sent_once_more() {
    let _stopped = StoppedTime::new();
    for depth in [1, 8] {
        let receiver = Receiver::new(|request, number| {
            let is_refused = number > 1 && header(request, "authorization") == Some("Bearer t1");
            Answer::Status(if is_refused { 401 } else { 202 })
        });
        let (server, secret) = (TokenServer::start("200 OK"), TestFile::with("s3cret"));
        let pipeline = PipelineDepth::new(depth).unwrap();
        let config = Config { pipeline, ..server.config(&secret) };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        for events in [1, 4] {
            for _ in 0..events {
                bench.send("event:iot/x", "body");
            }
            bench.drained().await;
        }
        assert_eq!(bench.verdicts(), [DELIVERED; 5]);
        assert_eq!(server.requests.lock().len(), 2);
        if depth > 1 {
            assert_eq!(receiver.requests().len(), 1 + 4 + 4);
            bench.assert_metric("outbound_pipelined_requests 4");
        }
    }
}

#[tokio::test]
async fn events_in_one_packet_have_each_their_own_signature() {
    let _stopped = StoppedTime::new();
    let receiver = Receiver::answering(Answer::Status(202));
    let file = TestFile::with(OLD);
    let pipeline = PipelineDepth::new(8).unwrap();
    let config = Config { pipeline, ..signing("http://memory/", "http://memory", &file) };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    for bodies in [vec!["0"], vec!["1", "2", "3"]] {
        bodies.into_iter().for_each(|body| bench.send("event:iot/x", body));
        bench.drained().await;
    }
    bench.assert_metric("outbound_pipelined_requests 3");
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| signed_by(request, &[OLD, NEW]) == [OLD]));
    let ids: std::collections::HashSet<_> =
        requests[1..].iter().map(|request| header(request, "webhook-id").unwrap()).collect();
    assert_eq!((requests.len(), ids.len()), (4, 3));
}

#[tokio::test]
async fn without_a_token_no_event_is_sent_and_the_token_server_is_not_asked_by_each() {
    let receiver = Receiver::answering(Answer::Status(202));
    let (server, secret) = (TokenServer::start("500 Internal Server Error"), TestFile::with("s3cret"));
    let bench = Bench::in_memory(&server.config(&secret), [("memory", receiver.clone())]);
    for _ in 0..20 {
        bench.send("event:iot/x", "body");
    }
    bench.drained().await;
    assert_eq!(receiver.requests().len(), 0);
    assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable; 20]);
    assert!(server.requests.lock().len() <= 2, "{} requests", server.requests.lock().len());
}
