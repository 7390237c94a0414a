//! Everything that is logged in this process, for tests that read it.
//!
//! The subscriber is global, because the client logs from threads of its own. So the log also has the lines of tests that
//! run at the same time: a test must look for lines that only it can have caused.

use std::io;
use std::sync::LazyLock;

use parking_lot::Mutex;

/// The log since the last [`start`].
pub(crate) static LOG: Log = Log(Mutex::new(Vec::new()));

pub(crate) struct Log(Mutex<Vec<u8>>);

/// Records the log from now on, at level DEBUG.
pub(crate) fn start() {
    static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(|| &LOG)
            .init();
    });
    LazyLock::force(&SUBSCRIBER);
    LOG.0.lock().clear();
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    /// Whether one line contains both texts.
    pub(crate) fn has_line(&self, one: &str, other: &str) -> bool {
        self.text().lines().any(|line| line.contains(one) && line.contains(other))
    }
}

impl io::Write for &Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
