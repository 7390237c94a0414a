//! Rotation of a log file by its size (`zap.rotation`): the file is renamed as lumberjack does, the Go gateway's library,
//! `talaria-2026-01-02T15-04-05.000.log`, and a new one is begun. Old files are compressed and removed on a thread of their own, since
//! the thread that writes must not wait.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The time in the name of an old file.
const TIME: &str = "%Y-%m-%dT%H-%M-%S%.3f";

/// The ending of a compressed file.
const COMPRESSED: &str = ".gz";

/// The section `zap.rotation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The size, in bytes, beyond which no line is added to a file.
    pub max_bytes: u64,
    /// After how many days an old file is removed; never if none.
    pub max_days: Option<u32>,
    /// How many old files are kept; all if none.
    pub max_backups: Option<usize>,
    /// Whether the names of old files have the local time, not UTC.
    pub local_time: bool,
    /// Whether old files are compressed with gzip.
    pub compress: bool,
}

impl Rotation {
    /// Renames the file.
    ///
    /// # Errors
    /// The system's error; the file has kept its name.
    pub(super) fn rename(self, path: &Path) -> io::Result<()> {
        let mut now = Timestamp::now();
        // Files that are filled within one millisecond must not replace each other.
        while self.backup(path, now).exists() {
            now += SignedDuration::from_millis(1);
        }
        fs::rename(path, self.backup(path, now))
    }

    /// Compresses and removes old files of this log, in the background.
    pub(super) fn clean_in_background(self, path: &Path) {
        let path = path.to_owned();
        let clean = move || {
            if let Err(error) = self.clean(&path, Timestamp::now()) {
                tracing::warn!(path = %path.display(), %error, "cannot compress or remove old log files");
            }
        };
        // Without a thread the next rotation does it.
        let _ = thread::Builder::new().name("log-rotation".to_owned()).spawn(clean);
    }

    fn zone(self) -> TimeZone {
        if self.local_time { TimeZone::system() } else { TimeZone::UTC }
    }

    fn backup(self, path: &Path, now: Timestamp) -> PathBuf {
        let (start, end) = parts(path);
        let time = now.to_zoned_datetime(self.zone()).strftime(TIME).to_string();
        path.with_file_name(format!("{start}{time}{end}"))
    }

    fn clean(self, path: &Path, now: Timestamp) -> io::Result<()> {
        let (start, end) = parts(path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut backups: Vec<(DateTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let file = entry?.path();
            let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let plain = name.strip_suffix(COMPRESSED).unwrap_or(name);
            let time = plain.strip_prefix(&*start).and_then(|rest| rest.strip_suffix(&*end));
            if let Some(time) = time.and_then(|time| DateTime::strptime(TIME, time).ok()) {
                backups.push((time, file));
            }
        }
        backups.sort_by(|(one, _), (other, _)| other.cmp(one));
        let oldest = self.max_days.map(|days| {
            let age = SignedDuration::from_hours(24 * i64::from(days));
            (now - age).to_zoned_datetime(self.zone()).datetime()
        });
        for (number, (time, file)) in backups.into_iter().enumerate() {
            let is_too_many = self.max_backups.is_some_and(|most| number >= most);
            if is_too_many || oldest.is_some_and(|oldest| time < oldest) {
                fs::remove_file(file)?;
            } else if self.compress && file.extension() != Some(OsStr::new("gz")) {
                compress(&file)?;
            }
        }
        Ok(())
    }
}

/// What stands before and after the time in the name of an old file.
fn parts(path: &Path) -> (String, String) {
    let text =
        |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let end = path.extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy()));
    (format!("{}-", text(path.file_stem())), end)
}

/// Replaces a file by a compressed one, which is only given its name once it is whole.
fn compress(file: &Path) -> io::Result<()> {
    let with = |ending: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (unfinished, done) = (with(".gz.tmp"), with(COMPRESSED));
    let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    io::copy(&mut File::open(file)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(unfinished, done)?;
    fs::remove_file(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn old_files_are_compressed_and_removed_by_their_number_and_age() {
        let folder = std::env::temp_dir().join(format!("talaria-rotation-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("talaria.log");
        let rotation = Rotation {
            max_bytes: 1,
            max_days: Some(2),
            max_backups: Some(2),
            local_time: false,
            compress: true,
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-01-10T12:00:00Z");
        for time in
            ["2026-01-01T00:00:00Z", "2026-01-09T00:00:00.5Z", "2026-01-09T10:00:00Z", "2026-01-10T10:00:00Z"]
        {
            fs::write(rotation.backup(&path, at(time)), "line\n").unwrap();
        }
        for other in ["talaria.log", "talaria-notes.log", "other-2026-01-01T00-00-00.000.log"] {
            fs::write(folder.join(other), "").unwrap();
        }
        rotation.clean(&path, now).unwrap();
        assert_eq!(
            names(&folder),
            [
                "other-2026-01-01T00-00-00.000.log",
                "talaria-2026-01-09T10-00-00.000.log.gz",
                "talaria-2026-01-10T10-00-00.000.log.gz",
                "talaria-notes.log",
                "talaria.log"
            ]
        );
        // Compressed files count, too.
        let rotation = Rotation { max_days: None, max_backups: Some(1), ..rotation };
        rotation.clean(&path, now).unwrap();
        assert_eq!(names(&folder).iter().filter(|name| name.ends_with(".gz")).count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
