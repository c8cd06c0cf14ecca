//! What the engine asks, and what becomes of a ban meanwhile.

use banishd::engine::effect::{Answer, Event, Question};
use banishd::engine::filter::failure::{Failure, Who};
use banishd::engine::filter::{Filter, FilterSpec, Names};
use banishd::engine::protected::Protected;
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{IgnoreCache, JailSettings, Settings};
use banishd::engine::time::Span;

use crate::support::sim::{Sim, jail, offender, settings};

/// A jail `sshd` of three retries, changed.
fn with(change: impl FnOnce(&mut JailSettings)) -> Settings {
    let mut settings = settings(&["sshd"]);
    change(settings.jails.get_mut(&jail("sshd")).unwrap());
    settings
}

fn asks_a_name(jail: &mut JailSettings) {
    jail.ignore_names = vec!["home.example".to_owned()];
}

fn asks_a_command(jail: &mut JailSettings) {
    jail.ignore_command = Some("/bin/ask <ip>".to_owned());
}

fn fail(sim: &mut Sim, who: &str, times: u32) {
    (0..times).for_each(|_| sim.fail("sshd", who));
}

fn addresses(list: &[&str]) -> Answer {
    Answer::Addresses(list.iter().map(|text| text.parse().unwrap()).collect())
}

fn unknown() -> Answer {
    Answer::Unknown("timed out".to_owned())
}

fn warnings(sim: &Sim) -> usize {
    let warning = |event: &&Event| matches!(event, Event::Warning(_));
    sim.events.iter().filter(warning).count()
}

fn spared(sim: &Sim) -> u64 {
    sim.engine.jail("sshd").unwrap().0.spared_total
}

fn unresolved(sim: &Sim) -> u64 {
    sim.engine.jail("sshd").unwrap().0.unresolved_total
}

#[test]
fn a_names_failures_count_against_each_of_its_addresses_from_when_they_happened() {
    let mut sim = Sim::new(&["sshd"]);
    fail(&mut sim, "two.example", 3);
    sim.pass(10);
    assert_eq!(sim.asked.len(), 1, "equal questions are asked once");
    assert!(sim.ledger().is_empty());

    sim.answer();

    let banned = ["sshd 192.0.2.2 +590", "sshd 2001:db8::1 +590"];
    assert_eq!(sim.dropped(), banned);
    assert!(sim.disk.unresolved.is_empty());
    fail(&mut sim, "two.example", 3);
    assert!(sim.asked.is_empty(), "the answer holds for five minutes");
    sim.pass(301);
    sim.fail("sshd", "two.example");
    assert_eq!(
        sim.effects.iter().filter(|e| e.starts_with("Ask")).count(),
        2
    );
}

#[test]
fn failures_of_nobody_with_an_address_are_counted_and_nothing_else() {
    let mut sim = Sim::new(&["sshd"]);
    for who in ["none.example", "unheard.example"] {
        fail(&mut sim, who, 3);
        sim.answer();
    }
    assert_eq!(unresolved(&sim), 6);
    sim.fail("sshd", "none.example");
    assert_eq!(
        unresolved(&sim),
        7,
        "that there is no address holds as well"
    );

    let failure = Failure {
        who: Who::Other("session 7".into()),
        ..sim.log[0].clone()
    };
    let position = Position {
        cursor: Cursor("7".into()),
        time: sim.now.wall,
    };
    let log = LogName::journal();
    sim.engine
        .handle_failures(sim.now, &[failure], &log, position);
    assert_eq!(unresolved(&sim), 8);
    assert!(sim.ledger().is_empty() && sim.asked.is_empty());
}

#[test]
fn a_name_is_warned_of_where_usedns_says_so() {
    let names = Names::Warn;
    let fail_patterns = vec!["^failed <HOST>$".to_owned()];
    let spec = FilterSpec {
        fail: fail_patterns,
        names,
        ..FilterSpec::default()
    };
    let filter = Filter::compile(spec).unwrap();
    let mut sim = Sim::with(with(|jail| jail.filter = filter));

    fail(&mut sim, "one.example", 2);
    sim.answer();
    sim.fail("sshd", "one.example");

    assert_eq!(warnings(&sim), 1);
    assert_eq!(sim.ledger().len(), 1);
}

