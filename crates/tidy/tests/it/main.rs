//! The rules of this repository that neither the compiler nor clippy can check. Every rule is a test that reads the
//! files as text, and fails with a list of `file:line: what is wrong, and what to do`.
//!
//! `reading` turns files into something that can be asked: Rust sources split into code, comments and literals, the
//! modules of a crate and what they import, manifests, headings. `rules` holds one module for each group of rules;
//! start there. Nothing here parses Rust in full: the rules are written so that this is not needed.

mod findings;
mod reading;
mod rules;
