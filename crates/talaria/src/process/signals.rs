//! The signals of the process (contract §9.11, §14.30). Only SIGTERM, SIGINT and SIGQUIT end it, apart from those that tell
//! of a crash.
//!
//! SIGQUIT is left to the system, which ends the process at once and writes a core if it may.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that would end the process and have no meaning here: SIGUSR2, timers, limits and a failing power supply.
/// Realtime signals, from 34 on, are added to them.
const WITHOUT_MEANING: [i32; 9] = [
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// The signals that the process handles.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

/// What a signal requests.
pub(super) enum Request {
    /// Open the log files again, then read the configuration again.
    Reload,
    /// Open the log files again.
    ReopenLogs,
    /// Stop the gateway; holds the name of the signal, for the log.
    Stop(&'static str),
}

impl Signals {
    /// # Errors
    /// If a handler cannot be installed.
    pub(super) fn listen() -> io::Result<Self> {
        let signals = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        };
        for number in WITHOUT_MEANING.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
            // The handler stays installed, although nothing listens: tokio never removes one. A signal that the system keeps for
            // itself cannot be handled, and does not come: valgrind has one.
            drop(signal(SignalKind::from_raw(number)));
        }
        Ok(signals)
    }

    pub(super) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Request::Stop("SIGINT"),
            _ = self.hang_up.recv() => Request::Reload,
            _ = self.user.recv() => Request::ReopenLogs,
        }
    }
}