#[test]
fn attackers_who_invent_names_fill_nothing() {
    let mut sim = Sim::new(&["sshd"]);
    for n in 0..5000 {
        sim.fail("sshd", &format!("name{n}.example"));
    }
    assert_eq!(sim.asked.len(), 256);
    assert_eq!(unresolved(&sim), 5000 - 256, "what is not asked is counted");
    sim.answer();
    for n in 0..5000 {
        sim.fail("sshd", "name0.example");
        sim.fail("sshd", &format!("other{n}.example"));
        sim.asked.clear();
    }
    sim.pass(5);
    let waiting: usize = sim.disk.unresolved.values().map(Vec::len).sum();
    assert!(waiting <= 4096, "{waiting}");
}

#[test]
fn a_ban_waits_for_the_names_on_ignoreip_and_their_answers_hold() {
    let mut sim = Sim::with(with(asks_a_name));
    fail(&mut sim, "192.0.2.4", 2);
    assert!(
        sim.asked.is_empty(),
        "nobody is asked before somebody is to be banned"
    );
    fail(&mut sim, "192.0.2.4", 1);
    fail(&mut sim, "192.0.2.1", 3);
    assert!(sim.ledger().is_empty());
    assert_eq!(sim.asked.len(), 1);

    sim.pass(7);
    sim.reply(addresses(&["192.0.2.4"]));
    assert_eq!(
        sim.dropped(),
        ["sshd 192.0.2.1 +593"],
        "from the last failure on"
    );
    assert_eq!(spared(&sim), 1);

    sim.pass(400);
    fail(&mut sim, "192.0.2.4", 3);
    sim.reply(unknown());
    assert_eq!(
        spared(&sim),
        2,
        "the last answer counts where there is none"
    );
    sim.pass(400);
    fail(&mut sim, "192.0.2.4", 3);
    sim.reply(addresses(&["192.0.2.5"]));
    assert_eq!(
        sim.ledger().len(),
        1,
        "an address that the name had once is nobody's"
    );
}

#[test]
fn a_ban_that_waits_for_several_names_comes_with_the_last_answer() {
    let mut sim = Sim::with(with(|jail| {
        jail.ignore_names = vec!["a.example".to_owned(), "b.example".to_owned()];
    }));
    let reply_about = |sim: &mut Sim, name: &str, answer| {
        let about = |question: &Question| *question == Question::Resolve(name.into());
        let asked = sim.asked.iter().find(|(_, question)| about(question));
        let id = *asked.unwrap().0;
        sim.asked.remove(&id);
        sim.engine.handle_answer(sim.now, id, answer);
        sim.drain();
    };
    fail(&mut sim, "192.0.2.1", 3);
    reply_about(&mut sim, "a.example", addresses(&["192.0.2.4"]));
    sim.pass(1);
    fail(&mut sim, "192.0.2.2", 3);
    fail(&mut sim, "192.0.2.4", 3);
    assert!(sim.ledger().is_empty());
    // One that has come is too old when the other comes.
    sim.pass(301);
    reply_about(&mut sim, "b.example", unknown());
    assert_eq!(sim.ledger().len(), 1, "it came since the first failed");
    reply_about(&mut sim, "a.example", addresses(&["192.0.2.4"]));
    assert_eq!((sim.ledger().len(), spared(&sim)), (2, 1));
    assert!(sim.asked.is_empty());
}

#[test]
fn a_name_that_never_got_an_answer_ignores_nobody_and_is_told_of_once() {
    let mut sim = Sim::with(with(asks_a_name));
    for n in 1..=3 {
        fail(&mut sim, &format!("192.0.2.{n}"), 3);
        sim.reply(unknown());
        sim.pass(31);
    }
    assert_eq!(sim.ledger().len(), 3);
    assert_eq!(warnings(&sim), 1);
}

#[test]
fn a_file_of_ignoreip_is_read_before_a_ban_and_may_list_names() {
    let mut sim = Sim::with(with(|jail| jail.ignore_files = vec!["/etc/list".into()]));
    for who in ["192.0.2.4", "192.0.2.5", "192.0.2.1"] {
        fail(&mut sim, who, 3);
    }
    sim.answer();
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);

    sim.ban("sshd", "192.0.2.5", None).unwrap_err();
    sim.pass(200);
    fail(&mut sim, "192.0.2.5", 3);
    assert!(
        sim.asked.is_empty(),
        "this world answers at once what it answered lately"
    );
    assert_eq!(spared(&sim), 3);
    sim.jump(Span::from_secs(900));
    fail(&mut sim, "192.0.2.6", 3);
    assert_eq!(
        sim.asked.len(),
        2,
        "the file and the name that it listed are asked at once"
    );
}

