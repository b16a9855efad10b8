//! Entries out of a ledger as lines: to wherever, or into a file that is there once it is whole, and that can be
//! gone on with when it was cut short.
//!
//! What a line says, and the pages of entries, are in `transfer`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::console::{Console, ConsoleError, PAGE, foreign, parse};
use super::transfer::{Export, Heading, IsThere};

/// What an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Entries written now.
    pub new: u64,
    /// Entries that an earlier one had written into the same file.
    pub earlier: u64,
}

impl Console {
    /// Writes every entry as a line of JSON, in order of their ids, which is that of time, behind a line that
    /// names the format; how many. `progress` is told after each page.
    ///
    /// # Errors
    /// When the ledger cannot say, or a line cannot be written.
    pub fn export(&self, out: &mut impl Write, progress: impl FnMut(u64)) -> Result<u64, ConsoleError> {
        write_line(out, &Heading::THIS)?;
        self.export_behind("".into(), out, progress)
    }

    /// As [`Console::export`], into the file `path`, which must not be there. Until it is whole it is called
    /// `path.part`. With `resumes` what is there of that stays, and what follows its last whole line is written
    /// behind it. `progress` is told the number of all.
    ///
    /// # Errors
    /// As [`Console::export`]; what is written stays. Also when a file is in the way, or what is to be gone on
    /// with is of something else.
    pub fn export_to(
        &self,
        path: &Path,
        resumes: bool,
        mut progress: impl FnMut(u64),
    ) -> Result<Exported, ConsoleError> {
        let mut unfinished = Unfinished::open(path, resumes)?;
        let earlier = unfinished.entries;
        if let Some(last) = &unfinished.last
            && !self.ask(self.ledger.ask_to_read(IsThere { id: last.clone() }))?
        {
            return Err(ConsoleError::OtherLedger(unfinished.part));
        }
        unfinished.cut()?;
        let cut_short = |error| ConsoleError::CutShort(Box::new(error));
        let after = unfinished.last.clone().unwrap_or_default();
        let mut out = BufWriter::new(&unfinished.file);
        if unfinished.whole == 0 {
            write_line(&mut out, &Heading::THIS).map_err(|error| cut_short(error.into()))?;
        }
        let new = self.export_behind(after, &mut out, |new| progress(earlier + new)).map_err(cut_short)?;
        drop(out);
        unfinished.finish(path).map_err(|error| cut_short(error.into()))?;
        Ok(Exported { new, earlier })
    }

    fn export_behind(
        &self,
        mut after: Box<str>,
        out: &mut impl Write,
        mut progress: impl FnMut(u64),
    ) -> Result<u64, ConsoleError> {
        let mut written = 0;
        loop {
            let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
            let lines = self.ask(self.ledger.ask_to_read(Export { most, after }))?;
            for line in &lines {
                write_line(out, line)?;
            }
            written += lines.len() as u64;
            progress(written);
            match lines.into_iter().next_back() {
                Some(last) => after = last.id,
                None => break,
            }
        }
        out.flush()?;
        Ok(written)
    }
}

fn write_line(out: &mut impl Write, line: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// The file of an export that is under way. Locked, so that nobody else goes on with it meanwhile.
struct Unfinished {
    part: PathBuf,
    file: File,
    /// Bytes up to the end of its last whole line.
    whole: u64,
    /// Entries of whole lines, and the id of the last.
    entries: u64,
    last: Option<Box<str>>,
}

impl Unfinished {
    fn open(path: &Path, resumes: bool) -> Result<Self, ConsoleError> {
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        in_the_way(path)?;
        // What was admitted is nobody else's to read.
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(resumes)
            .create_new(!resumes)
            .mode(0o600)
            .open(&part);
        let file = match opened {
            // What is read to its end must have one.
            Ok(file) if file.metadata()?.is_file() => file,
            Ok(_) => {
                return Err(ConsoleError::Unwritable {
                    path: part,
                    source: io::ErrorKind::InvalidInput.into(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ConsoleError::Begun(part));
            }
            Err(source) => return Err(ConsoleError::Unwritable { path: part, source }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ConsoleError::UnderWay(part)),
            Err(TryLockError::Error(source)) => return Err(ConsoleError::Unwritable { path: part, source }),
        }
        let mut unfinished = Self { part, file, whole: 0, entries: 0, last: None };
        // Again, under the lock: another may have finished it just now.
        in_the_way(path)?;
        let read = unfinished.read();
        read.map_err(|error| ConsoleError::NoExport(unfinished.part.clone(), Box::new(error)))?;
        Ok(unfinished)
    }

    /// Finds the last whole line. Nothing is changed: it may be anybody's file.
    fn read(&mut self) -> Result<(), ConsoleError> {
        let mut lines = BufReader::new(&self.file);
        let mut heading = Vec::new();
        write_line(&mut heading, &Heading::THIS)?;
        let mut line = Vec::new();
        lines.by_ref().take(heading.len() as u64).read_to_end(&mut line)?;
        if !heading.starts_with(&line) {
            return Err(foreign(1, "it is not the heading"));
        }
        if line.len() < heading.len() {
            return Ok(());
        }
        self.whole = heading.len() as u64;
        let mut last = Vec::new();
        loop {
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                break;
            }
            self.entries += 1;
            self.whole += line.len() as u64 + 1;
            std::mem::swap(&mut line, &mut last);
        }
        if self.entries > 0 {
            let number = self.entries + 1;
            let last = String::from_utf8(last).map_err(|_invalid| foreign(number, "it is not UTF-8"))?;
            let entry = parse(number, &last)?.ok_or_else(|| foreign(number, "it is empty"))?;
            self.last = Some(entry.id);
        }
        Ok(())
    }

    /// Takes off half a line.
    fn cut(&mut self) -> Result<(), ConsoleError> {
        self.file.set_len(self.whole)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// Gives it its name, when all of it is on the disk.
    fn finish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn in_the_way(path: &Path) -> Result<(), ConsoleError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let source = io::ErrorKind::AlreadyExists.into();
    Err(ConsoleError::Unwritable { path: path.to_owned(), source })
}
