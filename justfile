# Everything one does with this repository. `just` lists it; `.ci/run` calls it.

set positional-arguments

# The tools that `just prepare` installs.
export PATH := justfile_directory() / ".tools/bin:" + env("PATH")

# Warnings are errors here as in CI; a plain `cargo build` stays lenient.
deny_warnings := "-D warnings"

# What CI checks, in this order: the tests last, so that their summaries end its output.
ci_recipes := "fmt-check deny lint doc fuzz smoke test-all"

[private]
default:
    @just --list --unsorted

# The whole gateway in one process, with devices, an event receiver and a Kafka: `just demo --for 20s`
demo *args:
    cargo run --release --package talaria -- demo "$@"

# All tests. A missing Java or Maven skips those on the real Kafka, and says so; TALARIA_REQUIRE_KAFKA=1 makes that a failure
test *args:
    cargo test --workspace --all-features "$@"

# The contract's vectors; other folders of them: `WRP_VECTORS=a:b just vectors`
vectors:
    cargo test --workspace --all-features vectors -- --nocapture

# The project's own rules: layers, citations, dependencies, names. They are tests like the others
tidy *args:
    cargo test --package tidy "$@"

# What CI does, on this machine
ci:
    .ci/run

# Format
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# Check the format
fmt-check:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check

# Clippy on everything that compiles, scripts included
lint:
    for script in scripts/deny scripts/fuzz scripts/kafka scripts/registry scripts/jvm.sh scripts/prepare scripts/check-tls .ci/run; do bash -n "$script"; done
    cargo clippy --workspace --all-targets --all-features -- {{ deny_warnings }}
    cargo clippy --manifest-path fuzz/Cargo.toml --locked --bins --examples -- {{ deny_warnings }}

# The documentation, warnings and broken links are errors
doc *args:
    RUSTDOCFLAGS="{{ deny_warnings }}" cargo doc --workspace --no-deps "$@"

# What a TLS server of a running gateway speaks: `just check-tls localhost:6200 --ca ca.pem`
check-tls *args:
    scripts/check-tls "$@"

# Licences, sources, banned crates and (if TALARIA_ADVISORY_DB names a clone of the RustSec database) advisories
deny:
    scripts/deny

# All tests, none skipped
test-all:
    TALARIA_REQUIRE_KAFKA=1 cargo test --workspace --all-features

# Every fuzz target for so many seconds, two at a time; some of them only: `just fuzz 600 websocket`
fuzz seconds="60" *targets:
    scripts/fuzz "$@"

# Benchmarks: `just bench --package wrp`
bench *args:
    cargo bench --workspace "$@"

# A short demo: nothing may be lost. As the tests build it: the optimised binary would take CI eight minutes more
smoke:
    cargo run --package talaria -- demo --for 10s

# A real Apache Kafka: `just kafka start --topic wrp-events:12`, `just kafka read wrp-events`, `just kafka stop`
kafka *args:
    scripts/kafka "$@"

# A real schema registry: `just registry start`, `just registry read localhost:9092 wrp-events --format avro`, `just registry stop`
registry *args:
    scripts/registry "$@"

# Install what the recipes need beside Rust and a C and C++ toolchain
prepare:
    scripts/prepare
