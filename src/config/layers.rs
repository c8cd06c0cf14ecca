//! Which files make up one kind of configuration, in which order.
//!
//! Comes in: a base name such as `jail` or `filter.d/sshd`. Goes out: one tree of `BASE.conf`,
//! `BASE.d/*.conf`, `BASE.local`, `BASE.d/*.local` and what they include, and what is wrong with them.
//! It opens nothing itself, and no file twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Level, Source};
use crate::config::files::Layout;
use crate::config::ini::{self, Document};
use crate::config::tree::{Fuel, Given, INCLUDES, Scope, Tree};

/// Files laid over each other.
#[derive(Default)]
pub(crate) struct Layers {
    /// What they say together.
    pub(crate) tree: Tree,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// Something could not be read.
    pub(crate) incomplete: bool,
    /// How many files were read.
    pub(crate) count: usize,
    /// One of them is there to change what another one says: a `.local`, or one of `BASE.d`.
    pub(crate) is_overlaid: bool,
}

/// So many files may one kind of configuration have, included ones counted.
const COUNT_MAX: usize = 512;

/// Reads the files of `base`.
pub(crate) fn read(layout: &Layout, base: &str) -> Layers {
    Library::new(layout).assemble(base)
}

/// Files that were read already: jails share filters and actions, and those what they include.
pub(crate) struct Library<'a> {
    layout: &'a Layout,
    documents: BTreeMap<String, Option<Result<Arc<Document>, Diagnostic>>>,
    layers: BTreeMap<String, Arc<Layers>>,
}

impl<'a> Library<'a> {
    /// An empty one.
    pub(crate) fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            documents: BTreeMap::new(),
            layers: BTreeMap::new(),
        }
    }

    /// Takes in a file that need not be on the disk.
    pub(crate) fn hold(&mut self, file: &Arc<Source>) {
        let document = Some(Ok(Arc::new(ini::parse(file))));
        self.documents.insert(file.name.clone(), document);
    }

    /// Where the files are.
    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// The files of `base`.
    pub(crate) fn read(&mut self, base: &str) -> Arc<Layers> {
        if let Some(layers) = self.layers.get(base) {
            return Arc::clone(layers);
        }
        let layers = Arc::new(self.assemble(base));
        self.layers.insert(base.to_owned(), Arc::clone(&layers));
        layers
    }

    /// The files of `base`, for one who wants to change them.
    pub(crate) fn assemble(&mut self, base: &str) -> Layers {
        let mut reading = Reading {
            library: self,
            layers: Layers::default(),
            planned: Vec::new(),
            chain: Vec::new(),
        };
        let directory = format!("{base}.d");
        for suffix in [".conf", ".local"] {
            reading.planned.push(format!("{base}{suffix}"));
            match reading.library.layout.names(&directory, suffix) {
                Ok(names) => reading.planned.extend(names),
                Err(problem) => reading.fail(problem),
            }
        }
        for name in reading.planned.clone() {
            reading.file(&name);
        }
        reading.layers
    }

    fn document(&mut self, name: &str) -> Option<Result<Arc<Document>, Diagnostic>> {
        let layout = self.layout;
        let document = self.documents.entry(name.to_owned()).or_insert_with(|| {
            let source = layout.read(name)?;
            Some(source.map(|source| Arc::new(ini::parse(&source))))
        });
        document.clone()
    }
}

/// A reading in progress.
struct Reading<'a, 'b> {
    library: &'a mut Library<'b>,
    layers: Layers,
    /// The files that are read in any case.
    planned: Vec<String>,
    /// The file being read, after those that include it.
    chain: Vec<String>,
}

impl Reading<'_, '_> {
    /// Reads a file with what it includes; returns whether there is one.
    fn file(&mut self, name: &str) -> bool {
        let document = match self.library.document(name) {
            None => return false,
            Some(Ok(document)) => document,
            Some(Err(problem)) => {
                self.fail(problem);
                return true;
            }
        };
        self.layers.count += 1;
        self.layers.is_overlaid |=
            name.ends_with(".local") || self.planned.iter().skip(1).any(|it| it == name);
        let before = self.includes(&document, "before", name);
        let after = self.includes(&document, "after", name);
        self.layers
            .problems
            .extend(document.problems.iter().cloned());
        self.chain.push(name.to_owned());
        for (missing, include) in before {
            self.include(&include, &missing);
        }
        self.layers.tree.add(&document);
        for (missing, include) in after {
            self.include(&include, &missing);
        }
        self.chain.pop();
        true
    }

    /// Reads an included file, and its `.local` after it.
    fn include(&mut self, name: &str, problem: &Diagnostic) {
        if self.chain.iter().any(|file| file == name) || self.layers.count >= COUNT_MAX {
            self.layers.problems.push(Diagnostic {
                message: format!("'{name}' includes itself, or there are too many files"),
                remedy: "ignored here: remove it".to_owned(),
                ..problem.clone()
            });
            return;
        }
        if !self.file(name) && !name.ends_with(".local") {
            self.layers.problems.push(problem.clone());
        }
        let local = name
            .strip_suffix(".conf")
            .map(|stem| format!("{stem}.local"));
        if let Some(local) = local.filter(|local| !self.planned.contains(local)) {
            self.file(&local);
        }
    }

    /// The files that `document` includes, each with what to say if it is not there.
    fn includes(
        &mut self,
        document: &Document,
        key: &str,
        name: &str,
    ) -> Vec<(Diagnostic, String)> {
        let mut sections = document.sections.iter();
        let Some(section) = sections.rfind(|section| section.name == INCLUDES) else {
            return Vec::new();
        };
        let mut tree = Tree::default();
        tree.add_section(section);
        let scope = Scope {
            tree: &tree,
            section: INCLUDES,
            given: &Given::new(),
            fuel: &Fuel::default(),
        };
        let value = match scope.value(key) {
            None => return Vec::new(),
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                self.fail(problem);
                return Vec::new();
            }
        };
        let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
        let names = value
            .text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        names
            .map(|line| {
                let missing = Diagnostic::error(
                    &value.entry.place_of(line),
                    format!("there is no file '{line}' to include"),
                    "ignored: create it or remove the line",
                );
                (missing.at_level(Level::Warning), joined(directory, line))
            })
            .collect()
    }

    fn fail(&mut self, problem: Diagnostic) {
        self.layers.problems.push(problem);
        self.layers.incomplete = true;
    }
}

/// `name` seen from `directory`, without `.` and `..`; both are relative to the directories of the
/// layout. An absolute name stays one.
fn joined(directory: &str, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
