//! Bans a second through engine, store and netlink, beside netlink alone; and a start with bans.
//!
//! Comes in: nothing. Goes out: rows of the table. The kernel's sets are in a network namespace of this
//! process's own, the store is a file in `target/bench`. Needs root.

use std::io;
use std::net::Ipv4Addr;

use banishd::daemon::clock;
use banishd::engine::address::Offender;
use banishd::engine::effect::{Change, Remembered};
use banishd::engine::filter::failure::{Captures, Failure, Who};
use banishd::engine::record::{Cursor, LogName, Position};
use banishd::engine::settings::{FirewallChoice, JailName, JailRules};
use banishd::engine::time::Span;
use banishd::firewall::FirewallBackend;
use banishd::firewall::any::AnyFirewall;
use banishd::store::Store;
use tokio::runtime::Runtime;

use measure::{Cost, Result, cost, grouped, middle, row, title};
use rig::{ROUND, Rig, WORD, settings};

mod measure;
mod rig;

/// Each address fails so often.
const FAILURES: u32 = 3;

fn main() -> Result<()> {
    leave_the_network()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for (count, runs) in [(10_000, 9), (100_000, 3)] {
        title(&format!(
            "{} addresses, {FAILURES} failures each",
            grouped(count.into())
        ))?;
        let mut all = [const { Vec::new() }; 4];
        for _ in 0..runs {
            let [limit, engine, store, whole] = &mut all;
            limit.push(netlink_alone(&runtime, count)?);
            engine.push(burst(&runtime, count, Store::in_memory(), None)?.1);
            store.push(burst(&runtime, count, store_on_disk()?, None)?.1);
            whole.push(burst(&runtime, count, store_on_disk()?, Some(firewall(None)))?.1);
        }
        let [limit, engine, store, whole] = all.map(|costs| middle(&costs));
        rate("netlink alone (the limit)", count, limit, None)?;
        rate("engine alone", count, engine, None)?;
        rate("engine and store", count, store, None)?;
        rate("engine, store and netlink", count, whole, Some(20_000.0))?;
    }
    start(&runtime)
}

/// One line: bans a second, and processor time for each.
fn rate(what: &str, count: u32, cost: Cost, aim: Option<f64>) -> Result<()> {
    let rate = f64::from(count) / cost.wall.as_secs_f64();
    let each = cost.cpu.as_secs_f64() * 1e6 / f64::from(count);
    let aim = aim.map(|aim| (format!("at least {aim:.0} bans/s"), rate >= aim));
    row(
        what,
        &format!("{rate:>9.0} bans/s, {each:5.1} us of CPU a ban"),
        aim.as_ref().map(|(text, met)| (text.as_str(), *met)),
    )
}

/// The same elements, in transactions of the same size, from nobody but the backend.
fn netlink_alone(runtime: &Runtime, count: u32) -> Result<Cost> {
    let left = Some(Span::from_secs(600));
    let (jail, rules) = sshd();
    let block = |number| Change::Block {
        jail: jail.clone(),
        offender: offender(number),
        left,
        longest: left,
    };
    let changes: Vec<Change> = (0..count).map(block).collect();
    let mut firewall = firewall(None);
    let piece = ROUND * WORD / usize::try_from(FAILURES)?;
    runtime.block_on(firewall.install(&[(jail, rules)], &[]))?;
    let work = async {
        for changes in changes.chunks(piece) {
            firewall.apply(changes).await?;
        }
        Ok(())
    };
    Ok(cost(|| runtime.block_on(work))?.1)
}

