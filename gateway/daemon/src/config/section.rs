//! One section of a configuration: declared once, read and documented from that.

/// One section of the reference.
#[derive(Clone, Debug)]
pub struct Section {
    /// As `[listen]`.
    pub title: String,
    /// What it is about.
    pub doc: &'static str,
    /// Its keys.
    pub fields: Vec<FieldDoc>,
}

/// One key of the reference.
#[derive(Clone, Debug)]
pub struct FieldDoc {
    /// Its name.
    pub key: &'static str,
    /// What may be written there.
    pub kind: &'static str,
    /// As it would be written.
    pub default: String,
    /// What it means.
    pub doc: String,
}

/// Declares a section: the struct, how it is taken out of the tree, and its part of the reference.
#[macro_export]
macro_rules! section {
    ($(#[doc = $doc:literal])+ $name:ident at $path:literal {
        $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty = $default:expr),+ $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $fdoc])+ pub $field: $type),+ }

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default),+ } }
        }

        impl $name {
            /// Takes the section out of the tree.
            pub fn take(
                reader: &mut $crate::config::Reader,
                root: &mut $crate::config::Table,
            ) -> Self {
                let mut table = reader.section(root, $path);
                let section = Self::take_keys(reader, &mut table, $path);
                reader.refuse_unknown($path, &table);
                section
            }

            /// Takes its keys out of the table of a section, which may have others.
            pub fn take_keys(
                reader: &mut $crate::config::Reader,
                table: &mut $crate::config::Table,
                section: &str,
            ) -> Self {
                Self { $($field: reader.take(table, section, stringify!($field), $default)),+ }
            }

            /// Its part of the reference.
            pub fn section() -> $crate::config::Section {
                let defaults = Self::default();
                $crate::config::Section {
                    title: concat!("`[", $path, "]`").into(),
                    doc: concat!($($doc),+).trim_ascii(),
                    fields: vec![$($crate::config::FieldDoc {
                        key: stringify!($field),
                        kind: <$type as $crate::config::Field>::KIND,
                        default: $crate::config::Field::show(&defaults.$field),
                        doc: concat!($($fdoc),+).trim().to_string(),
                    }),+],
                }
            }
        }
    };
}

section! {
    /// What is written to standard error. Nothing waits for who reads it: when 1 MiB is unread, further lines are dropped and
    /// counted (`gateway_log_lines_dropped_total`, `media_relay_log_lines_dropped_total`).
    Log at "log" {
        /// One JSON object a line instead of text.
        json: bool = false,
        /// As `tracing-subscriber` reads it: `info`, `warn,relay_core=debug`.
        filter: String = "info".into(),
    }
}

impl Log {
    /// What no type can know.
    pub fn check(&self, reader: &mut super::Reader) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.filter) {
            reader.mistake(
                "log.filter",
                format!("{error}; expected such as \"info\" or \"warn,relay_core=debug\""),
            );
        }
    }
}
