//! Passes the compiler's version to the text of `talaria --version` (`cli.rs`), as `BUILD_RUSTC`.
//!
//! The commit and the time of a build are not determined here, because that would rebuild the crate with every commit:
//! the release script sets them as `BUILD_COMMIT` and `BUILD_TIME`. The names do not begin with `TALARIA_`: cargo
//! passes its environment on to the programs it runs, and the gateway would read such variables as configuration.

#![expect(clippy::disallowed_methods, reason = "cargo passes the compiler in the environment")]

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output().ok();
    if let Some(version) = version.and_then(|output| String::from_utf8(output.stdout).ok()) {
        println!("cargo:rustc-env=BUILD_RUSTC={}", version.trim());
    }
}
