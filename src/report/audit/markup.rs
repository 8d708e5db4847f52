//! HTML and XML in which only the program writes markup.

use super::cut_to;
use crate::report::visible::visible;
use std::fmt::Write;

/// A document that grows. What is no literal of the program comes in escaped.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup; a literal of the program, so that nothing else can be one.
    pub fn raw(&mut self, markup: &'static str) -> &mut Markup {
        self.0.push_str(markup);
        self
    }

    /// Text, for content and quoted values of attributes. Controls, characters that
    /// change the direction of writing and those that XML 1.0 (section 2.2) does not
    /// have become visible.
    pub fn text(&mut self, text: &str) -> &mut Markup {
        self.short(text, super::LONGEST_FIELD)
    }

    /// As [`Markup::text`], cut to so many bytes.
    pub fn short(&mut self, text: &str, longest: usize) -> &mut Markup {
        for c in visible(&cut_to(text, longest)).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&#34;"),
                '\'' => self.0.push_str("&#39;"),
                '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                _ => self.0.push(c),
            }
        }
        self
    }

    /// As [`Markup::text`], on one line: newlines and tabs become visible too.
    pub fn line(&mut self, text: &str) -> &mut Markup {
        self.text(&crate::report::visible::one_line(&cut_to(text, super::LONGEST_FIELD)))
    }

    /// A count.
    pub fn count(&mut self, count: usize) -> &mut Markup {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{count}");
        self
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The document.
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        let mut markup = Markup::default();
        markup.raw("<b title=\"").text("\"><script>alert('1')&").raw("\">").line("\u{1b}[2J\n\u{202e}\u{fffe}\0");
        assert_eq!(
            markup.finish(),
            "<b title=\"&#34;&gt;&lt;script&gt;alert(&#39;1&#39;)&amp;\">\\x1b[2J\\n\\u{202e}\u{fffd}\\x00"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut markup = Markup::default();
        markup.text(&"ü".repeat(3000));
        assert_eq!(markup.finish(), format!("{}… (1904 more bytes)", "ü".repeat(2048)));
    }
}