/// Has `count` addresses banned by their failures.
fn burst(
    runtime: &Runtime,
    count: u32,
    store: Store,
    firewall: Option<AnyFirewall>,
) -> Result<(Rig, Cost)> {
    let words = words(count);
    let mut rig = Rig::new(clock::now(), Remembered::default(), store, firewall);
    rig.engine.handle_caught_up(clock::now());
    runtime.block_on(rig.drain())?;
    let ((), cost) = cost(|| {
        for round in words.chunks(ROUND) {
            for (failures, position) in round {
                let now = clock::now();
                rig.engine
                    .handle_failures(now, failures, &LogName::journal(), position.clone());
            }
            runtime.block_on(rig.drain())?;
        }
        Ok(())
    })?;
    if rig.bans != u64::from(count) {
        return Err(format!("{} of {count} are banned", rig.bans).into());
    }
    Ok((rig, cost))
}

/// What the reader would tell of them.
fn words(count: u32) -> Vec<(Vec<Failure>, Position)> {
    let (jail, _) = sshd();
    let time = clock::now().wall;
    let failure = |number: u32| Failure {
        jail: jail.clone(),
        who: Who::Address(offender(number / FAILURES)),
        time,
        pid: Some(number),
        advance: false,
        lines: Vec::new(),
        captures: Captures::default(),
    };
    let failures: Vec<Failure> = (0..count * FAILURES).map(failure).collect();
    let position = |number: usize| Position {
        cursor: Cursor(format!("s=5d1f;i={number:x};b=9d46;m=0;t=0;x=0").into()),
        time,
    };
    let pieces = failures.chunks(WORD).enumerate();
    pieces
        .map(|(number, piece)| (piece.to_vec(), position(number)))
        .collect()
}

/// A daemon that comes back: the store has 10,000 bans, and so has the table on the socket that
/// systemd kept.
fn start(runtime: &Runtime) -> Result<()> {
    let mut reading = Vec::new();
    let mut blocking = Vec::new();
    for _ in 0..9 {
        let (mut rig, _) = burst(runtime, 10_000, store_on_disk()?, Some(firewall(None)))?;
        let socket = rig.firewall.as_mut().and_then(AnyFirewall::fresh_socket);
        let kept = socket.ok_or("no socket")?.try_clone_to_owned()?;
        drop(rig);
        let (opened, cost_of_reading) =
            cost(|| Ok(Store::open(&measure::place("store")?.canonicalize()?)?))?;
        if opened.remembered.bans.len() != 10_000 {
            return Err("the store forgot bans".into());
        }
        let (_rig, cost_of_blocking) = cost(|| {
            let firewall = Some(firewall(Some(kept)));
            let mut rig = Rig::new(clock::now(), opened.remembered, opened.store, firewall);
            runtime.block_on(rig.drain())?;
            Ok(rig)
        })?;
        reading.push(cost_of_reading);
        blocking.push(cost_of_blocking);
    }
    title("start with 10,000 bans remembered")?;
    let (read, block) = (middle(&reading).wall, middle(&blocking).wall);
    row("store checked and read", &format!("{read:>9.1?}"), None)?;
    let met = block.as_secs_f64() < 0.2;
    row(
        "from there to the last ban in the kernel",
        &format!("{block:>9.1?}"),
        Some(("less than 200 ms", met)),
    )
}

fn sshd() -> (JailName, JailRules) {
    let jails = settings().jails.into_iter();
    jails
        .map(|(name, jail)| (name, jail.rules))
        .next()
        .expect("config/jail.conf has the jail sshd")
}

fn offender(number: u32) -> Offender {
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    Offender::host(Ipv4Addr::from(first + number).into())
}

fn firewall(kept: Option<std::os::fd::OwnedFd>) -> AnyFirewall {
    AnyFirewall::choose(FirewallChoice::Nftables, 131_072, clock::boottime, kept)
}

/// A new, empty file.
fn store_on_disk() -> Result<Store> {
    let path = measure::place("store")?;
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path)?;
    Ok(Store::open(&path)?.store)
}

#[expect(unsafe_code, reason = "unshare has no safe form here")]
fn leave_the_network() -> Result<()> {
    // SAFETY: it takes no pointers; no other thread runs yet.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    match left {
        0 => Ok(()),
        _ => Err(format!(
            "no network namespace, root makes one: {}",
            io::Error::last_os_error()
        )
        .into()),
    }
}
