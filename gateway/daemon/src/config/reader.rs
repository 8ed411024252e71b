//! Walks the configuration tree: takes what the declarations know, and reports the rest.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use ::config::{Value, ValueKind};

use super::Configuration;
use super::field::{Field, shown};

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works today.
    Warning,
    /// The program runs, but something does not work: `check` fails.
    Alarm,
    /// The program does not run.
    Error,
}

impl Severity {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Alarm => "alarm",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong with the configuration, or with what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// How bad it is.
    pub severity: Severity,
    /// Where, as `section.key`; of a repeated section with its name, as `trunk[pbx].cidrs`. Empty when the file as a whole
    /// is meant.
    pub key: String,
    /// What is written there; none if nothing is, or if it may be a secret.
    pub value: Option<String>,
    /// What is wrong, and what was expected.
    pub what: String,
}

/// Everything that is wrong; never empty as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    pub(super) fn unreadable(file: Option<&Path>, error: &::config::ConfigError) -> Self {
        let key = file.map_or_else(String::new, |f| f.display().to_string());
        Self(vec![Mistake { severity: Severity::Error, key, value: None, what: error.to_string() }])
    }

    pub(super) fn of_file(file: &Path, what: String) -> Self {
        let key = file.display().to_string();
        Self(vec![Mistake { severity: Severity::Error, key, value: None, what }])
    }

    /// The worst of them.
    pub fn severity(&self) -> Option<Severity> {
        self.0.iter().map(|mistake| mistake.severity).max()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.severity {
            Severity::Error => {}
            Severity::Alarm | Severity::Warning => write!(f, "{}: ", self.severity.as_str())?,
        }
        match (self.key.is_empty(), &self.value) {
            (true, _) => f.write_str(&self.what),
            (false, None) => write!(f, "{}: {}", self.key, self.what),
            (false, Some(value)) => write!(f, "{} = {value}: {}", self.key, self.what),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Reads the whole tree. The settings are whole even if there are mistakes: wrong values are replaced by their defaults.
pub(super) fn read<C: Configuration>(tree: Value, base: &Path) -> (C, Reader) {
    let mut root = match tree.kind {
        ValueKind::Table(table) => table,
        _ => HashMap::new().into_iter().collect(),
    };
    let mut reader =
        Reader { reference: C::REFERENCE, known: known::<C>(), values: HashMap::new(), mistakes: Vec::new() };
    reader.note_values("", &root);
    let mut settings = C::take(&mut reader, &mut root);
    reader.refuse_unknown("", &root);
    settings.resolve_paths(base);
    settings.check(&mut reader);
    (settings, reader)
}

/// Sections, and the keys of each.
fn known<C: Configuration>() -> Vec<(String, Vec<&'static str>)> {
    let name = |title: &str| title.trim_matches(['`', '[', ']']).to_owned();
    let sections = C::sections().into_iter();
    sections.map(|one| (name(&one.title), one.fields.iter().map(|field| field.key).collect())).collect()
}

/// Collects mistakes while values are taken out of the tree, and while what they name is looked at.
#[derive(Debug)]
pub struct Reader {
    reference: &'static str,
    known: Vec<(String, Vec<&'static str>)>,
    /// What is written, by path.
    values: HashMap<String, String>,
    mistakes: Vec<Mistake>,
}

/// A section, or the whole file.
pub type Table = ::config::Map<String, Value>;

impl Reader {
    /// Reports what is wrong with a key: the program does not run.
    pub fn mistake(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.report(Severity::Error, key.into(), what.into());
    }

    /// Reports what does not work although the program runs.
    pub fn alarm(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.report(Severity::Alarm, key.into(), what.into());
    }

    /// Reports what works, but perhaps not for long or not as it was meant.
    pub fn warning(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.report(Severity::Warning, key.into(), what.into());
    }

    /// Is nothing wrong with this key so far? The world is not asked about a default that stands in for a wrong value.
    pub fn is_good(&self, key: &str) -> bool {
        self.mistakes.iter().all(|mistake| mistake.key != key)
    }

    /// The worst of what is wrong so far.
    pub fn severity(&self) -> Option<Severity> {
        self.mistakes.iter().map(|mistake| mistake.severity).max()
    }

    /// All of them.
    pub fn into_mistakes(self) -> Mistakes {
        Mistakes(self.mistakes)
    }

    fn report(&mut self, severity: Severity, key: String, what: String) {
        let value = self.values.get(&key).cloned();
        self.mistakes.push(Mistake { severity, key, value, what });
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

    /// Takes a repeated section `[[name]]`: each with its path, as `trunk[pbx]`.
    pub fn sections(&mut self, root: &mut Table, name: &str) -> Vec<(String, Table)> {
        let items = match root.remove(name).map(|v| v.kind) {
            Some(ValueKind::Array(items)) => items,
            None => Vec::new(),
            Some(_) => {
                self.mistake(name, format!("expected repeated sections [[{name}]]"));
                Vec::new()
            }
        };
        repeated(name, items).collect()
    }

    /// Takes a repeated section `[[section.name]]` out of its section, which can be taken after it.
    pub fn subsections(&mut self, root: &mut Table, section: &str, name: &str) -> Vec<(String, Table)> {
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

    /// Whatever was not taken is unknown. Its value is not shown: it may be a secret that found the wrong place.
    pub fn refuse_unknown(&mut self, section: &str, rest: &Table) {
        let mut unknown: Vec<&String> = rest.keys().collect();
        unknown.sort();
        for key in unknown {
            let meant = self.meant(section, key).map(|known| format!("did you mean {known}? "));
            let what = format!(
                "is not a known key: {}see {} for those there are",
                meant.unwrap_or_default(),
                self.reference
            );
            let key = path(section, key);
            self.values.remove(&key);
            self.mistake(key, what);
        }
    }

    /// The known key that this one looks like, or the section that has one of this name.
    fn meant(&self, section: &str, key: &str) -> Option<String> {
        let bare = section.split('[').next().unwrap_or_default();
        let here = self.known.iter().find(|(name, _)| name == bare).map(|(_, keys)| keys);
        let names: Vec<&str> = match here {
            Some(keys) => keys.clone(),
            None => self.known.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let likeness = |name: &str| strsim::jaro_winkler(&key.to_lowercase(), name);
        let alike = names.into_iter().filter(|name| likeness(name) >= ALIKE);
        let best = alike.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let elsewhere = || {
            let owners = self.known.iter().filter(|(_, keys)| keys.contains(&key));
            owners.map(|(name, _)| format!("{key:?} of [{name}]")).next()
        };
        best.map(|name| format!("{name:?}")).or_else(elsewhere)
    }

    fn note_values(&mut self, section: &str, table: &Table) {
        for (key, value) in table {
            let key = path(section, key);
            match &value.kind {
                ValueKind::Table(table) => self.note_values(&key, table),
                ValueKind::Array(items)
                    if items.iter().any(|item| matches!(item.kind, ValueKind::Table(_))) =>
                {
                    for (section, table) in repeated(&key, items.clone()).collect::<Vec<_>>() {
                        self.note_values(&section, &table);
                    }
                }
                _ => {
                    if let Some(shown) = shown(value) {
                        self.values.insert(key, shown);
                    }
                }
            }
        }
    }
}

/// The tables of a repeated section, each by its name if it has one, else by its number.
fn repeated(key: &str, items: Vec<Value>) -> impl Iterator<Item = (String, Table)> {
    let tables = items.into_iter().filter_map(|item| match item.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    });
    let named = move |(i, table): (usize, Table)| {
        let name = match table.get("name").map(|name| &name.kind) {
            Some(ValueKind::String(name)) if !name.is_empty() => name.clone(),
            _ => (i + 1).to_string(),
        };
        (format!("{key}[{name}]"), table)
    };
    tables.enumerate().map(named)
}

fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_string() } else { format!("{section}.{key}") }
}

/// Of 1: a slip of the pen, not another word.
const ALIKE: f64 = 0.85;
