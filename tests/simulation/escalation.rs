//! Bans that grow with the number of earlier ones.

use banishd::engine::ledger::formula::Formula;
use banishd::engine::settings::{Escalation, Settings};
use banishd::engine::time::Span;

use crate::support::sim::{Sim, jail, repeat_settings, settings};

/// Bans of `sshd` and `web` double each time.
fn doubling(change: impl Fn(&mut Escalation)) -> Settings {
    let mut escalation = Escalation {
        formula: Formula::parse("ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor")
            .unwrap(),
        factor: 1.0,
        multipliers: Vec::new(),
        max: None,
        random: Span::ZERO,
        all_jails: false,
    };
    change(&mut escalation);
    let mut settings = settings(&["sshd", "web"]);
    for jail in settings.jails.values_mut() {
        jail.escalation = Some(escalation.clone());
    }
    settings
}

/// Fails until banned, and returns after how many failures and for how many seconds.
fn banned(sim: &mut Sim, name: &str, who: &str) -> (u32, u64) {
    for failures in 1.. {
        sim.pass(1);
        sim.fail(name, who);
        let own = |ban: &&banishd::engine::ledger::ban::Ban| ban.jail == jail(name);
        if let Some(ban) = sim.engine.ledger().after(None).find(own) {
            let span = ban.until.unwrap().since(ban.since);
            return (failures, span.usec() / 1_000_000);
        }
    }
    unreachable!()
}

#[test]
fn who_comes_back_is_banned_sooner_and_for_longer() {
    let mut sim = Sim::with(doubling(|_| ()));
    for expected in [(3, 600), (2, 1200), (1, 2400), (1, 4800)] {
        assert_eq!(banned(&mut sim, "sshd", "192.0.2.1"), expected);
        sim.pass(expected.1);
        assert!(sim.ledger().is_empty());
    }
    assert_eq!(
        banned(&mut sim, "web", "192.0.2.1"),
        (3, 600),
        "each jail for itself"
    );
    sim.pass(90_000);
    assert_eq!(
        banned(&mut sim, "sshd", "192.0.2.1"),
        (3, 600),
        "what is long ago is forgotten"
    );
}

#[test]
fn bans_in_all_jails_count_where_overalljails_says_so() {
    let mut sim = Sim::with(doubling(|escalation| escalation.all_jails = true));
    assert_eq!(banned(&mut sim, "sshd", "192.0.2.1"), (3, 600));
    assert_eq!(banned(&mut sim, "web", "192.0.2.1"), (3, 1200));
}

#[test]
fn bans_that_are_made_of_bans_do_not_count_once_more() {
    let mut settings = doubling(|escalation| escalation.all_jails = true);
    let recidive = repeat_settings(&["sshd", "web"], 1);
    settings.jails.insert(jail("recidive"), recidive);
    let mut sim = Sim::with(settings);
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    sim.ban("web", "192.0.2.1", None).unwrap();
    sim.ban("web", "192.0.2.1", None).unwrap();

    assert_eq!(
        sim.ledger(),
        [
            "recidive 192.0.2.1 +900",
            "sshd 192.0.2.1 +600",
            "web 192.0.2.1 +1200"
        ]
    );
}

#[test]
fn a_ban_by_hand_grows_too_unless_it_names_a_time() {
    let mut sim = Sim::with(doubling(|_| ()));
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
    sim.pass(60);
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +1200"]);
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +60"]);
}

#[test]
fn failing_on_while_banned_makes_no_ban_grow_twice() {
    let mut sim = Sim::with(doubling(|_| ()));
    assert_eq!(banned(&mut sim, "sshd", "192.0.2.1"), (3, 600));
    sim.pass(600);
    assert_eq!(banned(&mut sim, "sshd", "192.0.2.1"), (2, 1200));
    sim.pass(10);
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.1");
    }
    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +1200"]);
}

#[test]
fn chance_is_the_same_after_a_restart() {
    let random = |escalation: &mut Escalation| escalation.random = Span::from_secs(3600);
    let life = |restarts: bool| {
        let mut sim = Sim::with(doubling(random));
        sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
        sim.pass(60);
        if restarts {
            sim.restart();
        }
        banned(&mut sim, "sshd", "192.0.2.1")
    };
    let (failures, secs) = life(false);
    assert_eq!((failures, secs), life(true));
    assert!((1200..=4800).contains(&secs), "{secs}");
}
