//! `talaria config`, as its own process: what it prints, and its exit codes (contract §9.2).

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder with these files, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("config-{name}-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }

    /// Runs `talaria config` there, without any environment.
    fn config(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_talaria"));
        command.current_dir(&self.0).env_clear().arg("config").args(arguments).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn diff_lists_each_key_with_another_value_and_when_it_takes_effect_and_shows_no_secret() {
    let before = "region: one\ninbound: {authKey: dXNlcjpwYXNz}\n\
                  device: {outbound: {source: dns:a.example}, manager: {pingPeriod: 45s}}\n";
    let after = "region: two\ninbound: {authKey: YTpi}\n\
                 device: {outbound: {source: dns:a.example}, manager: {pingPeriod: 30s}}\n";
    let broken = "device: {manager: {pingPeriod: soon}}\n";
    let files = [("talaria.yaml", before), ("after.yaml", after), ("broken.yaml", broken)];
    let folder = Folder::with("diff", &files);

    let output = folder.config(&["--file", "./talaria.yaml", "--diff", "./after.yaml"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(
        lines,
        [
            "region: one → two (at the next start: every response carries it from the start on)",
            "device.manager.pingPeriod: 45s → 30s (at once)",
            "inbound.authKey: \"********\" → \"********\" (at once)",
        ]
    );

    let same = folder.config(&["--file", "./talaria.yaml", "--diff", "./talaria.yaml"]);
    assert_eq!((same.status.code(), stdout(&same)), (Some(0), "no key has another value\n"));

    let faulty = folder.config(&["--file", "./talaria.yaml", "--diff", "./broken.yaml"]);
    assert_eq!((faulty.status.code(), stdout(&faulty)), (Some(78), ""));
    assert!(stderr(&faulty).contains("device.manager.pingPeriod"), "{}", stderr(&faulty));
}

#[test]
fn schema_is_a_json_schema_that_takes_the_sample_and_no_misspelt_value() {
    let folder = Folder::with("schema", &[]);
    let output = folder.config(&["--schema"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let schema: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&serde_json::json!({"device": {"manager": {"pingPeriod": "45s"}}})));
    assert!(!validator.is_valid(&serde_json::json!({"device": {"manager": {"pingPeriod": "soon"}}})));
}

#[test]
fn docs_is_the_reference_page() {
    let folder = Folder::with("docs", &[]);
    let output = folder.config(&["--docs"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    assert!(stdout(&output) == fs::read_to_string(page).unwrap(), "docs/configuration.md is another page");
}
