//! The real loop with its reader's thread and its store; journal, firewall and bus are the test's.

use banishd::daemon::args::Args;
use banishd::daemon::start::{StartError, open_store};
use banishd::dbus::link::{News, Request};
use banishd::engine::effect::{Commit, Event};
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::JailName;
use banishd::engine::time::Timestamp;
use banishd::store::{FILE, Store};
use rusqlite::Connection;

mod house;

use crate::daemon::house::{House, door};

#[tokio::test]
async fn three_entries_in_the_journal_become_a_ban() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        for _ in 0..3 {
            house.log.write("knock 192.0.2.1");
        }

        let ban = visitor.news(|news| match news {
            News::Events(events) => events.into_iter().find_map(|event| match event {
                Event::BanNew(ban) => Some(ban),
                _ => None,
            }),
            _ => None,
        });

        let ban = ban.await;
        assert_eq!(
            (ban.offender.to_string().as_str(), ban.failures),
            ("192.0.2.1", 3)
        );
        assert_eq!(house.blocked(), ["192.0.2.1"], "blocked before it is told");
        let bans = |reply| Request::Bans {
            jail: None,
            after: None,
            max: 9,
            reply,
        };
        assert_eq!(visitor.ask(bans).await, [ban]);
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn the_list_of_a_jails_bans_goes_on_behind_any_ban() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        for last in 1..=3 {
            visitor.ban(&format!("192.0.2.{last}")).await.unwrap();
        }
        for (after, max, expected) in [
            (None, 2, &[1, 2][..]),
            (Some(("door", 1)), 9, &[2, 3]),
            (Some(("door", 1)), 1, &[2]),
            (Some(("door", 3)), 9, &[]),
            (Some(("back", 9)), 1, &[1]),
            (Some(("yard", 1)), 9, &[]),
        ] {
            let host = |last: u8| format!("192.0.2.{last}").parse().unwrap();
            let after = after.map(|(jail, last)| (JailName::new(jail).unwrap(), host(last)));
            let bans = |reply| Request::Bans {
                jail: Some(door()),
                after: after.clone(),
                max,
                reply,
            };
            let found: Vec<_> = visitor.ask(bans).await;
            let found: Vec<_> = found.iter().map(|ban| ban.offender).collect();
            let expected: Vec<_> = expected.iter().map(|last| host(*last)).collect();
            assert_eq!(found, expected, "{after:?}");
        }
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn another_daemon_goes_on_exactly_where_the_last_one_stopped() {
    let house = House::new();
    let first = house.live(async |visitor| {
        visitor.ban("192.0.2.9").await.unwrap();
        house.log.write("knock 192.0.2.1");
        visitor.counted(1).await;
    });
    first.await.unwrap();
    house.firewall.lose();

    house.log.write("knock 192.0.2.1");
    let second = house.live(async |visitor| {
        assert_eq!(visitor.counted(2).await.bans_total, 1);
        assert_eq!(house.blocked(), ["192.0.2.9"], "two knocks are not three");
        house.log.write("knock 192.0.2.1");
        assert_eq!(visitor.counted(3).await.bans_total, 2);
    });
    second.await.unwrap();

    assert_eq!(house.blocked(), ["192.0.2.1", "192.0.2.9"]);
}

#[tokio::test]
async fn a_jail_that_reads_no_log_counts_bans_over_restarts() {
    let house = House::new();
    house.count_bans();
    let first = house.live(async |visitor| {
        visitor.ban("192.0.2.1").await.unwrap();
        visitor.ban("192.0.2.1").await.unwrap();
        visitor.unban("192.0.2.1").await.unwrap();
    });
    first.await.unwrap();

    let second = house.live(async |visitor| {
        let jail = visitor.jail().await;
        assert_eq!((&*jail.name, jail.failures_total), ("again", 1));
        visitor.ban("192.0.2.1").await.unwrap();
        let bans = |reply| Request::Bans {
            jail: None,
            after: None,
            max: 9,
            reply,
        };
        let bans = visitor.ask(bans).await;
        let jails: Vec<&str> = bans.iter().map(|ban| &*ban.jail).collect();
        assert_eq!(jails, ["again", "door"]);
    });
    second.await.unwrap();
}

