//! `banishctl monitor`: one line per signal, until interrupted, across restarts of banishd.

use serde::Serialize;
use serde_json::json;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{MatchRule, Message, MessageStream};

use crate::cli::client::{Client, ClientError, now};
use crate::cli::{pager, render};
use crate::dbus::names::{BUS_NAME, MANAGER_INTERFACE, MANAGER_PATH};
use crate::dbus::stream::next;
use crate::dbus::wire::{BanInfo, BanLine};

/// A ban as a line of JSON, with the name of what happened to it.
#[derive(Serialize)]
struct Told<'a> {
    event: &'a str,
    #[serde(flatten)]
    ban: BanLine<'a>,
}

/// Prints what happens.
pub(crate) async fn follow(client: &Client, json: bool) -> Result<String, ClientError> {
    // the bus withholds addresses from who may not see them: say so instead of showing nothing
    client.check_access().await?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(BUS_NAME)
        .path(MANAGER_PATH)
        .interface(MANAGER_INTERFACE)
        .build()?;
    let mut signals = MessageStream::for_match_rule(rule, &client.connection, None).await?;
    let bus = DBusProxy::new(&client.connection).await?;
    let mut owners = bus
        .receive_name_owner_changed_with_args(&[(0, BUS_NAME)])
        .await?;
    loop {
        let told = tokio::select! {
            signal = next(&mut signals) => match signal {
                Some(signal) => describe(&signal?),
                None => return Err(ClientError::NotRunning("The bus closed the connection.")),
            },
            change = next(&mut owners) => change.as_ref().and_then(|change| {
                let gone = change.args().ok()?.new_owner.is_none();
                let word = if gone { "stopped" } else { "started" };
                Some((format!("banishd {word}"), json!({ "event": word })))
            }),
        };
        if let Some((text, value)) = told {
            let line = match json {
                true => format!("{value}\n"),
                false => format!("{} {text}\n", render::clock(now())),
            };
            pager::show(&line, false).map_err(ClientError::Output)?;
        }
    }
}

fn describe(signal: &Message) -> Option<(String, serde_json::Value)> {
    let header = signal.header();
    let body = signal.body();
    let event = header.member()?.as_str();
    match event {
        "BanNew" | "BanChanged" => {
            let (jail, address, since_usec, until_usec, failures, earlier, origin) =
                body.deserialize().ok()?;
            let ban = BanInfo {
                jail,
                address,
                since_usec,
                until_usec,
                failures,
                earlier,
                origin,
            };
            let value = json!(Told {
                event,
                ban: BanLine::from(&ban),
            });
            Some((render::ban_told(event, &ban), value))
        }
        "BanRemoved" => {
            let (jail, address, result, by): (String, String, String, String) =
                body.deserialize().ok()?;
            let value = json!({
                "event": event, "jail": jail, "address": address, "result": result, "by": by,
            });
            let text = format!("{jail}: {address} {}", render::ending(&result, &by));
            Some((text, value))
        }
        "BansReset" => {
            let jail: String = body.deserialize().ok()?;
            let text = format!("{jail}: many bans changed, see 'banishctl bans {jail}'");
            Some((text, json!({ "event": event, "jail": jail })))
        }
        "JailNew" | "JailRemoved" => {
            let (jail, _): (String, zbus::wire::OwnedObjectPath) = body.deserialize().ok()?;
            let word = if event == "JailNew" {
                "new jail"
            } else {
                "jail removed"
            };
            let value = json!({ "event": event, "jail": jail });
            Some((format!("{jail}: {word}"), value))
        }
        "Reloading" => {
            let active: bool = body.deserialize().ok()?;
            let text = if active {
                "reloading"
            } else {
                "reload finished"
            };
            Some((text.to_owned(), json!({ "event": event, "active": active })))
        }
        _ => None,
    }
}
