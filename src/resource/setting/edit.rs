//! Where a key stands in a text, and the text with the key as it shall be.

use super::format::Blocks;
use super::section::Section;
use super::syntax::{self, Active};
use super::{Setting, ends_marked_lines};
use crate::resource::text::Text;

/// A text with the setting in it.
pub(super) struct Edited {
    /// The value that was in force.
    pub(super) before: Option<String>,
    pub(super) text: Text,
}

/// A line that sets the key.
struct Found<'a> {
    section: usize,
    at: usize,
    active: Active<'a>,
}

impl Setting {
    /// The edited text.
    ///
    /// # Errors
    /// Which line is meant cannot be told: why, and what to do.
    pub(super) fn edit(&self, before: &Text) -> Result<Edited, String> {
        let sections = self.syntax.format.blocks.sections(before);
        let chosen = self.chosen(&sections);
        let found = self.found(before, &sections, &chosen)?;
        let in_force = self.in_force(&found).map(|one| one.active.value.to_owned());
        self.refuse_open_ended(before, &found)?;
        let mut text = before.clone();
        match (&self.value, &found[..]) {
            (None, _) => {
                text.retain(|at, _| !found.iter().any(|one| one.at == at));
            }
            (Some(value), []) => self.add(&mut text, before, &sections, &chosen, value)?,
            (Some(value), _) => {
                let Some(kept) = self.in_force(&found) else { return Err("no line is in force".to_owned()) };
                if !syntax::same(kept.active.value, value) {
                    let Active { before, value: old, after } = kept.active;
                    let new = syntax::in_place_of(old, value).ok_or_else(|| {
                        format!("the value cannot stand in the quotes of line {}: give it with its quotes", kept.at + 1)
                    })?;
                    // "key =" has its blank trimmed while it has no value.
                    let key = before.strip_suffix(self.syntax.sign.as_str()).filter(|_| old.is_empty());
                    let gap = if key.is_some_and(|key| key.ends_with([' ', '\t'])) { " " } else { "" };
                    let line = format!("{before}{gap}{new}{after}");
                    text.set(kept.at, if after.trim().is_empty() { line.trim_end() } else { &line });
                    text.retain(|at, _| at == kept.at || !found.iter().any(|one| one.at == at));
                }
            }
        }
        Ok(Edited { before: in_force, text })
    }

    /// Whether what reads the file takes the value for what the step says.
    pub(super) fn is_read_as_written(&self, edited: &Edited) -> bool {
        let Some(value) = edited.before.as_ref().filter(|_| self.value.is_some()) else { return true };
        let by_shell = self.syntax.format.shell && self.syntax.sign == "=";
        (!by_shell || syntax::is_one_word(value)) && self.syntax.format.cut_at.is_none_or(|sign| !value.contains(sign))
    }

    /// The sections where the key may stand, by their numbers.
    fn chosen(&self, sections: &[Section]) -> Vec<usize> {
        let all = 0..sections.len();
        match (&self.section, self.syntax.format.blocks) {
            (Some(name), blocks) => {
                all.filter(|at| sections.get(*at).is_some_and(|one| blocks.same(&one.name, name))).collect()
            }
            // What a block says counts for some only.
            (None, Blocks::Words(_)) => vec![0],
            (None, Blocks::Brackets) => all.collect(),
        }
    }

