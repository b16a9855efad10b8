//! The grammar of a key: `karbor-NAME`, `x-APPLICATION--NAME`, or neither. Anchored at the real ends.
//!
//! Leaves to `mod` which names are recognised, to `namespace` which applications a tenant may write.

/// A key, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'k> {
    /// `karbor-NAME`; the name.
    Karbor(&'k str),
    /// `x-APPLICATION--NAME`.
    Application {
        /// Lower-case letters and digits in groups joined by single `-`, `.` or `_`.
        application: &'k str,
        /// What the application calls it.
        name: &'k str,
    },
    /// Neither, and why.
    Malformed(Flaw),
}

/// Why a key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Neither namespace begins like it.
    Namespace,
    /// No `--` ends the application.
    Separator,
    /// The application has other characters than it may, or groups that are empty.
    Application,
    /// There is no name.
    EmptyName,
    /// The name has other characters than Karbor takes.
    NameCharacter,
    /// The name begins or ends with a space.
    NameSpace,
}

impl Flaw {
    /// The words for people, one line of ASCII.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Namespace => "it begins with neither 'karbor-' nor 'x-'",
            Self::Separator => "no '--' stands between application and name",
            Self::Application => {
                "the application must be lower-case letters and digits in groups joined by single '-', '.' or '_'"
            }
            Self::EmptyName => "the name is empty",
            Self::NameCharacter => {
                "the name may have only letters, digits, '-', '_', ':', '.', '#' and spaces"
            }
            Self::NameSpace => "the name begins or ends with a space",
        }
    }
}

impl<'k> Key<'k> {
    /// Takes `key` apart. The application ends at the first `--`.
    #[must_use]
    pub fn of(key: &'k str) -> Self {
        if let Some(name) = key.strip_prefix("karbor-") {
            match name_flaw(name) {
                None => Self::Karbor(name),
                Some(flaw) => Self::Malformed(flaw),
            }
        } else if let Some(rest) = key.strip_prefix("x-") {
            let Some(end) = separator(rest.as_bytes()) else {
                return Self::Malformed(Flaw::Separator);
            };
            let (application, name) = (&rest[..end], &rest[end + 2..]);
            if !is_application(application) {
                return Self::Malformed(Flaw::Application);
            }
            match name_flaw(name) {
                None => Self::Application { application, name },
                Some(flaw) => Self::Malformed(flaw),
            }
        } else {
            Self::Malformed(Flaw::Namespace)
        }
    }

    /// Whether this is a key of either namespace.
    #[must_use]
    pub const fn is_well_formed(self) -> bool {
        !matches!(self, Self::Malformed(_))
    }
}

/// Where the first `--` stands. By hand: the library's search for a text prepares itself for long ones.
fn separator(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'-', text).find(|&at| text.get(at + 1) == Some(&b'-'))
}

/// Whether Karbor takes `text` as the name in a key.
#[must_use]
pub fn is_name(text: &str) -> bool {
    name_flaw(text).is_none()
}

pub(super) fn is_application(text: &str) -> bool {
    // No group is empty: none of those that join stands at an end, or beside another.
    let (mut sound, mut joined) = (true, true);
    for &byte in text.as_bytes() {
        let joins = is(byte, JOINS);
        sound &= is(byte, OF_APPLICATION) & !(joins & joined);
        joined = joins;
    }
    sound && !joined
}

/// Why `name` is none. Its characters are those that Karbor takes (facts, section 3), less the newline
/// that Karbor's pattern lets through at the end.
fn name_flaw(name: &str) -> Option<Flaw> {
    if name.is_empty() {
        Some(Flaw::EmptyName)
    } else if !name.bytes().fold(true, |sound, byte| sound & is(byte, OF_NAME)) {
        Some(Flaw::NameCharacter)
    } else if name.starts_with(' ') || name.ends_with(' ') {
        Some(Flaw::NameSpace)
    } else {
        None
    }
}

const OF_NAME: u8 = 1;
const OF_APPLICATION: u8 = 2;
const JOINS: u8 = 4;

