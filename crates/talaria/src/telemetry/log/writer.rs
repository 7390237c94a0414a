//! One output of the log: a bounded queue and the thread that writes its lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::config::Output;
use super::error::Error;
use super::losses::{Loss, Losses};
use super::rotation::Rotation;

/// The most lines that may wait for an output.
const MAX_LINES: usize = 16 * 1024;
/// The most bytes that may wait for an output.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// How long the thread gathers lines after it has written some. A line that comes alone is written at once; when many devices
/// leave together, their lines wake the thread 200 times a second instead of once each.
const GATHER: Duration = Duration::from_millis(5);

/// Owns the thread of an output.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Queue,
    /// Its sender is dropped when the thread ends.
    ended: Receiver<()>,
}

/// The sending end of an output's queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    lines: SyncSender<Entry>,
    fill: Arc<Fill>,
    losses: Arc<Losses>,
}

#[derive(Debug, Default)]
struct Fill {
    bytes: AtomicUsize,
    dropped: AtomicU64,
    /// Whether the file has to be opened again before the next line is written.
    reopen: AtomicBool,
}

#[derive(Debug)]
enum Entry {
    Line(Bytes),
    /// Wakes the thread to look at [`Fill::reopen`].
    Wake,
    Stop,
}

/// Where the thread writes.
struct Target {
    to: io::BufWriter<Box<dyn Write + Send>>,
    /// The path of a file, which can be opened again.
    path: Option<PathBuf>,
    rotation: Option<Rotation>,
    /// How much of the file is written.
    bytes: u64,
}

impl Writer {
    pub(super) fn start(
        output: &Output,
        rotation: Option<Rotation>,
        losses: &Arc<Losses>,
    ) -> Result<Self, Error> {
        match output {
            Output::Stdout => Self::start_with(Target::new(Box::new(io::stdout())), losses),
            Output::Stderr => Self::start_with(Target::new(Box::new(io::stderr())), losses),
            Output::File(path) => match Target::open(path.clone(), rotation) {
                Ok(target) => Self::start_with(target, losses),
                Err(source) => Err(Error::Open { path: path.clone(), source }),
            },
        }
    }

    fn start_with(to: Target, losses: &Arc<Losses>) -> Result<Self, Error> {
        let (lines, entries) = sync_channel(MAX_LINES);
        let fill = Arc::new(Fill::default());
        let (alive, ended) = sync_channel(0);
        let queue = Queue { lines, fill: Arc::clone(&fill), losses: Arc::clone(losses) };
        let losses = Arc::clone(losses);
        let run = move || {
            write_lines(&entries, &fill, &losses, to);
            drop(alive);
        };
        thread::Builder::new().name("log".to_owned()).spawn(run).map_err(Error::Thread)?;
        Ok(Self { queue, ended })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queue.fill.dropped.load(Ordering::Relaxed)
    }

    /// Lets the thread open its file again, if it has one.
    pub(super) fn reopen(&self) {
        self.queue.fill.reopen.store(true, Ordering::Relaxed);
        // If the queue is full, the thread is awake or its output has stalled: it reopens before its next line.
        let _ = self.queue.lines.try_send(Entry::Wake);
    }

    /// Lets the thread write the queued lines and end; waits at most `within` for it.
    pub(super) fn stop(&mut self, within: Duration) {
        // If the queue is full the output has stalled, and there is no point in waiting for it.
        if self.queue.lines.try_send(Entry::Stop).is_ok() {
            let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(within);
        }
    }
}

impl Queue {
    /// Queues a line without waiting: if there is no room, the line is dropped and counted.
    pub(super) fn push(&self, line: Bytes) {
        let length = line.len();
        let queued = self.fill.bytes.fetch_add(length, Ordering::Relaxed);
        if queued + length > MAX_BYTES || self.lines.try_send(Entry::Line(line)).is_err() {
            self.fill.bytes.fetch_sub(length, Ordering::Relaxed);
            self.fill.dropped.fetch_add(1, Ordering::Relaxed);
            self.losses.lose(Loss::Stalled);
        }
    }
}

