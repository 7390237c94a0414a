//! Vectors: the sections with which the reference starts, and those with which it does not.

use crate::config::tests::load_text;

#[test]
fn vectors_http_dispatch_setup() {
    vectors::run("http_dispatch.json", |case| {
        let section = case.value["yaml"].as_str().unwrap_or_default();
        let loaded = load_text(&format!("device:\n  outbound:\n{section}"), &[]);
        match (loaded, case.value["setup_error"].as_str()) {
            (Ok(_), None) | (Err(_), Some(_)) => Ok(()),
            (Ok(_), Some(error)) => Err(format!("starts, though the reference says: {error}")),
            (Err(error), None) => Err(format!("does not start: {error}")),
        }
    });
}
