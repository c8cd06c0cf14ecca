//! A private bus, and a login manager on it that does as it is told. The real one needs a booted
//! system; the parts of its interface that are here are as org.freedesktop.login1(5) has them.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use zbus::connection::Builder;
use zbus::{Connection, OwnedObjectPath};

/// A dbus-daemon of our own.
pub(crate) struct Bus {
    pub(crate) address: String,
    daemon: Child,
    dir: tempfile::TempDir,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}/bus", dir.path().display());
        let config = format!(
            "<busconfig><listen>{address}</listen><policy context='default'>\
             <allow send_destination='*'/><allow receive_sender='*'/><allow own='*'/>\
             <allow user='*'/>\
             </policy></busconfig>"
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        let daemon = run(&dir);
        Self {
            address,
            daemon,
            dir,
        }
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.daemon = run(&self.dir);
    }

    pub(crate) fn stop(&mut self) {
        // Stopping twice is no error.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = std::fs::remove_file(self.dir.path().join("bus"));
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(dir: &tempfile::TempDir) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the test needs a bus of its own")]
    let mut daemon = std::process::Command::new("dbus-daemon")
        .arg(format!("--config-file={}/config", dir.path().display()))
        .args(["--nofork", "--nosyslog", "--print-address"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It prints its address once it listens.
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("unix:"), "{line}");
    daemon
}

/// org.freedesktop.login1.
pub(crate) struct Login1 {
    connection: Connection,
    sessions: Arc<Mutex<Vec<Listed>>>,
    next: AtomicU32,
}

type Listed = (String, u32, String, String, OwnedObjectPath);

impl Login1 {
    pub(crate) async fn appear(bus: &Bus) -> Self {
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let connection = Builder::address(bus.address.as_str())
            .serve_at("/org/freedesktop/login1", Manager(sessions.clone()))
            .name("org.freedesktop.login1")
            .build()
            .await
            .unwrap();
        Self {
            connection,
            sessions,
            next: AtomicU32::new(1),
        }
    }

    pub(crate) async fn begin(&self, session: Session) -> OwnedObjectPath {
        let id = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let path =
            OwnedObjectPath::try_from(format!("/org/freedesktop/login1/session/{id}")).unwrap();
        let listed = (
            id.clone(),
            session.uid,
            session.user.to_owned(),
            String::new(),
            path.clone(),
        );
        self.connection
            .object_server()
            .at(&path, session)
            .await
            .unwrap();
        self.sessions.lock().unwrap().push(listed);
        self.signal("SessionNew", &id, &path).await;
        path
    }

    /// Its leader is gone, but not its last process.
    pub(crate) async fn close(&self, path: &OwnedObjectPath) {
        let server = self.connection.object_server();
        let session = server.interface::<_, Session>(path).await.unwrap();
        let mut state = session.get_mut().await;
        state.state = "closing";
        state.state_changed(session.signal_emitter()).await.unwrap();
    }

    pub(crate) async fn end(&self, path: &OwnedObjectPath) {
        self.sessions
            .lock()
            .unwrap()
            .retain(|session| session.4 != *path);
        self.connection
            .object_server()
            .remove::<Session, _>(path)
            .await
            .unwrap();
        self.signal("SessionRemoved", "c0", path).await;
    }

    async fn signal(&self, name: &str, id: &str, path: &OwnedObjectPath) {
        let manager = "org.freedesktop.login1.Manager";
        self.connection
            .emit_signal(
                None::<&str>,
                "/org/freedesktop/login1",
                manager,
                name,
                &(id, path),
            )
            .await
            .unwrap();
    }
}

struct Manager(Arc<Mutex<Vec<Listed>>>);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn list_sessions(&self) -> Vec<Listed> {
        self.0.lock().unwrap().clone()
    }
}

/// One session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) uid: u32,
    pub(crate) user: &'static str,
    pub(crate) is_remote: bool,
    pub(crate) host: String,
    pub(crate) class: &'static str,
    pub(crate) state: &'static str,
}

impl Session {
    /// A live remote one.
    pub(crate) fn of(uid: u32, user: &'static str, host: &str) -> Self {
        Self {
            uid,
            user,
            is_remote: true,
            host: host.to_owned(),
            class: "user",
            state: "active",
        }
    }
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn remote(&self) -> bool {
        self.is_remote
    }

    #[zbus(property)]
    fn remote_host(&self) -> String {
        self.host.clone()
    }

    #[zbus(property)]
    fn class(&self) -> &str {
        self.class
    }

    #[zbus(property)]
    fn state(&self) -> &str {
        self.state
    }

    #[zbus(property)]
    fn timestamp(&self) -> u64 {
        1_000_000
    }
}
