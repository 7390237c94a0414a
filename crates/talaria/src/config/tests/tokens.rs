//! How the checks of tokens are read.

use super::*;

/// contract §6.3
#[test]
fn tokens_are_checked_as_their_section_defines() {
    let text = "
failOpen: false
jwtValidator:
  config:
    resolve: {template: 'https://keys.example/{keyID}', timeout: 3s, maxKeys: 7}
    refresh:
      sources: [{uri: 'http://h/all', interval: 1h, jitter: 0.5}]
  leeway: {EXP: 10, NBF: 20s, IAT: '30'}
inbound: {jwt: {Config: {Resolve: {Template: 'http://h/{keyID}'}}}, throttle: {failures: 0}}
";
    let config = load_text(text, &[]).unwrap().config;
    assert!(!config.device_auth.fail_open);
    let jwt = config.device_auth.jwt.unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(
        (jwt.required.leeway.exp, jwt.required.leeway.nbf, jwt.required.leeway.iat),
        (seconds(10), seconds(20), seconds(30))
    );
    assert_eq!(jwt.keys.template.unwrap().to_string(), "https://keys.example/{keyID}");
    assert_eq!((jwt.keys.timeout, jwt.keys.max_keys), (seconds(3), 7));
    assert_eq!(jwt.keys.max_age, seconds(24 * 3600));
    let source = &jwt.keys.sources[0];
    assert_eq!((source.interval, source.min_interval, source.jitter), (seconds(3600), seconds(600), 0.5));
    assert!(config.api.auth.tokens.is_some());
    assert_eq!(config.api.auth.attempts.failures, None);
}

/// contract §2.3
#[test]
fn without_a_section_no_tokens_are_checked_and_fail_open_false_is_warned_of() {
    for text in ["failOpen: false", "failOpen: false\njwtValidator: {}", "failOpen: false\njwtValidator:"] {
        let loaded = load_text(text, &[]).unwrap();
        assert_eq!(loaded.config.device_auth.jwt, None, "{text}");
        let warned = loaded.warnings.iter().any(|warning| warning.key == "failOpen");
        assert!(warned, "{:?}", loaded.warnings);
    }
}
