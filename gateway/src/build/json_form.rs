//! The JSON form of an instruction's arguments, `["a", "b"]`.
//!
//! Engine 20.10 takes the first JSON value of a text and ignores what follows;
//! newer engines take the text as words if anything follows. What is no JSON
//! is words for both, so whether a text *begins* with a JSON array has to be
//! answered as Go's `encoding/json` does.

use super::lines;

/// What an instruction's arguments are.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON array of strings, and nothing else.
    Json(Vec<String>),
    /// Words or a shell's command line.
    Words,
}

/// Arrays deeper than this are not looked into.
const DEPTH: usize = 16;

/// Reads the form of trimmed arguments.
///
/// # Errors
/// A JSON array that is followed by more, that holds anything but strings, or
/// that cannot be read for certain.
pub fn form(args: &str) -> Result<Form, &'static str> {
    if !args.starts_with('[') {
        return Ok(Form::Words);
    }
    let mut scan = Scan { bytes: args.as_bytes(), at: 0, strings: Vec::new() };
    match scan.value(0) {
        Err(Invalid::Syntax) => return Ok(Form::Words),
        Err(Invalid::Deep) => return Err("the JSON array is nested too deeply"),
        Ok(()) => {}
    }
    scan.blank();
    if scan.at != args.len() {
        return Err("text follows the JSON array; engines differ in what that means");
    }
    let strings: Option<Vec<String>> =
        scan.strings.iter().map(|range| serde_json::from_str(args.get(range.clone())?).ok()).collect();
    let strings = strings.ok_or("a JSON string holds half of a surrogate pair")?;
    // The array is what was written, so its elements were all strings.
    match serde_json::from_str::<Vec<String>>(args) {
        Ok(all) if all == strings => Ok(Form::Json(all)),
        _ => Err("a JSON array may hold strings only"),
    }
}

/// Words between the white space that buildkit splits at.
pub fn words(args: &str) -> Vec<String> {
    args.split(lines::BLANK).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

enum Invalid {
    Syntax,
    Deep,
}

/// The grammar of RFC 8259 as Go's scanner has it.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the outermost array's strings are.
    strings: Vec<std::ops::Range<usize>>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Invalid> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Invalid::Syntax)
    }

    fn value(&mut self, depth: usize) -> Result<(), Invalid> {
        if depth > DEPTH {
            return Err(Invalid::Deep);
        }
        match self.peek() {
            Some(b'"') => {
                let start = self.at;
                self.string()?;
                if depth == 1 {
                    self.strings.push(start..self.at);
                }
                Ok(())
            }
            Some(b'[') => self.members(depth, b']', false),
            Some(b'{') => self.members(depth, b'}', true),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn members(&mut self, depth: usize, end: u8, named: bool) -> Result<(), Invalid> {
        self.at += 1;
        self.blank();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blank();
            if named {
                self.string()?;
                self.blank();
                self.take(b':')?;
                self.blank();
            }
            self.value(depth + 1)?;
            self.blank();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                return self.take(end);
            }
        }
    }

    fn string(&mut self) -> Result<(), Invalid> {
        self.take(b'"')?;
        loop {
            let byte = self.peek().ok_or(Invalid::Syntax)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => match self.peek() {
                    Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
                    Some(b'u') => {
                        self.at += 1;
                        for _ in 0..4 {
                            if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                                return Err(Invalid::Syntax);
                            }
                            self.at += 1;
                        }
                    }
                    _ => return Err(Invalid::Syntax),
                },
                0..=0x1f => return Err(Invalid::Syntax),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Invalid> {
        word.iter().try_for_each(|byte| self.take(*byte))
    }

    fn digits(&mut self) -> Result<(), Invalid> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Invalid::Syntax) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Invalid> {
        let _ = self.take(b'-');
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.take(b'.').is_ok() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_array_of_strings_is_the_json_form() {
        let json = |list: &[&str]| Ok(Form::Json(list.iter().map(|text| (*text).to_owned()).collect()));
        assert_eq!(form(r#"["a", "b\u0041"]"#), json(&["a", "bA"]));
        assert_eq!(form("[]"), json(&[]));
        assert_eq!(form("[ \t]"), json(&[]));
        assert_eq!(form(r#"["\ud83d\ude00"]"#), json(&["\u{1f600}"]));
        for text in [
            "a",
            "[",
            "[ -f x ]",
            r#"[ "$a" = b ] && c"#,
            "[a]",
            r#"["a",]"#,
            r#"["a""#,
            "['a']",
            "[\"a\tb\"]",
            r#"["\x"]"#,
            "[01]",
            "[-]",
            "[1.]",
            "[nul]",
        ] {
            assert_eq!(form(text), Ok(Form::Words), "{text}");
        }
        let deep = "[".repeat(40);
        for text in [
            r#"["a"] b"#,
            "[] x",
            "[1]",
            "[null]",
            r#"["a", 1]"#,
            r#"[["a"]]"#,
            r#"[{"a": "b"}]"#,
            r#"["\ud800"]"#,
            "[1e999]",
            &deep,
        ] {
            assert!(form(text).is_err(), "{text}");
        }
    }
}
