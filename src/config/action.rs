//! One action of a jail: `action.d/NAME.conf` with its arguments.
//!
//! Comes in: its name and arguments from the text of `action =`, and the options of the jail. Goes out:
//! its commands with every tag replaced that means something before a command runs, and what the
//! others stand for. Nothing is run, and no command is understood.

use std::collections::BTreeMap;

use crate::config::arguments::Call;
use crate::config::definition::Definition;
use crate::config::diagnostic::{Diagnostic, Place};
use crate::config::files::Layout;
use crate::config::layers::Library;
use crate::config::options::nearest;
use crate::config::rules;
use crate::config::tree::{Fuel, Given, Value};

/// An action, resolved.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedAction {
    /// The name of its file in `action.d`, without `.conf`.
    pub(crate) file: String,
    /// Where the jail names it.
    pub(crate) place: Place,
    /// What it is called in its jail.
    pub(crate) actname: String,
    /// The commands, the arguments, the options of `[Init]`; those for one family of addresses only as
    /// `option?family=inet6`. In the commands tags are replaced, in the others they stay for the moment
    /// when a command runs.
    pub(crate) properties: BTreeMap<String, Value>,
    /// It is written in Python; then the properties are its arguments.
    pub(crate) is_python: bool,
    /// The administrator changed its commands, by a file beside the shipped one or by an argument.
    pub(crate) is_modified: bool,
}

/// What came of an action.
pub(crate) struct Outcome {
    /// The action, if it can be read.
    pub(crate) action: Option<ResolvedAction>,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// A file could not be read.
    pub(crate) incomplete: bool,
}

/// The commands of an action and what steers them.
pub(crate) const COMMANDS: [&str; 13] = [
    "actionstart",
    "actionstart_on_demand",
    "actionstop",
    "actionflush",
    "actionreload",
    "actioncheck",
    "actionrepair",
    "actionrepair_on_unban",
    "actionban",
    "actionprolong",
    "actionreban",
    "actionunban",
    "norestored",
];

/// Tags that mean something only when a command runs, whatever a file says.
const LATE: [&str; 5] = [
    "bantime",
    "ipjailmatches",
    "ipmatches",
    "matches",
    "timeout",
];

/// Resolves the action that `call` names for the jail `name` with the options `jail`.
pub(crate) fn resolve(
    library: &mut Library<'_>,
    call: Call,
    (name, jail): (&str, &Given),
    fuel: &Fuel,
) -> Outcome {
    let mut outcome = Outcome {
        action: None,
        problems: Vec::new(),
        incomplete: false,
    };
    if call.name.ends_with(".py") {
        match python(library.layout(), call) {
            Ok(action) => outcome.action = Some(action),
            Err(problem) => outcome.problems.push(problem),
        }
        return outcome;
    }
    let layers = library.read(&format!("action.d/{}", call.name));
    outcome.problems.extend(layers.problems.iter().cloned());
    outcome.incomplete = layers.incomplete;
    if layers.count == 0 {
        if rules::is_shipped(&call.name) {
            outcome.action = Some(known(call, name));
        } else if !layers.incomplete {
            let problem = missing(library.layout(), &call.name, &call.place);
            outcome.problems.push(problem);
        }
        return outcome;
    }
    let mut action = ResolvedAction {
        actname: actname(&call, name),
        is_modified: layers.is_overlaid || call.arguments.keys().any(|name| is_command(name)),
        is_python: false,
        properties: BTreeMap::new(),
        file: call.name,
        place: call.place,
    };
    let mut arguments = call.arguments;
    let said = |text: &str| Value::said("the jail", text);
    arguments
        .entry("name".to_owned())
        .or_insert_with(|| said(name));
    arguments
        .entry("actname".to_owned())
        .or_insert_with(|| said(&action.actname));
    let (definition, problems) = Definition::new(&layers.tree, &arguments, jail, fuel);
    outcome.problems.extend(problems);
    let definition = definition.leaving(&LATE);
    match definition.properties() {
        Ok(properties) => action.properties = properties,
        Err(problem) => outcome.problems.push(problem),
    }
    for key in COMMANDS {
        match definition.option(key) {
            None => {}
            Some(Ok(value)) => drop(action.properties.insert(key.to_owned(), value)),
            Some(Err(problem)) => outcome.problems.push(problem),
        }
    }
    outcome.action = Some(action);
    outcome
}

fn is_command(name: &str) -> bool {
    COMMANDS.contains(&name.to_lowercase().as_str())
}

/// A firewall's action without its file: what it is for is known, and nothing of it would be run.
fn known(call: Call, jail: &str) -> ResolvedAction {
    ResolvedAction {
        actname: actname(&call, jail),
        is_modified: call.arguments.keys().any(|name| is_command(name)),
        is_python: false,
        properties: call.arguments,
        file: call.name,
        place: call.place,
    }
}

/// What an action is called in its jail: after its file, and after the name that it is given.
fn actname(call: &Call, jail: &str) -> String {
    let argument = |name: &str| call.arguments.get(name).map(|value| value.text.as_str());
    if let Some(actname) = argument("actname") {
        return actname.to_owned();
    }
    match argument("name") {
        None => call.name.clone(),
        Some(name) => match name.strip_prefix(jail) {
            Some(rest) => format!("{}{rest}", call.name),
            None => format!("{}-{name}", call.name),
        },
    }
}

fn python(layout: &Layout, mut call: Call) -> Result<ResolvedAction, Diagnostic> {
    let file = format!("action.d/{}", call.name);
    if !layout.exists(&file) {
        return Err(missing(layout, &call.name, &call.place));
    }
    let stem = call.name.strip_suffix(".py").unwrap_or(&call.name);
    let actname = call.arguments.remove("actname").map(|value| value.text);
    Ok(ResolvedAction {
        actname: actname.unwrap_or_else(|| stem.to_owned()),
        place: call.place,
        properties: call.arguments,
        is_python: true,
        is_modified: false,
        file: call.name,
    })
}

fn missing(layout: &Layout, name: &str, place: &Place) -> Diagnostic {
    let files = layout.names("action.d", "").unwrap_or_default();
    let names = files.iter().filter_map(|file| {
        let file = file.strip_prefix("action.d/")?;
        file.strip_suffix(".conf")
            .or(file.ends_with(".py").then_some(file))
    });
    let remedy = match nearest(name, names.chain(rules::SHIPPED)) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!(
            "create {}",
            layout.admin.join(format!("action.d/{name}.conf")).display()
        ),
    };
    Diagnostic::error(place, format!("there is no action '{name}'"), remedy)
}
