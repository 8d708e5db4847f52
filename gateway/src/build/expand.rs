//! Expansion of variables in one word, after `shell.Lex.ProcessWord` of
//! buildkit: quotes, escapes, `$x`, `${x}`, `${x:-word}` and `${x:+word}`. The
//! forms that only newer engines know, positional and special parameters are
//! refused.

/// Bytes of an expanded word. Doubling a variable again and again would
/// otherwise fill the memory of gateway and daemon alike.
pub const WORD_LIMIT: usize = 4096;

const DEPTH: usize = 8;

/// Why a word has no value here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandError {
    /// Its value cannot be decided; the text says why.
    Undecided(String),
    /// It is longer than [`WORD_LIMIT`].
    TooLong,
}

fn undecided<T>(why: impl Into<String>) -> Result<T, ExpandError> {
    Err(ExpandError::Undecided(why.into()))
}

/// A variable's value; none if it is unset.
pub type Lookup<'a> = dyn Fn(&str) -> Result<Option<String>, ExpandError> + 'a;

/// The word's value.
///
/// # Errors
/// See [`ExpandError`].
pub fn expand(word: &str, escape: char, lookup: &Lookup<'_>) -> Result<String, ExpandError> {
    let mut lexer = Lexer { rest: word.chars().peekable(), escape, lookup };
    lexer.until(None, 0)
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    escape: char,
    lookup: &'a Lookup<'a>,
}

impl Lexer<'_> {
    fn until(&mut self, stop: Option<char>, depth: usize) -> Result<String, ExpandError> {
        if depth > DEPTH {
            return undecided("its variables are nested too deeply");
        }
        let mut value = String::new();
        while let Some(&next) = self.rest.peek() {
            if stop == Some(next) {
                self.rest.next();
                return Ok(value);
            }
            match next {
                '\'' => self.single(&mut value)?,
                '"' => self.double(&mut value, depth)?,
                '$' => value.push_str(&self.dollar(depth)?),
                _ => {
                    self.rest.next();
                    if next == self.escape {
                        value.extend(self.rest.next());
                    } else {
                        value.push(next);
                    }
                }
            }
            if value.len() > WORD_LIMIT {
                return Err(ExpandError::TooLong);
            }
        }
        if stop.is_some() { undecided("a brace is not closed") } else { Ok(value) }
    }

    fn single(&mut self, value: &mut String) -> Result<(), ExpandError> {
        self.rest.next();
        loop {
            match self.rest.next() {
                None => return undecided("a single quote is not closed"),
                Some('\'') => return Ok(()),
                Some(other) => value.push(other),
            }
        }
    }

    fn double(&mut self, value: &mut String, depth: usize) -> Result<(), ExpandError> {
        self.rest.next();
        loop {
            match self.rest.peek() {
                None => return undecided("a double quote is not closed"),
                Some('"') => {
                    self.rest.next();
                    return Ok(());
                }
                Some('$') => {
                    value.push_str(&self.dollar(depth)?);
                    if value.len() > WORD_LIMIT {
                        return Err(ExpandError::TooLong);
                    }
                }
                Some(&other) => {
                    self.rest.next();
                    let escape = self.escape;
                    let escaped = self.rest.next_if(|c| other == escape && (matches!(c, '"' | '$') || *c == escape));
                    value.push(escaped.unwrap_or(other));
                }
            }
        }
    }

    fn dollar(&mut self, depth: usize) -> Result<String, ExpandError> {
        self.rest.next();
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name()?;
            return Ok((self.lookup)(&name)?.unwrap_or_default());
        }
        let name = self.name()?;
        let modifier = match self.rest.next() {
            Some('}') => return Ok((self.lookup)(&name)?.unwrap_or_default()),
            Some(':') => self.rest.next(),
            _ => None,
        };
        let Some(sign @ ('-' | '+')) = modifier else {
            return undecided("only $x, ${x}, ${x:-word} and ${x:+word} are possible through the gateway");
        };
        let word = self.until(Some('}'), depth + 1)?;
        let value = (self.lookup)(&name)?.filter(|value| !value.is_empty());
        Ok(match (sign, value) {
            ('-', Some(value)) => value,
            ('-', None) => word,
            (_, Some(_)) => word,
            (_, None) => String::new(),
        })
    }

    fn name(&mut self) -> Result<String, ExpandError> {
        let mut name = String::new();
        while let Some(next) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            if !next.is_ascii() {
                return undecided("a variable's name is not ASCII");
            }
            name.push(next);
        }
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Ok(name);
        }
        undecided("a $ is not followed by a variable's name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(word: &str) -> Result<String, ExpandError> {
        expand(word, '\\', &|name| {
            Ok(match name {
                "x" => Some("one".to_owned()),
                "empty" => Some(String::new()),
                "big" => Some("b".repeat(WORD_LIMIT)),
                _ => None,
            })
        })
    }

    #[test]
    fn a_word_is_expanded_as_the_builders_lexer_does() {
        for (word, want) in [
            ("a", "a"),
            ("$x", "one"),
            ("${x}y", "oney"),
            ("$xy", ""),
            ("a$x-b", "aone-b"),
            ("${x:-d}", "one"),
            ("${none:-d}", "d"),
            ("${empty:-d}", "d"),
            ("${empty:+d}", ""),
            ("${x:+d}", "d"),
            ("${none:-${x}b}", "oneb"),
            ("${none:-'}'}", "}"),
            ("${none:-\\}}", "}"),
            ("'$x'", "$x"),
            ("\"$x\"", "one"),
            ("\\$x", "$x"),
            ("\"\\$x\\a\\\\\"", "$x\\a\\"),
            ("a\\", "a"),
            ("`a", "`a"),
            ("a\"b c\"'d'", "ab cd"),
        ] {
            assert_eq!(value(word).as_deref(), Ok(want), "{word}");
        }
        assert_eq!(expand("`$a\\b", '`', &|_| Ok(None)).as_deref(), Ok("$a\\b"));
    }

    #[test]
    fn what_engines_read_differently_has_no_value() {
        for word in [
            "$", "$1", "$@", "${}", "${x", "${x-d}", "${x+d}", "${x?d}", "${x:?d}", "${x%d}", "${x#d}", "${x/a/b}",
            "'a", "\"a", "$é", "${xé}", "${:x}", "$$", "${x:-a", "${-x}",
        ] {
            assert!(matches!(value(word), Err(ExpandError::Undecided(_))), "{word}");
        }
        assert_eq!(value("$big$x"), Err(ExpandError::TooLong));
        assert_eq!(value("\"$big$x\""), Err(ExpandError::TooLong));
        let deep = format!("{}a{}", "${n:-".repeat(20), "}".repeat(20));
        assert!(value(&deep).is_err());
    }
}
