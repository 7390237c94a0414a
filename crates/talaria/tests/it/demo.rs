//! The demo, as a newcomer runs it.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_talaria")).arg("demo").args(arguments).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

#[test]
fn a_demo_ends_by_itself_shows_plain_lines_and_loses_nothing() {
    let (output, text) = demo(&["--for", "4s", "--devices", "20", "--rate", "200"]);
    assert!(output.status.success(), "{text}");
    for part in
        ["with 20 devices", "/api/v2/devices", "kcat -b 127.0.0.1:", "  3s  online 20", "nothing was lost"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "no terminal, no escapes:\n{text}");
}
