//! A Rust source as tokens without comments and tests, and the paths that stand in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A piece of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A name or a number.
    Word(String),
    /// The inside of a string.
    Text(String),
    /// Anything else; `::`, `==`, `!=`, `=>` and `->` are one.
    Mark(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) piece: Piece,
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.piece, Piece::Word(own) if own == word)
    }

    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        matches!(&self.piece, Piece::Mark(own) if *own == mark)
    }
}

/// A path as it stands in a `use` or an expression, spelled out: each item of a group is one.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

/// Words before a path that begins with `::`, rather than the first of its parts.
const KEYWORDS: [&str; 13] =
    ["use", "return", "in", "as", "mut", "else", "match", "if", "while", "dyn", "impl", "break", "for"];

/// One file below `src`.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Without comments, and without what is compiled for tests only: none in a file of tests.
    pub(crate) tokens: Vec<Token>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        let tokens = if is_test { Vec::new() } else { without_tests(tokens(text)) };
        Self { name: name.to_owned(), text: text.to_owned(), tokens }
    }

    /// The module that the file is: `["proxy", "create"]`.
    fn module(&self) -> Vec<String> {
        let name = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        let parts = name.split('/').map(str::to_owned);
        parts.filter(|part| !matches!(&**part, "mod" | "lib" | "main")).collect()
    }

    /// The top-level module the file belongs to, or `main` or `lib`.
    pub(crate) fn part(&self) -> String {
        let name = self.name.trim_start_matches("src/");
        name.split('/').next().unwrap_or(name).trim_end_matches(".rs").to_owned()
    }

    /// Every path that stands in the file.
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        let mut mentions = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let is_head = matches!(&self.tokens[at].piece, Piece::Word(word) if !KEYWORDS.contains(&&**word));
            let has_tail = self.tokens.get(at + 1).is_some_and(|next| next.is_mark("::"));
            // A capturing bound, `use<'a>`, imports nothing.
            let imported = at > 0 && self.tokens[at - 1].is_word("use") && !self.tokens[at].is_mark("<");
            at = if imported || (is_head && has_tail) {
                self.read_tree(at, &[], &mut mentions).max(at + 1)
            } else {
                at + 1
            };
        }
        mentions
    }

    /// Reads a path, or a group of paths, below `above`. Returns where it ended.
    fn read_tree(&self, mut at: usize, above: &[String], mentions: &mut Vec<Mention>) -> usize {
        let Some(token) = self.tokens.get(at) else { return at };
        let mut path = above.to_vec();
        match &token.piece {
            Piece::Word(word) => {
                if word != "self" || above.is_empty() {
                    path.push(word.clone());
                }
                if self.tokens.get(at + 1).is_some_and(|next| next.is_mark("::")) {
                    return self.read_tree(at + 2, &path, mentions);
                }
            }
            Piece::Mark("{") => {
                at += 1;
                while self.tokens.get(at).is_some_and(|token| !token.is_mark("}")) {
                    at = if self.tokens[at].is_mark(",") {
                        at + 1
                    } else {
                        self.read_tree(at, above, mentions).max(at + 1)
                    };
                    if self.tokens.get(at).is_some_and(|token| token.is_word("as")) {
                        at += 2;
                    }
                }
                return at + 1;
            }
            Piece::Mark("::") if above.is_empty() => return self.read_tree(at + 1, above, mentions),
            Piece::Mark("*") => path.push("*".to_owned()),
            _ => {
                mentions.push(Mention { line: token.line, path });
                return at;
            }
        }
        mentions.push(Mention { line: token.line, path });
        at + 1
    }

    /// What of ours the file mentions, as paths from the root of the crate.
    pub(crate) fn imports(&self) -> Vec<Mention> {
        let module = self.module();
        let resolve = |mention: Mention| {
            let supers = mention.path.iter().take_while(|part| *part == "super").count();
            let path = match mention.path.first().map(|head| &**head) {
                Some("crate" | "karbor_admission") => mention.path[1..].to_vec(),
                Some("super") => {
                    let above = &module[..module.len().saturating_sub(supers)];
                    [above, &mention.path[supers..]].concat()
                }
                _ => return None,
            };
            Some(Mention { path, ..mention })
        };
        self.mentions().into_iter().filter_map(resolve).collect()
    }
}

