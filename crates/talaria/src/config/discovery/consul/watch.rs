//! Reads a watch and its `queryOptions`.

use std::time::Duration;

use super::super::super::read::{Section, Setting as _};
use super::super::entries::read_token;
use crate::discovery::consul::Watch;

/// Reads a watch.
pub(super) fn read(section: &Section<'_>) -> Option<Watch> {
    let mut watch = Watch::default();
    section.read("service", &mut watch.service);
    section.read("tags", &mut watch.tags);
    section.read("passingOnly", &mut watch.passing_only);
    section.read("crossDatacenter", &mut watch.cross_datacenter);
    read_query(&section.section("queryOptions"), &mut watch);
    if watch.service.is_empty() {
        section.fault("service", "is absent, expected the name of a service, such as talaria");
        return None;
    }
    Some(watch)
}

fn read_query(section: &Section<'_>, watch: &mut Watch) {
    section.read("datacenter", &mut watch.datacenter);
    for (key, name) in [
        ("namespace", "ns"),
        ("partition", "partition"),
        ("samenessGroup", "sameness-group"),
        ("peer", "peer"),
        ("near", "near"),
        ("filter", "filter"),
    ] {
        let mut text = String::new();
        section.read(key, &mut text);
        if !text.is_empty() {
            watch.parameters.push((name, text));
        }
    }
    let flag = |key: &str| {
        let mut flag = false;
        section.read(key, &mut flag);
        flag
    };
    let is_consistent = flag("requireConsistent");
    for (is_set, name) in [
        (flag("allowStale"), "stale"),
        (is_consistent, "consistent"),
        (flag("mergeCentralConfig"), "merge-central-config"),
        (flag("useCache") && !is_consistent, "cached"),
    ] {
        if is_set {
            watch.parameters.push((name, String::new()));
        }
    }
    for (name, value) in section.section("nodeMeta").entries() {
        watch
            .parameters
            .push(("node-meta", format!("{name}:{}", String::read(value.value()).unwrap_or_default())));
    }
    let seconds = |key: &str| {
        let mut time = Duration::ZERO;
        section.read_timeout(key, &mut time);
        time.as_secs()
    };
    if watch.parameters.iter().any(|(name, _)| *name == "cached") {
        let ages = [("max-age", seconds("maxAge")), ("stale-if-error", seconds("staleIfError"))];
        let control: Vec<String> =
            ages.iter().filter(|(_, age)| *age > 0).map(|(name, age)| format!("{name}={age}")).collect();
        watch.cache_control = Some(control.join(", "));
    }
    let mut wait = Duration::ZERO;
    section.read_timeout("waitTime", &mut wait);
    watch.wait_time = (!wait.is_zero()).then_some(wait);
    watch.token = read_token(section, "token", "tokenFile");
}
