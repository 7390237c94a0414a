//! Where figures come from: the machine, this tool, the gateway. Figures are compared only where the first two are the same.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine on which a run was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The name of the host.
    pub host: String,
    /// The model of its processor.
    pub cpu: String,
    /// The processors that this process may use.
    pub cores: usize,
    /// The release of its kernel.
    pub kernel: String,
}

/// The version of this tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// The version of the package.
    pub version: String,
    /// A digest of its sources: another one measures differently.
    pub sources: String,
}

/// What a gateway says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayVersion {
    /// The program.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The commit that it was built from; empty if it does not say.
    pub commit: String,
}

impl Machine {
    /// The machine on which this process runs. What it does not say is empty.
    #[must_use]
    pub fn this() -> Self {
        let line = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cpus = line("/proc/cpuinfo");
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            host: line("/proc/sys/kernel/hostname"),
            cpu: cpu.map_or("", |(_, model)| model).trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: line("/proc/sys/kernel/osrelease"),
        }
    }
}

impl Tool {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), sources: env!("BUILD_SOURCES").to_owned() }
    }
}

impl GatewayVersion {
    /// Asks the program for its version.
    ///
    /// # Errors
    /// If it cannot be run.
    pub(super) fn of(program: &Path) -> io::Result<Self> {
        let output = Command::new(program).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Self { program: program.display().to_string(), ..Self::parse(&text) })
    }

    /// The lines `version:` and `git commit:` (contract §9.11), or the first line of another program.
    fn parse(text: &str) -> Self {
        let line = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
        let version = line("version:").or_else(|| text.lines().next()).unwrap_or_default();
        let commit = line("git commit:").unwrap_or_default();
        Self { program: String::new(), version: version.trim().to_owned(), commit: commit.trim().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_commit_of_a_gateway_are_found() {
        let text = "talaria:\n  version: \t0.1.0\n  built time: \t2026\n  git commit: \tcf4bf1e028b2\n";
        let parsed = GatewayVersion::parse(text);
        assert_eq!((parsed.version.as_str(), parsed.commit.as_str()), ("0.1.0", "cf4bf1e028b2"));
        assert_eq!(GatewayVersion::parse("gateway 7\n").version, "gateway 7");
        assert_eq!(GatewayVersion::parse(""), GatewayVersion::default());
    }

    #[test]
    fn the_machine_and_the_tool_are_known() {
        assert!(Machine::this().cores > 0 && !Machine::this().kernel.is_empty());
        assert_eq!(Tool::this().sources.len(), 16);
    }
}
