//! A file system that does not answer keeps nobody from reading the others, and neither a reload nor the end from
//! coming; when it answers again nothing is lost and nothing doubled.

use std::process::Stdio;
use std::time::Duration;

use banishd::daemon::readers::{Origin, Readers, Said};
use banishd::engine::time::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::fuse::{Served, in_a_namespace, run};
use super::*;

#[test]
fn root_a_mount_that_hangs_keeps_nobody_from_reading_the_others() {
    in_a_namespace(|| {
        let far = Far::new();
        let mut near_log = far.place.log("near.log");
        let mut far_log = far.place.log("source/x.log");
        let jails = || {
            vec![
                far.place.jail("near", "near.log"),
                far.place.jail("far", "far/*.log"),
            ]
        };
        let mut house = House::new(jails());
        // Nobody tells of these: a server writes them.
        far_log.say(0..3);
        near_log.say(100..103);
        house.expect("far", 0..3);
        house.expect("near", 100..103);

        far.served.hang();
        house.waits_for(&far);
        near_log.say(103..106);
        house.expect("near", 103..106);
        far_log.say(3..6);
        house.reload(1, jails());
        near_log.say(106..109);
        house.expect("near", 106..109);
        house.waits_for(&far);

        far.served.answer();
        far_log.say(6..9);
        house.expect("far", 3..9);
        assert!(house.readers.hung().is_empty());
        assert_eq!(house.troubles, BTreeMap::new());
    });
}

#[test]
fn root_a_mount_that_answers_late_is_read_on() {
    in_a_namespace(|| {
        let far = Far::new();
        let mut log = far.place.log("source/x.log");
        let mut house = House::new(vec![far.place.jail("far", "far/x.log")]);
        log.say(0..3);
        house.expect("far", 0..3);
        far.served.hang();
        house.waits_for(&far);
        log.say(3..6);
        fs::rename(
            far.place.path("source/x.log"),
            far.place.path("source/x.log.1"),
        )
        .unwrap();
        far.place.log("source/x.log").say(6..9);

        far.served.answer();

        house.expect("far", 3..9);
        wait_until(|| house.readers.are_alive() && house.readers.hung().is_empty());
    });
}

#[test]
fn root_the_end_waits_for_no_mount() {
    in_a_namespace(|| {
        let far = Far::new();
        far.place.log("source/x.log").say(0..3);
        let mut house = House::new(vec![far.place.jail("far", "far/x.log")]);
        house.expect("far", 0..3);
        far.served.hang();
        house.waits_for(&far);

        house.readers.stop();
    });
}

#[test]
fn root_mounts_that_hang_for_ever_take_few_threads() {
    in_a_namespace(|| {
        let place = Place::new();
        let mut log = place.log("source/x.log");
        let mut house = House::new(Vec::new());
        let mut mounts = Vec::new();
        for number in 0..20 {
            let point = place.path(&number.to_string());
            fs::create_dir(&point).unwrap();
            let served = Served::mount(&place.path("source"), &point);
            served.hang();
            mounts.push(served);
            house.mounts = 0;
            house.reload(
                number + 1,
                vec![place.jail("far", &format!("{number}/x.log"))],
            );
            wait_until(|| house.hear().mounts == 1);
            wait_until(|| {
                house.readers.are_alive()
                    && (number >= 16 || house.readers.hung().contains_key(&point))
            });
        }
        // Those that were left, and the one of all other files.
        assert_eq!(readers_here(), 17);

        mounts.iter().for_each(Served::answer);
        log.say(0..3);
        house.expect("far", 0..3);
        house.readers.stop();
    });
}

/// So many threads that see the same mounts as this one are readers.
fn readers_here() -> usize {
    let here = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let is_reader = |thread: &fs::DirEntry| {
        let name = fs::read_to_string(thread.path().join("comm"));
        let there = fs::read_link(thread.path().join("ns/mnt"));
        name.is_ok_and(|name| name == "files\n") && there.is_ok_and(|there| there == here)
    };
    threads.filter(is_reader).count()
}

#[test]
fn root_links_to_mounts_and_mounts_that_come_and_go_are_followed() {
    in_a_namespace(|| {
        let far = Far::new();
        let place = &far.place;
        fs::create_dir_all(place.path("logs")).unwrap();
        std::os::unix::fs::symlink("../far/x.log", place.path("logs/x.log")).unwrap();
        let mut log = place.log("source/x.log");
        let mut house = House::new(vec![
            place.jail("far", "logs/*.log"),
            place.jail("late", "late/y.log"),
        ]);
        log.say(0..3);
        house.expect("far", 0..3);
        fs::create_dir(place.path("late")).unwrap();
        place.log("late/y.log").say(100..103);
        house.expect("late", 100..103);

        place.log("other/y.log").say(103..106);
        let served = Served::mount(&place.path("other"), &place.path("late"));
        house.expect("late", 103..106);
        place.log("other/y.log").say(106..109);
        house.expect("late", 106..109);

        drop(served);
        wait_until(|| house.hear().mounts == 1);
        place.log("late/y.log").say(109..112);
        house.expect("late", 109..112);
    });
}

