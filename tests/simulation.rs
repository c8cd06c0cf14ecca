//! Scenarios and laws of the engine on a simulated clock.

use banishd::engine::address::Offender;
use banishd::engine::command::{Command, Import, Imported, Refusal, Reply};
use banishd::engine::effect::{Event, Removal};
use banishd::engine::ledger::PREFIXES_MAX;
use banishd::engine::protected::Protected;
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{Global, Settings};
use banishd::engine::time::{BanTime, Span};
use banishd::engine::view::JailState;

use crate::support::sim::{Sim, jail, jail_settings, offender, settings};

mod asks;
mod counting;
mod escalation;
mod laws;
mod repeat;

#[test]
fn three_failures_within_findtime_ban_the_offender() {
    let mut sim = Sim::new(&["sshd"]);

    sim.fail("sshd", "192.0.2.1");
    sim.fail("sshd", "192.0.2.1");
    assert!(sim.dropped().is_empty());
    sim.fail("sshd", "192.0.2.1");

    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +600"]);
    assert_eq!(sim.disk.bans.len(), 1);
    assert!(
        matches!(&sim.events[..], [Event::JailNew(_), Event::BanNew(ban)] if ban.failures == 3)
    );
}

#[test]
fn a_ban_is_persisted_then_blocked_then_announced() {
    let mut sim = Sim::new(&["sshd"]);
    sim.effects.clear();

    sim.ban("sshd", "192.0.2.1", None).unwrap();
    sim.unban("sshd", "192.0.2.1").unwrap();

    let kinds: Vec<&str> = sim
        .effects
        .iter()
        .map(|text| text.split('(').next().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "Persist", "Apply", "Announce", "Reply", "Apply", "Persist", "Announce", "Reply"
        ]
    );
}

#[test]
fn a_ban_ends_by_itself_on_time() {
    let mut sim = Sim::new(&["sshd"]);
    sim.ban("sshd", "192.0.2.1", None).unwrap();

    sim.pass(599);
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +1"]);
    sim.pass(1);

    assert!(sim.ledger().is_empty() && sim.dropped().is_empty() && sim.disk.bans.is_empty());
    let last = sim.events.last().unwrap();
    assert!(matches!(
        last,
        Event::BanRemoved {
            result: Removal::Expired,
            ..
        }
    ));
}

#[test]
fn setting_the_clock_by_a_day_moves_no_end() {
    for step in [86_400, -86_400] {
        let mut sim = Sim::new(&["sshd"]);
        sim.fail("sshd", "192.0.2.9");
        sim.fail("sshd", "192.0.2.9");
        sim.ban("sshd", "192.0.2.1", None).unwrap();

        sim.pass(100);
        sim.step(step);
        assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +500"], "{step}");
        assert_eq!(sim.dropped(), sim.ledger());
        sim.fail("sshd", "192.0.2.9");
        assert_eq!(
            sim.ledger().len(),
            2,
            "failures before the step still count, {step}"
        );
        sim.pass(600);
        assert!(
            sim.ledger().is_empty() && sim.dropped().is_empty(),
            "{step}"
        );
    }
}

#[test]
fn a_ban_that_ends_during_suspend_is_over_at_resume() {
    let mut sim = Sim::new(&["sshd"]);
    sim.ban("sshd", "192.0.2.1", Some(600)).unwrap();
    sim.ban("sshd", "192.0.2.2", Some(6000)).unwrap();

    sim.sleep(1000);

    assert_eq!(sim.ledger(), ["sshd 192.0.2.2 +5000"]);
    assert_eq!(
        sim.dropped(),
        sim.ledger(),
        "the kernel's timeouts did not run and were renewed"
    );
}

#[test]
fn a_clock_that_starts_in_1970_neither_frees_nor_keeps_anybody() {
    let mut sim = Sim::new(&["sshd"]);
    sim.ban("sshd", "192.0.2.1", Some(600)).unwrap();
    let wall = sim.now.wall;

    sim.now.wall = Default::default();
    sim.restart();
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);
    sim.pass(10);
    sim.now.wall = wall.plus(Span::from_secs(200));
    sim.engine.handle_deadline(sim.now);
    sim.drain();

    assert_eq!(
        sim.ledger(),
        ["sshd 192.0.2.1 +400"],
        "the stored end counts once the clock is set"
    );
    assert_eq!(sim.dropped(), sim.ledger());
}

