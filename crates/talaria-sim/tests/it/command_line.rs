//! The command line of the binary. A wrong one is not mistaken for a measurement that found losses.

use std::process::Command;

#[test]
fn a_wrong_command_line_exits_with_64_and_says_what_is_wrong() {
    for (arguments, problem) in [
        (&["bench"][..], "required"),
        (&["receiver", "--latency", "50"], "expected a duration with a unit, such as 30s, 500ms or 1m30s"),
        (&["devices", "--for=-1s"], "expected a duration with a unit"),
        (&["bench", "--spawn", "talaria", "--pid", "1"], "cannot be used with"),
        (&["bench", "--spawn", "talaria", "--row", "event"], "the rows are idle, "),
        (&["bench", "--spawn", "talaria", "--against", "before"], "required"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_talaria-sim")).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {error}");
        assert!(error.contains(problem), "{arguments:?}: {error}");
    }
}
