//! Client and service over a socket pair: what the methods answer, without a bus between.

use std::io::Read;
use std::os::unix::net::UnixStream;

use tokio::sync::mpsc;
use zbus::Connection;
use zbus::connection::Builder;

use banishd::dbus::ask::Loop;
use banishd::dbus::link::{self, News};
use banishd::dbus::names::{JAIL_INTERFACE, MANAGER_INTERFACE, MANAGER_PATH};
use banishd::dbus::proxy::{JailProxy, ManagerProxy};
use banishd::dbus::session::Session;
use banishd::dbus::wire::{FOREVER, PAGE_MAX};
use banishd::engine::effect::Event;
use banishd::engine::view::JailState;

use crate::dbus::script::{self, Script, options};

/// A client's connection to a service with `script` behind it, and the loop's way to tell news.
async fn pair(script: &Script) -> (Connection, mpsc::Sender<News>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (bus_end, loop_end) = link::link();
    let news = loop_end.news.clone();
    tokio::spawn(script.clone().run(loop_end));
    let guid = zbus::Guid::generate();
    let server = Builder::unix_stream(ours).server(guid).p2p();
    let client = Builder::unix_stream(theirs).p2p();
    let daemon = Loop::new(bus_end.requests);
    let options = options("unix:path=/nowhere");
    let (session, client) = tokio::join!(Session::on(server, &options, &daemon), client.build());
    let session = session.unwrap();
    let mut told = bus_end.news;
    tokio::spawn(async move { session.serve(&mut told).await });
    (client.unwrap(), news)
}

async fn manager(script: &Script) -> ManagerProxy<'static> {
    let (client, _) = pair(script).await;
    ManagerProxy::new(&client).await.unwrap()
}

fn error_name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(known) => zbus::DBusError::name(&**known).to_string(),
        other => panic!("{other:?}"),
    }
}

fn error_text(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(_, text, _) => text.clone().unwrap_or_default(),
        zbus::Error::FDO(known) => {
            let text = zbus::DBusError::description(&**known);
            text.unwrap_or_default().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_ban_is_made_listed_extended_and_lifted() {
    let script = Script::new();
    let manager = manager(&script).await;

    assert!(manager.ban("sshd", "::ffff:192.0.2.1").await.unwrap());
    assert!(!manager.ban("sshd", "192.0.2.1").await.unwrap());
    assert!(
        manager
            .ban_for("sshd", "192.0.2.1", FOREVER, 0)
            .await
            .unwrap()
    );

    let (bans, next) = manager.list_bans("", "", 0).await.unwrap();
    assert_eq!((bans.len(), next.as_str()), (1, ""));
    assert_eq!(bans[0].address, "192.0.2.1");
    assert_eq!(bans[0].until_usec, FOREVER);
    assert_eq!(manager.lookup_address("192.0.2.0/24").await.unwrap(), bans);
    assert!(manager.unban("sshd", "192.0.2.1").await.unwrap());
    assert!(!manager.unban("sshd", "192.0.2.1").await.unwrap());
    manager.ban("sshd", "192.0.2.2").await.unwrap();
    assert_eq!(manager.unban_address("192.0.2.2").await.unwrap(), 1);
    assert_eq!(manager.unban_all("").await.unwrap(), 0);
}

#[tokio::test]
async fn every_refusal_has_its_name_and_a_sentence() {
    let script = Script::new();
    let manager = manager(&script).await;
    let answers = [
        (
            manager.ban("shsd", "192.0.2.1").await.err(),
            "org.banishd.Banish1.NoSuchJail",
        ),
        (
            manager.ban("nginx-http-auth", "192.0.2.1").await.err(),
            "org.banishd.Banish1.JailNotActive",
        ),
        (
            manager.ban("sshd", "192.0.2").await.err(),
            "org.banishd.Banish1.InvalidAddress",
        ),
        (
            manager.ban("sshd", "127.0.0.1").await.err(),
            "org.banishd.Banish1.InvalidAddress",
        ),
        (
            manager.ban_for("sshd", "192.0.2.1", 0, 4).await.err(),
            "org.freedesktop.DBus.Error.InvalidArgs",
        ),
        (
            manager.list_bans("", "7", 0).await.err(),
            "org.freedesktop.DBus.Error.InvalidArgs",
        ),
        (
            manager.get_jail("x").await.err(),
            "org.banishd.Banish1.NoSuchJail",
        ),
        (
            manager.unban_all("x").await.err(),
            "org.banishd.Banish1.NoSuchJail",
        ),
    ];
    for (error, name) in answers {
        let error = error.unwrap();
        assert_eq!(error_name(&error), name);
        let text = error_text(&error);
        assert!(text.ends_with(['.', '?']), "{text}");
    }
    let error = manager.ban("shsd", "192.0.2.1").await.unwrap_err();
    assert_eq!(
        error_text(&error),
        "No jail 'shsd' is configured; did you mean 'sshd'?"
    );
}

#[tokio::test]
async fn a_reload_fails_with_the_diagnostics_as_they_are() {
    let script = Script::new();
    let manager = manager(&script).await;
    assert_eq!(manager.reload().await.unwrap(), ["jail.conf:2:1: hm"]);
    script.with(|state| state.reload = Some("jail.conf:3:1: no".to_owned()));

    let error = manager.reload().await.unwrap_err();

    assert_eq!(error_name(&error), "org.banishd.Banish1.ReloadFailed");
    assert_eq!(error_text(&error), "jail.conf:3:1: no");
}

#[tokio::test]
async fn pages_are_capped_and_lead_through_the_whole_list() {
    let script = Script::new();
    script.fill(10_000);
    let manager = manager(&script).await;

    let (first, next) = manager.list_bans("", "", u32::MAX).await.unwrap();
    assert_eq!(first.len(), PAGE_MAX as usize);
    // what is gone meanwhile does not disturb the rest
    script.with(|state| {
        state
            .bans
            .retain(|key, _| key.1.to_string() != first[4095].address)
    });
    let (mut total, mut after) = (first.len(), next);
    while !after.is_empty() {
        let (page, next) = manager.list_bans("sshd", &after, 1000).await.unwrap();
        (total, after) = (total + page.len(), next);
    }

    assert_eq!(total, 10_000);
    assert_eq!(manager.list_bans("", "", 0).await.unwrap().0.len(), 1000);
}

#[tokio::test]
async fn a_dump_of_100_000_bans_is_sealed_and_complete() {
    let script = Script::new();
    script.fill(100_000);
    let manager = manager(&script).await;

    let fd = manager.dump_bans_by_file_descriptor("").await.unwrap();

    let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(fd));
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 100_000);
    assert_eq!(
        text.lines().next(),
        Some(
            "{\"jail\":\"sshd\",\"address\":\"10.0.0.0\",\"since_usec\":1767323045000000,\
             \"until_usec\":1767323645000000,\"failures\":0,\"earlier\":0,\"origin\":\"manual\"}"
        )
    );
    assert!(file.set_len(0).is_err());
}

