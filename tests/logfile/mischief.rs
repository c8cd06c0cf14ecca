//! What a hostile neighbour, or an unlucky one, does to logs: nothing is lost that could be had, nothing is
//! doubled, and nobody else waits.

use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::process::Stdio;

use super::*;

#[test]
fn an_empty_log_is_followed_to_its_old_name() {
    for stops in [false, true] {
        let place = Place::new();
        let mut log = place.log("auth.log");
        let jails = || vec![place.jail("sshd", "auth.log")];
        let mut ear = Ear::listen(Known::new(), jails());
        wait_until(|| ear.drain().is_caught_up);
        assert_eq!(ear.known.len(), 1);

        rename(&place, "auth.log", "auth.log.1");
        if stops {
            // The service is told late, the reader later still.
            log.say(0..3);
            place.log("auth.log").say(3..6);
            ear = ear.restart(jails());
            ear.expect(0..6);
            continue;
        }
        place.log("auth.log").say(0..3);
        ear.expect(0..3);
        log.say(3..6);
        ear.expect(3..6);
    }
}

#[test]
fn what_was_packed_while_nobody_read_is_read_from_there() {
    for (rotations, delayed) in [(1, 0), (2, 0), (2, 1), (4, 1)] {
        let place = Place::new();
        let jails = || vec![place.jail("sshd", "auth.log")];
        place.log("auth.log").say(0..500);
        let mut ear = Ear::listen(Known::new(), jails());
        ear.expect(0..500);
        ear.reader.stop();
        let known = std::mem::take(&mut ear.known);
        for number in 0..rotations {
            let from = 500 + number * 500;
            place.log("auth.log").say(from..from + 500);
            for old in (1..=number).rev() {
                for end in ["", ".gz"] {
                    let name = |n: u32| place.path(&format!("auth.log.{n}{end}"));
                    let _ = fs::rename(name(old), name(old + 1));
                }
            }
            rename(&place, "auth.log", "auth.log.1");
            let packed = format!("auth.log.{}", 1 + delayed);
            if place.path(&packed).exists() {
                pack(&place, "gzip", &packed);
            }
        }
        let end = 500 + rotations * 500;
        place.log("auth.log").say(end..end + 10);

        let mut ear = Ear {
            next: 500,
            ..Ear::listen(known, jails())
        };
        ear.expect(500..end + 10);
        // And at any moment another goes on.
        let mut ear = ear.restart(jails());
        place.log("auth.log").say(end + 10..end + 20);
        ear.expect(end + 10..end + 20);
        assert_eq!(ear.missed, [""; 0]);
    }
}

#[test]
fn a_packed_log_is_read_on_where_another_reader_stopped() {
    let place = Place::new();
    let jails = || vec![place.jail("sshd", "auth.log")];
    place.log("auth.log").say(0..10);
    let mut ear = Ear::listen(Known::new(), jails());
    ear.expect(0..10);
    ear.reader.stop();
    place.log("auth.log").say(10..20_000);
    rename(&place, "auth.log", "auth.log.1");
    pack(&place, "gzip", "auth.log.1");
    place.log("auth.log").say(20_000..20_010);

    let mut ear = Ear {
        next: 10,
        ..Ear::listen(ear.known, jails())
    };
    for until in [2_000, 9_000, 20_010] {
        let mut numbers = Vec::new();
        let from = ear.next;
        wait_until(|| {
            numbers.extend(
                ear.drain()
                    .heard
                    .drain(..)
                    .map(|failure| number(&failure.who)),
            );
            from as usize + numbers.len() >= until
        });
        ear.next += u32::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (from..ear.next).collect::<Vec<u32>>());
        if until < 20_000 {
            // Packed files are numbered on as well.
            ear.reader.stop();
            let old = if place.path("auth.log.1.gz").exists() {
                1
            } else {
                2
            };
            rename(
                &place,
                &format!("auth.log.{old}.gz"),
                &format!("auth.log.{}.gz", old + 1),
            );
            ear = Ear {
                next: ear.next,
                ..Ear::listen(ear.known, jails())
            };
        }
    }
}

#[test]
fn a_log_packed_under_the_reader_is_read_once() {
    let place = Place::new();
    drop(place.log("auth.log"));
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "auth.log")]);
    wait_until(|| ear.drain().is_caught_up);
    for from in (0..200).step_by(20) {
        place.log("auth.log").say(from..from + 10);
        rename(&place, "auth.log", "auth.log.1");
        pack(&place, "gzip -f", "auth.log.1");
        place.log("auth.log").say(from + 10..from + 20);
        ear.expect(from..from + 20);
    }
}

