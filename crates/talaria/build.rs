//! Tells the version text which compiler made the gateway. Commit and time come from whoever builds a release, in
//! `BUILD_COMMIT` and `BUILD_TIME`: looking for them here would rebuild the crate with every commit. The names do not begin
//! with `TALARIA_`, since cargo hands them on to what it runs, and the gateway would take them for configuration.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output().ok();
    if let Some(version) = version.and_then(|output| String::from_utf8(output.stdout).ok()) {
        println!("cargo:rustc-env=BUILD_RUSTC={}", version.trim());
    }
}
