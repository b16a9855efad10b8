//! A page as a strict reader sees it: every element closed where it must be, every attribute in quotes.

/// What stands in a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Every element's name, in order.
    pub(crate) elements: Vec<String>,
    /// All text, each piece with a blank behind it.
    pub(crate) text: String,
}

/// Elements without content.
const VOID: [&str; 1] = ["meta"];
const ENTITIES: [(&str, &str); 5] =
    [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];

impl Page {
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let mut rest = text.strip_prefix("<!doctype html>").unwrap_or_else(|| panic!("no doctype: {text}"));
        let (mut page, mut open) = (Self::default(), Vec::<String>::new());
        while let Some(at) = rest.find('<') {
            page.take_text(&rest[..at]);
            let end = rest[at..].find('>').unwrap_or_else(|| panic!("a tag without end: {}", &rest[at..]));
            let tag = &rest[at + 1..at + end];
            rest = &rest[at + end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "closed in another order");
                continue;
            }
            let (tag, closes_itself) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let name = tag.split(' ').next().unwrap().to_owned();
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "<{tag}>");
            check_attributes(&tag[name.len()..]);
            page.elements.push(name.clone());
            if name == "style" {
                // Not markup within, up to its end.
                rest = &rest[rest.find("</style>").unwrap()..];
            }
            if !closes_itself && !VOID.contains(&name.as_str()) {
                open.push(name);
            }
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} are not closed, {rest:?} follows");
        page
    }

    #[track_caller]
    fn take_text(&mut self, text: &str) {
        assert!(!text.contains('>'), "{text:?}");
        let text = text.trim();
        if !text.is_empty() {
            self.text.push_str(&unescaped(text));
            self.text.push(' ');
        }
    }

    /// Says so where the text is missing.
    #[track_caller]
    pub(crate) fn check_says(&self, words: &str) {
        assert!(self.text.contains(words), "no {words:?} in {}", self.text);
    }
}

#[track_caller]
fn unescaped(text: &str) -> String {
    for at in text.match_indices('&').map(|(at, _)| at) {
        assert!(ENTITIES.iter().any(|(name, _)| text[at..].starts_with(name)), "{text:?}");
    }
    // The first last: what it leaves must not be read again.
    ENTITIES.iter().rev().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

/// ` name="value"`, as many as there are.
#[track_caller]
fn check_attributes(text: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text:?}"));
        let name = name.strip_prefix(' ').unwrap_or_else(|| panic!("{text:?}"));
        let plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
        assert!(!name.is_empty() && name.bytes().all(plain), "{text:?}");
        let (value, behind) = value.split_once('"').unwrap_or_else(|| panic!("{text:?}"));
        unescaped(value);
        rest = behind;
    }
}
