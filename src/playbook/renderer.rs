//! One rendering of values in a scope: templates, conditions, and what went wrong.

use super::code::{PathUse, next_expression};
use super::fault::{Fault, RAW, is_foreign};
use super::members::{OWN_TABLES, clearer, dead_ends, no_such_members};
use super::scope::{Found, Miss, Scope, Var, diagnose};
use super::template::{Form, Needs, form};
use crate::values::{Diagnostic, Node, NodeValue, TableEntry, suggest};
use serde_json::Value;
use std::sync::PoisonError;
use tera::Context;

/// One rendering: what went wrong, and whether anything is not known.
pub(super) struct Renderer<'s> {
    scope: &'s Scope,
    /// What is wrong.
    pub errors: Vec<Diagnostic>,
    /// Whether something was left as it is for want of facts or probes.
    pub unknown: bool,
    /// Of the last string that was left as it is: see [`Var::Unknown`].
    example: Option<Value>,
    trail: Vec<String>,
}

/// What an expression gives.
pub(super) enum Rendered {
    /// This.
    Value(Value),
    /// Not known without facts or probes; see [`Var::Unknown`].
    Unknown(Option<Value>),
    /// An error, which has been told.
    Bad,
}

impl<'s> Renderer<'s> {
    /// A rendering in a scope.
    pub fn new(scope: &'s Scope) -> Renderer<'s> {
        Renderer { scope, errors: Vec::new(), unknown: false, example: None, trail: Vec::new() }
    }

    /// Renders every string in a value. None: the value is null and stands for
    /// "not given".
    pub fn node(&mut self, node: &Node) -> Option<Node> {
        let value = match &node.value {
            NodeValue::String(text) => return self.string(node, text),
            NodeValue::Array(items) => NodeValue::Array(items.iter().filter_map(|item| self.node(item)).collect()),
            NodeValue::Table(entries) => {
                let rendered = entries.iter().filter_map(|entry| {
                    let node = self.node(&entry.node)?;
                    Some(TableEntry { key: entry.key.clone(), key_span: entry.key_span.clone(), node })
                });
                NodeValue::Table(rendered.collect())
            }
            other => other.clone(),
        };
        Some(Node { span: node.span.clone(), value })
    }

    /// A value in which each expression is replaced that is known; for showing.
    pub fn known_parts(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            NodeValue::String(text) => NodeValue::String(self.known_text(node, text)),
            NodeValue::Array(items) => NodeValue::Array(items.iter().map(|item| self.known_parts(item)).collect()),
            NodeValue::Table(entries) => {
                let known =
                    entries.iter().map(|entry| TableEntry { node: self.known_parts(&entry.node), ..entry.clone() });
                NodeValue::Table(known.collect())
            }
            other => other.clone(),
        };
        Node { span: node.span.clone(), value }
    }

    fn known_text(&mut self, node: &Node, text: &str) -> String {
        let shown = |value: Value| match value {
            Value::String(text) => text,
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        };
        if let Form::Text = form(text)
            && let Rendered::Value(Value::String(whole)) = self.text(node, text)
        {
            return whole;
        }
        // What decides or repeats is one whole.
        if text.contains("{%") {
            return text.to_owned();
        }
        let (mut known, mut from) = (String::new(), 0);
        while let Some((start, end)) = next_expression(text, from) {
            known.push_str(&text[from..start]);
            match self.expression(node, &text[start..end], false) {
                Rendered::Value(value) => known.push_str(&shown(value)),
                Rendered::Unknown(_) => {
                    let inner = self.known_of_variable(text[start + 2..end - 2].trim());
                    known.push_str(inner.as_deref().unwrap_or(&text[start..end]));
                }
                Rendered::Bad => known.push_str(&text[start..end]),
            }
            from = end;
        }
        known.push_str(&text[from..]);
        known
    }

    /// As [`Renderer::known_parts`], of the text that a variable is written as.
    fn known_of_variable(&mut self, name: &str) -> Option<String> {
        let var = self.scope.layers.iter().rev().find_map(|layer| layer.get(name));
        let Some(Var::Written(node)) = var else { return None };
        if self.trail.iter().any(|known| known == name) {
            return None;
        }
        self.trail.push(name.to_owned());
        let known = node.as_str().map(|text| self.known_text(node, text));
        self.trail.pop();
        known
    }