#[test]
fn attacks_while_the_daemon_was_down_are_punished() {
    let mut sim = Sim::new(&["sshd"]);
    sim.fail("sshd", "192.0.2.1");
    sim.pass(6);

    sim.log_failure("sshd", "192.0.2.1", None, false);
    sim.jump(Span::from_secs(60));
    sim.log_failure("sshd", "192.0.2.1", None, false);
    sim.jump(Span::from_secs(60));
    sim.restart();

    assert_eq!(
        sim.dropped(),
        ["sshd 192.0.2.1 +540"],
        "from the last failure on"
    );
}

#[test]
fn nobody_on_ignoreip_and_no_own_address_is_banned() {
    let mut sim = Sim::new(&["sshd"]);
    sim.protected.own = [offender("198.51.100.1")].into_iter().collect();
    sim.engine.handle_protected(sim.now, sim.protected.clone());

    for who in ["203.0.113.7", "198.51.100.1", "127.0.0.1", "::1"] {
        for _ in 0..5 {
            sim.fail("sshd", who);
        }
        assert!(sim.ban("sshd", who, None).is_err(), "{who}");
    }

    assert!(sim.ledger().is_empty());
    assert_eq!(sim.engine.jail("sshd").unwrap().0.spared_total, 20);
}

#[test]
fn an_administrator_who_was_logged_in_before_the_first_failure_is_spared() {
    let mut sim = Sim::new(&["sshd"]);
    let session = |who, at| Protected {
        sessions: vec![(offender(who), at)],
        ..Protected::default()
    };
    sim.engine
        .handle_protected(sim.now, session("192.0.2.1", sim.now.wall));
    sim.pass(1);
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.1");
        sim.fail("sshd", "192.0.2.2");
    }
    sim.engine
        .handle_protected(sim.now, session("192.0.2.3", sim.now.wall));
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.3");
    }

    assert_eq!(sim.ledger(), ["sshd 192.0.2.2 +600", "sshd 192.0.2.3 +600"]);
    let spared = |event: &&Event| matches!(event, Event::Spared { .. });
    assert_eq!(sim.events.iter().filter(spared).count(), 1);
}

#[test]
fn an_address_leaves_the_union_with_its_last_ban() {
    let mut sim = Sim::new(&["sshd", "web"]);
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
    sim.ban("web", "192.0.2.1", Some(600)).unwrap();

    sim.pass(60);
    assert_eq!(sim.dropped(), ["web 192.0.2.1 +540"]);
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
    sim.unban("web", "192.0.2.1").unwrap();
    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +60"]);
    assert_eq!(sim.kernel.union.len(), 1);
    sim.unban("sshd", "192.0.2.1").unwrap();
    assert!(sim.kernel.union.is_empty());
}

#[test]
fn failing_on_while_banned_prolongs_the_ban() {
    let mut sim = Sim::new(&["sshd"]);
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.1");
    }
    sim.pass(300);
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.1");
    }

    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +600"]);
    let view = sim.engine.jail("sshd").unwrap().0;
    assert_eq!((view.bans_total, view.failures_total), (1, 6));
}

#[test]
fn banning_twice_prolongs_but_only_an_explicit_time_shortens() {
    let mut sim = Sim::new(&["sshd"]);
    for (secs, changed, left) in [
        (None, true, "+600"),
        (None, false, "+600"),
        (Some(60), true, "+60"),
        (None, true, "+600"),
        (Some(600), false, "+600"),
    ] {
        assert_eq!(
            sim.ban("sshd", "192.0.2.1", secs),
            Ok(Reply::Changed(changed)),
            "{secs:?}"
        );
        assert_eq!(sim.dropped(), [format!("sshd 192.0.2.1 {left}")]);
    }
    assert_eq!(sim.unban("sshd", "192.0.2.1"), Ok(Reply::Changed(true)));
    assert_eq!(sim.unban("sshd", "192.0.2.1"), Ok(Reply::Changed(false)));
}

#[test]
fn an_unban_by_hand_forgets_the_failures() {
    let mut sim = Sim::new(&["sshd"]);
    sim.fail("sshd", "192.0.2.1");
    sim.fail("sshd", "192.0.2.1");
    sim.unban("sshd", "192.0.2.1").unwrap();
    sim.fail("sshd", "192.0.2.1");

    assert!(sim.ledger().is_empty());
}