#[test]
fn root_another_disk_that_comes_later_is_read() {
    in_a_namespace(|| {
        let place = Place::new();
        fs::create_dir(place.path("disk")).unwrap();
        let mut house = House::new(vec![place.jail("late", "disk/x.log")]);
        place.log("disk/x.log").say(0..3);
        house.expect("late", 0..3);

        run(
            &format!("mount -t tmpfs none '{}'", place.path("disk").display()),
            Stdio::null(),
        );
        place.log("disk/x.log").say(3..6);

        house.expect("late", 3..6);
    });
}

#[test]
fn root_no_configuration_is_kept_from_being_read() {
    in_a_namespace(|| {
        let far = Far::new();
        far.served.hang();
        let jail = |name: &str, path: &str| {
            let path = far.place.path(path);
            format!(
                "[{name}]\nenabled = true\nfilter = door\nport = all\nlogpath = {}\n",
                path.display()
            )
        };
        let text = [jail("one", "far/x.log"), jail("all", "*/*.log")].concat();
        drop(far.place.log("near/x.log"));
        far.place.log("etc/jail.conf").write(text.as_bytes());
        far.place
            .log("etc/filter.d/door.conf")
            .write(b"[Definition]\nfailregex = from <HOST>\n");
        let layout = banishd::config::files::Layout {
            admin: far.place.path("etc"),
            vendor: PathBuf::from("/nonexistent"),
            ..Default::default()
        };

        let (settings, problems) = banishd::config::load(&layout);

        assert_eq!(settings.jails.len(), 2, "{problems:?}");
    });
}

/// A directory in which `far` is a file system that shows what is in `source`.
struct Far {
    served: Served,
    place: Place,
}

impl Far {
    fn new() -> Self {
        let place = Place::new();
        for name in ["source", "far"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        let served = Served::mount(&place.path("source"), &place.path("far"));
        Self { served, place }
    }
}

/// What of the daemon looks after readers.
struct House {
    readers: Readers,
    runtime: Runtime,
    known: Known,
    /// What each jail has heard.
    heard: BTreeMap<String, Vec<u32>>,
    switched: bool,
    mounts: usize,
    troubles: BTreeMap<LogName, String>,
}

impl House {
    fn new(jails: Vec<Task>) -> Self {
        let mut house = Self {
            readers: Readers::default(),
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            known: Known::new(),
            heard: BTreeMap::new(),
            switched: false,
            mounts: 0,
            troubles: BTreeMap::new(),
        };
        house.readers.want([(Origin::Files, jails)].into());
        house.settle();
        house
    }

    fn settle(&mut self) {
        let now = Timestamp::default();
        self.readers.settle(now, &self.known).unwrap();
        for log in self.readers.take_forgotten() {
            self.troubles.remove(&log);
        }
    }

    fn reload(&mut self, generation: u64, jails: Vec<Task>) {
        let wanted: BTreeMap<Origin, Vec<Task>> = [(Origin::Files, jails)].into();
        self.switched = false;
        self.readers.switch(generation, &wanted);
        wait_until(|| self.hear().switched);
        self.readers.want(wanted);
        self.settle();
    }

    /// Hears what there is to hear.
    fn hear(&mut self) -> &mut Self {
        loop {
            let hear = async { timeout(Duration::from_millis(1), self.readers.hear()).await };
            match self.runtime.block_on(hear) {
                Err(_) => return self,
                Ok(Said::Word(index, word)) => self.take(index, word),
                Ok(Said::Left) => self.settle(),
                Ok(Said::Ended) => panic!("a reader ended"),
            }
        }
    }

    fn take(&mut self, index: usize, word: Heard) {
        match word {
            Heard::Progress {
                log,
                failures,
                position,
            } => {
                for failure in failures {
                    let numbers = self.heard.entry(failure.jail.to_string()).or_default();
                    numbers.push(number(&failure.who));
                }
                self.known.insert(log, position);
            }
            Heard::Gone(log) => drop(self.known.remove(&log)),
            Heard::Switched(_) => self.switched = self.readers.switched(index),
            Heard::Beyond(beyond) => {
                self.mounts = beyond.len();
                self.readers.beyond(index, beyond);
                self.settle();
            }
            Heard::Trouble { log, text, .. } => {
                self.readers.troubled(index, &log);
                self.troubles.insert(log, text);
            }
            Heard::Recovered(log) => drop(self.troubles.remove(&log)),
            Heard::Missed(_)
            | Heard::CaughtUp
            | Heard::Suppressed { .. }
            | Heard::Complaint { .. } => {}
        }
    }

    /// The jail hears exactly these.
    fn expect(&mut self, jail: &str, numbers: Range<u32>) {
        let count = numbers.len();
        wait_until(|| {
            self.hear()
                .heard
                .get(jail)
                .is_some_and(|heard| heard.len() >= count)
        });
        assert_eq!(
            self.heard.remove(jail).unwrap(),
            numbers.collect::<Vec<u32>>()
        );
    }

    /// The mount is known to hang, and everything else is well.
    fn waits_for(&mut self, far: &Far) {
        wait_until(|| self.readers.are_alive() && !self.readers.hung().is_empty());
        let hung = self.readers.hung();
        let jails: Vec<&str> = hung.values().flatten().map(|jail| &**jail).collect();
        assert_eq!(jails, ["far"]);
        assert_eq!(hung.keys().collect::<Vec<_>>(), [&far.place.path("far")]);
    }
}
