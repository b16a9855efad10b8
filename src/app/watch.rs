//! Whether files have changed, seen by looking at them again and again.
//!
//! Mounted secrets change by swapping a link above them, editors by renaming, and some file systems tell nobody:
//! what a name leads to is compared, and holds everywhere. Leaves what follows to `reload`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a name leads to; none for nothing. Another file, or the same written again, is another mark.
type Mark = Option<(u64, u64, u64, [i64; 4])>;

/// Files, and how they were when last looked at.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<(PathBuf, Mark)>,
    /// How they were a look ago, if that was another way.
    moving: Option<Vec<Mark>>,
}

impl Watch {
    /// As they are now.
    pub(super) fn on(paths: Vec<PathBuf>) -> Self {
        let files = paths.into_iter().map(|path| (path.clone(), mark(&path))).collect();
        Self { files, moving: None }
    }

    /// Whether they have changed and come to rest: they were another way, and are as they were a look ago. Then
    /// they count as seen.
    pub(super) fn look(&mut self) -> bool {
        let now: Vec<Mark> = self.files.iter().map(|(path, _)| mark(path)).collect();
        if now.iter().eq(self.files.iter().map(|(_, seen)| seen)) {
            self.moving = None;
            return false;
        }
        let rests = self.moving.as_ref() == Some(&now);
        if rests {
            self.see(now);
        } else {
            self.moving = Some(now);
        }
        rests
    }

    /// They count as seen as they are now.
    pub(super) fn settle(&mut self) {
        let now = self.files.iter().map(|(path, _)| mark(path)).collect();
        self.see(now);
    }

    /// From now on these. Those that were watched before stay as they were seen.
    pub(super) fn follow(&mut self, paths: Vec<PathBuf>) {
        let seen = std::mem::take(&mut self.files);
        let known = |path: &Path| seen.iter().find(|(own, _)| own == path).map(|(_, mark)| *mark);
        let files = paths.into_iter().map(|path| {
            let mark = known(&path).unwrap_or_else(|| mark(&path));
            (path, mark)
        });
        self.files = files.collect();
    }

    fn see(&mut self, marks: Vec<Mark>) {
        for ((_, seen), now) in self.files.iter_mut().zip(marks) {
            *seen = now;
        }
        self.moving = None;
    }
}

fn mark(path: &Path) -> Mark {
    let found = fs::metadata(path).ok()?;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    Some((found.dev(), found.ino(), found.size(), times))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Each change is seen once, at the second look at it.
    #[track_caller]
    fn sees(watch: &mut Watch) {
        assert_eq!([watch.look(), watch.look(), watch.look()], [false, true, false]);
    }

    #[test]
    fn sees_each_kind_of_change() {
        let folder = folder();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::on(vec![file.clone(), link.clone()]);
        assert!(!watch.look());
        fs::write(&file, "one and more").unwrap();
        sees(&mut watch);
        // As editors do.
        let other = folder.path().join("other");
        fs::write(&other, "one and more").unwrap();
        fs::rename(&other, &file).unwrap();
        sees(&mut watch);
        // As mounted secrets do.
        for (version, text) in [("a", "1"), ("b", "1")] {
            let version = folder.path().join(version);
            fs::create_dir(&version).unwrap();
            fs::write(version.join("link"), text).unwrap();
        }
        symlink("a", folder.path().join("data")).unwrap();
        symlink("data/link", &link).unwrap();
        sees(&mut watch);
        symlink("b", folder.path().join("data.next")).unwrap();
        fs::rename(folder.path().join("data.next"), folder.path().join("data")).unwrap();
        sees(&mut watch);
        fs::remove_file(&file).unwrap();
        sees(&mut watch);
    }

    #[test]
    fn waits_for_a_file_to_come_to_rest() {
        let folder = folder();
        let file = folder.path().join("file");
        let mut watch = Watch::on(vec![file.clone()]);
        for length in 1..4 {
            fs::write(&file, "x".repeat(length)).unwrap();
            assert!(!watch.look(), "{length}");
        }
        assert!(watch.look());
    }

    #[test]
    fn what_is_settled_is_seen() {
        let folder = folder();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let mut watch = Watch::on(vec![one.clone()]);
        fs::write(&one, "1").unwrap();
        watch.settle();
        assert!(!watch.look());
        fs::write(&one, "11").unwrap();
        fs::write(&other, "2").unwrap();
        watch.follow(vec![one, other.clone()]);
        sees(&mut watch);
        fs::write(&other, "22").unwrap();
        sees(&mut watch);
    }
}