    fn string(&mut self, node: &Node, text: &str) -> Option<Node> {
        let outcome = match form(text) {
            Form::Plain => return Some(node.clone()),
            Form::Expression(code, offset) => self.code(node, code, offset, false),
            Form::Text => self.text(node, text),
        };
        match outcome {
            Rendered::Value(Value::Null) => None,
            Rendered::Value(value) => Some(Node::from_json(&value, &node.span)),
            Rendered::Unknown(example) => {
                self.unknown = true;
                self.example = example;
                Some(node.clone())
            }
            Rendered::Bad => Some(node.clone()),
        }
    }

    /// A rendered value as a variable.
    pub fn var(&mut self, node: &Node) -> Option<Var> {
        self.unknown = false;
        let told = self.errors.len();
        let rendered = self.node(node)?;
        Some(match (self.unknown, &node.value) {
            // What is wrong here says nothing of what is made of it.
            _ if self.errors.len() > told => Var::Unknown(None),
            (false, _) => Var::Ready(rendered.to_json()),
            (true, NodeValue::String(_)) => Var::Unknown(self.example.take()),
            (true, _) => Var::Unknown(None),
        })
    }

    fn text(&mut self, node: &Node, text: &str) -> Rendered {
        let needs = match self.scope.engine.text_needs(text) {
            Ok(needs) => needs,
            Err(faults) => return self.faults(node, 0, faults),
        };
        let context = match self.context(text, &needs) {
            Ok(context) => context,
            Err(Miss::Unknown) => return Rendered::Unknown(None),
            Err(Miss::Wrong(faults)) => return self.faults(node, 0, faults),
        };
        match self.scope.engine.text(text, &context) {
            Ok(text) => Rendered::Value(text.into()),
            Err(faults) => self.faults(node, 0, clearer(faults, &needs, &context)),
        }
    }

    /// The value of an expression, given bare or as one whole `{{ }}`. `strict`:
    /// a path that leads nowhere is an error even where it is only compared.
    pub fn expression(&mut self, node: &Node, text: &str, strict: bool) -> Rendered {
        match form(text) {
            Form::Expression(code, offset) => self.code(node, code, offset, strict),
            _ => self.code(node, text, 0, strict),
        }
    }

    fn code(&mut self, node: &Node, code: &str, offset: usize, strict: bool) -> Rendered {
        let needs = match self.scope.engine.expression_needs(code) {
            Ok(needs) => needs,
            Err(faults) => return self.faults(node, offset, faults),
        };
        let context = match self.context(code, &needs) {
            Ok(context) => context,
            Err(Miss::Unknown) => return Rendered::Unknown(self.example_of(code, &needs)),
            Err(Miss::Wrong(faults)) => return self.faults(node, offset, faults),
        };
        if strict {
            let faults = dead_ends(&needs, &context, |_| true);
            if !faults.is_empty() {
                return self.faults(node, offset, faults);
            }
        }
        match self.scope.engine.value(code, &context) {
            Ok(value) => Rendered::Value(value),
            Err(faults) => self.faults(node, offset, clearer(faults, &needs, &context)),
        }
    }

    /// Tells what is wrong with a string of the playbook.
    fn faults(&mut self, node: &Node, offset: usize, faults: Vec<Fault>) -> Rendered {
        self.errors.extend(faults.into_iter().map(|fault| diagnose(node, offset, fault)));
        Rendered::Bad
    }

    /// An example of the value of an expression that is one path.
    fn example_of(&mut self, code: &str, needs: &Needs) -> Option<Value> {
        let path = match &needs.paths[..] {
            [path] if path.range.len() == code.trim().len() => path,
            _ => return None,
        };
        let Found::Unknown(Some(example)) = self.variable(&path.names[0]) else { return None };
        path.names[1..].iter().try_fold(example, |mut value, name| value.get_mut(name).map(Value::take))
    }

