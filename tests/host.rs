//! The protected set against a real kernel, a real bus and a login manager of our own.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]

mod login1;
mod systemd1;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use banishd::engine::address::AddressSet;
use banishd::engine::protected::Protected;
use banishd::engine::time::Timestamp;
use banishd::host::accounts::Admins;
use banishd::host::{Places, resolvers, rival, watch};
use tokio::sync::watch::{Receiver, Sender, channel};

use login1::{Bus, Login1, Session};
use systemd1::Systemd1;

#[test]
fn name_servers_are_read_as_resolv_conf_has_them() {
    for (text, expected) in [
        ("", &[][..]),
        ("nameserver 192.0.2.53\n", &["192.0.2.53"]),
        (
            "nameserver\t192.0.2.53 # ours\nsearch example.org\nnameserver 2001:db8::53",
            &["192.0.2.53", "2001:db8::53"],
        ),
        ("nameserver fe80::1%eth0\r\n", &["fe80::1"]),
        ("nameserver ::ffff:192.0.2.53\n", &["192.0.2.53"]),
        (
            "#nameserver 192.0.2.1\n;nameserver 192.0.2.2\n nameserver 192.0.2.3\n",
            &[],
        ),
        (
            "nameserver192.0.2.1\nnameserver\nnameserver dns.example\nNAMESERVER 192.0.2.1\n",
            &[],
        ),
        ("nameserver 192.0.2.1 192.0.2.2\n", &["192.0.2.1"]),
    ] {
        assert_eq!(resolvers::parse(text), addresses(expected), "{text:?}");
    }
}

#[test]
fn behind_a_stub_resolver_those_that_it_asks_are_meant() {
    let root = root_with("nameserver 127.0.0.53\n");
    fs::create_dir_all(root.path().join("run/systemd/resolve")).unwrap();
    fs::write(
        root.path().join("run/systemd/resolve/resolv.conf"),
        "nameserver 192.0.2.9\n",
    )
    .unwrap();

    assert_eq!(
        resolvers::read(root.path()),
        addresses(&["127.0.0.53", "192.0.2.9"])
    );
    fs::write(
        root.path().join("etc/resolv.conf"),
        "nameserver 192.0.2.1\n",
    )
    .unwrap();
    assert_eq!(resolvers::read(root.path()), addresses(&["192.0.2.1"]));
}

#[test]
fn administrators_are_root_and_members_by_name_or_primary_group() {
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1001:27::/:/bin/sh\nbob:x:1002:1002::/:/bin/sh\n\
                  broken:x\ncid:x:1003:10::/:/bin/sh\n";
    let group = "sudo:x:27:bob, directory\nwheel:x:10:\nusers:x:100:eve\nshort\n";
    let admins = Admins::parse(passwd, group, &["sudo".to_owned(), "no-such".to_owned()]);

    for (uid, name, expected) in [
        (0, "root", true),
        (0, "toor", true),
        (1001, "ann", true),
        (1002, "bob", true),
        (5000, "directory", true),
        (1003, "cid", false),
        (1004, "eve", false),
        (1005, "", false),
    ] {
        assert_eq!(admins.include(uid, name), expected, "{name}");
    }
}

#[test]
fn root_addresses_and_gateways_are_followed_as_they_change() {
    in_a_network_of_its_own(async |mut watched: Watched, root: &Path| {
        let first = watched.next().await;
        assert!(first.own.is_empty() && first.gateways.is_empty());
        assert_eq!(first.resolvers, set(&["192.0.2.53"]));

        ip("link add d0 type veth peer name d1");
        ip("link set d1 up");
        ip("link set d0 up");
        ip("addr add 192.0.2.2/24 dev d0");
        ip("addr add 2001:db8::2/64 dev d0 nodad");
        ip("route add default via 192.0.2.1");
        ip("route add 198.51.100.0/24 via inet6 2001:db8::1 table 77");
        fs::write(root.join("etc/resolv.conf"), "nameserver 192.0.2.54\n").unwrap();
        let is_up = |p: &Protected| {
            p.own.touches(&"192.0.2.2".parse().unwrap())
                && p.own.touches(&"2001:db8::2".parse().unwrap())
                && p.gateways.iter().count() == 2
        };
        let up = watched.until(is_up).await;
        assert_eq!(up.gateways, set(&["192.0.2.1", "2001:db8::1"]));
        watched.until(|p| p.resolvers == set(&["192.0.2.54"])).await;

        // Takes the routes with it.
        ip("addr del 192.0.2.2/24 dev d0");
        let down = watched.until(|p| p.gateways.is_empty()).await;
        assert!(!down.own.touches(&"192.0.2.2".parse().unwrap()));
    });
}