#[test]
fn an_ignorecommand_decides_before_anything_is_persisted() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    let question = sim.asked.values().next().unwrap().clone();
    assert!(sim.disk.bans.is_empty());
    sim.reply(Answer::Ignore(true));
    assert!(sim.ledger().is_empty() && sim.disk.windows.is_empty());
    assert_eq!(spared(&sim), 1);

    for (answer, who) in [
        (Answer::Ignore(false), "192.0.2.2"),
        (unknown(), "192.0.2.3"),
    ] {
        fail(&mut sim, who, 3);
        sim.reply(answer);
    }
    assert_eq!(sim.ledger(), ["sshd 192.0.2.2 +600", "sshd 192.0.2.3 +600"]);
    assert_eq!(warnings(&sim), 1);
    let Question::Ignore(question) = question else {
        panic!("{question:?}")
    };
    assert_eq!(
        (question.offender, question.failures),
        (offender("192.0.2.1"), 3)
    );
}

/// A jail that asks as whom somebody failed.
fn asks_of_users(jail: &mut JailSettings) {
    jail.ignore_command = Some("/bin/ask <F-USER> <ip>".to_owned());
}

/// The users that the open questions are about.
fn asked_users(sim: &Sim) -> Vec<&str> {
    fn user(question: &Question) -> &str {
        match question {
            Question::Ignore(facts) => facts.captures.text("user").unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }
    sim.asked.values().map(user).collect()
}

#[test]
fn what_an_ignorecommand_said_holds_as_ignorecache_says() {
    let first = ("alice", "192.0.2.1", 0);
    for (key, second, again) in [
        ("<ip>", ("alice", "192.0.2.1", 100), false),
        ("<ip>", ("alice", "192.0.2.1", 301), true),
        ("<ip>", ("alice", "192.0.2.7", 0), true),
        ("<F-USER>", ("alice", "192.0.2.7", 0), false),
        ("<F-USER>", ("bob", "192.0.2.1", 0), true),
        ("<F-USER>@<ip-host>", ("alice", "192.0.2.1", 0), false),
        ("<F-USER>@<ip-host>", ("alice", "192.0.2.7", 0), true),
        ("<F-USER>@<ip-host>", ("bob", "192.0.2.1", 0), true),
        ("<F-USER><F-PORT>", ("alice", "192.0.2.7", 0), false),
        ("<jail.name> <family>", ("bob", "192.0.2.7", 0), false),
        ("<jail.name> <family>", ("bob", "2001:db8::7", 0), true),
        ("<time>", ("alice", "192.0.2.7", 1), true),
        ("no tags", ("bob", "192.0.2.7", 1), false),
    ] {
        let mut sim = Sim::with(with(|jail| {
            asks_of_users(jail);
            jail.ignore_cache = Some(IgnoreCache {
                key: key.to_owned(),
                max_count: 10,
                max_time: Span::from_secs(300),
            });
        }));
        for ((user, who, wait), asks) in [(first, true), (second, again)] {
            sim.jump(Span::from_secs(wait));
            (0..3).for_each(|_| sim.fail_as(user, "sshd", who));
            assert_eq!(!sim.asked.is_empty(), asks, "{key}: {user} {who}");
            if asks {
                sim.reply(Answer::Ignore(true));
            }
        }
        assert_eq!(spared(&sim), 2);
    }
}

#[test]
fn an_ignorecommand_is_asked_of_each_kind_of_failure_and_what_it_spares_does_not_count() {
    let mut sim = Sim::with(with(asks_of_users));
    for user in ["root", "root", "backup"] {
        sim.fail_as(user, "sshd", "192.0.2.1");
    }
    assert_eq!(asked_users(&sim), ["backup"], "the last straw first");
    sim.reply(Answer::Ignore(true));
    assert!(sim.ledger().is_empty() && sim.asked.is_empty());

    sim.fail_as("root", "sshd", "192.0.2.1");
    assert_eq!(asked_users(&sim), ["root"], "two failures still count");
    sim.reply(Answer::Ignore(false));
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);

    for user in ["a", "b", "c"] {
        sim.fail_as(user, "sshd", "192.0.2.7");
    }
    for user in ["c", "b", "a"] {
        assert_eq!(asked_users(&sim), [user]);
        sim.reply(Answer::Ignore(false));
    }
    assert_eq!(sim.ledger().len(), 2);

    for user in ["a", "a", "backup"] {
        sim.fail_as(user, "sshd", "192.0.2.8");
    }
    sim.reply(unknown());
    sim.reply(unknown());
    assert_eq!(sim.ledger().len(), 3, "no answer spares nobody");
    assert_eq!(warnings(&sim), 1);
}