#[test]
fn unbanning_a_prefix_everywhere_lifts_what_lies_within() {
    let mut sim = Sim::new(&["sshd", "web"]);
    for who in ["192.0.2.1", "192.0.2.2", "192.0.2.0/24", "198.51.100.1"] {
        sim.ban("sshd", who, None).unwrap();
    }
    sim.ban("web", "192.0.2.1", None).unwrap();

    let by = String::new();
    let reply = sim.ask(Command::UnbanEverywhere {
        offender: offender("192.0.2.0/24"),
        by,
    });

    assert_eq!(reply, Ok(Reply::Removed(4)));
    assert_eq!(sim.dropped(), ["sshd 198.51.100.1 +600"]);
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let mut sim = Sim::new(&["sshd"]);
    for (name, who, text) in [
        (
            "shd",
            "192.0.2.1",
            "no jail 'shd' is configured; did you mean 'sshd'?",
        ),
        ("web", "192.0.2.1", "no jail 'web' is configured"),
        (
            "sshd",
            "224.0.0.1",
            "'224.0.0.1' cannot be banned: it is a multicast address",
        ),
        (
            "sshd",
            "203.0.113.0/28",
            "'203.0.113.0/28' is not banned: it is on the jail's ignoreip",
        ),
    ] {
        assert_eq!(sim.ban(name, who, None).unwrap_err().to_string(), text);
    }
    sim.ask(Command::StopJail(jail("sshd"))).unwrap();
    let refusal = sim.ban("sshd", "192.0.2.1", None).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "jail 'sshd' is stopped; 'banishctl start sshd' lets it run again"
    );
}

#[test]
fn a_stopped_jail_counts_nothing_and_its_bans_are_lifted() {
    let mut sim = Sim::new(&["sshd", "web"]);
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    sim.ban("web", "192.0.2.1", None).unwrap();

    sim.ask(Command::StopJail(jail("sshd"))).unwrap();
    for _ in 0..5 {
        sim.fail("sshd", "192.0.2.2");
    }
    assert_eq!(sim.dropped(), ["web 192.0.2.1 +600"]);
    assert!(!sim.kernel.jails.contains_key(&jail("sshd")));

    sim.ask(Command::StartJail(jail("sshd"))).unwrap();
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.2");
    }
    assert_eq!(sim.dropped(), ["sshd 192.0.2.2 +600", "web 192.0.2.1 +600"]);
}

#[test]
fn a_jail_whose_configuration_broke_keeps_its_bans_over_a_restart() {
    let mut sim = Sim::new(&["sshd", "web"]);
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    sim.ban("web", "192.0.2.2", None).unwrap();

    let mut broken = settings(&["web"]);
    broken
        .failed
        .insert(jail("sshd"), "jail.conf:3: bad".to_owned());
    sim.settings = broken;
    sim.restart();
    assert_eq!(sim.dropped().len(), 2);
    assert_eq!(
        sim.kernel.jails[&jail("sshd")],
        jail_settings().rules,
        "with the rules it had"
    );
    let view = sim.engine.jail("sshd").unwrap().0;
    assert_eq!(view.state, JailState::Failed("jail.conf:3: bad".to_owned()));

    sim.settings = Settings {
        incomplete: true,
        ..settings(&[])
    };
    sim.restart();
    assert_eq!(sim.dropped().len(), 2, "nothing readable, nothing lost");
    sim.reload(settings(&["web"]));
    assert_eq!(
        sim.dropped(),
        ["web 192.0.2.2 +600"],
        "a jail that is gone lets go"
    );
}

#[test]
fn a_firewall_that_fails_is_filled_anew_when_it_works_again() {
    let mut sim = Sim::new(&["sshd"]);
    sim.broken_firewall = Some("no memory");

    let refusal = sim.ban("sshd", "192.0.2.1", None).unwrap_err();
    assert_eq!(refusal, Refusal::Firewall("no memory".to_owned()));
    assert_eq!(sim.engine.troubles().len(), 1);
    for _ in 0..3 {
        sim.fail("sshd", "192.0.2.2");
    }
    sim.pass(100);
    sim.broken_firewall = None;
    sim.pass(100);

    assert_eq!(sim.dropped(), sim.ledger());
    assert_eq!(sim.ledger().len(), 2);
    assert!(sim.engine.troubles().is_empty());
    let told = |event: &&Event| matches!(event, Event::Degraded(_) | Event::Recovered);
    assert_eq!(sim.events.iter().filter(told).count(), 2);
}

#[test]
fn a_store_that_fails_holds_nobody_up_and_gets_everything_later() {
    let mut sim = Sim::new(&["sshd"]);
    sim.broken_store = Some("disk full");

    sim.ban("sshd", "192.0.2.1", None).unwrap();
    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +600"]);
    assert!(sim.disk.bans.is_empty());
    sim.broken_store = None;
    sim.pass(10);

    assert_eq!(sim.disk.bans.len(), 1);
    assert!(sim.engine.troubles().is_empty());
}

