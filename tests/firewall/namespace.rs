//! A network of a test's own, with a neighbour where one is wanted.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a command prints; it must succeed.
pub(super) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    text
}

/// Runs a test on a thread with a network of its own, which goes when the thread does.
pub(super) fn in_a_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        leave_the_network();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(unsafe_code, reason = "unshare has no safe form here")]
pub(super) fn leave_the_network() {
    // SAFETY: it takes no pointers and concerns this thread alone.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(left, 0, "{}", std::io::Error::last_os_error());
}

/// Takes root's rights from this thread.
#[expect(unsafe_code, reason = "the C library would change every thread")]
pub(super) fn become_nobody() {
    // SAFETY: it takes no pointers and concerns this thread alone.
    let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
    assert_eq!(changed, 0, "{}", std::io::Error::last_os_error());
}

/// Looks again and again, for a minute.
pub(super) fn until(mut happened: impl FnMut() -> bool, what: &str) {
    for _ in 0..6000 {
        if happened() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain for {what}");
}

pub(super) fn listen(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(("10.9.0.1", port)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// How many datagrams have come.
pub(super) fn heard(socket: &UdpSocket) -> u32 {
    let mut count = 0;
    while socket.recv(&mut [0; 8]).is_ok() {
        count += 1;
    }
    count
}

/// A neighbour that sends from 10.9.0.66 to port 5353, and now and then from 10.9.0.2 to 5354.
pub(super) fn start_peer(stop: Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    let (told, heard) = mpsc::channel();
    let (linked, link) = mpsc::channel();
    let peer = thread::spawn(move || {
        leave_the_network();
        told.send(std::fs::read_link("/proc/thread-self").unwrap())
            .unwrap();
        link.recv().unwrap();
        run("ip addr add 10.9.0.2/24 dev b1; ip addr add 10.9.0.66/24 dev b1; ip link set b1 up");
        let (banned, allowed) = ("10.9.0.66:0", "10.9.0.2:0");
        let [banned, allowed] = [banned, allowed].map(|from| UdpSocket::bind(from).unwrap());
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..8 {
                sent += u64::from(banned.send_to(b"x", "10.9.0.1:5353").is_ok());
            }
            let _ = allowed.send_to(b"x", "10.9.0.1:5354");
        }
        sent
    });
    let thread = heard.recv().unwrap();
    run(&format!(
        "ip link add b0 type veth peer name b1 netns /proc/{}/ns/net",
        thread.display()
    ));
    run("ip addr add 10.9.0.1/24 dev b0; ip link set b0 up");
    linked.send(()).unwrap();
    peer
}