    /// The lines that set the key.
    fn found<'a>(&self, text: &'a Text, sections: &[Section], chosen: &[usize]) -> Result<Vec<Found<'a>>, String> {
        let lines = |section: usize| sections.get(section).map(|one| one.lines.clone()).unwrap_or_default();
        let found: Vec<Found<'_>> = chosen
            .iter()
            .flat_map(|section| lines(*section).map(move |at| (*section, at)))
            .filter_map(|(section, at)| Some(Found { section, at, active: self.syntax.active(text.line(at))? }))
            .collect();
        let Some(first) = found.first() else { return Ok(found) };
        let places = || {
            let place = |one: &Found<'_>| format!("line {} ({})", one.at + 1, one.active.value.escape_debug());
            found.iter().map(place).collect::<Vec<_>>().join(", ")
        };
        if self.section.is_none() && found.iter().any(|one| one.section != first.section) {
            let mut named: Vec<String> = Vec::new();
            for one in &found {
                let shown = sections.get(one.section).map(Section::shown).unwrap_or_default();
                named.push(format!("line {} {shown}", one.at + 1));
            }
            return Err(format!("it is set in several sections, {}: say which with 'section'", named.join(", ")));
        }
        // All of them go where the key shall not be set.
        if self.value.is_some() && found.iter().any(|one| one.active.value != first.active.value) {
            return Err(format!(
                "it is set several times with different values, in {}: which of them is meant cannot be told. Remove \
                 all but one with 'line' (state = \"absent\"), or use 'line', 'replace' or 'block' for a key that stands more \
                 than once",
                places()
            ));
        }
        Ok(found)
    }

    /// The numbers, from 1, of the lines that set the key.
    pub(super) fn numbers(&self, text: &Text) -> Vec<usize> {
        let sections = self.syntax.format.blocks.sections(text);
        let found = self.found(text, &sections, &self.chosen(&sections)).unwrap_or_default();
        found.iter().map(|one| one.at + 1).collect()
    }

    /// Of several lines, that which counts.
    fn in_force<'a, 'b>(&self, found: &'b [Found<'a>]) -> Option<&'b Found<'a>> {
        match self.syntax.format.blocks {
            Blocks::Words(_) => found.first(),
            Blocks::Brackets => found.last(),
        }
    }

    /// Refuses a value of several lines: neither its end nor what it is can be told.
    fn refuse_open_ended(&self, text: &Text, found: &[Found<'_>]) -> Result<(), String> {
        let indented = |line: &str| line.starts_with([' ', '\t']) && !line.trim().is_empty();
        // Postfix and Python's configparser go on in lines that are indented.
        let goes_on_below = |at: usize| {
            let (line, next) = (text.line(at), text.line(at + 1));
            let is_setting = self.syntax.sign.is_empty() || next.contains(&self.syntax.sign);
            !indented(line) && indented(next) && !self.is_comment(next) && !is_setting
        };
        let open = found.iter().find(|one| syntax::goes_on(one.active.value) || goes_on_below(one.at));
        if let Some(one) = open {
            return Err(format!("its value goes on after line {}: use 'replace' for it", one.at + 1));
        }
        // Such as "A=x; export A", or "A=x command".
        let is_wanted = |one: &Found<'_>| self.value.as_ref().is_some_and(|value| one.active.value == value);
        let says_more = |one: &&Found<'_>| {
            let by_shell = self.syntax.format.shell && self.syntax.sign == "=";
            by_shell && !is_wanted(one) && !syntax::is_one_word(one.active.value)
        };
        match found.iter().find(says_more) {
            Some(one) => Err(format!(
                "a shell reads line {} otherwise than as one value ({}): put quotes around it there, or use 'replace' for it",
                one.at + 1,
                one.active.value.escape_debug()
            )),
            None => Ok(()),
        }
    }

    /// Sets a key that is not set: in the place of a default that is commented
    /// out, else at the end of its section.
    fn add(
        &self,
        text: &mut Text,
        before: &Text,
        sections: &[Section],
        chosen: &[usize],
        value: &str,
    ) -> Result<(), String> {
        self.refuse_other_separator(before, sections, chosen)?;
        let one_of = |section: &usize| sections.get(*section);
        let mut defaults = Vec::new();
        for section in chosen {
            for at in one_of(section).map(|one| one.lines.clone()).unwrap_or_default() {
                if let Some((active, tight)) = self.syntax.commented(before.line(at)) {
                    defaults.push((tight, at, *section, active));
                }
            }
        }
        if let Some((_, at, section, _)) = defaults.iter().find(|one| defaults.iter().any(|other| other.2 != one.2))
            && self.section.is_none()
        {
            let shown = one_of(section).map(Section::shown).unwrap_or_default();
            return Err(format!(
                "it is not set, and commented out in several sections (first in line {}, {shown}): say which with 'section'",
                at + 1
            ));
        }
        // A sign right before the key is how defaults are written; prose has a blank.
        if let Some((_, at, _, active)) = defaults.iter().max_by_key(|(tight, at, ..)| (*tight, *at)) {
            let line = before.line(*at);
            let indent = &line[..line.len() - line.trim_start().len()];
            let value = syntax::in_place_of(active.value, value).unwrap_or_else(|| value.to_owned());
            let exported = if active.before.trim_start().starts_with("export ") { "export " } else { "" };
            let indent = format!("{indent}{exported}");
            let line = self.syntax.line(&indent, Some(&self.syntax.joint_of(active)), &value);
            text.set(*at, &format!("{line}{}", active.after.trim_end()));
            return Ok(());
        }
        let section = match (&self.section, self.syntax.format.blocks, sections) {
            (Some(name), blocks, _) => match chosen.last().and_then(one_of) {
                Some(section) => section,
                None => {
                    self.add_section(text, &blocks.line(name), value);
                    return Ok(());
                }
            },
            (None, Blocks::Words(_), [global, ..]) | (None, Blocks::Brackets, [global]) => global,
            (None, Blocks::Brackets, [global, only]) if self.last_setting(before, global).is_none() => only,
            (None, ..) => {
                let names: Vec<String> =
                    sections.iter().skip(1).map(|one| format!("[{}]", one.name.escape_debug())).collect();
                return Err(format!(
                    "it is not set, and the file has sections ({}): say with 'section' where it belongs (\"\": before the first)",
                    names.join(", ")
                ));
            }
        };
        self.add_to(text, before, section, value);
        Ok(())
    }

    /// Adds the key at the end of a section.
    fn add_to(&self, text: &mut Text, before: &Text, section: &Section, value: &str) {
        let last = self.last_setting(before, section);
        let like = last.map(|at| before.line(at)).unwrap_or_default();
        let indent = if section.name.is_empty() { "" } else { &like[..like.len() - like.trim_start().len()] };
        let ends_text = section.lines.end == before.len();
        let at = match last {
            _ if section.name.is_empty() && ends_text => before.len(),
            // The comment right above the next section is that section's.
            _ if section.name.is_empty() => self.above_comment(before, section.lines.end),
            Some(last) => last + 1,
            None => section.lines.start,
        };
        text.insert(at, &self.syntax.line(indent, self.usual_joint(before).as_deref(), value));
    }

    fn add_section(&self, text: &mut Text, head: &str, value: &str) {
        if text.len() > 0 && !text.line(text.len() - 1).trim().is_empty() {
            text.insert(text.len(), "");
        }
        let joint = self.usual_joint(text);
        text.insert(text.len(), head);
        let indent = match self.syntax.format.blocks {
            Blocks::Words(_) => "    ",
            Blocks::Brackets => "",
        };
        text.insert(text.len(), &self.syntax.line(indent, joint.as_deref(), value));
    }

    /// The last line of a section that is neither blank nor a comment.
    fn last_setting(&self, text: &Text, section: &Section) -> Option<usize> {
        section.lines.clone().rev().find(|at| !text.line(*at).trim().is_empty() && !self.is_comment(text.line(*at)))
    }

    fn is_comment(&self, line: &str) -> bool {
        self.syntax.comments.iter().any(|sign| line.trim_start().starts_with(sign.as_str()))
    }

    /// The first of the comment lines right above a line, or that line.
    fn above_comment(&self, text: &Text, at: usize) -> usize {
        let is_of_line = |above: &usize| self.is_comment(text.line(*above)) && !ends_marked_lines(text, *above);
        let comments = (0..at).rev().take_while(is_of_line).count();
        at - comments
    }

    /// What most lines of the file have between key and value.
    fn usual_joint(&self, text: &Text) -> Option<String> {
        let spaced = text.iter().filter(|line| !self.is_comment(line)).filter_map(|line| {
            let (key, _) = line.split_once(self.syntax.sign.as_str()).filter(|_| self.syntax.sign == "=")?;
            Some(key.ends_with([' ', '\t']))
        });
        let (with, without): (Vec<bool>, Vec<bool>) = spaced.partition(|spaced| *spaced);
        (with.len() > without.len()).then(|| " = ".to_owned())
    }

    /// Refuses to add `key=value` where the key stands there as `key value` or `key: value`.
    fn refuse_other_separator(&self, text: &Text, sections: &[Section], chosen: &[usize]) -> Result<(), String> {
        if self.separated || self.syntax.format.separator.is_some() {
            return Ok(());
        }
        let lines = chosen.iter().filter_map(|at| sections.get(*at)).flat_map(|one| one.lines.clone());
        for at in lines {
            for (sign, shown) in [(":", ":"), ("", " ")] {
                if self.syntax.active_by(text.line(at), sign).is_some() {
                    return Err(format!(
                        "line {} sets it without \"=\": say separator = \"{shown}\" if that is how this file is written",
                        at + 1
                    ));
                }
            }
        }
        Ok(())
    }
}
