//! One output of the log: a bounded queue and the thread that empties it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::{Error, Output};

/// The bounds of an output's queue, in lines and in bytes.
const MAX_LINES: usize = 16 * 1024;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// An output and its thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Queue,
    /// Disconnects when the thread has ended.
    ended: Receiver<()>,
}

/// The way to an output's thread.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    lines: SyncSender<Entry>,
    fill: Arc<Fill>,
}

#[derive(Debug, Default)]
struct Fill {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Entry {
    Line(Bytes),
    Stop,
}

impl Writer {
    pub(super) fn start(output: &Output) -> Result<Self, Error> {
        let to: Box<dyn Write + Send> = match output {
            Output::Stdout => Box::new(io::stdout()),
            Output::Stderr => Box::new(io::stderr()),
            Output::File(path) => match OpenOptions::new().append(true).create(true).open(path) {
                Ok(file) => Box::new(file),
                Err(source) => return Err(Error::Open { path: path.clone(), source }),
            },
        };
        Self::start_with(to)
    }

    fn start_with(to: Box<dyn Write + Send>) -> Result<Self, Error> {
        let (lines, entries) = sync_channel(MAX_LINES);
        let fill = Arc::new(Fill::default());
        let (alive, ended) = sync_channel(0);
        let thread_fill = Arc::clone(&fill);
        let run = move || {
            write_lines(&entries, &thread_fill, to);
            drop(alive);
        };
        thread::Builder::new().name("log".to_owned()).spawn(run).map_err(Error::Thread)?;
        Ok(Self { queue: Queue { lines, fill }, ended })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queue.fill.dropped.load(Ordering::Relaxed)
    }

    /// Lets the thread write what is queued, and waits for its end no longer than `within`.
    pub(super) fn stop(&mut self, within: Duration) {
        // A queue that is full belongs to an output that has stalled: it is left behind.
        if self.queue.lines.try_send(Entry::Stop).is_ok() {
            let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(within);
        }
    }
}

impl Queue {
    /// Never waits: without room the line is dropped and counted.
    pub(super) fn push(&self, line: Bytes) {
        let length = line.len();
        let queued = self.fill.bytes.fetch_add(length, Ordering::Relaxed);
        if queued + length > MAX_BYTES || self.lines.try_send(Entry::Line(line)).is_err() {
            self.fill.bytes.fetch_sub(length, Ordering::Relaxed);
            self.fill.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes until it is told to stop; a failed write loses its lines, as there is nobody to tell.
fn write_lines(entries: &Receiver<Entry>, fill: &Fill, to: Box<dyn Write + Send>) {
    let mut to = io::BufWriter::with_capacity(64 * 1024, to);
    let mut told = 0;
    while let Ok(mut entry) = entries.recv() {
        loop {
            let Entry::Line(line) = entry else {
                let _ = to.flush();
                return;
            };
            fill.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            let _ = to.write_all(&line);
            match entries.try_recv() {
                Ok(next) => entry = next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let _ = to.flush();
        let dropped = fill.dropped.load(Ordering::Relaxed);
        if dropped > told {
            tracing::error!(
                lines = dropped - told,
                "log lines were dropped: an output of the log had stalled"
            );
            told = dropped;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// An output that takes nothing until it is opened.
    struct Gate {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.open.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_output_drops_and_counts_instead_of_waiting() {
        let (open, gate) = std::sync::mpsc::channel();
        let (written, lines) = std::sync::mpsc::channel();
        let mut writer = Writer::start_with(Box::new(Gate { open: gate, written })).unwrap();
        let line = Bytes::from(vec![b'x'; MAX_BYTES / 4]);
        let queue = writer.queue();
        for _ in 0..20 {
            queue.push(line.clone());
        }
        // At most four fill the queue, and at most one more is in the thread's hands.
        assert!(writer.dropped() >= 15, "{}", writer.dropped());
        drop(open);
        writer.stop(Duration::from_secs(10));
        assert_eq!(lines.iter().count() as u64, 20 - writer.dropped());
    }

    #[test]
    fn stopping_a_stalled_output_ends_at_the_bound() {
        let (open, gate) = std::sync::mpsc::channel();
        let (written, _lines) = std::sync::mpsc::channel();
        let mut writer = Writer::start_with(Box::new(Gate { open: gate, written })).unwrap();
        writer.queue().push(Bytes::from_static(b"stuck\n"));
        writer.stop(Duration::from_millis(1));
        drop(open);
    }
}