#[test]
fn earlier_bans_are_counted_and_forgotten_after_the_purge_age() {
    let mut sim = Sim::new(&["sshd"]);
    let earlier = |sim: &Sim| sim.engine.ledger().after(None).next().unwrap().earlier;
    for expected in [0, 1, 2] {
        sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
        assert_eq!(earlier(&sim), expected);
        sim.pass(60);
    }
    sim.pass(86_400);
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();

    assert_eq!(earlier(&sim), 0);
}

#[test]
fn memory_is_bounded_by_settings() {
    let global = Global {
        max_bans: 10,
        max_failing: 20,
        ..Global::default()
    };
    let mut sim = Sim::with(Settings {
        global,
        ..settings(&["sshd"])
    });
    let address = |n: u32| Offender::host(std::net::IpAddr::from((0xC633_0000 + n).to_be_bytes()));

    for n in 0..200 {
        sim.fail("sshd", &address(n).to_string());
    }
    assert_eq!(sim.engine.jail("sshd").unwrap().1.windows().count(), 20);
    sim.pass(5);
    assert_eq!(sim.disk.windows.len(), 20);
    for n in 0..40 {
        for _ in 0..3 {
            sim.fail("sshd", &address(n).to_string());
        }
    }
    assert_eq!(sim.ledger().len(), 10);
    assert!(matches!(
        sim.ban("sshd", "192.0.2.1", None),
        Err(Refusal::TooManyBans(10))
    ));
    assert!(
        sim.events
            .iter()
            .any(|event| matches!(event, Event::TooManyBans { .. }))
    );
}

/// The kernel gets sets of ranges anew with every change, so logs must not make them grow without end.
#[test]
fn networks_that_logs_name_are_banned_up_to_their_own_limit() {
    let mut wanted = settings(&["sshd"]);
    wanted.jails.get_mut(&jail("sshd")).unwrap().max_retry = 1;
    let mut sim = Sim::with(wanted);

    for n in 0..=PREFIXES_MAX {
        sim.fail("sshd", &format!("10.{}.{}.0/24", n / 256, n % 256));
    }
    sim.fail("sshd", "192.0.2.1");

    assert_eq!(sim.ledger().len(), PREFIXES_MAX + 1);
    assert_eq!(sim.engine.ledger().prefixes(), PREFIXES_MAX);
}

#[test]
fn memory_is_bounded_by_settings_while_the_store_fails_too() {
    let mut wanted = settings(&["sshd"]);
    wanted.global.max_failing = 20;
    let mut sim = Sim::with(wanted);
    sim.broken_store = Some("disk full");
    for n in 0..200 {
        sim.fail("sshd", &format!("192.0.2.{n}"));
    }
    sim.pass(60);
    sim.broken_store = None;
    sim.effects.clear();
    sim.pass(10);

    assert_eq!(sim.disk.windows.len(), 20);
    let written = sim
        .effects
        .iter()
        .map(|text| text.matches("Offender(").count());
    assert_eq!(
        written.sum::<usize>(),
        20,
        "nobody else is still remembered"
    );
}

#[test]
fn a_store_that_fails_is_not_tried_with_every_ban() {
    let mut sim = Sim::new(&["sshd"]);
    sim.broken_store = Some("disk full");
    sim.effects.clear();
    for n in 0..50 {
        for _ in 0..3 {
            sim.fail("sshd", &format!("192.0.2.{n}"));
        }
    }

    assert_eq!(sim.dropped().len(), 50);
    let tries = |sim: &Sim| {
        let persists = |text: &&String| text.starts_with("Persist");
        sim.effects.iter().filter(persists).count()
    };
    assert_eq!(tries(&sim), 1);
    sim.pass(60);
    assert_eq!(tries(&sim), 13, "every five seconds");
}

#[test]
fn a_prefix_too_many_is_refused_before_the_firewall_refuses_them_all() {
    let mut sim = Sim::new(&["sshd"]);
    let prefix = |n: usize| format!("10.{}.{}.0/24", n / 256, n % 256);
    for n in 0..PREFIXES_MAX {
        sim.ban("sshd", &prefix(n), None).unwrap();
    }

    let refusal = Err(Refusal::TooManyPrefixes(PREFIXES_MAX));
    assert_eq!(sim.ban("sshd", &prefix(PREFIXES_MAX), None), refusal);

    sim.ban("sshd", "192.0.2.1", None).unwrap();
    sim.ban("sshd", &prefix(0), Some(900)).unwrap();
    sim.unban("sshd", &prefix(1)).unwrap();
    sim.ban("sshd", &prefix(PREFIXES_MAX), None).unwrap();
    assert_eq!(sim.dropped(), sim.ledger());
}