/// Every file below `src`.
pub(crate) fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    collect(&root, &root.join("src"), &mut names);
    let read = |name: &String| Source::new(name, &fs::read_to_string(root.join(name)).unwrap());
    names.iter().map(read).collect()
}

fn collect(root: &Path, folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            collect(root, &path, names);
        } else if name.ends_with(".rs") {
            names.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Marks longer than one character, and each that is one, so that tokens need not own them.
const MARKS: &[&str] = &[
    "::", "==", "!=", "=>", "->", "{", "}", "(", ")", "[", "]", "<", ">", ",", ";", ":", ".", "=", "!", "#",
    "&", "*", "+", "-", "/", "|", "?", "$", "@", "%", "^", "~", "'",
];

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (piece, length) = next_piece(rest, first);
        tokens.extend(piece.map(|piece| Token { line, piece }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// What `rest`, which begins with `first`, begins with, and its length; `None` for blanks and comments.
fn next_piece(rest: &str, first: char) -> (Option<Piece>, usize) {
    if rest.starts_with("//") {
        return (None, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (None, end_of_block_comment(rest));
    }
    if let Some((inside, length)) = string(rest) {
        return (Some(Piece::Text(inside)), length);
    }
    if first.is_alphanumeric() || first == '_' {
        let name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = rest.find(|letter| !name(letter)).unwrap_or(rest.len());
        return (Some(Piece::Word(rest[..length].to_owned())), length);
    }
    match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
        Some(mark) => (Some(Piece::Mark(mark)), mark.len()),
        None => (None, first.len_utf8()),
    }
}

fn end_of_block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// A string, byte string, raw string or character at the start of `rest`: its inside and whole length.
fn string(rest: &str) -> Option<(String, usize)> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or_default();
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    });
    if let Some(prefix) = prefix {
        let after = &rest[prefix.len()..];
        let hashes = after.len() - after.trim_start_matches('#').len();
        let inside = &after[hashes + 1..];
        let length = if prefix.ends_with('r') {
            inside.find(&format!("\"{}", "#".repeat(hashes)))?
        } else {
            end_of_escaped(inside, '"')?
        };
        return Some((inside[..length].to_owned(), prefix.len() + 2 * (hashes + 1) + length));
    }
    // A character, not a lifetime.
    let quoted = rest.strip_prefix("b'").or_else(|| rest.strip_prefix('\''))?;
    let length = end_of_escaped(quoted, '\'')?;
    let single = quoted.starts_with('\\') || quoted[..length].chars().count() == 1;
    single.then(|| (quoted[..length].to_owned(), rest.len() - quoted.len() + length + 1))
}

fn end_of_escaped(inside: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    inside.char_indices().find_map(|(at, letter)| {
        let ends = letter == quote && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// Drops each item that stands under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let attribute = tokens_of("#[cfg(test)]");
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let here = &tokens[at..tokens.len().min(at + attribute.len())];
        if here.iter().map(|token| &token.piece).eq(attribute.iter()) {
            at = end_of_item(&tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn tokens_of(text: &str) -> Vec<Piece> {
    tokens(text).into_iter().map(|token| token.piece).collect()
}

/// Behind the first `;` outside brackets, or behind the first block in braces.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.piece {
            Piece::Mark("{" | "(" | "[") => depth += 1,
            Piece::Mark(close @ ("}" | ")" | "]")) => {
                depth -= 1;
                if depth == 0 && close == "}" {
                    return at + 1;
                }
            }
            Piece::Mark(";") if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}