#[test]
fn root_resolv_conf_is_read_again_when_asked() {
    in_a_network_of_its_own(async |mut watched: Watched, root: &Path| {
        watched.next().await;
        fs::write(root.join("etc/resolv.conf"), "nameserver 192.0.2.99\n").unwrap();

        watched.groups.send(vec!["sudo".to_owned()]).unwrap();

        assert_eq!(watched.next().await.resolvers, set(&["192.0.2.99"]));
    });
}

#[tokio::test]
async fn sessions_of_administrators_from_afar_are_protected() {
    let bus = Bus::start();
    let login1 = Login1::appear(&bus).await;
    let ok = Session::of(0, "root", "198.51.100.1");
    for session in [
        ok.clone(),
        Session::of(1001, "ann", "2001:db8::5%eth0"),
        Session::of(1002, "eve", "198.51.100.2"),
        Session {
            is_remote: false,
            ..Session::of(0, "root", "198.51.100.3")
        },
        Session {
            class: "manager",
            ..Session::of(0, "root", "198.51.100.4")
        },
        Session {
            state: "closing",
            ..Session::of(0, "root", "198.51.100.5")
        },
        Session {
            host: "laptop.example".to_owned(),
            ..ok
        },
    ] {
        login1.begin(session).await;
    }
    let root = root_with("");
    fs::write(root.path().join("etc/group"), "sudo:x:27:ann\n").unwrap();

    let mut watched = Watched::start(root.path(), Some(bus.address.clone()));

    let expected = [("198.51.100.1", 1_000_000), ("2001:db8::5", 1_000_000)];
    assert_eq!(watched.until_sessions(2).await, expected.map(peer));
}

#[tokio::test]
async fn sessions_are_followed_as_they_come_close_and_go() {
    let bus = Bus::start();
    let login1 = Login1::appear(&bus).await;
    let root = root_with("");
    let mut watched = Watched::start(root.path(), Some(bus.address.clone()));
    assert!(watched.next().await.sessions.is_empty());

    let first = login1.begin(Session::of(0, "root", "198.51.100.1")).await;
    assert_eq!(
        watched.until_sessions(1).await,
        [peer(("198.51.100.1", 1_000_000))]
    );

    let second = login1.begin(Session::of(0, "root", "198.51.100.2")).await;
    watched.until_sessions(2).await;

    login1.close(&first).await;
    assert_eq!(
        watched.until_sessions(1).await,
        [peer(("198.51.100.2", 1_000_000))]
    );

    login1.end(&second).await;
    watched.until_sessions(0).await;
}

#[tokio::test]
async fn a_login_manager_that_comes_later_or_restarts_is_asked() {
    let bus = Bus::start();
    let root = root_with("");
    let mut watched = Watched::start(root.path(), Some(bus.address.clone()));
    assert!(watched.next().await.sessions.is_empty());

    let login1 = Login1::appear(&bus).await;
    login1.begin(Session::of(0, "root", "198.51.100.1")).await;
    watched.until_sessions(1).await;

    drop(login1);
    watched.until_sessions(0).await;
    let login1 = Login1::appear(&bus).await;
    login1.begin(Session::of(0, "root", "198.51.100.7")).await;
    assert_eq!(
        watched.until_sessions(1).await,
        [peer(("198.51.100.7", 1_000_000))]
    );
}

#[tokio::test]
async fn without_a_bus_the_network_is_protected_and_a_bus_that_comes_is_used() {
    let mut bus = Bus::start();
    bus.stop();
    let root = root_with("nameserver 192.0.2.53\n");
    let mut watched = Watched::start(root.path(), Some(bus.address.clone()));
    let alone = watched.next().await;
    assert!(alone.sessions.is_empty());
    assert_eq!(alone.resolvers, set(&["192.0.2.53"]));

    bus.restart();
    let login1 = Login1::appear(&bus).await;
    login1.begin(Session::of(0, "root", "198.51.100.1")).await;

    watched.until_sessions(1).await;
}

