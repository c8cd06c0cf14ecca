//! Jails that count the bans of others.

use banishd::engine::command::{Command, Import};
use banishd::engine::effect::Answer;
use banishd::engine::settings::{JailSettings, Settings};
use banishd::engine::time::Span;

use crate::support::sim::{Sim, filter, jail, offender, repeat_settings, settings};

/// `sshd` and `web`, and `recidive` in which the third ban in one of them bans.
fn with(change: impl FnOnce(&mut JailSettings)) -> Settings {
    let mut settings = settings(&["sshd", "web"]);
    let mut recidive = repeat_settings(&["sshd", "web"], 3);
    change(&mut recidive);
    settings.jails.insert(jail("recidive"), recidive);
    settings
}

/// `who` fails until it is banned, and the ban ends.
fn serve(sim: &mut Sim, name: &str, who: &str) {
    for _ in 0..3 {
        sim.fail(name, who);
    }
    sim.pass(600);
}

fn failures(sim: &Sim, name: &str) -> u64 {
    sim.engine.jail(name).unwrap().0.failures_total
}

#[test]
fn who_is_banned_again_and_again_is_banned_by_the_jail_that_counts_bans() {
    let mut sim = Sim::with(with(|_| ()));
    serve(&mut sim, "sshd", "192.0.2.1");
    serve(&mut sim, "web", "192.0.2.1");
    serve(&mut sim, "web", "192.0.2.2");
    assert!(sim.ledger().is_empty());
    sim.effects.clear();
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.1");
    }

    assert_eq!(
        sim.dropped(),
        ["recidive 192.0.2.1 +900", "sshd 192.0.2.1 +600"]
    );
    let written = sim.effects.iter().filter(|it| it.starts_with("Persist"));
    assert_eq!(written.count(), 1, "both bans are one commit");
    let lines = &sim.disk.lines[&(jail("recidive"), offender("192.0.2.1"))];
    assert_eq!(lines.len(), 2, "maxmatches");
    assert!(lines[0].contains("[web] Ban 192.0.2.1"), "{lines:?}");
    assert!(lines[1].contains("[sshd] Ban 192.0.2.1"), "{lines:?}");
}

#[test]
fn a_ban_by_hand_counts_and_one_that_is_prolonged_taken_over_or_restored_does_not() {
    let mut sim = Sim::with(with(|_| ()));
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    assert_eq!(failures(&sim, "recidive"), 1);

    sim.ban("sshd", "192.0.2.1", Some(3000)).unwrap();
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.1");
    }
    let (since, until) = (sim.now.wall, Some(sim.now.wall.plus(Span::from_secs(60))));
    let import = Import {
        jail: jail("web"),
        offender: offender("192.0.2.2"),
        since,
        until,
        failures: 3,
        bans: 7,
    };
    sim.ask(Command::Import(vec![import])).unwrap();
    sim.restart();

    assert_eq!(sim.ledger().len(), 2);
    assert_eq!(failures(&sim, "recidive"), 1);
}

#[test]
fn bans_before_there_was_a_jail_that_counts_them_do_not_count() {
    let mut sim = Sim::new(&["sshd", "web"]);
    serve(&mut sim, "sshd", "192.0.2.1");
    sim.ban("web", "192.0.2.1", Some(3000)).unwrap();

    sim.reload(with(|_| ()));
    assert_eq!(failures(&sim, "recidive"), 0);
    serve(&mut sim, "sshd", "192.0.2.1");

    assert_eq!(failures(&sim, "recidive"), 1);
}

#[test]
fn jails_that_count_each_others_bans_come_to_an_end() {
    let mut settings = settings(&["sshd"]);
    for (name, bans_of) in [("one", &["sshd", "two"][..]), ("two", &["one"])] {
        let counting = repeat_settings(bans_of, 1);
        settings.jails.insert(jail(name), counting);
    }
    let mut sim = Sim::with(settings);

    sim.ban("sshd", "192.0.2.1", None).unwrap();
    assert_eq!(sim.ledger().len(), 3);
    let counts = ["one", "two"].map(|name| failures(&sim, name));
    assert_eq!(counts, [2, 1], "each ban once, and none again");
    sim.pass(3600);
    assert!(sim.ledger().is_empty());

    sim.ban("one", "192.0.2.1", Some(60)).unwrap();
    assert_eq!(
        sim.ledger(),
        ["one 192.0.2.1 +60", "two 192.0.2.1 +900"],
        "no ban prolongs itself"
    );
}

#[test]
fn whom_a_jail_that_counts_bans_ignores_it_does_not_ban() {
    let change = |jail: &mut JailSettings| {
        jail.max_retry = 1;
        jail.ignore = [offender("192.0.2.1")].into_iter().collect();
        jail.ignore_command = Some("/bin/ask <ip>".to_owned());
    };
    let mut sim = Sim::with(with(change));
    for who in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        sim.ban("sshd", who, None).unwrap();
    }
    assert_eq!(sim.asked.len(), 2);
    // This world spares 192.0.2.2.
    sim.answer();

    assert_eq!(sim.engine.jail("recidive").unwrap().0.spared_total, 2);
    let bans = sim.ledger();
    let repeated: Vec<&String> = bans
        .iter()
        .filter(|it| it.starts_with("recidive"))
        .collect();
    assert_eq!(repeated, ["recidive 192.0.2.3 +900"]);
}

#[test]
fn the_filter_decides_whether_networks_count() {
    for (pattern, count) in [(r"Ban <HOST>$", 0), (r"Ban <SUBNET>$", 1)] {
        let mut sim = Sim::with(with(|jail| jail.filter = filter(pattern)));
        sim.ban("sshd", "198.51.100.0/24", None).unwrap();
        assert_eq!(failures(&sim, "recidive"), count, "{pattern}");
    }
}

#[test]
fn a_ban_that_waited_for_an_answer_counts_from_when_it_began() {
    let mut settings = with(|jail| jail.max_retry = 2);
    let web = settings.jails.get_mut(&jail("web")).unwrap();
    web.ignore_command = Some("/bin/ask <ip>".to_owned());
    let mut sim = Sim::with(settings);
    for _ in 0..3 {
        sim.fail("web", "192.0.2.1");
    }
    sim.pass(500);
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
    sim.pass(50);
    sim.reply(Answer::Ignore(false));

    assert_eq!(
        sim.ledger(),
        [
            "recidive 192.0.2.1 +850",
            "sshd 192.0.2.1 +10",
            "web 192.0.2.1 +50"
        ]
    );
}
