//! Templates: what a text needs, and what it becomes.
//!
//! Only here is the template engine (tera) used. Nothing is escaped, and a
//! value that is not defined is an error wherever it would be written out.

use super::code::{PathUse, end_of_code, paths_in_expression, paths_in_text};
use super::fault::{Fault, UNDEFINED, faults};
use super::scope::place_in;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tera::{Context, Kwargs, State, Tera};

/// What a text needs.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    /// The variables that must be given.
    pub variables: BTreeSet<String>,
    /// Every path it names.
    pub paths: Vec<PathUse>,
}

/// How a string is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'t> {
    /// As it is.
    Plain,
    /// One whole `{{ expression }}`: the expression, and where it begins.
    Expression(&'t str, usize),
    /// Text with code in it.
    Text,
}

/// How to read a string of a playbook.
pub(super) fn form(text: &str) -> Form<'_> {
    if !text.contains("{{") && !text.contains("{%") {
        return Form::Plain;
    }
    if let Some(inner) = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
        && end_of_code(text, 2, "}}") == Some(text.len() - 2)
    {
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        let start = text.len() - 2 - inner.len();
        return Form::Expression(inner.strip_suffix('-').unwrap_or(inner), start);
    }
    Form::Text
}

/// By text: what it needs, or what is wrong with it.
type Learnt = HashMap<String, Result<Arc<Needs>, Vec<Fault>>>;

/// The template engine, with what it has learnt of texts.
#[derive(Clone)]
pub(super) struct Engine {
    base: Tera,
    scratch: Arc<Mutex<Tera>>,
    known: Arc<Mutex<Learnt>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

const SLOT: &str = "text";
/// What stands before an expression when it is evaluated.
const LEAD: &str = "{{ (";

fn wrapped(expression: &str) -> String {
    format!("{LEAD}{expression}) | stockade_data }}}}")
}

fn data(value: &tera::Value, _: Kwargs, _: &State<'_>) -> tera::TeraResult<String> {
    if value.is_undefined() {
        return Err(tera::Error::message(UNDEFINED));
    }
    serde_json::to_string(value).map_err(tera::Error::message)
}

fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new() -> Engine {
        let mut base = Tera::new();
        base.autoescape_on(Vec::<String>::new());
        base.register_filter("stockade_data", data);
        Engine { scratch: Arc::new(Mutex::new(base.clone())), base, known: Arc::default() }
    }

    /// What a text with code in it needs.
    pub fn text_needs(&self, text: &str) -> Result<Arc<Needs>, Vec<Fault>> {
        self.needs(text, text, 0, paths_in_text)
    }

    /// What an expression needs.
    pub fn expression_needs(&self, expression: &str) -> Result<Arc<Needs>, Vec<Fault>> {
        self.needs(&wrapped(expression), expression, LEAD.len(), paths_in_expression)
    }

    fn needs(
        &self,
        code: &str,
        text: &str,
        lead: usize,
        paths: fn(&str) -> Vec<PathUse>,
    ) -> Result<Arc<Needs>, Vec<Fault>> {
        if let Some(known) = open(&self.known).get(code) {
            return known.clone();
        }
        let mut tera = open(&self.scratch);
        let variables = tera.add_raw_template(SLOT, code).and_then(|()| {
            tera.get_template_variables(SLOT).map(|names| names.into_iter().map(str::to_owned).collect())
        });
        let needs = match variables {
            Ok(variables) => Ok(Arc::new(Needs { variables, paths: paths(text) })),
            Err(error) => Err(faults(&error, SLOT, text, lead)),
        };
        open(&self.known).insert(code.to_owned(), needs.clone());
        needs
    }

    /// The text that a text with code in it becomes.
    pub fn text(&self, text: &str, context: &Context) -> Result<String, Vec<Fault>> {
        self.base.render_str(text, context, false).map_err(|error| faults(&error, "__tera_one_off", text, 0))
    }

    /// The value of an expression, of whatever type.
    pub fn value(&self, expression: &str, context: &Context) -> Result<Value, Vec<Fault>> {
        let bad = |error: tera::Error| faults(&error, "__tera_one_off", expression, LEAD.len());
        let json = self.base.render_str(&wrapped(expression), context, false).map_err(bad)?;
        serde_json::from_str(&json).map_err(|error| vec![Fault::new(error.to_string(), None)])
    }

    /// A set of files, the first of which is to be rendered.
    pub fn files(&self, files: &[(String, String)]) -> Result<FileTemplate, Vec<Fault>> {
        let main = files.first().map_or("", |(name, _)| name);
        let mut tera = self.base.clone();
        let text = |name: &str| files.iter().find(|(n, _)| n == name).map_or("", |(_, text)| text);
        tera.add_raw_templates(files.iter().map(|(name, text)| (name, text)))
            .map_err(|error| faults(&error, main, text(main), 0))?;
        let variables = tera
            .get_template_variables(main)
            .map(|names| names.into_iter().map(str::to_owned).collect())
            .map_err(|error| faults(&error, main, text(main), 0))?;
        let mut paths = paths_in_text(text(main));
        for (name, text) in files.iter().skip(1) {
            paths.extend(paths_in_text(text).into_iter().map(|path| PathUse {
                elsewhere: Some(place_in(name, text, path.range.start)),
                // Whether and how often a file is included is not looked at.
                certain: false,
                ..path
            }));
        }
        Ok(FileTemplate { tera, main: main.to_owned(), text: text(main).to_owned(), needs: Needs { variables, paths } })
    }
}

/// A file to render, with the files that it includes.
pub(super) struct FileTemplate {
    tera: Tera,
    main: String,
    text: String,
    /// What all of them need.
    pub needs: Needs,
}

impl FileTemplate {
    /// The text that the file becomes.
    pub fn render(&self, context: &Context) -> Result<String, Vec<Fault>> {
        self.tera.render(&self.main, context).map_err(|error| faults(&error, &self.main, &self.text, 0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "template_tests.rs"]
mod tests;
