//! Where the softphone page is.

use std::path::{Path, PathBuf};

use daemon::config::{Field, Value};

/// The folder with the softphone page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PageFolder {
    /// Where a build leaves it, wherever the configuration file is.
    #[default]
    Built,
    /// The operator's word; relative to the configuration file, as all paths.
    At(PathBuf),
}

impl PageFolder {
    /// Where it is looked for, in this order.
    pub fn places(&self) -> Vec<PathBuf> {
        match self {
            Self::At(folder) => vec![folder.clone()],
            Self::Built => {
                let program = std::env::current_exe().unwrap_or_default();
                // `target/release/gateway` is two folders below the sources.
                let folders = program.ancestors().skip(1).take(3).step_by(2);
                std::env::current_dir().iter().map(PathBuf::as_path).chain(folders).map(within).collect()
            }
        }
    }

    /// The first of these that holds a page.
    pub fn folder(&self) -> Option<PathBuf> {
        self.places().into_iter().find(|place| place.join("index.html").is_file())
    }

    pub(super) fn path(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Built => None,
            Self::At(folder) => Some(folder),
        }
    }
}

fn within(folder: &Path) -> PathBuf {
    folder.join(BUILT)
}

impl Field for PageFolder {
    const KIND: &'static str = PathBuf::KIND;

    fn read(value: &Value) -> Result<Self, String> {
        PathBuf::read(value).map(Self::At)
    }

    fn show(&self) -> String {
        match self {
            Self::Built => PathBuf::from(BUILT).show(),
            Self::At(folder) => folder.show(),
        }
    }
}

/// As the sources have it.
const BUILT: &str = "gateway/web/dist";
