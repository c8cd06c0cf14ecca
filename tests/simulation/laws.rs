//! Laws, held against random lives of a daemon.

use banishd::engine::ledger::formula::Formula;
use banishd::engine::settings::{Escalation, IgnoreCache, Settings};
use banishd::engine::time::Span;
use proptest::prelude::*;

use crate::support::sim::{Sim, jail, offender, repeat_settings, settings};

const WHO: [&str; 6] = [
    "192.0.2.1",
    "192.0.2.2",
    "2001:db8::1",
    "203.0.113.9",
    "192.0.2.3",
    "198.51.100.0/24",
];
/// The last two count the bans of the others, and each other's.
const JAILS: [&str; 4] = ["sshd", "web", "recidive", "worst"];

/// Who fails: in `sshd` the first five, in `web` all.
const FAILING: [&str; 10] = [
    "192.0.2.1",
    "192.0.2.2",
    "2001:db8::1",
    "203.0.113.9",
    "192.0.2.3",
    "192.0.2.4",
    "192.0.2.5",
    "one.example",
    "two.example",
    "none.example",
];

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Fail {
        jail: usize,
        who: usize,
        pid: u32,
        advance: bool,
    },
    Pass(u64),
    Ban {
        jail: usize,
        who: usize,
        secs: Option<u64>,
    },
    Unban {
        jail: usize,
        who: usize,
    },
    Reload(u32),
    Answer,
}

fn step() -> impl Strategy<Value = Step> {
    let (jail, who) = (0..JAILS.len(), 0..WHO.len());
    prop_oneof![
        8 => (0..2_usize, 0..FAILING.len(), 0..3_u32, any::<bool>())
            .prop_map(|(jail, who, pid, advance)| Step::Fail { jail, who, pid, advance }),
        3 => Just(Step::Answer),
        3 => (0..400_u64).prop_map(Step::Pass),
        2 => (jail.clone(), who.clone(), proptest::option::of(1..900_u64))
            .prop_map(|(jail, who, secs)| Step::Ban { jail, who, secs }),
        2 => (jail, who).prop_map(|(jail, who)| Step::Unban { jail, who }),
        1 => (2..5_u32).prop_map(Step::Reload),
    ]
}

/// A first start. 203.0.113.9 is on `ignoreip`, 192.0.2.3 is the host itself. `web` asks before it bans:
/// 192.0.2.4 and 192.0.2.5 are ignored by it, one by name and one in a file. Its bans grow.
fn begin() -> Sim {
    start(variant(3))
}

fn start(settings: Settings) -> Sim {
    let mut sim = Sim::with(settings);
    sim.protected.own = [offender("192.0.2.3")].into_iter().collect();
    sim.engine.handle_protected(sim.now, sim.protected.clone());
    sim
}

/// Other settings of the same jails, in which nothing need be asked.
fn plain(max_retry: u32) -> Settings {
    let mut settings = settings(&JAILS);
    for jail in settings.jails.values_mut() {
        jail.max_retry = max_retry;
    }
    let recidive = repeat_settings(&["sshd", "web", "worst"], 2);
    settings.jails.insert(jail("recidive"), recidive);
    let worst = repeat_settings(&["sshd", "recidive"], max_retry - 1);
    settings.jails.insert(jail("worst"), worst);
    settings
}

/// Other settings of the same jails, in which `web` asks.
fn variant(max_retry: u32) -> Settings {
    let mut settings = plain(max_retry);
    let web = settings.jails.get_mut(&jail("web")).unwrap();
    web.max_matches = 2;
    web.ignore_names = vec!["home.example".to_owned()];
    web.ignore_files = vec!["/etc/list".into()];
    web.ignore_command = Some("/bin/ask <ip>".to_owned());
    web.ignore_cache = Some(IgnoreCache {
        key: "<ip>".to_owned(),
        max_count: 2,
        max_time: Span::from_secs(300),
    });
    web.escalation = Some(Escalation {
        formula: Formula::parse("ban.Time * 2 ** ban.Count * banFactor").unwrap(),
        factor: 1.0,
        multipliers: Vec::new(),
        max: Some(Span::from_secs(1500)),
        random: Span::from_secs(60),
        all_jails: true,
    });
    settings
}