#[tokio::test]
async fn counters_are_read_fresh_each_time() {
    let script = Script::new();
    let (client, _news) = pair(&script).await;
    let jail = "/org/banishd/Banish1/jail/sshd";

    for packets in [7_u64, 8] {
        script.with(|state| state.dropped = packets);
        let value: u64 = property(&client, jail, JAIL_INTERFACE, "NPacketsDropped").await;
        assert_eq!(value, packets);
    }

    let ports: Vec<String> = property(&client, jail, JAIL_INTERFACE, "Ports").await;
    assert_eq!(ports, ["22/tcp", "6000-6010/tcp"]);
    let units: Vec<String> = property(&client, jail, JAIL_INTERFACE, "Units").await;
    assert_eq!(units, ["ssh.service"]);
    let matches: Vec<String> = property(&client, jail, JAIL_INTERFACE, "Matches").await;
    assert_eq!(matches, ["_SYSTEMD_UNIT=ssh.service _UID=0"]);
    let bans_of: Vec<String> = property(&client, jail, JAIL_INTERFACE, "BansOf").await;
    assert_eq!(bans_of, ["web"]);
    let bans: u32 = property(&client, MANAGER_PATH, MANAGER_INTERFACE, "NBans").await;
    assert_eq!(bans, 0);
}

async fn property<T>(client: &Connection, path: &str, interface: &str, name: &str) -> T
where
    T: TryFrom<zbus::OwnedVariant>,
    T::Error: Into<zbus::Error>,
{
    let reply = client
        .call_method(
            None::<&str>,
            path,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &(interface, name),
        )
        .await
        .unwrap();
    let value: zbus::OwnedVariant = reply.body().deserialize().unwrap();
    T::try_from(value).map_err(Into::into).unwrap()
}

#[tokio::test]
async fn a_jail_says_what_it_ignores_and_what_its_filter_finds() {
    let script = Script::new();
    let (client, _news) = pair(&script).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let path = manager.get_jail("sshd").await.unwrap();
    let jail = JailProxy::builder(&client)
        .path(path)
        .build()
        .await
        .unwrap();

    assert_eq!(jail.list_ignored().await.unwrap().len(), 2);
    let (matched, ..) = jail.test_message("Connection closed").await.unwrap();
    assert!(!matched);
    // The filter wants whole lines: the message stands for one.
    let message = "Failed password for root from 192.0.2.7 port 22";
    let (matched, who, _) = jail.test_message(message).await.unwrap();
    assert!(matched);
    assert_eq!(who, "192.0.2.7");
}

