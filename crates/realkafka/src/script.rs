//! Running the scripts of `scripts/`, which do the work of this crate.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

/// A script, by its name in `scripts/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script(pub(crate) &'static str);

impl Script {
    /// Whether the script can run on this machine. If not, prints `SKIPPED` and the reason.
    ///
    /// # Panics
    /// If it cannot run although `TALARIA_REQUIRE_KAFKA` is set.
    #[expect(clippy::disallowed_methods, reason = "the variable is for the tests, not a setting")]
    pub(crate) fn is_possible(self) -> bool {
        let Err(missing) = checked(&self.output(["fetch"])) else { return true };
        assert!(
            std::env::var_os("TALARIA_REQUIRE_KAFKA").is_none(),
            "TALARIA_REQUIRE_KAFKA is set: {missing}"
        );
        // To stderr itself: the test harness would capture what `eprintln!` prints in a test that passes.
        _ = writeln!(std::io::stderr(), "\nSKIPPED: the tests with a real {}: {missing}", self.0);
        false
    }

    /// Runs the script and returns its output.
    ///
    /// # Panics
    /// If it fails, with what it printed to stderr.
    pub(crate) fn run<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        checked(&self.output(arguments)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn output<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
        Command::new(scripts.join(self.0)).args(arguments).output().expect("the script starts")
    }
}

/// A name for an instance that no other instance on this machine has, beginning with `kind`.
pub(crate) fn instance(kind: &str) -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{kind}-{}-{number}", std::process::id())
}

fn checked(output: &Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
