//! Walks the configuration tree: takes what the declarations know, and reports the rest.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use ::config::{Value, ValueKind};

use super::Configuration;
use super::field::Field;

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as `section.key`; empty when the file as a whole is meant.
    pub key: String,
    /// What, and what was expected.
    pub what: String,
}

/// Everything that is wrong with the configuration; never empty as an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    pub(super) fn unreadable(file: Option<&Path>, error: &::config::ConfigError) -> Self {
        let key = file.map_or_else(String::new, |f| f.display().to_string());
        Self(vec![Mistake { key, what: error.to_string() }])
    }

    pub(super) fn of_file(file: &Path, what: String) -> Self {
        Self(vec![Mistake { key: file.display().to_string(), what }])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            match mistake.key.is_empty() {
                true => write!(f, "{line_end}{}", mistake.what)?,
                false => write!(f, "{line_end}{}: {}", mistake.key, mistake.what)?,
            }
        }
        Ok(())
    }
}

/// Reads the whole tree.
pub(super) fn read<C: Configuration>(tree: Value, base: &Path) -> Result<C, Mistakes> {
    let mut reader = Reader { reference: C::REFERENCE, mistakes: Vec::new() };
    let mut root = match tree.kind {
        ValueKind::Table(table) => table,
        _ => HashMap::new().into_iter().collect(),
    };
    let mut settings = C::take(&mut reader, &mut root);
    reader.refuse_unknown("", &root);
    settings.resolve_paths(base);
    settings.check(&mut reader);
    if reader.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(reader.mistakes)) }
}

/// Collects mistakes while values are taken out of the tree.
#[derive(Debug)]
pub struct Reader {
    reference: &'static str,
    mistakes: Vec<Mistake>,
}

/// A section, or the whole file.
pub type Table = ::config::Map<String, Value>;

impl Reader {
    /// Reports what is wrong with a key.
    pub fn mistake(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.mistakes.push(Mistake { key: key.into(), what: what.into() });
    }

    /// Takes one key; a wrong value is reported and replaced by the default.
    pub fn take<T: Field>(&mut self, table: &mut Table, section: &str, key: &str, default: T) -> T {
        let Some(value) = table.remove(key) else { return default };
        T::read(&value).unwrap_or_else(|what| {
            self.mistake(path(section, key), what);
            default
        })
    }

    /// Takes one key that must be there.
    pub fn require<T: Field>(&mut self, table: &mut Table, section: &str, key: &str) -> Option<T> {
        match table.remove(key).map(|value| T::read(&value)) {
            Some(Ok(value)) => return Some(value),
            Some(Err(what)) => self.mistake(path(section, key), what),
            None => self.mistake(path(section, key), "is missing"),
        }
        None
    }

    /// Takes the table of a section; nothing is an empty one.
    pub fn section(&mut self, root: &mut Table, name: &str) -> Table {
        match root.remove(name).map(|v| v.kind) {
            Some(ValueKind::Table(table)) => table,
            None => Table::new(),
            Some(_) => {
                self.mistake(name, format!("expected a section [{name}]"));
                Table::new()
            }
        }
    }

    /// Takes a repeated section `[[name]]`.
    pub fn sections(&mut self, root: &mut Table, name: &str) -> Vec<Table> {
        let items = match root.remove(name).map(|v| v.kind) {
            Some(ValueKind::Array(items)) => items,
            None => Vec::new(),
            Some(_) => {
                self.mistake(name, format!("expected repeated sections [[{name}]]"));
                Vec::new()
            }
        };
        let tables = items.into_iter().filter_map(|item| match item.kind {
            ValueKind::Table(table) => Some(table),
            _ => None,
        });
        tables.collect()
    }

    /// Takes a repeated section `[[section.name]]` out of its section, which can be taken after it.
    pub fn subsections(&mut self, root: &mut Table, section: &str, name: &str) -> Vec<Table> {
        let Some(ValueKind::Table(table)) = root.get_mut(section).map(|value| &mut value.kind) else {
            return Vec::new();
        };
        let Some(value) = table.remove(name) else { return Vec::new() };
        let key = path(section, name);
        self.sections(&mut Table::from([(key.clone(), value)]), &key)
    }

    /// A key that is not known any more is reported with what to write instead.
    pub fn refuse_former(&mut self, root: &mut Table, section: &str, key: &str, instead: &str) {
        let Some(ValueKind::Table(table)) = root.get_mut(section).map(|value| &mut value.kind) else {
            return;
        };
        if table.remove(key).is_some() {
            self.mistake(path(section, key), instead);
        }
    }

    /// Whatever was not taken is unknown.
    pub fn refuse_unknown(&mut self, section: &str, rest: &Table) {
        let mut unknown: Vec<&String> = rest.keys().collect();
        unknown.sort();
        for key in unknown {
            let what = format!("is not a known key: see {} for those there are", self.reference);
            self.mistake(path(section, key), what);
        }
    }
}

fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_string() } else { format!("{section}.{key}") }
}
