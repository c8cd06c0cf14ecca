//! The properties that announce their changes, as last announced: so that `PropertiesChanged` names
//! what did change and nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use zbus::fdo::Properties;
use zbus::names::InterfaceName;
use zbus::object_server::SignalEmitter;
use zbus::wire::{OwnedVariant, Variant};

use crate::dbus::jail;
use crate::dbus::link::ManagerView;
use crate::dbus::wire;
use crate::engine::settings::JailSettings;
use crate::engine::view::JailView;

/// Property name to value.
pub type Values = BTreeMap<&'static str, OwnedVariant>;

/// The manager's.
#[must_use]
pub fn manager(view: &ManagerView, jails: usize) -> Values {
    collect([
        ("State", view.state.clone().into()),
        ("Troubles", view.troubles.clone().into()),
        ("Notices", view.notices.clone().into()),
        ("Backend", view.backend.clone().into()),
        ("NJails", u32::try_from(jails).unwrap_or(u32::MAX).into()),
        ("NBans", view.bans.into()),
    ])
}

/// A jail's.
#[must_use]
pub fn jail(view: &JailView, settings: Option<&JailSettings>) -> Values {
    let text = |of: fn(&JailSettings) -> Vec<String>| settings.map(of).unwrap_or_default();
    let ban_time = settings.map_or(0, |s| wire::duration_usec(Some(s.ban_time)));
    let description = settings.map(|s| s.description.clone()).unwrap_or_default();
    collect([
        ("Description", description.into()),
        ("State", view.state.as_str().to_owned().into()),
        ("Problem", jail::problem(view).into()),
        ("Units", text(|s| jail::units(&s.matches)).into()),
        ("Matches", text(|s| jail::matches(&s.matches)).into()),
        ("BansOf", text(jail::bans_of).into()),
        ("Ports", text(|s| jail::ports(&s.rules)).into()),
        ("MaxFailures", settings.map_or(0, |s| s.max_retry).into()),
        (
            "FindUSec",
            settings.map_or(0, |s| s.find_time.usec()).into(),
        ),
        ("BanUSec", ban_time.into()),
        ("BanMaxUSec", settings.map_or(0, jail::longest).into()),
        ("NBans", view.bans.into()),
    ])
}

/// Announces what differs between `old` and `new`.
///
/// # Errors
/// The bus has gone.
pub async fn announce(
    emitter: &SignalEmitter<'_>,
    interface: &'static str,
    old: &Values,
    new: &Values,
) -> zbus::Result<()> {
    let changed: HashMap<&str, Variant<'_>> = new
        .iter()
        .filter(|(name, value)| old.get(*name) != Some(value))
        .map(|(name, value)| Ok((*name, Variant::try_from(value)?)))
        .collect::<zbus::Result<_>>()?;
    if changed.is_empty() {
        return Ok(());
    }
    let interface = InterfaceName::from_static_str(interface)?;
    Properties::properties_changed(emitter, interface, changed, Cow::Borrowed(&[])).await
}

fn collect<const N: usize>(values: [(&'static str, Variant<'static>); N]) -> Values {
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.try_into().ok()?)))
        .collect()
}