#[test]
fn failures_that_come_while_an_ignorecommand_is_asked_hide_no_others() {
    let mut sim = Sim::with(with(asks_of_users));
    for user in ["root", "root", "backup", "backup", "backup", "backup"] {
        sim.fail_as(user, "sshd", "192.0.2.1");
    }
    sim.reply(Answer::Ignore(true));
    sim.fail_as("root", "sshd", "192.0.2.1");
    sim.reply(Answer::Ignore(false));
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);

    for n in 0..500 {
        sim.fail_as(&format!("user{n}"), "sshd", "192.0.2.7");
    }
    // The one that was asked first is not among the latest three.
    for _ in 0..4 {
        for n in 0..500 {
            sim.fail_as(&format!("more{n}"), "sshd", "192.0.2.7");
        }
        assert_eq!(sim.ledger().len(), 1);
        sim.reply(Answer::Ignore(false));
    }
    assert_eq!(sim.ledger().len(), 2);
    assert!(sim.disk.windows.values().all(|window| window.count() <= 48));
}

#[test]
fn what_a_question_needs_to_know_survives_a_restart() {
    let mut sim = Sim::with(with(asks_of_users));
    for user in ["alice", "bob", "carol"] {
        sim.fail_as(user, "sshd", "192.0.2.1");
    }
    sim.reply(Answer::Ignore(false));
    assert_eq!(asked_users(&sim), ["bob"]);
    let (_, before) = sim.asked.first_key_value().unwrap();
    let before = before.clone();

    sim.restart();

    assert_eq!(asked_users(&sim), ["carol"], "no answer was written down");
    sim.reply(Answer::Ignore(false));
    let (_, after) = sim.asked.first_key_value().unwrap();
    assert_eq!(*after, before);
}

#[test]
fn what_was_asked_under_other_settings_is_asked_again_and_the_old_answer_is_none() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    let old = sim.asked.pop_first().unwrap().0;
    sim.reload(with(asks_a_command));
    assert!(sim.asked.is_empty(), "nothing changed");

    sim.reload(with(asks_of_users));
    assert_eq!(sim.asked.len(), 1);
    sim.engine.handle_answer(sim.now, old, Answer::Ignore(true));
    sim.drain();
    assert_eq!(spared(&sim), 0);
    sim.reply(Answer::Ignore(false));
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);
}

#[test]
fn a_jail_that_goes_away_while_it_asks_takes_the_question_along() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    let old = sim.asked.pop_first().unwrap().0;
    sim.reload(settings(&["web"]));
    sim.reload(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    assert_eq!(sim.asked.len(), 1, "it is another question now");

    sim.engine.handle_answer(sim.now, old, Answer::Ignore(true));
    sim.drain();
    assert_eq!(spared(&sim), 0);
    sim.reply(Answer::Ignore(false));
    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);
}

#[test]
fn a_jail_with_many_open_questions_leaves_others_theirs() {
    let mut settings = settings(&["sshd", "web"]);
    settings.jails.values_mut().for_each(asks_a_command);
    let mut sim = Sim::with(settings);
    for n in 0..600 {
        let who = format!("198.18.{}.{}", n / 250, n % 250);
        fail(&mut sim, &who, 3);
    }
    assert_eq!(sim.asked.len(), 512);
    assert_eq!(sim.ledger().len(), 600 - 512, "what is known must do");

    (0..3).for_each(|_| sim.fail("web", "192.0.2.1"));

    assert_eq!(sim.asked.len(), 513);
    sim.answer();
    assert_eq!(sim.ledger().len(), 601);
}

#[test]
fn what_waits_is_asked_again_after_a_restart_however_long_it_took() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    sim.fail("sshd", "one.example");
    assert_eq!(sim.asked.len(), 2);

    sim.jump(Span::from_secs(550));
    sim.restart();
    fail(&mut sim, "192.0.2.77", 1);
    assert_eq!(sim.asked.len(), 2);
    sim.jump(Span::from_secs(20));
    sim.answer();

    assert_eq!(sim.dropped(), ["sshd 192.0.2.1 +30"]);
}

