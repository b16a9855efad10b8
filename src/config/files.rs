//! The files of a configuration: the one named, and the drop-ins beside it; who may read them.
//!
//! Leaves their content to `settings`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::File;
use super::kind::Kind;
use super::problem::{Origin, Problem};
use super::schema;
use super::settings::Settings;
use super::written::KeyPath;

/// What the folder of drop-ins is called beyond the name of the file.
const DROP_INS: &str = ".d";

/// Reads the file and its drop-ins, in the order in which they count. What cannot be read is a problem.
pub(super) fn open(path: &Path) -> (Vec<File>, Vec<Problem>) {
    let mut problems = Vec::new();
    let drop_ins = drop_ins(path).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let mut files = Vec::new();
    for path in std::iter::once(path.to_owned()).chain(drop_ins) {
        match read(&path) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    (files, problems)
}

/// What is read for `path`: the file, the folder of drop-ins, and each of them; there or not.
pub(super) fn sources(path: &Path) -> Vec<PathBuf> {
    let drop_ins = drop_ins(path).unwrap_or_default();
    [path.to_owned(), folder_of(path)].into_iter().chain(drop_ins).collect()
}

fn folder_of(path: &Path) -> PathBuf {
    let mut folder = OsString::from(path);
    folder.push(DROP_INS);
    folder.into()
}

/// `FILE.d/*.toml`, in order of name; none if there is no such folder.
fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let folder = folder_of(path);
    let paths = fs::read_dir(&folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    let mut paths = match paths {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let hint = format!("a folder of this name would hold drop-ins for {}", path.display());
            return Err(unreadable(&folder, &error).hint(Some(hint)));
        }
        Err(error) => return Err(unreadable(&folder, &error)),
    };
    paths.retain(|path| {
        // Editors leave hidden files behind.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // Reading anything but a file, a pipe for one, may never end; what is not there is told of.
        let is_file = fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir());
        !hidden && is_file && path.extension().is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    Ok(paths)
}

/// A secret in a file that everybody may read. No problem: who checks a configuration has a copy of it that
/// nobody else need be kept from.
pub(super) fn open_secrets(settings: &Settings) -> Vec<Problem> {
    let secrets = schema::settings().filter(|setting| matches!(setting.kind, Kind::Secret));
    let open = |key: &str| {
        let path = KeyPath::of(key);
        path.find(settings.values())?;
        let origin = settings.origin(&path, None);
        let Origin::File { name, .. } = &origin else { return None };
        let mode = fs::metadata(&**name).ok()?.permissions().mode();
        (mode & 0o004 != 0).then(|| {
            let hint = format!("`chmod o-r {name}`, or `{key}_file`, or the environment");
            Problem::at(origin.clone(), &path, "stands in a file that everybody may read").hint(Some(hint))
        })
    };
    secrets.filter_map(|setting| open(setting.key)).collect()
}

fn read(path: &Path) -> Result<File, Problem> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|&&byte| byte == b'\n').count() + 1;
        let origin = Origin::place(&path.display().to_string(), line, None);
        Problem::whole(origin, "not UTF-8").hint(Some("save it as UTF-8".to_owned()))
    })?;
    Ok(File { name: path.display().to_string(), text })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let origin = Origin::file(&path.display().to_string());
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            Some("a relative path begins at the working folder; without a file, the defaults hold")
        }
        io::ErrorKind::PermissionDenied => Some("this user must be able to read it and to enter its folder"),
        io::ErrorKind::IsADirectory => Some("name a file; the folder FILE.d beside it holds its drop-ins"),
        _ => None,
    };
    Problem::whole(origin, format!("cannot be read: {error}")).hint(hint.map(str::to_owned))
}
