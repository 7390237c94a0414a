//! The Go program of `tests/fleet-client`: HashiCorp's own client of Consul and go-kit's instancers.
//!
//! It is built once, with the modules that its `go.sum` names. Without Go the tests that need it print `SKIPPED`; with
//! `TALARIA_REQUIRE_GO=1` they fail.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value as Json;

/// The program. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct FleetClient(&'static Path);

static BUILT: LazyLock<Result<PathBuf, String>> = LazyLock::new(build);

impl FleetClient {
    /// The program; `None` where there is no Go, which has been said loudly then.
    #[expect(clippy::disallowed_methods, reason = "the variable is for the tests, not a setting")]
    pub(crate) async fn get() -> Option<Self> {
        let built = tokio::task::spawn_blocking(|| BUILT.as_ref()).await.unwrap();
        match built {
            Ok(path) => Some(Self(path)),
            Err(missing) => {
                assert!(
                    std::env::var_os("TALARIA_REQUIRE_GO").is_none(),
                    "TALARIA_REQUIRE_GO is set: {missing}"
                );
                // To stderr itself: the test harness would capture what `eprintln!` prints in a test that passes.
                _ = writeln!(std::io::stderr(), "\nSKIPPED: the tests with Go's clients: {missing}");
                None
            }
        }
    }

    /// Runs a command and returns what it printed, a value for each line.
    pub(crate) async fn run(self, arguments: &[&str]) -> Vec<Json> {
        let mut command = Command::new(self.0);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet-client");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fleet-client");
    let mut go = Command::new("go");
    go.current_dir(source).args(["build", "-o"]).arg(&program).arg(".");
    match go.output() {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("go: {error}")),
    }
}
