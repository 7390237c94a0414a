//! Key servers that are slow, down, lying or flooding, and keys that change (contract §6.3).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use talaria::auth::jwt::{Config, Validator};
use talaria::auth::keys::{self, KeyMetrics, Source};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::keys::{DocumentError, FetchError, KeyError};
use talaria_protocol::token::TokenError;

use crate::support::eventually;
use crate::support::tokens::{Answer, KeyServer, Signer};

const HOUR: Duration = Duration::from_secs(3600);

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn validator(keys: keys::Config) -> Validator {
    counted(keys, &Metrics::default())
}

fn counted(keys: keys::Config, metrics: &Metrics) -> Validator {
    let config = Config { keys, ..Config::default() };
    Validator::start(&config, &KeyMetrics::register(metrics))
}

fn at(template: &str) -> keys::Config {
    let template = Some(template.parse().unwrap());
    keys::Config { template, timeout: Duration::from_secs(5), ..keys::Config::default() }
}

fn token(signer: &Signer, kid: &str) -> String {
    signer.token(&json!({"alg": "ES256", "kid": kid}), &json!({"sub": "x"}))
}

fn key_error(outcome: Result<impl Sized, TokenError>) -> KeyError {
    match outcome.map(|_| ()) {
        Err(TokenError::Key(error)) => error,
        other => panic!("no key error: {other:?}"),
    }
}

#[tokio::test]
async fn a_thousand_who_wait_for_one_key_make_one_request() {
    let signer = Signer::new("ES256");
    let jwk = signer.jwk("x");
    let keys = KeyServer::start(move |_| Answer::json(&jwk).after(Duration::from_millis(300)));
    let validator = Arc::new(validator(at(&keys.template())));
    let token: Arc<str> = token(&signer, "k").into();
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let (validator, token) = (Arc::clone(&validator), Arc::clone(&token));
            tokio::spawn(async move { validator.validate(&token).await.is_ok() })
        })
        .collect();
    for waiter in waiting {
        assert!(waiter.await.unwrap());
    }
    assert_eq!(keys.asked(), ["/keys/k"]);
}