#[tokio::test]
async fn a_reload_takes_effect_between_two_entries() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        house.log.write("knock 192.0.2.1");
        house.log.write("bang 192.0.2.1");
        visitor.counted(1).await;

        house.listen_for("bang");
        visitor.reload().await.unwrap();

        for message in ["knock 192.0.2.1", "bang 192.0.2.2", "bang 192.0.2.1"] {
            house.log.write(message);
        }
        let jail = visitor.counted(3).await;
        assert_eq!(
            (jail.failures_total, jail.failing),
            (3, 2),
            "the old one still counts"
        );
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn a_reload_of_what_has_errors_changes_nothing_and_whoever_asked_is_told() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        house.listen_for("bang(");

        let error = visitor.reload().await.unwrap_err();

        assert!(error.contains("door.conf:4:"), "{error}");
        for _ in 0..3 {
            house.log.write("knock 192.0.2.1");
        }
        assert_eq!(visitor.counted(3).await.bans_total, 1);
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn everybody_who_asks_for_a_reload_gets_an_answer() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        let answers = tokio::join!(visitor.reload(), visitor.reload(), visitor.reload());

        assert_eq!(answers, (Ok(vec![]), Ok(vec![]), Ok(vec![])));
        let mut reloads = 0;
        while let Ok(news) = visitor.bus.news.try_recv() {
            reloads += usize::from(news == News::Reloading(true));
        }
        assert!(reloads <= 2, "who waits for the next one shares it");
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn a_bus_that_reads_too_late_is_told_to_read_everything_anew() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        for last in 0..=255_u8 {
            visitor.ban(&format!("192.0.2.{last}")).await.unwrap();
        }
        let mut last = None;
        while let Ok(news) = visitor.bus.news.try_recv() {
            last = Some(news);
        }
        assert!(matches!(last, Some(News::Events(_))), "{last:?}");

        let reset = |news| (news == News::Reset).then_some(());
        visitor.news(reset).await;
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn that_fail2ban_bans_too_is_told_and_is_no_trouble() {
    let house = House::new();
    let visit = house.live(async |visitor| {
        for (runs, notices) in [(true, 1), (false, 0)] {
            house.rival.send_replace(runs);
            // The bus is told to look.
            let told = |news| matches!(news, News::State(_)).then_some(());
            let manager = loop {
                visitor.news(told).await;
                let manager = visitor.ask(Request::Manager).await;
                if manager.notices.len() == notices {
                    break manager;
                }
            };
            assert_eq!(manager.troubles, Vec::<String>::new());
            let said = manager.notices.concat();
            assert!(!runs || said.contains("systemctl disable --now fail2ban"));
        }
    });
    visit.await.unwrap();
}

#[tokio::test]
async fn a_file_is_read_like_the_journal_and_over_restarts_and_reloads() {
    let house = House::new();
    house.listen_to_a_file();
    house.knock_at_file("192.0.2.1");
    let first = house.live(async |visitor| {
        visitor.counted(1).await;
        house.knock_at_file("192.0.2.1");
        visitor.counted(2).await;
    });
    first.await.unwrap();

    house.knock_at_file("192.0.2.1");
    let second = house.live(async |visitor| {
        assert_eq!(
            visitor.counted(3).await.bans_total,
            1,
            "none is lost or doubled"
        );
        house.knock_at_file("192.0.2.2");
        visitor.reload().await.unwrap();
        house.knock_at_file("192.0.2.2");
        assert_eq!(visitor.counted(5).await.failures_total, 5);
    });
    second.await.unwrap();

    assert_eq!(house.blocked(), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_reader_that_ends_ends_the_daemon() {
    let house = House::new();
    let forever = house.live(async |_| {
        house.log.end();
        std::future::pending().await
    });

    let ending = forever.await;

    assert!(matches!(ending, Err(StartError::ReaderGone)), "{ending:?}");
}

#[tokio::test]
async fn a_store_that_somebody_looks_at_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let position = Position {
        cursor: Cursor("here".into()),
        time: Timestamp::from_usec(1),
    };
    let commit = Commit {
        positions: vec![(LogName::journal(), Some(position.clone()))],
        ..Commit::default()
    };
    let mut store = Store::open(directory.path()).unwrap().store;
    store.commit(&commit).unwrap();
    drop(store);
    let other = Connection::open(directory.path().join(FILE)).unwrap();
    let lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE";
    other.execute_batch(lock).unwrap();

    let words = [
        "banishd".as_ref(),
        "--state-dir".as_ref(),
        directory.path().as_os_str(),
    ];
    let args = <Args as clap::Parser>::parse_from(words);
    let leave = async { drop(other) };
    let ((store, remembered, trouble), ()) = tokio::join!(open_store(&args), leave);

    assert_eq!(trouble, None);
    assert!(store.is_persistent());
    assert_eq!(
        remembered.positions.get(&LogName::journal()),
        Some(&position)
    );
}
