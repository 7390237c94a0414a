//! What the fuzzers run, and what must hold for any bytes.
//!
//! Each module but the first three is one target: `cargo fuzz run websocket` calls [`websocket::run`], and so on. `just
//! fuzz` runs all of them on the stable toolchain, as CI does. A finding becomes a named file in `corpus/`, which every
//! later run replays, and a test beside the code that it was found in.
//!
//! Every target holds the code under test to a bound in memory ([`allocation`]) and in time ([`cost`]), both linear in
//! the length of the input. Inputs have up to 1 MiB; [`mutator`] makes the long ones.
//!
//! The code under test comes by path: `talaria-protocol`, `wrp`, and `wrpkafka` without its client. None of them does
//! any I/O. The whole gateway would bring librdkafka and OpenSSL, whose build with the fuzzer's flags takes CI minutes.

pub mod allocation;
pub mod cost;
pub mod mutator;

pub mod certificate;
pub mod control;
pub mod forwarded;
pub mod handshake;
pub mod hosts;
pub mod jwt;
pub mod locator;
pub mod message;
pub mod proxy_protocol;
pub mod receiver_answer;
pub mod routes;
pub mod smuggling;
pub mod url;
pub mod websocket;
pub mod zookeeper;

/// Makes a fuzz target of a module of this crate.
#[macro_export]
macro_rules! target {
    ($module:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| -> libfuzzer_sys::Corpus {
            $crate::$module::run(data);
            $crate::mutator::keeps(data)
        });
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutator::mutate(data, size, max_size, seed)
        });
    };
}