/// contract §10.12: a reload with other sources starts a validator in the place of the old one.
#[tokio::test]
async fn series_are_of_the_sources_in_use_only() {
    let signer = Signer::new("ES256");
    let jwk = signer.jwk("x");
    let keys = KeyServer::start(move |path| match path {
        "/old/known" | "/new/known" => Answer::json(&jwk),
        _ => Answer::status("404 Not Found"),
    });
    let metrics = Metrics::default();
    let sources = || -> BTreeSet<String> {
        let page = String::from_utf8(metrics.gather_text()).unwrap();
        let lines = page.lines().filter(|line| line.starts_with("keys_resolve"));
        lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let series = |family: &str, of: &str, key: &str| {
        format!("{family}{{keyID=\"{key}\",source=\"{}\"}}", keys.url(&format!("/{of}/{{keyID}}")))
    };
    let expected = |of| {
        [
            ("keys_resolve_total", "known"),
            ("keys_resolve_total", "other"),
            ("keys_resolve_error_total", "other"),
        ]
        .map(|(family, key)| series(family, of, key))
        .into()
    };
    for of in ["old", "new"] {
        let validator = counted(at(&keys.url(&format!("/{of}/{{keyID}}"))), &metrics);
        assert!(validator.validate(&token(&signer, "known")).await.is_ok());
        assert!(validator.validate(&token(&signer, "strange")).await.is_err());
        eventually("both are counted", PATIENCE, async || sources().len() == 3).await;
        assert_eq!(sources(), expected(of));
        drop(validator);
        eventually("no series is left", PATIENCE, async || sources().is_empty()).await;
    }
}

#[tokio::test]
async fn a_waiter_that_leaves_does_not_end_the_fetch_for_the_others() {
    let signer = Signer::new("ES256");
    let jwk = signer.jwk("x");
    let keys = KeyServer::start(move |_| Answer::json(&jwk).after(Duration::from_millis(200)));
    let validator = validator(at(&keys.template()));
    let token = token(&signer, "k");
    let first = tokio::time::timeout(Duration::from_millis(20), validator.validate(&token)).await;
    assert!(first.is_err(), "the first has left before the answer");
    assert!(validator.validate(&token).await.is_ok());
    assert_eq!(keys.asked().len(), 1);
}

#[tokio::test]
async fn a_key_server_that_does_not_answer_is_given_up_in_time() {
    let keys = KeyServer::start(|_| Answer::status("200 OK").after(Duration::from_secs(3)));
    let timeout = Duration::from_millis(200);
    let validator = validator(keys::Config { timeout, ..at(&keys.template()) });
    let begun = Instant::now();
    let error = key_error(validator.validate(&token(&Signer::new("ES256"), "k")).await);
    assert_eq!(error, FetchError::Timeout.into());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_key_server_that_is_down_locks_out_only_those_whose_key_is_not_known() {
    let (signer, other) = (Signer::new("ES256"), Signer::new("ES256"));
    let keys = KeyServer::of(&signer);
    let validator = validator(at(&keys.template()));
    assert!(validator.validate(&token(&signer, "known")).await.is_ok());
    drop(keys);
    let error = key_error(validator.validate(&token(&other, "unknown")).await);
    assert!(matches!(error, KeyError::Fetch(FetchError::Unreachable(_))), "{error}");
    assert!(validator.validate(&token(&signer, "known")).await.is_ok());
}

#[tokio::test]
async fn a_key_server_that_lies_gives_no_key() {
    let (signer, other) = (Signer::new("ES256"), Signer::new("ES256"));
    let (good, wrong) = (signer.jwk("x"), other.jwk("x"));
    let two = json!({"keys": [signer.jwk("a"), other.jwk("b")]});
    let keys = KeyServer::start(move |kid| match kid {
        "html" => Answer::ok("text/html", "<html>"),
        "typed-html" => Answer::ok("application/json", "<html>"),
        "garbage" => Answer::ok("application/json", [0xff; 100]),
        "empty" => Answer::ok("application/json", ""),
        "pem" => {
            Answer::ok("application/x-pem-file", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
        }
        "redirect" => Answer::status("302 Found\r\nLocation: /keys/good"),
        "created" => {
            Answer { head: "201 Created\r\nContent-Type: application/json".into(), ..Answer::json(&good) }
        }
        "error" => Answer::status("500 Internal Server Error"),
        "absent" => Answer::json(&two),
        "wrong" => Answer::json(&wrong),
        "short" => Answer { head: "200 OK\r\nContent-Length: 900".into(), ..Answer::json(&good) },
        "no-http" => Answer { head: "\0\0\0".to_owned(), ..Answer::json(&good) },
        _ => Answer::json(&good),
    });
    let validator = validator(at(&keys.template()));
    for (kid, expected) in [
        ("html", Some(DocumentError::ContentType.into())),
        ("typed-html", Some(DocumentError::Unreadable.into())),
        ("garbage", Some(DocumentError::Unreadable.into())),
        ("empty", Some(DocumentError::Unreadable.into())),
        ("redirect", Some(FetchError::Status(302).into())),
        ("created", Some(FetchError::Status(201).into())),
        ("error", Some(FetchError::Status(500).into())),
        ("absent", Some(DocumentError::Absent.into())),
        ("pem", None),
        ("short", None),
        ("no-http", None),
    ] {
        let error = key_error(validator.validate(&token(&signer, kid)).await);
        assert_eq!(*expected.as_ref().unwrap_or(&error), error, "{kid}");
    }
    assert!(matches!(validator.validate(&token(&signer, "wrong")).await, Err(TokenError::Signature)));
    assert!(!keys.asked().contains(&"/keys/good".to_owned()), "no redirect is followed");
    assert!(validator.validate(&token(&signer, "good")).await.is_ok());
}

#[tokio::test]
async fn a_document_without_end_is_cut_and_one_with_too_many_keys_refused() {
    let signer = Signer::new("ES256");
    let many = json!({"keys": vec![signer.jwk("many"); 300]});
    let keys = KeyServer::start(move |kid| match kid {
        "endless" => {
            let head = "200 OK\r\nContent-Type: application/json".to_owned();
            Answer { head, endless: true, ..Answer::ok("", "") }
        }
        "long" => Answer::ok("application/json", vec![b' '; 2 << 20]),
        _ => Answer::json(&many),
    });
    let validator = validator(at(&keys.template()));
    for (kid, expected) in [
        ("endless", KeyError::from(FetchError::TooLong)),
        ("long", FetchError::TooLong.into()),
        ("many", DocumentError::TooMany.into()),
    ] {
        assert_eq!(key_error(validator.validate(&token(&signer, kid)).await), expected, "{kid}");
    }
}

#[tokio::test]
async fn made_up_key_ids_are_asked_for_once_and_do_not_touch_known_keys() {
    let signer = Signer::new("ES256");
    let jwk = signer.jwk("x");
    let keys = KeyServer::start(move |kid| match kid {
        "good" => Answer::json(&jwk),
        _ => Answer::status("404 Not Found").after(Duration::from_millis(50)),
    });
    let validator = Arc::new(validator(at(&keys.template())));
    assert!(validator.validate(&token(&signer, "good")).await.is_ok());
    for _ in 0..10 {
        let error = key_error(validator.validate(&token(&signer, "made-up")).await);
        assert_eq!(error, FetchError::Status(404).into());
    }
    assert_eq!(keys.asked().len(), 2, "a failure stands for a while: {:?}", keys.asked());

    let flood: Vec<_> = (0..2000)
        .map(|number| {
            let (validator, token) = (Arc::clone(&validator), token(&signer, &format!("made-up-{number}")));
            tokio::spawn(async move { key_error(validator.validate(&token).await) })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(validator.validate(&token(&signer, "good")).await.is_ok());
    let mut turned_away = 0;
    for one in flood {
        turned_away += usize::from(one.await.unwrap() == KeyError::Busy);
    }
    assert!(turned_away >= 2000 - 256 - keys.asked().len(), "{turned_away}");
    assert!(keys.asked().len() < 1500, "{}", keys.asked().len());
    assert!(validator.validate(&token(&signer, "good")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_under_its_id_is_fetched_again_a_minute_later() {
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    let keys = KeyServer::of(&old);
    let validator = validator(at(&keys.template()));
    let (old_token, new_token) = (token(&old, ""), token(&new, ""));
    assert!(validator.validate(&old_token).await.is_ok());

    let jwk = new.jwk("x");
    keys.now_answers(move |_| Answer::json(&jwk));
    for _ in 0..20 {
        assert!(matches!(validator.validate(&new_token).await, Err(TokenError::Signature)));
    }
    assert_eq!(keys.asked().len(), 1, "bad signatures are no requests");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(validator.validate(&new_token).await.is_ok());
    assert!(matches!(validator.validate(&old_token).await, Err(TokenError::Signature)));
    assert_eq!(keys.asked(), ["/keys/current", "/keys/current"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_server_has_no_more_is_given_up_when_it_is_old() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let validator = validator(keys::Config { max_age: HOUR, ..at(&keys.template()) });
    let token = token(&signer, "k");
    assert!(validator.validate(&token).await.is_ok());

    keys.now_answers(|_| Answer::status("503 Service Unavailable"));
    tokio::time::advance(HOUR).await;
    assert!(validator.validate(&token).await.is_ok(), "used while it is fetched");
    until("the first failure", async || keys.asked().len() == 2).await;
    assert!(validator.validate(&token).await.is_ok(), "kept, as the server says nothing of the key");

    keys.now_answers(|_| Answer::status("404 Not Found"));
    tokio::time::advance(HOUR).await;
    until("the revocation", async || validator.validate(&token).await.is_err()).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_s_keys_are_replaced_by_what_it_says_next() {
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    let set = json!({"keys": [old.jwk("old"), new.jwk("both")]});
    let keys = KeyServer::start(move |_| Answer::json(&set));
    let (url, metrics) = (keys.url("/all.json"), Metrics::default());
    let source = Source { uri: url.parse().unwrap(), interval: HOUR, min_interval: HOUR / 2, jitter: 0.1 };
    let validator = counted(keys::Config { sources: vec![source], ..keys::Config::default() }, &metrics);
    // The first who ask wait for the first fetch.
    assert!(validator.validate(&token(&old, "old")).await.is_ok());
    assert!(validator.validate(&token(&new, "both")).await.is_ok());
    assert!(matches!(validator.validate(&token(&old, "both")).await, Err(TokenError::Signature)));
    assert_eq!(key_error(validator.validate(&token(&new, "new")).await), KeyError::Unknown);

    let set = json!({"keys": [new.jwk("new"), new.jwk("both")]});
    keys.now_answers(move |_| Answer::json(&set));
    until("the refresh", async || validator.validate(&token(&new, "new")).await.is_ok()).await;
    assert_eq!(key_error(validator.validate(&token(&old, "old")).await), KeyError::Unknown);

    keys.now_answers(|_| Answer::status("500 Internal Server Error"));
    let asked = keys.asked().len();
    until("a failed refresh", async || keys.asked().len() > asked).await;
    assert!(validator.validate(&token(&new, "new")).await.is_ok(), "the keys of last time stay");

    let counted = async || {
        let text = String::from_utf8(metrics.gather_text()).unwrap();
        text.contains(&format!("\nkeys_refresh_keys{{source=\"{url}\"}} 2\n"))
            && text.contains(&format!("\nkeys_refresh_total{{source=\"{url}\"}} "))
            && text.contains(&format!("\nkeys_refresh_error_total{{source=\"{url}\"}} "))
    };
    until("the metrics of contract §10.12", counted).await;
}

/// Lets the paused clock run until `condition` holds.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if condition().await {
            return;
        }
        // The clock stands still while a fetch is under way, and jumps otherwise.
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    panic!("it never came: {what}");
}
