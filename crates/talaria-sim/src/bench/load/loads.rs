//! The benchmark's side of its load processes.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::pipe;

use super::orders::serve;
use super::protocol::{Answer, Assignment, Order, Sent};
use crate::bench::open_loop::Schedule;
use crate::fleet::Connected;

/// The most bytes on their way between the benchmark and a load in its own process.
const PIPE: usize = 64 * 1024;

/// Where a load runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadPlace {
    /// In a process of its own, which is this program again.
    #[default]
    Process,
    /// In this process: for programs other than `talaria-sim`, which cannot start themselves as a load.
    ThisProcess,
}

/// Why a load process did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be started, or ended.
    #[error("a load process failed: {0}")]
    Io(#[from] io::Error),
    /// It did not understand or was not understood.
    #[error("a load process gave an answer that is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// It answered another order than the one that it was given.
    #[error("a load process answered {0}")]
    Unexpected(String),
    /// It could not carry out an order.
    #[error("a load process could not continue: {0}")]
    Failed(String),
}

/// All loads of a run, which work at the same time.
#[derive(Debug, Default)]
pub(crate) struct Loads(Vec<Handle>);

/// One load. On drop its process is killed.
struct Handle {
    input: Box<dyn AsyncWrite + Send + Unpin>,
    answers: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    process: Option<Child>,
}

impl Loads {
    /// Starts one more load.
    pub(crate) async fn start(&mut self, place: LoadPlace, assignment: &Assignment) -> Result<(), LoadError> {
        let mut handle = match place {
            LoadPlace::Process => Handle::spawn()?,
            LoadPlace::ThisProcess => Handle::in_this_process(),
        };
        handle.write(&serde_json::to_string(assignment)?).await?;
        self.0.push(handle);
        Ok(())
    }

    /// Connects devices of each load, by their indices in it.
    pub(crate) async fn connect(
        &mut self,
        devices: impl Fn(usize) -> Range<usize>,
    ) -> Result<Vec<Connected>, LoadError> {
        let order = |load, _| Order::Connect(devices(load));
        self.ask(order, |answer| match answer {
            Answer::Connected(connected) => Ok(connected),
            other => Err(other.into()),
        })
        .await
    }

    /// Sends events of all loads in turn.
    pub(crate) async fn send(&mut self, schedule: Schedule) -> Result<Vec<Sent>, LoadError> {
        let order = |load, of| Order::Send(schedule.part(load, of));
        self.ask(order, |answer| match answer {
            Answer::Sent(sent) => Ok(*sent),
            other => Err(other.into()),
        })
        .await
    }

    /// Closes the connections of all devices. Returns the number of those that the gateways did not close in time.
    pub(crate) async fn stop(&mut self) -> Result<usize, LoadError> {
        let order = |_, _| Order::Stop;
        let cut = self.ask(order, |answer| match answer {
            Answer::Stopped { cut } => Ok(cut),
            other => Err(other.into()),
        });
        Ok(cut.await?.into_iter().sum())
    }

    /// Gives an order to each load, which is made from its index and the number of all, and then waits for the answers of all.
    async fn ask<T>(
        &mut self,
        order: impl Fn(usize, usize) -> Order,
        result: impl Fn(Answer) -> Result<T, LoadError>,
    ) -> Result<Vec<T>, LoadError> {
        let all = self.0.len();
        for (index, load) in self.0.iter_mut().enumerate() {
            load.write(&serde_json::to_string(&order(index, all))?).await?;
        }
        let mut answers = Vec::with_capacity(all);
        for load in &mut self.0 {
            let line = load.answers.next_line().await?;
            let line = line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            answers.push(serde_json::from_str(&line)?);
        }
        answers.into_iter().map(result).collect()
    }
}

impl Handle {
    fn spawn() -> Result<Self, LoadError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let input = pipe::Sender::from_owned_fd(OwnedFd::from(input.ok_or_else(missing)?))?;
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(output.ok_or_else(missing)?))?;
        Ok(Self::new(input, output, Some(child)))
    }

    fn in_this_process() -> Self {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let (output, input) = tokio::io::split(ours);
        let (their_input, their_output) = tokio::io::split(theirs);
        // If it fails, the answers end.
        tokio::spawn(async move { serve(their_input, their_output).await });
        Self::new(input, output, None)
    }

    fn new(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        process: Option<Child>,
    ) -> Self {
        let output: Box<dyn AsyncRead + Send + Unpin> = Box::new(output);
        Self { input: Box::new(input), answers: BufReader::new(output).lines(), process }
    }

    async fn write(&mut self, line: &str) -> io::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes()).await
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Both fail if it has already ended, which is as good.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("process", &self.process).finish_non_exhaustive()
    }
}

impl From<Answer> for LoadError {
    /// An answer that does not belong to the order.
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Failed(error) => Self::Failed(error),
            other => Self::Unexpected(format!("{other:?}")),
        }
    }
}
