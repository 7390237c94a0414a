//! Passes to the text of `talaria --version` (`cli.rs`) what made this build: the compiler as `BUILD_RUSTC`, the commit as
//! `BUILD_COMMIT`, and the commit's time as `BUILD_TIME`.
//!
//! The time is that of the commit, not of the build, so that two builds of one commit are equal. Who builds without a clone
//! sets `BUILD_COMMIT` and `BUILD_TIME`. A build for debugging has neither: each commit would compile the crate again. The names
//! do not begin with `TALARIA_`: cargo passes its environment on to the programs it runs, and the gateway would read such
//! variables as configuration.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo passes the compiler and the profile in the environment"
)]

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=BUILD_COMMIT");
    println!("cargo:rerun-if-env-changed=BUILD_TIME");
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    pass("BUILD_RUSTC", output(&compiler, &["--version"]));
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        rerun_at_a_change();
        // A commit with changes that are not committed is not that commit.
        pass(
            "BUILD_COMMIT",
            output("git", &["describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]),
        );
        let time = ["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"];
        pass("BUILD_TIME", output("git", &time));
    }
}

/// Sets a variable for the compilation, unless the environment has it already.
fn pass(name: &str, value: Option<String>) {
    if let (None, Some(value)) = (env::var_os(name), value) {
        println!("cargo:rustc-env={name}={value}");
    }
}

/// At a commit, at a change of the branch, and at a change of the sources that is not committed.
fn rerun_at_a_change() {
    println!("cargo:rerun-if-changed=..");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) =
            output("git", &["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists())
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

/// What a program prints, in one line. `None` if it is missing or fails.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
