//! Where audit lines are written to: a file that can be opened anew, or standard output.
//!
//! Leaves counting and patience to `writer`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::AuditError;

const RETRY: Duration = Duration::from_millis(10);

pub(super) struct Sink {
    to: To,
    /// A line was written in part: the next one begins on a new line, so that only one is lost.
    torn: bool,
}

enum To {
    File { path: PathBuf, file: File },
    Lines(Box<dyn Write + Send>),
}

impl Sink {
    pub(super) fn file(path: PathBuf) -> Result<Self, AuditError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(AuditError::NoFolder(path));
        }
        match append(&path) {
            Ok(file) => Ok(Self { torn: ends_midline(&file, &path), to: To::File { path, file } }),
            Err(source) => Err(AuditError::Open { path, source }),
        }
    }

    pub(super) fn stdout() -> Result<Self, AuditError> {
        // Past the standard library's own buffer, which would split and join lines as it likes.
        let stream = io::stdout().as_fd().try_clone_to_owned().map_err(AuditError::Stdout)?;
        Ok(Self::lines(Box::new(File::from(stream))))
    }

    /// Takes each line in a write of its own: other writers may share the stream.
    pub(super) fn lines(stream: Box<dyn Write + Send>) -> Self {
        Self { to: To::Lines(stream), torn: false }
    }

    /// Opens the file anew by its path. The old one stays where that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let To::File { path, file } = &mut self.to {
            *file = append(path)?;
            self.torn = ends_midline(file, path);
        }
        Ok(())
    }

    /// Writes whole lines; how many of them, where it fails, stands in the error.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Failed> {
        if self.torn {
            self.put(b"\n").map_err(|(_, source)| Failed { lines: 0, source })?;
            self.torn = false;
        }
        let (written, result) = match &self.to {
            To::File { .. } => split(self.put(lines), lines.len()),
            To::Lines(_) => self.put_each(lines),
        };
        result.map_err(|source| {
            let done = &lines[..written];
            self.torn = done.last().is_some_and(|byte| *byte != b'\n');
            Failed { lines: count_lines(done), source }
        })
    }

    fn put_each(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if let Err((part, source)) = self.put(line) {
                return (written + part, Err(source));
            }
            written += line.len();
        }
        (written, Ok(()))
    }

    /// Writes all of `bytes`, or says how many went out before it failed.
    fn put(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let stream: &mut dyn Write = match &mut self.to {
            To::File { file, .. } => file,
            To::Lines(stream) => stream,
        };
        let mut written = 0;
        while written < bytes.len() {
            match stream.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever shares the stream has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

/// A write that did not go through.
pub(super) struct Failed {
    /// Whole lines that were written before.
    pub(super) lines: u64,
    pub(super) source: io::Error,
}

pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn split(result: Result<(), (usize, io::Error)>, all: usize) -> (usize, io::Result<()>) {
    match result {
        Ok(()) => (all, Ok(())),
        Err((written, error)) => (written, Err(error)),
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Whether the file ends in part of a line, as after a crash or on a disk that was full. Where that cannot be
/// told, it does not.
fn ends_midline(file: &File, path: &Path) -> bool {
    if !file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return false;
    }
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)
    });
    read.is_ok() && last != [b'\n']
}
