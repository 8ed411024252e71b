//! What a configuration value may be: one trait, implemented for each type that a key can have.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ::config::{Value, ValueKind};

/// A type that a key of the configuration can have.
pub trait Field: Sized {
    /// For the reference.
    const KIND: &'static str;
    /// Reads the value.
    ///
    /// # Errors
    /// What was expected, for people.
    fn read(value: &Value) -> Result<Self, String>;
    /// As it would be written in the file.
    fn show(&self) -> String;
}

/// A time, written `250ms`, `15s`, `10m` or `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// Whole seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(std::time::Duration::from_secs(n))
    }
}

/// Inclusive range of UDP ports, written `[40000, 49999]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// The address that a socket is bound to and the one that peers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Of a local interface.
    pub bind: IpAddr,
    /// Told to peers; equal to `bind` unless written `bind/advertised`.
    pub advertised: IpAddr,
}

/// One or several [`Addresses`], best first; a single one is written without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList(pub Vec<Addresses>);

impl Addresses {
    /// An address that peers are told as it is bound.
    pub const fn of(address: IpAddr) -> Self {
        Self { bind: address, advertised: address }
    }
}

fn text(value: &Value, expected: &str) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(s) => Ok(s.clone()),
        other => Err(format!("expected {expected}, found {}", name_of(other))),
    }
}

fn name_of(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "a boolean",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a number",
        ValueKind::Float(_) => "a decimal number",
        ValueKind::String(_) => "a text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}

impl Field for String {
    const KIND: &'static str = "text";
    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "a text in quotes")?;
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("expected a text that is not empty and has no control characters".into());
        }
        Ok(text)
    }
    fn show(&self) -> String {
        format!("`\"{self}\"`")
    }
}

impl Field for bool {
    const KIND: &'static str = "`true` or `false`";
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Boolean(b) => Ok(*b),
            ValueKind::String(s) => s.parse().map_err(|_| "expected true or false".into()),
            other => Err(format!("expected true or false, found {}", name_of(other))),
        }
    }
    fn show(&self) -> String {
        format!("`{self}`")
    }
}

impl Field for u32 {
    const KIND: &'static str = "number";
    fn read(value: &Value) -> Result<Self, String> {
        let number = match &value.kind {
            ValueKind::I64(n) => u32::try_from(*n).ok(),
            ValueKind::String(s) => s.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| "expected a whole number from 0 to 4294967295".into())
    }
    fn show(&self) -> String {
        format!("`{self}`")
    }
}

macro_rules! field_from_str {
    ($type:ty, $kind:literal, $expected:literal) => {
        impl Field for $type {
            const KIND: &'static str = $kind;
            fn read(value: &Value) -> Result<Self, String> {
                let text = text(value, $expected)?;
                <$type>::from_str(&text).map_err(|_| format!("expected {}", $expected))
            }
            fn show(&self) -> String {
                format!("`\"{self}\"`")
            }
        }
    };
}
field_from_str!(
    SocketAddr,
    "address:port",
    "an address with a port such as \"127.0.0.1:5060\" or \"[::1]:5060\""
);
field_from_str!(IpAddr, "IP address", "an IP address");
field_from_str!(ipnet::IpNet, "CIDR", "a network such as \"10.1.0.0/16\" or \"192.0.2.7/32\"");

impl Field for PathBuf {
    const KIND: &'static str = "path";
    fn read(value: &Value) -> Result<Self, String> {
        String::read(value).map(PathBuf::from)
    }
    fn show(&self) -> String {
        format!("`\"{}\"`", self.display())
    }
}

impl Field for Duration {
    const KIND: &'static str = "time";
    fn read(value: &Value) -> Result<Self, String> {
        let written = text(value, "a time such as \"250ms\", \"15s\", \"10m\" or \"2h\"")?;
        let split = written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len());
        let (digits, unit) = written.split_at(split);
        let milliseconds = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let total = digits.parse::<u64>().ok().zip(milliseconds).and_then(|(n, unit)| n.checked_mul(unit));
        match total {
            Some(ms) => Ok(Self(std::time::Duration::from_millis(ms))),
            None => Err("expected a time such as \"250ms\", \"15s\", \"10m\" or \"2h\"".into()),
        }
    }
    fn show(&self) -> String {
        let ms = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.into_iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
            Some((unit, name)) => format!("`\"{}{name}\"`", ms / unit),
            None => format!("`\"{ms}ms\"`"),
        }
    }
}

