//! Requests of the bus, answered.
//!
//! Comes in: a request with a place for its answer. Goes out: a command to the engine, which answers by
//! an effect, or the answer at once. It changes nothing itself.

use tracing::warn;

use crate::daemon::clock;
use crate::daemon::readers::Readers;
use crate::daemon::run::Daemon;
use crate::dbus::error::chain;
use crate::dbus::link::{ManagerView, Request};
use crate::engine::address::Offender;
use crate::engine::command::RequestId;
use crate::engine::ledger::ban::Ban;
use crate::engine::record::LogName;
use crate::engine::settings::JailName;
use crate::engine::view::JailView;
use crate::firewall::FirewallBackend;

impl Daemon {
    /// Does what is asked. Whoever asked may have left; then the answer goes nowhere.
    pub(super) async fn answer(&mut self, readers: &mut Readers, request: Request) {
        match request {
            Request::Command(command, reply) => {
                self.last_request += 1;
                let id = RequestId(self.last_request);
                self.asked.insert(id, reply);
                self.engine.handle_command(clock::now(), id, command);
            }
            Request::Reload(reply) => self.begin_reload(readers, vec![Some(reply)]),
            Request::Jails(reply) => drop(reply.send(self.jails())),
            Request::Jail(name, reply) => {
                let shown = self
                    .engine
                    .jail(&name)
                    .map(|(view, jail)| (self.with_trouble(view), jail.settings.clone()));
                let _ = reply.send(shown);
            }
            Request::Bans {
                jail,
                after,
                max,
                reply,
            } => {
                let _ = reply.send(self.bans(jail.as_ref(), after.as_ref(), max));
            }
            Request::Lookup(offender, reply) => {
                let related = |ban: &&Ban| {
                    ban.offender.contains(&offender) || offender.contains(&ban.offender)
                };
                let bans = self.engine.ledger().after(None).filter(related);
                let _ = reply.send(bans.cloned().collect());
            }
            Request::Lines(jail, offender, reply) => {
                let lines = self.edges.store.lines(&jail, &offender);
                let lines = lines.unwrap_or_else(|error| {
                    warn!(error = %chain(&error), "cannot read the lines of a ban, showing none");
                    Vec::new()
                });
                let _ = reply.send(lines);
            }
            Request::Manager(reply) => drop(reply.send(self.manager())),
            Request::Dropped(jail, reply) => {
                let counts = self.edges.firewall.dropped().await.unwrap_or_default();
                let count = counts.into_iter().find(|(name, _)| *name == jail);
                let _ = reply.send(count.map_or(0, |(_, packets)| packets));
            }
        }
    }

    fn jails(&self) -> Vec<JailView> {
        let views = self.engine.jails();
        views.map(|view| self.with_trouble(view)).collect()
    }

    /// The engine knows nothing of logs.
    fn with_trouble(&self, view: JailView) -> JailView {
        let mut troubles = self.unreadable();
        let found = troubles.find(|trouble| trouble.jails.contains(&view.name));
        JailView {
            trouble: found.map(|trouble| trouble.text.clone()),
            ..view
        }
    }

    fn bans(
        &self,
        jail: Option<&JailName>,
        after: Option<&(JailName, Offender)>,
        max: usize,
    ) -> Vec<Ban> {
        let ledger = self.engine.ledger();
        let Some(jail) = jail else {
            return ledger.after(after).take(max).cloned().collect();
        };
        match after.filter(|(behind, _)| behind >= jail) {
            None => ledger.of_jail(jail).take(max).cloned().collect(),
            after => {
                let within = ledger.after(after).take_while(|ban| ban.jail == *jail);
                within.take(max).cloned().collect()
            }
        }
    }

    fn manager(&self) -> ManagerView {
        let position = self.engine.position(&LogName::journal());
        let count = self.engine.ledger().len();
        ManagerView {
            state: self.state().to_owned(),
            troubles: self.troubles(),
            notices: self.notices(),
            directory: self.edges.layout.admin.display().to_string(),
            backend: self.edges.firewall.name().to_owned(),
            bans: u32::try_from(count).unwrap_or(u32::MAX),
            bans_total: self.engine.jails().map(|jail| jail.bans_total).sum(),
            suppressed: self.suppressed,
            cursor: position
                .map(|position| position.cursor.0.to_string())
                .unwrap_or_default(),
            cursor_usec: position.map_or(0, |position| position.time.usec()),
        }
    }
}