#[tokio::test]
async fn sessions_stay_known_while_the_bus_restarts() {
    let mut bus = Bus::start();
    let root = root_with("");
    let mut watched = Watched::start(root.path(), Some(bus.address.clone()));
    let login1 = Login1::appear(&bus).await;
    login1.begin(Session::of(0, "root", "198.51.100.1")).await;
    watched.until_sessions(1).await;

    bus.restart();
    drop(login1);
    let login1 = Login1::appear(&bus).await;
    login1.begin(Session::of(0, "root", "198.51.100.1")).await;
    login1.begin(Session::of(0, "root", "198.51.100.2")).await;

    watched.until_sessions(2).await;
}

#[tokio::test]
async fn that_fail2ban_runs_is_known_whenever_it_begins_and_ends() {
    let mut bus = Bus::start();
    let places = Places {
        bus: Some(bus.address.clone()),
        ..Places::default()
    };
    let (sender, mut active) = channel(false);
    let watching = tokio::spawn(async move { rival::follow(&places, sender).await });

    let systemd = Systemd1::appear(&bus).await;
    systemd.load().await;
    let mut becomes = async |wanted| {
        let becomes = active.wait_for(|active| *active == wanted);
        tokio::time::timeout(PATIENCE, becomes)
            .await
            .unwrap()
            .unwrap();
    };
    for (state, runs) in [("activating", true), ("failed", false), ("active", true)] {
        systemd.turn(state).await;
        becomes(runs).await;
    }
    systemd.unload().await;
    becomes(false).await;

    systemd.load().await;
    becomes(true).await;
    bus.restart();
    drop(systemd);
    let systemd = Systemd1::appear(&bus).await;
    becomes(false).await;
    systemd.turn("active").await;
    systemd.load().await;
    becomes(true).await;

    drop(active);
    watching.await.unwrap();
}

#[tokio::test]
async fn watching_ends_with_its_last_receiver() {
    let root = root_with("");
    let (_groups, receiver) = channel(Vec::new());
    let (sender, protected) = channel(Protected::default());
    let places = Places {
        root: root.path().to_owned(),
        bus: Some("unix:path=/nonexistent".to_owned()),
    };
    drop(protected);

    tokio::time::timeout(PATIENCE, watch(places, receiver, sender))
        .await
        .unwrap();
}

/// A watch under way.
struct Watched {
    groups: Sender<Vec<String>>,
    protected: Receiver<Protected>,
}

impl Watched {
    fn start(root: &Path, bus: Option<String>) -> Self {
        let (groups, receiver) = channel(vec!["sudo".to_owned()]);
        let (sender, protected) = channel(Protected::default());
        let places = Places {
            root: root.to_owned(),
            bus,
        };
        // Spawned as the daemon may do it: the future is Send.
        tokio::spawn(watch(places, receiver, sender));
        Self { groups, protected }
    }

    async fn next(&mut self) -> Protected {
        tokio::time::timeout(PATIENCE, self.protected.changed())
            .await
            .unwrap()
            .unwrap();
        self.protected.borrow_and_update().clone()
    }

    async fn until(&mut self, wanted: impl FnMut(&Protected) -> bool) -> Protected {
        let seen = self.protected.clone();
        let found = tokio::time::timeout(PATIENCE, self.protected.wait_for(wanted)).await;
        let Ok(found) = found else {
            panic!("still {:?}", *seen.borrow());
        };
        found.unwrap().clone()
    }

    async fn until_sessions(
        &mut self,
        count: usize,
    ) -> Vec<(banishd::engine::address::Offender, Timestamp)> {
        self.until(|protected| protected.sessions.len() == count)
            .await
            .sessions
    }
}

/// Runs `test` in a new network namespace, with a watch that has no bus.
fn in_a_network_of_its_own(test: impl AsyncFn(Watched, &Path) + Send + Sync) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            #[expect(unsafe_code, reason = "std cannot make a network namespace")]
            // SAFETY: unshare takes no pointers; the namespace is this thread's alone.
            let made = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let root = root_with("nameserver 192.0.2.53\n");
                let bus = Some("unix:path=/nonexistent".to_owned());
                test(Watched::start(root.path(), bus), root.path()).await;
            });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn ip(arguments: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test changes its network from outside"
    )]
    let done = std::process::Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .unwrap();
    assert!(done.success(), "ip {arguments}");
}

fn root_with(resolv_conf: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/resolv.conf"), resolv_conf).unwrap();
    root
}

fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn set(texts: &[&str]) -> AddressSet {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn peer((host, usec): (&str, u64)) -> (banishd::engine::address::Offender, Timestamp) {
    (host.parse().unwrap(), Timestamp::from_usec(usec))
}

/// The daemon tries again after a second, then after two and so on; this only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(120);