    /// The values of the variables that the template `text` needs.
    pub(super) fn context(&mut self, text: &str, needs: &Needs) -> Result<Context, Miss> {
        let mut context = Context::new();
        let (mut unknown, mut bad) = (false, false);
        let mut faults = Vec::new();
        for name in &needs.variables {
            if name == "probes" {
                match self.scope.probes.value(needs) {
                    Ok(Some(value)) => context.insert(name.clone(), &value),
                    Ok(None) => unknown = true,
                    Err(found) => faults.extend(found),
                }
                continue;
            }
            let open = if name == "facts" { self.scope.open_facts(needs) } else { Vec::new() };
            if !open.is_empty() {
                self.scope.probes.note_open(open);
                unknown = true;
                continue;
            }
            match self.variable(name) {
                Found::Value(value) => context.insert(name.clone(), &value),
                Found::Unknown(example) => {
                    unknown = true;
                    if let Some(example) = example {
                        faults.extend(no_such_members(needs, name, &example));
                    }
                }
                Found::Bad => bad = true,
                Found::Nothing => {
                    let guarded = |path: &PathUse| path.names.len() == 1 && path.names[0] == *name && path.guarded;
                    if !needs.paths.iter().any(guarded) {
                        faults.push(self.undefined(name, text, needs));
                    }
                }
            }
        }
        // What the program itself gives has the same members everywhere. Of other
        // values a path that leads nowhere counts where its value is needed.
        let own = |path: &PathUse| OWN_TABLES.contains(&path.names[0].as_str());
        let incomplete = unknown || bad || !faults.is_empty();
        faults.extend(dead_ends(needs, &context, |path| own(path) || incomplete && path.certain));
        if bad || !faults.is_empty() {
            faults.sort_by_key(|fault| (fault.file.clone(), fault.range.as_ref().map_or(0, |range| range.start)));
            return Err(Miss::Wrong(faults));
        }
        if unknown { Err(Miss::Unknown) } else { Ok(context) }
    }

    fn undefined(&self, name: &str, text: &str, needs: &Needs) -> Fault {
        let message = format!("undefined variable '{name}'");
        let Some(path) = needs.paths.iter().find(|path| path.names[0] == name) else {
            return Fault { help: self.advice(name), ..Fault::new(message, None) };
        };
        let range = path.range.start..path.range.start + name.len();
        let foreign = path.elsewhere.is_none() && is_foreign(text, range.start);
        let help = if foreign { Some(RAW.to_owned()) } else { self.advice(name) };
        Fault { help, file: path.elsewhere.clone(), ..Fault::new(message, Some(range)) }
    }

    fn advice(&self, name: &str) -> Option<String> {
        if name == "item" {
            return Some("'item' exists only in a step with 'each'".to_owned());
        }
        if name == "env" {
            return Some("the environment of a stage never enters templates; use the kind 'env'".to_owned());
        }
        Some(match suggest(name, self.scope.names()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "set it in [vars], in the inventory, in the stage or with --var".to_owned(),
        })
    }

    /// Tells of a circle of variables, in the same words from wherever it is
    /// entered.
    fn circle(&self, start: usize) -> Diagnostic {
        let mut circle = self.trail[start..].to_vec();
        let first = circle.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(at, _)| at);
        circle.rotate_left(first);
        let name = circle[0].clone();
        circle.push(name.clone());
        let message = format!("the variable '{name}' is made from itself: {}", circle.join(" → "));
        match self.scope.layers.iter().rev().find_map(|layer| layer.get(&name)) {
            Some(Var::Written(node)) => Diagnostic::new(node.span.clone(), message),
            _ => Diagnostic::general(message),
        }
    }

    fn variable(&mut self, name: &str) -> Found {
        if let Some(found) = self.scope.rendered.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return found.clone();
        }
        let Some(var) = self.scope.layers.iter().rev().find_map(|layer| layer.get(name)) else {
            let elsewhere = self.scope.open && !["item", "env"].contains(&name);
            return if elsewhere { Found::Unknown(None) } else { Found::Nothing };
        };
        let node = match var {
            Var::Ready(value) => return Found::Value(value.clone()),
            Var::Unknown(example) => return Found::Unknown(example.clone()),
            Var::Outer(scope) => {
                let mut outer = Renderer::new(scope);
                let found = outer.variable(name);
                self.errors.append(&mut outer.errors);
                self.scope.probes.note_open(scope.open_probes());
                return found;
            }
            Var::Written(node) => node,
        };
        if let Some(start) = self.trail.iter().position(|known| known == name) {
            let circle = self.circle(start);
            self.errors.push(circle);
            return Found::Bad;
        }
        self.trail.push(name.to_owned());
        let told = self.errors.len();
        let outer = std::mem::take(&mut self.unknown);
        let rendered = self.node(node);
        let found = match rendered {
            _ if self.errors.len() > told => Found::Bad,
            _ if self.unknown => {
                Found::Unknown(self.example.take().filter(|_| matches!(node.value, NodeValue::String(_))))
            }
            Some(node) => Found::Value(node.to_json()),
            None => Found::Value(Value::Null),
        };
        self.unknown = outer;
        self.trail.pop();
        // A value that is wrong because it stands in a circle is wrong from any
        // point of it, so it may be remembered like any other.
        self.scope.rendered.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
        found
    }
}