/// The thread's work: writes lines until [`Entry::Stop`]. A failed write loses its lines, since the log has no other
/// place to report it.
fn write_lines(entries: &Receiver<Entry>, fill: &Fill, losses: &Losses, mut target: Target) {
    let mut reported = 0;
    while let Ok(mut entry) = entries.recv() {
        loop {
            if fill.reopen.swap(false, Ordering::Relaxed) {
                target.reopen();
            }
            match entry {
                Entry::Line(line) => {
                    fill.bytes.fetch_sub(line.len(), Ordering::Relaxed);
                    if target.write(&line).is_err() {
                        losses.lose(Loss::Failed);
                    }
                }
                Entry::Wake => {}
                Entry::Stop => {
                    let _ = target.to.flush();
                    return;
                }
            }
            match entries.try_recv() {
                Ok(next) => entry = next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let _ = target.to.flush();
        let dropped = fill.dropped.load(Ordering::Relaxed);
        if dropped > reported {
            tracing::error!(
                lines = dropped - reported,
                "log lines were dropped: an output of the log had stalled"
            );
            reported = dropped;
        }
        thread::park_timeout(GATHER);
    }
}

impl Target {
    fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to: io::BufWriter::with_capacity(64 * 1024, to), path: None, rotation: None, bytes: 0 }
    }

    fn open(path: PathBuf, rotation: Option<Rotation>) -> io::Result<Self> {
        let file = open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: Some(path), rotation, bytes, ..Self::new(Box::new(file)) })
    }

    /// Writes a line, at the beginning of a new file if it does not fit into this one.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if let Some(rotation) = self.rotation
            && self.bytes > 0
            && self.bytes.saturating_add(length) > rotation.max_bytes
        {
            self.rotate(rotation);
        }
        self.bytes = self.bytes.saturating_add(length);
        self.to.write_all(line)
    }

    /// Renames the file and begins a new one. A file that cannot be renamed stays in use for as long again.
    fn rotate(&mut self, rotation: Rotation) {
        let Some(path) = self.path.clone() else { return };
        let _ = self.to.flush();
        self.bytes = 0;
        if let Err(error) = rotation.rename(&path) {
            tracing::error!(path = %path.display(), %error, "cannot rotate the log file, it stays in use");
            return;
        }
        self.reopen();
        rotation.clean_in_background(&path);
    }

    /// Opens the file again by its path. What was written before goes to the old file, which stays in use if there
    /// cannot be a new one.
    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        let _ = self.to.flush();
        match Self::open(path.clone(), self.rotation) {
            Ok(target) => *self = target,
            Err(error) => tracing::error!(
                path = %path.display(),
                %error,
                "cannot open the log file again, lines still go to the one that is open"
            ),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// An output that blocks until `open` is closed.
    struct StalledOutput {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for StalledOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.open.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(output: StalledOutput) -> Writer {
        Writer::start_with(Target::new(Box::new(output)), &Arc::default()).unwrap()
    }

    #[test]
    fn a_stalled_output_drops_and_counts_instead_of_waiting() {
        let (open, gate) = std::sync::mpsc::channel();
        let (written, lines) = std::sync::mpsc::channel();
        let mut writer = start(StalledOutput { open: gate, written });
        let line = Bytes::from(vec![b'x'; MAX_BYTES / 4]);
        let queue = writer.queue();
        for _ in 0..20 {
            queue.push(line.clone());
        }
        // At most four lines fit into the queue, and the thread may have taken one more out of it.
        assert!(writer.dropped() >= 15, "{}", writer.dropped());
        drop(open);
        writer.stop(Duration::from_secs(10));
        assert_eq!(lines.iter().count() as u64, 20 - writer.dropped());
    }

    /// Says when something is written.
    struct Counted(Sender<usize>);

    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_lone_line_is_written_at_once_and_those_that_follow_it_together() {
        let (written, writes) = std::sync::mpsc::channel();
        let mut writer =
            Writer::start_with(Target::new(Box::new(Counted(written))), &Arc::default()).unwrap();
        let queue = writer.queue();
        queue.push(Bytes::from_static(b"alone\n"));
        assert_eq!(writes.recv().unwrap(), 6);
        for _ in 0..1000 {
            queue.push(Bytes::from_static(b"more\n"));
        }
        writer.stop(Duration::from_secs(10));
        drop((writer, queue));
        let writes: Vec<usize> = writes.iter().collect();
        assert_eq!(writes.iter().sum::<usize>(), 5000);
        assert!(writes.len() < 100, "{}", writes.len());
    }

    #[test]
    fn stopping_a_stalled_output_ends_at_the_bound() {
        let (open, gate) = std::sync::mpsc::channel();
        let (written, _lines) = std::sync::mpsc::channel();
        let mut writer = start(StalledOutput { open: gate, written });
        writer.queue().push(Bytes::from_static(b"stuck\n"));
        writer.stop(Duration::from_millis(1));
        drop(open);
    }
}