#[test]
fn what_nobody_can_read_any_more_is_told_once() {
    let damage = |place: &Place, name: &str| {
        let packed = File::options().write(true).open(place.path(name)).unwrap();
        packed
            .set_len(packed.metadata().unwrap().len() - 40)
            .unwrap();
    };
    for (how, text) in [
        (
            "bzip2",
            "auth.log.1.bz2', which nobody here unpacks: lines after byte",
        ),
        ("gone", "was emptied or replaced while nobody read it"),
        ("broken", "is broken, the rest is not read"),
    ] {
        let place = Place::new();
        let jails = || vec![place.jail("sshd", "auth.log")];
        place.log("auth.log").say(0..10);
        let mut ear = Ear::listen(Known::new(), jails());
        ear.expect(0..10);
        ear.reader.stop();
        place.log("auth.log").say(10..20);
        rename(&place, "auth.log", "auth.log.1");
        match how {
            "gone" => fs::remove_file(place.path("auth.log.1")).unwrap(),
            "broken" => {
                pack(&place, "gzip", "auth.log.1");
                damage(&place, "auth.log.1.gz");
            }
            how => pack(&place, how, "auth.log.1"),
        }
        place.log("auth.log").say(20..30);

        let mut ear = Ear::listen(ear.known, jails());
        wait_until(|| {
            ear.drain()
                .heard
                .last()
                .is_some_and(|last| number(&last.who) == 29)
        });
        assert_eq!(ear.missed.len(), 1, "{:?}", ear.missed);
        assert!(ear.missed[0].contains(text), "{:?}", ear.missed);

        let mut ear = ear.restart(jails());
        wait_until(|| ear.drain().is_caught_up);
        assert_eq!(ear.missed, [""; 0], "told again");
    }
}

#[test]
fn each_jail_reads_its_own_encoding() {
    let place = Place::new();
    let mut log = place.log("auth.log");
    let filter = |word: &str| {
        let spec = FilterSpec {
            fail: vec![format!("{word} from <HOST>")],
            ..FilterSpec::default()
        };
        Filter::compile(spec).unwrap()
    };
    let jail = |name: &str, word: &str, encoding| Task {
        filter: filter(word),
        encoding,
        ..place.jail(name, "auth.log")
    };
    let jails = vec![
        jail("latin", "Gr\u{fc}\u{df}e", Some(encoding_rs::WINDOWS_1252)),
        jail("plain", "Gr..e", None),
        jail("greek", "Gr\u{3cc}\u{3af}e", Some(encoding_rs::ISO_8859_7)),
        jail("again", "Gr\u{fc}\u{df}e", Some(encoding_rs::WINDOWS_1252)),
        jail("wide", "Gr\u{fc}\u{df}e", Some(encoding_rs::UTF_16LE)),
    ];
    let mut ear = Ear::listen(Known::new(), jails);
    let now = jiff::Zoned::now().strftime("%FT%T%.6f%:z");
    log.write(format!("{now} Gr").as_bytes());
    log.write(b"\xfc\xdfe from 10.0.0.1\n");

    wait_until(|| ear.drain().heard.len() >= 5);

    let mut jails: Vec<&str> = ear.heard.iter().map(|failure| &*failure.jail).collect();
    jails.sort_unstable();
    assert_eq!(jails, ["again", "greek", "latin", "plain", "wide"]);
}

#[test]
fn a_directory_may_be_replaced_wherever_it_is_on_the_way() {
    let place = Place::new();
    let jails = vec![place.jail("sshd", "srv/app/log/x.log")];
    place.log("srv/app/log/x.log").say(0..3);
    let mut ear = Ear::listen(Known::new(), jails);
    ear.expect(0..3);
    let mut next = 3;
    for (name, replaced) in [("srv", 1), ("srv/app", 2), ("srv/app/log", 3), ("srv", 4)] {
        rename(&place, name, &format!("old-{replaced}"));
        place.log("srv/app/log/x.log").say(next..next + 3);
        ear.expect(next..next + 3);
        next += 3;
    }
}

#[test]
fn a_directory_may_be_a_link_that_is_turned() {
    let place = Place::new();
    place.log("releases/1/log/x.log").say(0..3);
    symlink("releases/1", place.path("current")).unwrap();
    symlink("current", place.path("app")).unwrap();
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "app/log/*.log")]);
    ear.expect(0..3);
    for release in 2..6 {
        let from = release * 3 - 3;
        place
            .log(&format!("releases/{release}/log/x.log"))
            .say(from..from + 3);
        symlink(format!("releases/{release}"), place.path("new")).unwrap();
        rename(&place, "new", "current");
        ear.expect(from..from + 3);
    }
}

#[test]
fn what_is_no_file_is_told_and_harms_nobody() {
    let place = Place::new();
    run(&format!("mkfifo '{}'", place.path("a.log").display()));
    symlink("/dev/zero", place.path("b.log")).unwrap();
    symlink("c.log", place.path("c.log")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("d.log")).unwrap();
    let mut log = place.log("e.log");
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "*.log")]);
    log.say(0..3);
    ear.expect(0..3);
    wait_until(|| ear.drain().is_caught_up);
    let troubles: Vec<&String> = ear.troubles.values().collect();
    assert_eq!(troubles.len(), 3, "{troubles:?}");
    assert!(troubles.iter().all(|text| text.contains("no regular file")));

    // What becomes one is read.
    fs::remove_file(place.path("a.log")).unwrap();
    place.log("a.log").say(3..6);
    ear.expect(3..6);
}