#[test]
fn what_a_restart_interrupted_waits_until_it_is_known_who_must_not_be_banned() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    fail(&mut sim, "192.0.2.2", 3);
    sim.settings = settings(&["sshd"]);
    sim.reboot();
    assert!(sim.ledger().is_empty());

    let protected = Protected {
        gateways: [offender("192.0.2.1")].into_iter().collect(),
        ..Protected::default()
    };
    sim.engine.handle_protected(sim.now, protected);
    sim.drain();

    assert_eq!(sim.dropped(), ["sshd 192.0.2.2 +600"]);
}

#[test]
fn a_ban_that_would_be_over_when_the_answer_comes_blocks_nobody() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    sim.pass(5);
    for n in 0..5 {
        sim.pass(200);
        sim.fail("sshd", &format!("198.51.100.{n}"));
    }
    sim.reply(Answer::Ignore(false));

    assert!(sim.ledger().is_empty() && sim.dropped().is_empty());
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    let ban = sim.engine.ledger().after(None).next().unwrap();
    assert_eq!(ban.earlier, 1, "it counts all the same");
}

#[test]
fn an_unban_by_hand_forgets_what_waits() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    sim.unban("sshd", "192.0.2.1").unwrap();
    sim.reply(Answer::Ignore(false));

    assert!(sim.ledger().is_empty());
}

#[test]
fn who_is_protected_when_the_answer_comes_is_spared() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    let protected = Protected {
        gateways: [offender("192.0.2.1")].into_iter().collect(),
        ..Protected::default()
    };
    sim.engine.handle_protected(sim.now, protected);
    sim.reply(Answer::Ignore(false));

    assert!(sim.ledger().is_empty());
    assert_eq!(spared(&sim), 1);
}

#[test]
fn a_reload_lifts_the_bans_of_whom_a_name_is_known_to_mean() {
    let mut sim = Sim::with(with(asks_a_name));
    fail(&mut sim, "192.0.2.1", 3);
    sim.reply(addresses(&["192.0.2.9"]));
    sim.reload(settings(&["sshd"]));
    fail(&mut sim, "192.0.2.9", 3);
    assert_eq!(sim.ledger().len(), 2);

    sim.reload(with(asks_a_name));

    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);
}

#[test]
fn a_stopped_jail_decides_when_it_is_started() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    sim.ask(banishd::engine::command::Command::StopJail(jail("sshd")))
        .unwrap();
    sim.reply(Answer::Ignore(false));
    assert!(sim.ledger().is_empty());

    sim.ask(banishd::engine::command::Command::StartJail(jail("sshd")))
        .unwrap();

    assert_eq!(sim.ledger(), ["sshd 192.0.2.1 +600"]);
}

#[test]
fn the_latest_lines_go_with_the_ban_and_leave_with_it() {
    let mut sim = Sim::with(with(|jail| jail.max_matches = 2));
    let key = (jail("sshd"), offender("192.0.2.1"));
    fail(&mut sim, "192.0.2.1", 3);
    let lines = |from: usize| [from, from + 1].map(|n| format!("failure {n} of 192.0.2.1").into());
    assert_eq!(sim.disk.lines[&key], lines(1));

    sim.ban("sshd", "192.0.2.1", Some(3000)).unwrap();
    assert_eq!(sim.disk.lines[&key], lines(1), "moving the end leaves them");
    fail(&mut sim, "192.0.2.1", 3);
    assert_eq!(sim.disk.lines[&key], lines(4));
    sim.unban("sshd", "192.0.2.1").unwrap();
    sim.ban("sshd", "192.0.2.1", None).unwrap();
    assert!(sim.disk.lines[&key].is_empty(), "a ban by hand has none");
}

#[test]
fn failures_whose_verdict_waits_are_not_forgotten_when_findtime_is_over() {
    let mut sim = Sim::with(with(asks_a_command));
    fail(&mut sim, "192.0.2.1", 3);
    sim.jump(Span::from_secs(601));
    sim.fail("sshd", "192.0.2.1");

    sim.reply(Answer::Ignore(false));

    let ban = sim.engine.ledger().of_jail(&jail("sshd")).next().unwrap();
    assert_eq!((ban.failures, sim.dropped().len()), (3, 1));
}

#[test]
fn commands_that_hang_keep_no_name_from_being_looked_up() {
    let mut sim = Sim::with(with(asks_a_command));
    for n in 0..300 {
        fail(&mut sim, &format!("198.51.{}.{}", n / 256, n % 256), 3);
    }
    assert_eq!(sim.asked.len(), 300);

    sim.fail("sshd", "one.example");

    assert_eq!((sim.asked.len(), unresolved(&sim)), (301, 0));
}
