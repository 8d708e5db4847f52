//! The words of a line as apt reads them (ParseQuoteWord in apt's strutl.cc):
//! what stands in quotes or in brackets belongs to one word.

/// The word that a text begins with, and the rest behind its blanks; none where
/// there is none or its quotes or brackets have no end.
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let mut rest = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = rest.next() {
        let close = match c {
            '"' => '"',
            '[' => ']',
            c if c.is_whitespace() => {
                end = at;
                break;
            }
            _ => continue,
        };
        rest.by_ref().find(|(_, c)| *c == close)?;
    }
    let (word, rest) = text.split_at(end);
    (!word.is_empty()).then(|| (word.replace('"', ""), rest.trim_start()))
}

/// The words of a text, up to one that has no end.
pub(in crate::resource) fn words(mut text: &str) -> Vec<String> {
    let mut words = Vec::new();
    while let Some((word, rest)) = quoted(text) {
        words.push(word);
        text = rest;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_brackets_belong_to_one_word() {
        assert_eq!(words("deb  \"a b\" cdrom:[x y]/ z"), ["deb", "a b", "cdrom:[x y]/", "z"]);
        for text in ["", "  ", "\"a", "[a b"] {
            assert_eq!(quoted(text), None, "{text}");
        }
    }
}
