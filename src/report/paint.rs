//! Colours, where they are wanted.

/// Select Graphic Rendition codes (ECMA-48, 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Makes or adds.
    Green,
    /// Changes.
    Yellow,
    /// Removes, or went wrong.
    Red,
    /// Runs, or a place in a diff.
    Cyan,
    /// Not known yet.
    Magenta,
    /// Heads.
    Bold,
    /// Aside.
    Dim,
}

impl Paint {
    /// The text in this colour, or as it is.
    pub fn over(self, text: &str, color: bool) -> String {
        if !color || text.is_empty() {
            return text.to_owned();
        }
        let code = match self {
            Paint::Green => 32,
            Paint::Yellow => 33,
            Paint::Red => 31,
            Paint::Cyan => 36,
            Paint::Magenta => 35,
            Paint::Bold => 1,
            Paint::Dim => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
