//! Device ids and locators, of both versions: any text.

use wrp::{DeviceId, Locator};

use crate::cost::Cost;

static LOCATOR: Cost = Cost::measured("locator", 30);
static DEVICE_ID: Cost = Cost::measured("device id", 45);

/// One input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    device_id(text);
    if let Ok(locator) = LOCATOR.hold(text.len(), || Locator::parse_v3(text)) {
        is_consistent(&locator);
    }
    let v5 = LOCATOR.hold(text.len(), || Locator::parse_v5(text));
    match &v5 {
        Ok(locator) => {
            is_consistent(locator);
            assert_eq!(wrp::event_type(text), locator.event_type());
            let printed = locator.to_string();
            let again = Locator::parse_v5(&printed).expect("a locator's text is a locator");
            assert_eq!(again.scheme, locator.scheme);
            assert_eq!(again.authority, locator.authority);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn device_id(text: &str) {
    let ids = DEVICE_ID.hold(text.len(), || [text.parse::<DeviceId>().ok(), DeviceId::parse_v5(text).ok()]);
    for id in ids.into_iter().flatten() {
        assert!(id.as_str().starts_with(id.scheme().as_str()));
        assert!(id.as_str().ends_with(id.id()));
    }
    if let Ok(id) = text.parse::<DeviceId>() {
        assert_eq!(id.as_str().parse(), Ok(id.clone()), "a canonical id is itself");
    }
    if let Ok(id) = DeviceId::parse_v5(text) {
        assert_eq!(DeviceId::parse_v5(id.as_str()), Ok(id.clone()), "a canonical id is itself");
    }
}

fn is_consistent(locator: &Locator<'_>) {
    assert!(locator.ignored.is_empty() || locator.ignored.starts_with('/'), "{locator:?}");
    if let Some(device) = locator.device_id() {
        assert!(locator.names(&device), "{locator:?} is not {device:?}");
    }
}
