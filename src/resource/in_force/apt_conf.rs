//! The settings of a file in the form of apt.conf(5): `Name::Of::Setting "value";`
//! or nested in blocks. Lists, which add up, are left out.

/// What ends up as the tokens of such a file, with the lines they stand in.
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

/// The settings: the line, the name in small letters, and the value.
pub(super) fn statements(text: &str) -> Vec<(usize, Vec<String>, String)> {
    let mut found = Vec::new();
    // The names of the blocks around, each whole; none for one without a name.
    let mut scopes: Vec<Option<String>> = Vec::new();
    let mut words: Vec<(usize, String)> = Vec::new();
    for (line, token) in tokens(text) {
        match token {
            Token::Word(word) => words.push((line, word)),
            Token::Open => {
                let name = match words.as_slice() {
                    [(_, name)] => within(&scopes, name),
                    _ => None,
                };
                scopes.push(name);
                words.clear();
            }
            Token::Close => {
                scopes.pop();
                words.clear();
            }
            Token::End => {
                if let [(line, name), (_, value)] = words.as_slice()
                    && let Some(name) = within(&scopes, name)
                {
                    found.push((*line, vec![name], value.clone()));
                }
                words.clear();
            }
        }
    }
    found
}

/// A name within the blocks around it; none for an entry of a list and for `#clear`.
fn within(scopes: &[Option<String>], name: &str) -> Option<String> {
    if name.ends_with("::") || name.starts_with('#') {
        return None;
    }
    let name = name.to_ascii_lowercase();
    match scopes.last() {
        None => Some(name),
        Some(scope) => scope.as_ref().map(|scope| format!("{scope}::{name}")),
    }
}

fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        match (c, next) {
            ('\n', _) => line += 1,
            ('/', Some('/')) => while rest.next_if(|c| *c != '\n').is_some() {},
            ('#', _) => {
                let mut comment = String::new();
                while let Some(c) = rest.next_if(|c| *c != '\n') {
                    comment.push(c);
                }
                // A list of names that are cleared: nothing of it is a setting.
                if comment.starts_with("clear ") {
                    tokens.push((line, Token::End));
                }
            }
            ('/', Some('*')) => {
                let mut last = ' ';
                for c in rest.by_ref() {
                    line += usize::from(c == '\n');
                    if (last, c) == ('*', '/') {
                        break;
                    }
                    last = c;
                }
            }
            ('{', _) => tokens.push((line, Token::Open)),
            ('}', _) => tokens.push((line, Token::Close)),
            (';', _) => tokens.push((line, Token::End)),
            ('"', _) => {
                let mut word = String::new();
                let at = line;
                for c in rest.by_ref().take_while(|c| *c != '"') {
                    line += usize::from(c == '\n');
                    word.push(c);
                }
                tokens.push((at, Token::Word(word)));
            }
            (c, _) if c.is_whitespace() => {}
            (c, _) => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| !c.is_whitespace() && !matches!(c, '{' | '}' | ';' | '"')) {
                    word.push(c);
                }
                tokens.push((line, Token::Word(word)));
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let one = |(line, names, value): (usize, Vec<String>, String)| format!("{line} {} {value}", names.join(","));
        statements(text).into_iter().map(one).collect()
    }

    #[test]
    fn settings_are_read_on_one_line_and_in_blocks() {
        assert_eq!(shown("APT::Periodic::Enable \"1\"; // x"), ["1 apt::periodic::enable 1"]);
        assert_eq!(shown("Acquire::http::Proxy \"http://proxy:80\";"), ["1 acquire::http::proxy http://proxy:80"]);
        let block = "/* a\n b */ APT {\n  # x\n  Periodic { Enable \"0\"; Verbose 2; };\n  NeverAutoRemove { \"^linux\"; };\n};\nDPkg::Options:: \"--x\";\n#clear APT;\n";
        assert_eq!(shown(block), ["4 apt::periodic::enable 0", "4 apt::periodic::verbose 2"]);
        assert_eq!(shown("Unattended-Upgrade::Origins-Pattern:: \"x\";\n// APT::A \"1\";\n"), Vec::<String>::new());
    }
}
