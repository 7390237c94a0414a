//! The command line of the binary (contract §9.2).

use std::path::Path;
use std::process::Command;

/// The exit code, the standard output and the standard error.
fn talaria(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_talaria")).args(arguments).env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_wrong_command_line_exits_with_64_and_says_what_is_wrong() {
    for (arguments, problem) in [
        (&["--fiel", "x"][..], "unexpected argument '--fiel'"),
        (&["config"], "required"),
        (&["config", "--print", "--check"], "cannot be used with"),
        (&["--file", "x", "config", "--schema"], "reads no configuration file: leave --file out"),
        (&["completions", "tcsh"], "invalid value 'tcsh'"),
        (&["unknown"], "unrecognized subcommand 'unknown'"),
    ] {
        let (code, _, error) = talaria(arguments);
        assert_eq!(code, Some(64), "{arguments:?}: {error}");
        assert!(error.contains(problem), "{arguments:?}: {error}");
    }
}

#[test]
fn the_version_is_printed_even_if_nothing_else_is_right() {
    for option in ["-v", "-V", "--version"] {
        let (code, version, _) = talaria(&["--file", "/absent", option]);
        assert_eq!(code, Some(0));
        assert!(version.starts_with("talaria:\n  version: \t"), "{version}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_binary() {
    for (shell, part) in
        [("bash", "complete -F _talaria"), ("zsh", "#compdef talaria"), ("fish", "complete -c talaria")]
    {
        let (code, script, _) = talaria(&["completions", shell]);
        assert_eq!(code, Some(0));
        assert!(script.contains(part), "{script}");
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("man-{}", std::process::id()));
    let name = folder.to_str().unwrap();
    let (code, _, error) = talaria(&["man", name]);
    assert_eq!(
        (code, error.contains(&format!("cannot write the manual pages to {name}: "))),
        (Some(1), true),
        "{error}"
    );
    std::fs::create_dir_all(&folder).unwrap();
    assert_eq!(talaria(&["man", name]).0, Some(0));
    for (page, part) in [("talaria.1", "device gateway"), ("talaria-config.1", "JSON Schema")] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(part), "{page}: {text}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
