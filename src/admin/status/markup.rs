//! HTML as it is put together: what we wrote ourselves goes in as it is, everything else escaped.
//!
//! Markup must be a text of this program, and numbers are numbers, so a forgotten escape does not compile.

use std::fmt::Write as _;

/// A document in the making.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup of our own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A text of whoever: fit for the content of an element and for an attribute in double quotes. What would not be
    /// seen, or would turn the direction of a line, stands as its number.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                letter if is_unseen(letter) => self.0.extend(letter.escape_unicode()),
                letter => self.0.push(letter),
            }
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "{number}");
        self
    }

    /// What `piece` writes for each of these.
    pub(super) fn each<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        piece: impl Fn(&mut Self, T),
    ) -> &mut Self {
        for item in items {
            piece(self, item);
        }
        self
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Controls, blanks of no width, marks and overrides of direction, and what names no character.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_is_not_ours() {
        for (text, expected) in [
            ("plain, ä and 漢", "plain, ä and 漢"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\"><img src=x onerror='x'>", "&quot;&gt;&lt;img src=x onerror=&#39;x&#39;&gt;"),
            ("&lt;&amp;", "&amp;lt;&amp;amp;"),
            ("]]>--><!--", "]]&gt;--&gt;&lt;!--"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("\0\u{1b}[2J\t\r\u{7f}\u{85}", "\\u{0}\\u{1b}[2J\\u{9}\\u{d}\\u{7f}\\u{85}"),
            ("\u{feff}\u{200b}\u{e0041}", "\\u{feff}\\u{200b}\\u{e0041}"),
            ("two\nlines", "two\nlines"),
            ("", ""),
        ] {
            let mut markup = Markup::default();
            markup.text(text);
            assert_eq!(markup.finish(), expected, "{text:?}");
        }
    }
}