/// Whether `web` asks before it bans.
fn asks(sim: &Sim) -> bool {
    sim.settings.jails[&jail("web")].ignore_command.is_some()
}

/// Does one step; after a crash the daemon comes back and whoever got no answer asks again.
fn run(sim: &mut Sim, step: &Step) {
    match step {
        Step::Fail {
            jail,
            who,
            pid,
            advance,
        } => {
            let who = if *jail == 0 { *who % 5 } else { *who };
            sim.log_failure(JAILS[*jail], FAILING[who], Some(*pid), *advance);
            sim.deliver(sim.log.len() - 1);
        }
        Step::Answer => sim.answer(),
        Step::Pass(secs) => sim.pass(*secs),
        Step::Ban { jail, who, secs } => drop(sim.ban(JAILS[*jail], WHO[*who], *secs)),
        Step::Unban { jail, who } => drop(sim.unban(JAILS[*jail], WHO[*who])),
        Step::Reload(retries) => {
            sim.reload(if asks(sim) { variant } else { plain }(*retries));
        }
    }
    if sim.crashed {
        let unanswered = !matches!(step, Step::Fail { .. } | Step::Pass(_));
        sim.restart();
        if unanswered {
            run(sim, step);
        }
    }
}

fn check(sim: &Sim) -> Result<(), TestCaseError> {
    prop_assert_eq!(sim.dropped(), sim.ledger(), "the firewall is the ledger");
    let acts = |text: &&String| {
        ["Install", "Apply", "Persist"]
            .iter()
            .any(|a| text.starts_with(a))
    };
    for effect in sim.effects.iter().filter(acts) {
        prop_assert!(
            !effect.contains("203.0.113") && !effect.contains("192.0.2.3"),
            "an ignored or protected address is in {}",
            effect
        );
    }
    let acts = |text: &&String| text.starts_with("Install") || text.starts_with("Apply");
    for effect in sim.effects.iter().filter(acts) {
        prop_assert!(
            !asks(sim) || !(effect.contains("192.0.2.4") || effect.contains("192.0.2.5")),
            "an address ignored by name or file is in {}",
            effect
        );
    }
    for ban in sim.engine.ledger().after(None) {
        prop_assert!(
            ban.until.is_none_or(|until| until > sim.now.wall),
            "{:?} outlives its end",
            ban
        );
    }
    for view in sim.engine.jails() {
        for (_, window) in sim.engine.jail(&view.name).unwrap().1.windows() {
            prop_assert!(window.count() < 5);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_firewall_is_the_ledger_and_nobody_ignored_is_in_it(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut sim = begin();
        for step in &steps {
            run(&mut sim, step);
            check(&sim)?;
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_effects(steps in proptest::collection::vec(step(), 1..60)) {
        let effects = || {
            let mut sim = begin();
            steps.iter().for_each(|step| run(&mut sim, step));
            sim.effects
        };
        prop_assert_eq!(effects(), effects());
    }

    #[test]
    fn a_crash_at_any_effect_changes_nothing(
        steps in proptest::collection::vec(step(), 1..40),
        cut in any::<prop::sample::Index>(),
        carried_out in any::<bool>(),
    ) {
        let mut whole = begin();
        steps.iter().for_each(|step| run(&mut whole, step));

        let mut sim = begin();
        sim.crash = Some((cut.index(whole.effects.len().max(1)), carried_out));
        steps.iter().for_each(|step| run(&mut sim, step));
        check(&sim)?;
        prop_assert_eq!(sim.state(), whole.state());

        for sim in [&mut whole, &mut sim] {
            sim.answer();
            sim.pass(6);
        }
        check(&sim)?;
        prop_assert_eq!(sim.state(), whole.state());
        prop_assert_eq!(sim.disk, whole.disk);
    }

    #[test]
    fn edges_that_fail_at_times_lose_nothing(
        steps in proptest::collection::vec(
            prop_oneof![
                6 => step().prop_map(Ok),
                1 => any::<(bool, bool)>().prop_map(Err),
            ],
            1..60,
        )
    ) {
        let mut sim = begin();
        for step in &steps {
            match step {
                Ok(step) => run(&mut sim, step),
                Err((store, firewall)) => {
                    sim.broken_store = store.then_some("disk full");
                    sim.broken_firewall = firewall.then_some("no memory");
                }
            }
        }
        (sim.broken_store, sim.broken_firewall) = (None, None);
        sim.answer();
        sim.pass(61);

        check(&sim)?;
        let state = sim.state();
        sim.restart();
        prop_assert_eq!(sim.state(), state);
    }

    #[test]
    fn being_down_for_a_while_changes_nothing(
        before in proptest::collection::vec(step(), 0..30),
        missed in proptest::collection::vec((0..2_usize, 0..7_usize, 0..3_u32, any::<bool>(), 0..400_u64), 0..30),
        after in proptest::collection::vec(step(), 0..10),
    ) {
        let live = |sim: &mut Sim| {
            for (jail, who, pid, advance, secs) in &missed {
                let step = Step::Fail { jail: *jail, who: *who, pid: *pid, advance: *advance };
                run(sim, &step);
                run(sim, &Step::Pass(*secs));
            }
        };
        let down = |sim: &mut Sim| {
            for (jail, who, pid, advance, secs) in &missed {
                let who = if *jail == 0 { *who % 5 } else { *who };
                sim.log_failure(JAILS[*jail], FAILING[who], Some(*pid), *advance);
                sim.jump(Span::from_secs(*secs));
            }
            sim.restart();
        };
        let life = |middle: &dyn Fn(&mut Sim)| {
            // Whoever is down gets no answers.
            let mut sim = start(plain(3));
            before.iter().for_each(|step| run(&mut sim, step));
            sim.pass(5);
            middle(&mut sim);
            after.iter().for_each(|step| run(&mut sim, step));
            sim
        };

        let (whole, cut) = (life(&live), life(&down));

        check(&cut)?;
        prop_assert_eq!(cut.state(), whole.state());
    }

    #[test]
    fn steps_of_the_clock_and_sleep_move_no_end(
        steps in proptest::collection::vec(
            prop_oneof![
                step().prop_map(Ok),
                (-100_000..100_000_i64).prop_map(|secs| Err((secs, 0))),
                (2..1000_u64).prop_map(|secs| Err((0, secs))),
            ],
            1..40,
        )
    ) {
        let mut sim = begin();
        sim.ban("sshd", "198.51.100.1", Some(5000)).unwrap();
        let end = sim.now.boot.plus(Span::from_secs(5000));
        for step in &steps {
            match step {
                Ok(step) => run(&mut sim, step),
                Err((secs, 0)) => sim.step(*secs),
                Err((_, secs)) => sim.sleep(*secs),
            }
            prop_assert_eq!(sim.dropped(), sim.ledger());
            let (name, who) = (jail("sshd"), offender("198.51.100.1"));
            let left = sim.engine.ledger().left(sim.now, &name, &who);
            let expected = end.since(sim.now.boot);
            prop_assert_eq!(left, (expected > Span::ZERO).then_some(Some(expected)));
        }
    }
}

/// Found by the law above: each is too small to be followed, together they are not.
#[test]
fn small_steps_of_the_clock_add_up() {
    let mut sim = begin();
    sim.ban("sshd", "198.51.100.1", Some(5000)).unwrap();
    for secs in [-1, -2, 1, 1, 1] {
        sim.step(secs);
        let (name, who) = (jail("sshd"), offender("198.51.100.1"));
        let left = sim.engine.ledger().left(sim.now, &name, &who);
        assert_eq!(left, Some(Some(Span::from_secs(5000))));
    }
}

/// Found by the law above: nothing had been logged yet when it went down, so no position was known.
#[test]
fn a_ban_that_ended_while_down_is_prolonged_by_the_first_failures_ever() {
    let life = |is_down: bool| {
        let mut sim = start(plain(2));
        sim.ban("web", "192.0.2.2", None).unwrap();
        sim.pass(5);
        for _ in 0..2 {
            sim.log_failure("web", "192.0.2.2", None, false);
            if !is_down {
                sim.deliver(sim.log.len() - 1);
            }
        }
        match is_down {
            true => sim.jump(Span::from_secs(595)),
            false => sim.pass(595),
        }
        if is_down {
            sim.restart();
        }
        sim.state()
    };

    assert_eq!(life(true), life(false));
}