impl Field for PortRange {
    const KIND: &'static str = "[first, last]";
    fn read(value: &Value) -> Result<Self, String> {
        let expected =
            || "expected two ports such as [40000, 49999], the first even and at most the second".to_string();
        let ValueKind::Array(items) = &value.kind else { return Err(expected()) };
        let ports: Vec<u16> =
            items.iter().filter_map(|v| u32::read(v).ok()).filter_map(|n| u16::try_from(n).ok()).collect();
        match ports[..] {
            [first, last] if items.len() == 2 && first >= 1024 && first % 2 == 0 && first < last => {
                Ok(Self { first, last })
            }
            _ => Err(expected()),
        }
    }
    fn show(&self) -> String {
        format!("`[{}, {}]`", self.first, self.last)
    }
}

impl Field for Addresses {
    const KIND: &'static str = "IP address, or bind/advertised";
    fn read(value: &Value) -> Result<Self, String> {
        let written = text(value, "an IP address, or two as \"bind/advertised\"")?;
        let (bind, advertised) = written.split_once('/').unwrap_or((&written, &written));
        match (bind.parse::<IpAddr>(), advertised.parse::<IpAddr>()) {
            (Ok(_), Ok(advertised)) if advertised.is_unspecified() || advertised.is_multicast() => {
                Err(format!(
                    "{advertised} can't be told to peers: write the address they reach, as \"{bind}/203.0.113.7\""
                ))
            }
            (Ok(bind), Ok(advertised)) if bind.is_ipv4() == advertised.is_ipv4() => {
                Ok(Self { bind, advertised })
            }
            _ => Err("expected an IP address, or two of one family as \"bind/advertised\"".into()),
        }
    }
    fn show(&self) -> String {
        if self.bind == self.advertised {
            format!("`\"{}\"`", self.bind)
        } else {
            format!("`\"{}/{}\"`", self.bind, self.advertised)
        }
    }
}

impl Field for AddressList {
    const KIND: &'static str = "IP address, or bind/advertised, or a list of them";
    fn read(value: &Value) -> Result<Self, String> {
        let list = Vec::<Addresses>::read(value)?;
        let repeated = list.iter().enumerate().find(|(i, one)| list[..*i].contains(one));
        match repeated {
            Some((_, one)) => Err(format!("{} is there twice", one.show().trim_matches('`'))),
            None if list.is_empty() => Err("expected at least one IP address".into()),
            None => Ok(Self(list)),
        }
    }
    fn show(&self) -> String {
        match &self.0[..] {
            [one] => one.show(),
            _ => self.0.show(),
        }
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: &'static str = T::KIND;
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(s) if s == OFF => Ok(None),
            _ => T::read(value).map(Some),
        }
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| format!("`\"{OFF}\"`"), Field::show)
    }
}

impl<T: Field> Field for Vec<T> {
    const KIND: &'static str = "list";
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Array(items) => all(items),
            // The environment has no lists: commas stand between the items.
            ValueKind::String(s) => {
                let items = s.split(',').map(|item| Value::new(None, ValueKind::String(item.trim().into())));
                all(&items.collect::<Vec<_>>())
            }
            other => Err(format!("expected a list, found {}", name_of(other))),
        }
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(|item| item.show().trim_matches('`').to_string()).collect();
        format!("`[{}]`", items.join(", "))
    }
}

/// Every item, or what is wrong with every wrong one.
fn all<T: Field>(items: &[Value]) -> Result<Vec<T>, String> {
    let mut wrong: Vec<String> = Vec::new();
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match T::read(item) {
            Ok(item) => read.push(item),
            Err(what) => wrong.push(format!("{}: {what}", shown(item).unwrap_or_default())),
        }
    }
    if wrong.is_empty() { Ok(read) } else { Err(wrong.join("; ")) }
}

/// A value as the file has it, shortened; none of a table.
pub(super) fn shown(value: &Value) -> Option<String> {
    let text = match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => {
            format!("[{}]", items.iter().filter_map(shown).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Table(_) | ValueKind::Nil => return None,
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}

/// Characters of a value in a message.
const LONGEST_SHOWN: usize = 120;

/// Written for an optional value that is not wanted, where leaving the key out would mean its default.
const OFF: &str = "off";

/// Implements [`Field`] for an enum that is written as one of a few words.
#[macro_export]
macro_rules! words {
    ($type:ident: $($word:literal => $variant:ident),+ $(,)?) => {
        impl $crate::config::Field for $type {
            const KIND: &'static str = concat!("one of" $(, " `\"", $word, "\"`")+);
            fn read(value: &$crate::config::Value) -> Result<Self, String> {
                match &value.kind {
                    $($crate::config::ValueKind::String(s) if s == $word => Ok(Self::$variant),)+
                    _ => Err(concat!("expected one of" $(, " \"", $word, "\"")+).into()),
                }
            }
            fn show(&self) -> String {
                match self { $(Self::$variant => format!("`\"{}\"`", $word),)+ }
            }
        }
    };
}
