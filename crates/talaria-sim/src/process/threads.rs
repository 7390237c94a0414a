//! What the threads of a process have done, from `/proc/PID/task`: counts that do not depend on how busy the machine is, and the
//! CPU time of each thread.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The threads that a process has at one time. What a thread has done is lost when it ends.
#[derive(Debug, Clone, Default)]
pub struct Threads(BTreeMap<u32, Thread>);

#[derive(Debug, Clone, Default)]
struct Thread {
    name: String,
    activity: Activity,
}

/// What a thread, or several, have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// The CPU time in user and kernel mode.
    pub cpu: Duration,
    /// How often a thread has waited for something and was woken.
    pub voluntary_switches: u64,
    /// How often a thread had to give way to another one.
    pub involuntary_switches: u64,
}

impl Threads {
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = entry?.path();
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            // A thread that has ended meanwhile has no files.
            if let (Some(id), Ok(thread)) = (id, Thread::read(&path)) {
                threads.insert(id, thread);
            }
        }
        Ok(Self(threads))
    }

    /// What threads of each name have done since an earlier time. Numbers at the end of names are left out, so that the threads of
    /// a runtime are counted together.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> BTreeMap<String, Activity> {
        let mut by_name: BTreeMap<String, Activity> = BTreeMap::new();
        for (id, thread) in &self.0 {
            let before = earlier.0.get(id).map_or(Activity::default(), |thread| thread.activity);
            let Activity { cpu, voluntary_switches, involuntary_switches } = thread.activity;
            let name = thread.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            let sum = by_name.entry(name.to_owned()).or_default();
            sum.cpu += cpu.saturating_sub(before.cpu);
            sum.voluntary_switches += voluntary_switches.saturating_sub(before.voluntary_switches);
            sum.involuntary_switches += involuntary_switches.saturating_sub(before.involuntary_switches);
        }
        by_name
    }
}

impl Thread {
    fn read(task: &Path) -> io::Result<Self> {
        let status = fs::read_to_string(task.join("status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let number = |name| field(name).and_then(|number| number.parse().ok()).unwrap_or(0);
        let activity = Activity {
            cpu: cpu_time(task),
            voluntary_switches: number("voluntary_ctxt_switches:"),
            involuntary_switches: number("nonvoluntary_ctxt_switches:"),
        };
        Ok(Self { name: field("Name:").unwrap_or_default().to_owned(), activity })
    }
}

/// From `schedstat`, in nanoseconds. A kernel without it says nothing, and then the time is zero: `stat` counts ticks of ten
/// milliseconds, which threads that run shortly and often escape.
fn cpu_time(task: &Path) -> Duration {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_has_switched_voluntarily_and_is_counted_under_its_name() {
        let (sender, receiver) = std::sync::mpsc::channel::<std::sync::mpsc::Sender<()>>();
        let waiting = std::thread::Builder::new().name("waits-7".to_owned());
        let waiting = waiting.spawn(move || receiver.iter().for_each(|answer| answer.send(()).unwrap()));
        let turn = || {
            let (answer, answered) = std::sync::mpsc::channel();
            sender.send(answer).unwrap();
            answered.recv().unwrap();
        };
        turn();
        let before = Threads::of(std::process::id()).unwrap();
        let mut counted = BTreeMap::new();
        // The other thread may not have gone to sleep before the next turn.
        for _ in 0..1000 {
            turn();
            counted = Threads::of(std::process::id()).unwrap().since(&before);
            if counted["waits"].voluntary_switches > 0 {
                break;
            }
        }
        assert!(counted["waits"].voluntary_switches > 0, "{counted:?}");
        drop(sender);
        waiting.unwrap().join().unwrap();
    }

    #[test]
    fn what_threads_of_one_name_did_before_is_not_counted() {
        let thread = |name: &str, voluntary_switches| Thread {
            name: name.to_owned(),
            activity: Activity { voluntary_switches, ..Activity::default() },
        };
        let before = Threads([(1, thread("io-0", 5)), (2, thread("io-1", 1))].into());
        let after = Threads([(1, thread("io-0", 7)), (2, thread("io-1", 2)), (3, thread("io-2", 4))].into());
        assert_eq!(after.since(&before)["io"].voluntary_switches, 2 + 1 + 4);
    }
}