#[test]
fn a_permanent_ban_stays_and_so_does_one_for_longer_than_can_be_counted() {
    let counted = |usec| BanTime::For(Span::from_usec(usec));
    for time in [BanTime::Forever, counted(u64::MAX), counted(1 << 63)] {
        let mut sim = Sim::new(&["sshd"]);
        let (jail, offender) = (jail("sshd"), offender("192.0.2.1"));
        let time = Some(time);
        sim.ask(Command::Ban {
            jail,
            offender,
            time,
        })
        .unwrap();

        sim.pass(1_000_000);
        sim.restart();

        assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +ever"], "{time:?}");
    }
}

#[test]
fn an_import_takes_over_bans_with_their_ends_and_counts_what_it_leaves() {
    let mut sim = Sim::new(&["sshd"]);
    let ago = |secs| sim.now.wall.minus(Span::from_secs(secs));
    let import = |name: &str, who: &str, since, until, bans| Import {
        jail: jail(name),
        offender: offender(who),
        since,
        until,
        failures: 5,
        bans,
    };
    let later = |secs| Some(sim.now.wall.plus(Span::from_secs(secs)));
    let list = vec![
        import("sshd", "192.0.2.1", ago(60), later(3000), 4),
        import("sshd", "192.0.2.2", ago(90_000), None, 1),
        import("sshd", "192.0.2.3", ago(700), Some(ago(100)), 2),
        import("sshd", "203.0.113.9", ago(60), later(60), 1),
        import("sshd", "127.0.0.1", ago(60), later(60), 1),
        import("gone", "192.0.2.1", ago(60), later(60), 1),
    ];

    let reply = sim.ask(Command::Import(list.clone()));
    let expected = Imported {
        banned: 2,
        expired: 1,
        spared: 2,
        no_jail: 1,
        ..Imported::default()
    };
    assert_eq!(reply, Ok(Reply::Imported(expected)));
    assert_eq!(
        sim.dropped(),
        ["sshd 192.0.2.1 +3000", "sshd 192.0.2.2 +ever"]
    );
    let state = sim.state();

    let again = Imported {
        banned: 0,
        known: 2,
        ..expected
    };
    assert_eq!(sim.ask(Command::Import(list)), Ok(Reply::Imported(again)));
    sim.restart();
    assert_eq!(sim.state(), state);

    sim.ban("sshd", "192.0.2.3", None).unwrap();
    let ban = sim
        .engine
        .ledger()
        .find(&jail("sshd"), &offender("192.0.2.3"));
    assert_eq!(ban.unwrap().earlier, 2);
}

#[test]
fn a_log_that_is_read_no_more_holds_nothing_back() {
    let mut sim = Sim::new(&["sshd"]);
    let file = LogName::named("file:/var/log/auth.log");
    let read = |sim: &mut Sim, log: &LogName| {
        let position = Position {
            cursor: Cursor("1".into()),
            time: sim.now.wall,
        };
        sim.engine.handle_failures(sim.now, &[], log, position);
    };
    read(&mut sim, &file);
    sim.ban("sshd", "192.0.2.1", Some(60)).unwrap();
    assert!(sim.disk.positions.contains_key(&file));

    sim.jump(Span::from_secs(100));
    sim.reboot();
    let is_read = |log: &LogName| *log == LogName::journal();
    sim.engine.handle_logs(sim.now, is_read);
    read(&mut sim, &LogName::journal());
    sim.drain();
    assert!(sim.ledger().is_empty());
    sim.pass(5);

    assert!(!sim.disk.positions.contains_key(&file));
}

/// Else each of its failures would count again once the jail reads its log anew.
#[test]
fn the_log_of_a_jail_whose_configuration_broke_is_not_forgotten() {
    let mut sim = Sim::new(&["sshd"]);
    sim.fail("sshd", "192.0.2.1");
    sim.pass(5);
    let broken = Settings {
        failed: [(jail("sshd"), "bad".to_owned())].into(),
        ..Settings::default()
    };
    sim.settings = broken;
    sim.restart();

    sim.engine.handle_logs(sim.now, |_| false);
    sim.pass(5);
    assert!(sim.disk.positions.contains_key(&LogName::journal()));

    sim.reload(settings(&["sshd"]));
    sim.engine.handle_logs(sim.now, |_| false);
    sim.pass(5);
    assert!(sim.disk.positions.is_empty());
}