#[test]
fn a_file_of_holes_takes_no_time() {
    let place = Place::new();
    let log = place.log("auth.log").0;
    log.set_len(8 << 40).unwrap();
    let file = File::options()
        .write(true)
        .open(place.path("auth.log"))
        .unwrap();
    let mut jail = place.jail("sshd", "auth.log");
    jail.look_back = Span::from_secs(60);
    let mut ear = Ear::listen(Known::new(), vec![jail]);
    wait_until(|| ear.drain().is_caught_up);
    for number in 0..3 {
        let end = (8 << 40) + (u64::from(number) << 40);
        file.write_all_at(format!("\n{}", line(number)).as_bytes(), end)
            .unwrap();
        ear.expect(number..number + 1);
    }
}

#[test]
fn a_log_that_never_ends_hides_no_other() {
    let place = Place::new();
    let mut chatter = place.log("chatter.log");
    let mut quiet = place.log("quiet.log");
    let text = "nothing to see here\n".repeat(1 << 16);
    for _ in 0..30 {
        chatter.write(text.as_bytes());
    }
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "*.log")]);
    wait_until(|| ear.drain().known.len() == 2);
    assert!(!ear.is_caught_up, "too little chatter to tell");

    quiet.say(0..1);
    place.log("new.log").say(1..2);

    ear.expect(0..2);
    assert!(!ear.is_caught_up, "it was heard only after the chatter");
}

#[test]
fn rights_may_be_taken_and_given_back() {
    let place = Place::new();
    let allow = |name: &str, mode| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut log = place.log("logs/x.log");
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "logs/*.log")]);
    log.say(0..3);
    ear.expect(0..3);
    for (from, name, closed, open) in [(3, "logs/x.log", 0, 0o644), (6, "logs", 0, 0o755)] {
        allow(name, closed);
        log.say(from..from + 2);
        allow(name, open);
        log.say(from + 2..from + 3);
        ear.expect(from..from + 3);
    }
    wait_until(|| ear.drain().troubles.is_empty());
}

#[test]
fn a_thousand_files_are_read_like_one() {
    let place = Place::new();
    for number in 0..COUNT {
        place.log(&format!("site-{number}.log"));
    }
    let mut ear = Ear::listen(
        Known::new(),
        vec![place.jail("a", "*.log"), place.jail("b", "*.log")],
    );
    wait_until(|| ear.drain().known.len() == COUNT as usize);
    for number in 0..COUNT {
        place
            .log(&format!("site-{number}.log"))
            .say(number..number + 1);
    }
    wait_until(|| ear.drain().heard.len() == 2 * COUNT as usize);
}

#[test]
fn root_without_watches_the_files_are_looked_at_every_second() {
    if std::env::var_os("BANISHD_TEST_UNWATCHED").is_none() {
        let name = "logfile::mischief::root_without_watches_the_files_are_looked_at_every_second";
        // How much may be watched is counted per name space of users.
        let script = format!(
            "echo 3 >/proc/sys/user/max_inotify_watches && BANISHD_TEST_UNWATCHED=1 exec '{}' --exact {name}",
            std::env::current_exe().unwrap().display()
        );
        run(&format!(
            "unshare --user --map-root-user sh -c \"{script}\""
        ));
        return;
    }
    let place = Place::new();
    let mut logs: Vec<Log> = (0..5).map(|n| place.log(&format!("{n}/x.log"))).collect();
    let mut ear = Ear::listen(Known::new(), vec![place.jail("sshd", "*/*.log")]);
    wait_until(|| ear.drain().is_caught_up);
    let troubles: Vec<&String> = ear.troubles.values().collect();
    assert!(
        troubles
            .iter()
            .any(|text| text.contains("sysctl fs.inotify.max_user_watches"))
    );
    let mut number = 0;
    for log in &mut logs {
        log.say(number..number + 2);
        ear.expect(number..number + 2);
        number += 2;
    }
    place.log("6/x.log").say(10..12);
    ear.expect(10..12);

    fs::write("/proc/sys/user/max_inotify_watches", "1000").unwrap();
    wait_until(|| ear.drain().troubles.is_empty());
}

fn rename(place: &Place, from: &str, to: &str) {
    fs::rename(place.path(from), place.path(to)).unwrap();
}

fn pack(place: &Place, program: &str, name: &str) {
    run(&format!("{program} '{}'", place.path(name).display()));
}

fn run(command: &str) {
    fuse::run(command, Stdio::null());
}

const COUNT: u32 = 1000;