/// Which sets each byte is in.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        let joins = matches!(byte, b'-' | b'.' | b'_');
        let mut sets = if joins { JOINS } else { 0 };
        if byte.is_ascii_alphanumeric() || joins || matches!(byte, b':' | b'#' | b' ') {
            sets |= OF_NAME;
        }
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || joins {
            sets |= OF_APPLICATION;
        }
        table[byte as usize] = sets;
        byte += 1;
    }
    table
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: Flaw = Flaw::Namespace;
    const JOIN: Flaw = Flaw::Separator;
    const APPLICATION: Flaw = Flaw::Application;
    const EMPTY: Flaw = Flaw::EmptyName;
    const CHARACTER: Flaw = Flaw::NameCharacter;
    const SPACE: Flaw = Flaw::NameSpace;

    #[track_caller]
    fn check(key: &str, expected: Key<'_>) {
        assert_eq!(Key::of(key), expected, "{key:?}");
        assert_eq!(Key::of(key).is_well_formed(), !matches!(expected, Key::Malformed(_)));
    }

    #[test]
    fn admits_karbor_names() {
        for name in ["a", "-", "--", "created-by", "A Z", "0:1.2#3_4", ".", "-a-", "a  b", "x-a--b"] {
            check(&format!("karbor-{name}"), Key::Karbor(name));
        }
    }

    #[test]
    fn admits_applications() {
        for (key, application, name) in [
            ("x-a--b", "a", "b"),
            ("x-0--0", "0", "0"),
            ("x-trigger-master--job", "trigger-master", "job"),
            ("x-a.b_c-d9--n", "a.b_c-d9", "n"),
            ("x-a---b", "a", "-b"),
            ("x-a----", "a", "--"),
            ("x-a--b--c", "a", "b--c"),
            ("x-x--x-y--z", "x", "x-y--z"),
            ("x-karbor--a", "karbor", "a"),
            ("x-a--A Z:.#_-9", "a", "A Z:.#_-9"),
        ] {
            check(key, Key::Application { application, name });
        }
    }

    #[test]
    fn denies_every_other_key() {
        for (key, flaw) in [
            ("", PREFIX),
            ("a", PREFIX),
            ("created_by", PREFIX),
            ("karbor", PREFIX),
            ("karbor_a", PREFIX),
            ("Karbor-a", PREFIX),
            ("KARBOR-a", PREFIX),
            (" karbor-a", PREFIX),
            ("\nkarbor-a", PREFIX),
            ("\u{feff}karbor-a", PREFIX),
            ("\u{43a}arbor-a", PREFIX),
            ("X-a--b", PREFIX),
            ("x_a--b", PREFIX),
            ("x", PREFIX),
            ("karbor-", EMPTY),
            ("karbor- ", SPACE),
            ("karbor- a", SPACE),
            ("karbor-a ", SPACE),
            ("karbor-a\n", CHARACTER),
            ("karbor-a\nb", CHARACTER),
            ("karbor-a\r\n", CHARACTER),
            ("karbor-a\0", CHARACTER),
            ("karbor-a\t", CHARACTER),
            ("karbor-a/b", CHARACTER),
            ("karbor-a=b", CHARACTER),
            ("karbor-\u{e9}", CHARACTER),
            ("karbor-a\u{2028}", CHARACTER),
            ("karbor-a\u{a0}", CHARACTER),
            ("karbor-\u{661}", CHARACTER),
            ("x-", JOIN),
            ("x-a", JOIN),
            ("x-a-b", JOIN),
            ("x-a-", JOIN),
            ("x--", JOIN),
            ("x---", APPLICATION),
            ("x--b", JOIN),
            ("x----b", APPLICATION),
            ("x--a--b", APPLICATION),
            ("x-A--b", APPLICATION),
            ("x-a.--b", APPLICATION),
            ("x-.a--b", APPLICATION),
            ("x-a..b--c", APPLICATION),
            ("x-a-.b--c", APPLICATION),
            ("x-a_-b--c", APPLICATION),
            ("x-a b--c", APPLICATION),
            ("x-a\n--c", APPLICATION),
            ("x-\u{e9}--c", APPLICATION),
            ("x-a*--c", APPLICATION),
            ("x-a--", EMPTY),
            ("x-a-- b", SPACE),
            ("x-a--b ", SPACE),
            ("x-a--b\n", CHARACTER),
            ("x-a--b/c", CHARACTER),
            ("x-a--\u{130}", CHARACTER),
        ] {
            check(key, Key::Malformed(flaw));
        }
    }

    #[test]
    fn takes_just_the_characters_that_karbor_takes() {
        for byte in 0..=127_u8 {
            let character = char::from(byte);
            let key = format!("karbor-a{character}b");
            let expected = character.is_ascii_alphanumeric() || "-_:.# ".contains(character);
            assert_eq!(Key::of(&key) == Key::Karbor(&key[7..]), expected, "{key:?}");
        }
    }
}