#[tokio::test]
async fn jails_come_and_go_as_objects() {
    let script = Script::new();
    let (client, news) = pair(&script).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let state = "/org/banishd/Banish1/jail/a_2db";
    let mut stream = zbus::MessageStream::from(&client);

    script.with(|s| s.jails.insert(script::name("a-b"), JailState::Active));
    let event = Event::JailNew(script::name("a-b"));
    news.send(News::Events(vec![event])).await.unwrap();
    wait_for(&mut stream, "JailNew").await;
    let value: String = property(&client, state, JAIL_INTERFACE, "State").await;
    assert_eq!(value, "active");

    script.with(|s| s.jails.remove(&script::name("a-b")));
    let event = Event::JailRemoved(script::name("a-b"));
    news.send(News::Events(vec![event])).await.unwrap();
    wait_for(&mut stream, "JailRemoved").await;
    assert_eq!(manager.list_jails().await.unwrap().len(), 2);
}

#[tokio::test]
async fn after_a_gap_everything_is_announced_anew() {
    let script = Script::new();
    let (client, news) = pair(&script).await;
    let mut stream = zbus::MessageStream::from(&client);
    script.with(|s| {
        s.jails.insert(script::name("new"), JailState::Active);
        s.jails.remove(&script::name("sshd"))
    });

    news.send(News::Reset).await.unwrap();

    wait_for(&mut stream, "JailRemoved").await;
    wait_for(&mut stream, "JailNew").await;
    wait_for(&mut stream, "BansReset").await;
}

#[tokio::test]
async fn a_flood_of_bans_is_told_by_a_few_signals() {
    let script = Script::new();
    let (client, news) = pair(&script).await;
    let mut stream = zbus::MessageStream::from(&client);
    let events: Vec<Event> = (0..10_000_u32)
        .map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string())
        .map(|address| Event::BanNew(script::ban("sshd", &address)))
        .collect();

    news.send(News::Events(events)).await.unwrap();

    let before = wait_for(&mut stream, "BansReset").await;
    let told = before.iter().filter(|member| *member == "BanNew").count();
    assert_eq!(told, 50);
    assert!(before.len() < 60, "{before:?}");
}

#[tokio::test]
async fn a_change_is_announced_with_the_properties_that_changed() {
    let script = Script::new();
    let (client, _news) = pair(&script).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let mut stream = zbus::MessageStream::from(&client);

    manager.ban("sshd", "192.0.2.1").await.unwrap();

    let mut seen = Vec::new();
    while seen.len() < 2 {
        let message = next(&mut stream).await;
        let header = message.header();
        if header.member().is_some_and(|m| m == "PropertiesChanged") {
            let body = message.body();
            let (interface, changed, _): (
                String,
                std::collections::HashMap<String, zbus::OwnedVariant>,
                Vec<String>,
            ) = body.deserialize().unwrap();
            seen.push((interface, changed.into_keys().collect::<Vec<_>>()));
        }
    }
    seen.sort();
    assert_eq!(
        seen,
        [JAIL_INTERFACE, MANAGER_INTERFACE].map(|i| (i.to_owned(), vec!["NBans".to_owned()]))
    );
}

#[tokio::test]
async fn only_known_log_levels_are_set() {
    let script = Script::new();
    let (client, _news) = pair(&script).await;
    let set = async |level: &str| {
        client
            .call_method(
                None::<&str>,
                "/org/freedesktop/LogControl1",
                Some("org.freedesktop.DBus.Properties"),
                "Set",
                &(
                    "org.freedesktop.LogControl1",
                    "LogLevel",
                    zbus::Variant::from(level),
                ),
            )
            .await
    };

    set("debug").await.unwrap();
    assert!(set("loud").await.is_err());

    let path = "/org/freedesktop/LogControl1";
    let level: String = property(&client, path, "org.freedesktop.LogControl1", "LogLevel").await;
    assert_eq!(level, "debug");
}

async fn next(stream: &mut zbus::MessageStream) -> zbus::Message {
    use futures_core::Stream;
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx))
        .await
        .unwrap()
        .unwrap()
}

/// The members of the signals up to and including the first `member`.
async fn wait_for(stream: &mut zbus::MessageStream, member: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let message = next(stream).await;
        let name = message.header().member().map(ToString::to_string);
        seen.extend(name.clone());
        if name.as_deref() == Some(member) {
            return seen;
        }
    }
}

/// Introspection as `busctl introspect` sees it.
pub(crate) async fn introspect(path: &str) -> String {
    let (client, _news) = pair(&Script::new()).await;
    let reply = client
        .call_method(
            None::<&str>,
            path,
            Some("org.freedesktop.DBus.Introspectable"),
            "Introspect",
            &(),
        )
        .await
        .unwrap();
    reply.body().deserialize().unwrap()
}
