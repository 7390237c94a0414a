//! Redirects, which are followed for configured URLs only (contract §5.7).

use super::*;

fn authorization(request: &Received) -> Option<&str> {
    request.headers.iter().find(|(name, _)| name == "Authorization").map(|(_, value)| value.as_str())
}

/// A configuration with a key, that follows redirects to both schemes.
fn with_key(url: &str) -> Config {
    Config {
        auth_key: Some(AuthKey::new("a2V5").unwrap()),
        allowed_schemes: vec!["http".to_owned(), "https".to_owned()],
        ..config(url)
    }
}

#[tokio::test(start_paused = true)]
async fn a_temporary_or_permanent_redirect_posts_the_event_again_without_the_key_of_another_origin() {
    for status in [307, 308] {
        for (url, key) in [
            ("http://second/there?a=b", None),
            ("https://first/there?a=b", None),
            ("http://first:81/there?a=b", None),
            ("/there?a=b", Some("Basic a2V5")),
            ("http://FIRST:80/there?a=b", Some("Basic a2V5")),
        ] {
            let answer = Answer::Redirect(status, url.to_owned());
            let receiver =
                Receiver::new(
                    move |request, _| {
                        if request.path == "/" { answer.clone() } else { Answer::Status(202) }
                    },
                );
            let bench = Bench::in_memory(&with_key("http://first/"), [("*", receiver.clone())]);
            bench.send("event:iot/x", "body");
            bench.drained().await;
            let [_, there] = &receiver.requests()[..] else { panic!("{:?}", receiver.requests()) };
            assert_eq!((&*there.method, &*there.path, &there.body[..]), ("POST", "/there?a=b", &b"body"[..]));
            assert_eq!(authorization(there), key, "{url}");
            assert_eq!(bench.verdicts(), [DELIVERED]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_withheld_once_is_not_sent_again() {
    let receiver = Receiver::new(|request, _| match &*request.path {
        "/" => Answer::Redirect(307, "http://second/a".to_owned()),
        "/a" => Answer::Redirect(307, "http://first/b".to_owned()),
        _ => Answer::Status(202),
    });
    let bench = Bench::in_memory(&with_key("http://first/"), [("*", receiver.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    let keys: Vec<bool> =
        receiver.requests().iter().map(|request| authorization(request).is_some()).collect();
    assert_eq!(keys, [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn every_other_redirect_is_a_refusal() {
    for (status, url) in [
        (301, "http://second/"),
        (302, "http://second/"),
        (303, "http://second/"),
        (300, "http://second/"),
        (307, "https://second/"),
        (308, "ftp://second/"),
    ] {
        let first = Receiver::answering(Answer::Redirect(status, url.to_owned()));
        let second = Receiver::answering(Answer::Status(202));
        let config = Config { allowed_schemes: vec!["http".to_owned()], ..config("http://first/") };
        let bench = Bench::in_memory(&config, [("first", first.clone()), ("second", second.clone())]);
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!((first.requests().len(), second.requests().len()), (1, 0), "{status} to {url}");
        assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused]);
        bench.assert_metric(&format!(
            r#"outbound_dropped_messages{{code="{status}",reason="non202",scheme="event"}} 1"#
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_that_never_end_are_given_up() {
    let receiver = Receiver::answering(Answer::Redirect(307, "/again".to_owned()));
    let bench = Bench::in_memory(&with_key("http://memory/"), [("memory", receiver.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!(receiver.requests().len(), 11);
    assert_eq!(bench.verdicts(), [Verdict::NoRoute]);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_without_a_location_is_an_answer_like_any_other() {
    let receiver = Receiver::answering(Answer::Status(307));
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused]);
}
