# The commands for working on this repository: `just` lists them. CI (`.ci/run`) runs those in `ci_recipes`.

set positional-arguments

# `just prepare` installs tools there.
export PATH := justfile_directory() / ".tools/bin:" + env("PATH")

# The recipes treat warnings as errors, as CI does; a plain `cargo build` does not.
deny_warnings := "-D warnings"

# The recipes that CI runs, in this order. The tests are last, so that their summaries are at the end of its output.
ci_recipes := "fmt-check deny crates lint doc instructions fuzz smoke guides alerts unit" + long_recipes + " test-all"
long_recipes := if env("TALARIA_LONG_TESTS", "") == "" { "" } else { " reproducible" }

[private]
default:
    @just --list --unsorted

# Run the gateway with simulated devices, an event receiver and a Kafka, in one process: `just demo --for 20s`
demo *args:
    cargo run --release --package talaria -- demo "$@"

# Run all tests. Without Java and Maven those on a real Kafka print SKIPPED, and without Go those with Go's clients of a fleet;
# with TALARIA_REQUIRE_KAFKA=1 and TALARIA_REQUIRE_GO=1 they fail
test *args:
    cargo test --workspace --all-features "$@"

# Run the contract's vectors; from other folders: `WRP_VECTORS=a:b just vectors`
vectors:
    cargo test --workspace --all-features vectors -- --nocapture

# Check the project's own rules: layers, citations, dependencies, names
tidy *args:
    cargo test --package tidy "$@"

# Do what CI does
ci:
    .ci/run

# Format all code
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# Check that all code is formatted
fmt-check:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check

# Run clippy on all code, and check the syntax of the scripts
lint:
    for script in scripts/jvm.sh $(grep -lsE '^#!.*bash' scripts/* scripts/*.d/* .ci/run); do bash -n "$script"; done
    cargo clippy --workspace --all-targets --all-features -- {{ deny_warnings }}
    cargo clippy --manifest-path fuzz/Cargo.toml --locked --bins --examples -- {{ deny_warnings }}

# Build the documentation; warnings and broken links are errors
doc *args:
    RUSTDOCFLAGS="{{ deny_warnings }}" cargo doc --workspace --no-deps "$@"

# Check which TLS versions and ciphers a running gateway accepts: `just check-tls localhost:6200 --ca ca.pem`
check-tls *args:
    scripts/check-tls "$@"

# Licences, sources, banned crates and (if TALARIA_ADVISORY_DB names a clone of the RustSec database) advisories
deny:
    scripts/deny

# Run all tests, with none skipped
test-all:
    TALARIA_REQUIRE_KAFKA=1 TALARIA_REQUIRE_GO=1 cargo test --workspace --all-features

# Build a release from two clones and compare the binaries: half an hour. With TALARIA_LONG_TESTS=1 CI does it as well
reproducible:
    scripts/release --check

# Check that the libraries `wrp` and `wrpkafka` can be published: `just crates [--build | --program]`
crates *args:
    scripts/crates "$@"

# Run all fuzz targets, which share a hundred seconds of one core, or some of them for longer: `just fuzz 600 websocket`
fuzz seconds="" *targets:
    scripts/fuzz "$@"

# Run the Autobahn|Testsuite against a gateway: `just autobahn [--cases '5.*,7.*'] [binary]`; needs a Python 2.7
autobahn *args:
    scripts/autobahn "$@"

# Run Wycheproof's vectors on keys and signatures of tokens and print the numbers; on whole tokens too, if TALARIA_WYCHEPROOF names a clone
wycheproof:
    cargo test --package talaria-protocol --test wycheproof -- --nocapture

# Run the benchmarks: `just bench --package wrp`
bench *args:
    cargo bench --workspace "$@"

# Count what an event, a request and a connect cost: allocations, and of a program built for a release also instructions and system
# calls: `just count [target/release/talaria]`; with UPDATE=1 it writes testdata/counts
count *args:
    scripts/count "$@"

# Count the instructions of the work on the bytes of messages; three percent more than in testdata/counts is an error, UPDATE=1 writes it.
# Needs valgrind
instructions:
    scripts/instructions

# Run the demo for 10 s; nothing may be lost. Not with --release, which would take CI eight minutes more
smoke:
    cargo run --package talaria -- demo --for 10s

# Run the commands of the README and the quick start with a real Kafka, or those of all guides: `just guides --all`
guides *args:
    scripts/guides "$@"

# Try what a new user does in the first hour, in a bare Debian, and print the minutes: `just first-hour [--binaries FOLDER] [STEP…]`; needs
# root and debootstrap, and half an hour
first-hour *args:
    scripts/first-hour "$@"

# Make a book of docs/ in target/book; needs mdbook (`cargo install mdbook`)
book:
    mdbook build

# Check the alerts and the dashboard in deploy/, also with the metrics of a run with faults: `just alerts [binary]`
alerts *args:
    scripts/alerts "$@"

# Check what deploy/ has for systemd: the unit and what it exposes, the user, the directories, the kernel settings; needs root
unit:
    scripts/unit
    cargo run --package talaria -- config --check --file deploy/config/talaria.yaml

# Run the files of the image that the Dockerfile describes, without a container engine: `just image [binary]`; needs root
image *args:
    scripts/image "$@"

# Test the Debian package from its installation to its purge, in a Debian with systemd: `just package [binary [talaria-sim]]`; needs
# root, cargo-deb and debootstrap
package *args:
    scripts/package "$@"

# Check the Helm chart: `just chart [--update]`; needs helm, which `just chart --install` compiles in some minutes
chart *args:
    scripts/chart "$@"

# Run a real Apache Kafka: `just kafka start --topic wrp-events:12`, `just kafka read wrp-events`, `just kafka stop`
kafka *args:
    scripts/kafka "$@"

# Run a real schema registry: `just registry start`, `just registry read localhost:9092 wrp-events --format avro`, `just registry stop`
registry *args:
    scripts/registry "$@"

# Install what the recipes need in addition to Rust
prepare:
    scripts/prepare
