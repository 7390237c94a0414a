//! Tests of what the headers mean, and of the decision.

use proptest::prelude::*;

use super::*;

const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn read(traceparent: &[u8]) -> Option<TraceContext> {
    TraceContext::read([traceparent], [])
}

#[test]
fn a_traceparent_is_written_as_it_was_read() {
    let context = read(PARENT).unwrap();
    assert_eq!(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(context.span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(context.sampling, Sampling::Sampled);
    assert_eq!(context.traceparent(), PARENT);
    let unsampled = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    assert_eq!(read(unsampled).unwrap().traceparent(), *unsampled);
}

#[test]
fn a_malformed_traceparent_is_as_good_as_none() {
    for malformed in [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(read(malformed.as_bytes()), None, "{malformed}");
    }
    assert_eq!(TraceContext::read([PARENT, PARENT], []), None, "two of them");
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let later = b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-what";
    assert_eq!(read(later).unwrap().traceparent(), PARENT, "and passed on as the known version");
}

#[test]
fn all_tracestates_are_one_list() {
    let state = |values: &[&str]| {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        TraceState::read(values).as_str().map(str::to_owned)
    };
    assert_eq!(state(&["a=1, b=2", "", "c/d@e=x y"]), Some("a=1,b=2,c/d@e=x y".to_owned()));
    assert_eq!(state(&[]), None);
    for malformed in ["a", "=1", "a=", "A=1", "a=1,b", "a=1\u{7f}", "a=b=c"] {
        assert_eq!(state(&["z=1", malformed]), None, "{malformed}");
    }
    let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    assert!(state(&[&many(32)]).is_some());
    assert_eq!(state(&[&many(33)]), None, "more members than allowed");
}

#[test]
fn a_tracestate_that_is_too_long_loses_its_end() {
    let long = format!("a=1,b={},c={},d=2", "x".repeat(250), "y".repeat(256));
    let state = TraceState::read([long.as_bytes()]);
    assert_eq!(state.as_str().unwrap(), format!("a=1,b={}", "x".repeat(250)));
    assert!(state.as_str().unwrap().len() <= MAX_STATE_BYTES);
}

#[test]
fn a_message_carries_a_context_in_its_headers() {
    let lines = [
        b"Other: x".as_slice(),
        b"TraceParent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
        b"tracestate : a=1",
    ];
    let context = TraceContext::of_message(lines.into_iter()).unwrap();
    assert_eq!((context.traceparent().as_slice(), context.state.as_str()), (PARENT, Some("a=1")));
    assert_eq!(lines.map(is_trace_line), [false, true, true]);
    assert!(!is_trace_line(b"traceparents: x") && !is_trace_line(b"traceparent"));
}

#[test]
fn the_decision_of_a_caller_holds_if_it_is_honored() {
    let sampled = read(PARENT).unwrap();
    let unsampled = TraceContext { sampling: Sampling::NotSampled, ..sampled.clone() };
    let honor = Sampler { parent: ParentRule::Honor, ratio: Ratio::NONE };
    assert!(honor.samples(&sampled) && !honor.samples(&unsampled) && !honor.samples_new(0));
    let ignore = |ratio| Sampler { parent: ParentRule::Ignore, ratio };
    assert!(ignore(Ratio::ALL).samples(&unsampled) && !ignore(Ratio::NONE).samples(&sampled));
    assert!(honor.records() && ignore(Ratio::ALL).records() && !ignore(Ratio::NONE).records());
}

#[test]
fn a_ratio_is_a_share_of_all_traces() {
    let share = |ratio: &str| {
        let sampler = Sampler { parent: ParentRule::Ignore, ratio: ratio.parse().unwrap() };
        // Evenly spread.
        (0..1000_u64).filter(|n| sampler.samples_new((2 * n + 1) * (u64::MAX / 2000))).count()
    };
    assert_eq!(["0", "0.01", "0.5", "1", "1e-3"].map(share), [0, 10, 500, 1000, 1]);
    for wrong in ["", "-0.1", "1.1", "NaN", "many"] {
        assert_eq!(wrong.parse::<Ratio>(), Err(RatioError), "{wrong}");
    }
    assert_eq!("1".parse(), Ok(Ratio::ALL));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_and_what_is_passed_on_is_read_again(
        parent in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,8})?",
        state in proptest::collection::vec(any::<u8>(), 0..1024),
    ) {
        if let Some(context) = TraceContext::read([parent.as_bytes()], [state.as_slice()]) {
            let again = context.state.as_str().unwrap_or_default().as_bytes();
            let again = TraceContext::read([context.traceparent().as_slice()], [again]);
            prop_assert_eq!(again, Some(context));
        }
    }
}
