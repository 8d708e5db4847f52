//! Typed access to a step's table; what is wrong is collected, not thrown.

use super::{Assets, Kind};
use crate::values::{Diagnostic, Node, NodeValue, Span};
use std::{fmt::Display, str::FromStr};

/// The table of one step while its resource is made.
pub struct Args<'a> {
    kind: &'static Kind,
    table: &'a Node,
    /// The project's files.
    pub assets: &'a dyn Assets,
    errors: Vec<Diagnostic>,
    /// Of the errors, those that are due to one value, whatever the others are.
    values: Vec<Diagnostic>,
    /// Those that are due to no value, but to what is not there.
    missing: Vec<Diagnostic>,
}

impl<'a> Args<'a> {
    /// Access to a table that has passed [`super::check`].
    pub fn new(kind: &'static Kind, table: &'a Node, assets: &'a dyn Assets) -> Args<'a> {
        Args { kind, table, assets, errors: Vec::new(), values: Vec::new(), missing: Vec::new() }
    }

    /// The value of a field, if given.
    pub fn node(&self, field: &str) -> Option<&'a Node> {
        debug_assert!(self.kind.fields.iter().any(|f| f.name == field), "{field} is not in the table of fields");
        self.table.get(field)
    }

    /// Where a field's value stands, or the whole step.
    pub fn span(&self, field: &str) -> Span {
        self.table.get(field).map_or_else(|| self.table.span.clone(), |node| node.span.clone())
    }

    /// Says that a field's value (or its absence) is wrong.
    pub fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(self.span(field), message));
    }

    /// Says that a field's value is wrong, whatever those of other fields are.
    pub fn wrong_value(&mut self, field: &str, message: impl Into<String>) {
        self.wrong_at(self.span(field), message.into());
    }

    fn wrong_at(&mut self, span: Span, message: String) {
        self.wrong(Diagnostic::new(span, message));
    }

    /// The same, with place and advice.
    pub fn wrong(&mut self, error: Diagnostic) {
        self.values.push(error.clone());
        self.errors.push(error);
    }

    /// Says that something which the step needs beside its values is not there.
    pub fn lacks(&mut self, error: Diagnostic) {
        self.missing.push(error.clone());
        self.errors.push(error);
    }

    /// What was found wrong of values for themselves, and what is missing beside them.
    pub(super) fn into_wrong_values(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        (self.values, self.missing)
    }

    /// Says that something is wrong, with place and advice.
    pub fn error(&mut self, error: Diagnostic) {
        self.errors.push(error);
    }

    /// Whether nothing has been found wrong so far.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// What was found wrong.
    pub fn into_errors(self) -> Vec<Diagnostic> {
        self.errors
    }

    /// A string.
    pub fn string(&self, field: &str) -> Option<String> {
        self.node(field)?.as_str().map(str::to_owned)
    }

    /// A boolean.
    pub fn bool(&self, field: &str) -> Option<bool> {
        match self.node(field)?.value {
            NodeValue::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// A whole number within bounds (both included).
    pub fn integer(&mut self, field: &str, least: i64, most: i64) -> Option<i64> {
        let NodeValue::Integer(number) = self.node(field)?.value else { return None };
        if (least..=most).contains(&number) {
            return Some(number);
        }
        self.wrong_value(field, format!("'{field}' must be from {least} to {most}, not {number}"));
        None
    }

    /// A value parsed from a string; what it is not goes into the errors.
    pub fn parse<T: FromStr<Err: Display>>(&mut self, field: &str) -> Option<T> {
        let text = self.string(field)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong_value(field, error.to_string());
                None
            }
        }
    }

    /// Values parsed from a string or an array of strings; empty if not given.
    pub fn parse_list<T: FromStr<Err: Display>>(&mut self, field: &str) -> Vec<T> {
        let Some(node) = self.node(field) else { return Vec::new() };
        let items: Vec<&Node> = match &node.value {
            NodeValue::Array(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str().map(str::parse::<T>) {
                Some(Ok(value)) => values.push(value),
                Some(Err(error)) => self.wrong_at(item.span.clone(), error.to_string()),
                None => self.errors.push(Diagnostic::new(
                    item.span.clone(),
                    format!("'{field}' takes strings, not {}", item.type_name()),
                )),
            }
        }
        values
    }

    /// A scalar as the text a configuration file would hold.
    pub fn scalar(&self, field: &str) -> Option<String> {
        match &self.node(field)?.value {
            NodeValue::String(text) | NodeValue::Datetime(text) => Some(text.clone()),
            NodeValue::Integer(number) => Some(number.to_string()),
            NodeValue::Float(number) => Some(number.to_string()),
            NodeValue::Bool(flag) => Some(flag.to_string()),
            NodeValue::Array(_) | NodeValue::Table(_) => None,
        }
    }

    /// Whether `state = "absent"` is wanted.
    pub fn absent(&self) -> bool {
        self.string("state").as_deref() == Some("absent")
    }
}
