//! The host's place in the network: its addresses, gateways and name servers. Comes in: rtnetlink and
//! resolv.conf. Goes out: a new [`Network`] after each change. It looks when the kernel tells of a
//! change or somebody asks, and never otherwise.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::engine::address::Offender;
use crate::host::resolvers;
use crate::host::route::{self, Said};
use crate::sys::netlink::{DATAGRAM, Messages, Socket};
use crate::sys::readable::Readable;

/// The host's place in the network at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its own addresses.
    pub own: BTreeSet<Offender>,
    /// The gateways of its routes, in all tables.
    pub gateways: BTreeSet<Offender>,
    /// The name servers it asks.
    pub resolvers: BTreeSet<Offender>,
}

/// Keeps `network` up to date until `asked` is closed. A value in `asked` has all of it read anew.
pub async fn follow(
    root: &Path,
    mut asked: Receiver<Vec<String>>,
    network: Sender<Option<Network>>,
) {
    let mut has_warned = false;
    loop {
        let error = match follow_kernel(root, &mut asked, &network).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if !has_warned {
            warn!(error = %error, "cannot watch the host's addresses, protecting those known, retrying every 10 s");
            has_warned = true;
        }
        network.send_if_modified(|last| {
            last.is_none() && last.insert(Network::default()).own.is_empty()
        });
        if let Ok(Err(_)) = timeout(RETRY, asked.changed()).await {
            return;
        }
    }
}

/// Returns when `asked` is closed.
async fn follow_kernel(
    root: &Path,
    asked: &mut Receiver<Vec<String>>,
    network: &Sender<Option<Network>>,
) -> io::Result<()> {
    // Listening begins before the first look, so that nothing falls in between.
    let socket = Socket::open(libc::NETLINK_ROUTE, route::GROUPS)?;
    let readable = Readable::new(socket.as_fd().try_clone_to_owned()?)?;
    let mut look_again = false;
    loop {
        // What was told so far is in what the kernel answers now.
        socket.drain();
        let mut now = Network::read()?;
        now.resolvers = hosts(resolvers::read(root));
        network.send_if_modified(|last| last.replace(now.clone()).as_ref() != Some(&now));
        let news = async {
            tokio::select! {
                heard = hear(&socket, &readable, &now) => heard.map(|()| true),
                sent = asked.changed() => Ok(sent.is_ok()),
            }
        };
        if !look_again {
            if !news.await? {
                return Ok(());
            }
            // Changes come in swarms: one look for all of them.
            sleep(SWARM).await;
            look_again = true;
            continue;
        }
        match timeout(AFTERMATH, news).await {
            Ok(Ok(true)) => sleep(SWARM).await,
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => look_again = false,
        }
    }
}

/// Waits until the kernel tells something that `known` does not know. A lost message counts as such.
async fn hear(socket: &Socket, readable: &Readable, known: &Network) -> io::Result<()> {
    let next = || {
        // Not kept while waiting: nothing may be told for months.
        let mut buffer = vec![0; DATAGRAM];
        loop {
            match socket.receive(&mut buffer) {
                Ok(Some(datagram)) => {
                    if Messages(datagram).any(|m| known.differs(&route::read(&m))) {
                        break;
                    }
                }
                Ok(None) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    readable.read(|_| next()).await
}

impl Network {
    /// Asks the kernel for all addresses and routes.
    pub fn read() -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_ROUTE, 0)?;
        let mut network = Self::default();
        for kind in [libc::RTM_GETADDR, libc::RTM_GETROUTE] {
            // A dump that a change runs into may lack something; what is there more is there.
            for _ in 0..ATTEMPTS {
                if network.dump(&socket, kind)? {
                    break;
                }
            }
        }
        Ok(network)
    }

    /// Adds what the kernel has of `kind`; false if it may be incomplete.
    fn dump(&mut self, socket: &Socket, kind: u16) -> io::Result<bool> {
        socket.send(&route::dump(kind, 1))?;
        let mut is_whole = true;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // The kernel makes the next piece while we read the last one, so one is always there.
            let Some(datagram) = socket.receive(&mut buffer)? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            for message in Messages(datagram) {
                is_whole &= !route::is_interrupted(&message);
                match route::read(&message) {
                    Said::Own(true, address) => _ = self.own.insert(Offender::host(address)),
                    Said::Gateways(true, all) => self.gateways.extend(hosts(all)),
                    Said::End => return Ok(is_whole),
                    Said::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Said::Own(false, _) | Said::Gateways(false, _) | Said::Nothing => {}
                }
            }
        }
    }

    /// Whether this may be out of date after `said`. A change of addresses is always worth a look,
    /// since name servers tend to change with them; routers renew routes all the time.
    fn differs(&self, said: &Said) -> bool {
        match said {
            Said::Own(..) => true,
            Said::Gateways(added, all) => all
                .iter()
                .any(|one| self.gateways.contains(&Offender::host(*one)) != *added),
            Said::End | Said::Failed(_) | Said::Nothing => false,
        }
    }
}

fn hosts(addresses: impl IntoIterator<Item = IpAddr>) -> BTreeSet<Offender> {
    addresses.into_iter().map(Offender::host).collect()
}

/// How long a swarm of changes lasts.
const SWARM: Duration = Duration::from_millis(200);
/// DHCP clients write resolv.conf some time after they set the address: so much later is looked again.
const AFTERMATH: Duration = Duration::from_secs(5);
/// How soon a failure is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// Dumps that changes may run into.
const ATTEMPTS: u32 = 3;
