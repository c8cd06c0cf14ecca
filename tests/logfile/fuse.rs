//! A file system that a test serves (fuse(4)): it shows the files of a directory as they are there, whoever
//! writes them, as a server in the network would; and it hangs when told to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A mounted file system; dropped, it is no more.
pub(super) struct Served {
    point: PathBuf,
    gate: Arc<Gate>,
}

/// Shut while the file system hangs.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

/// Runs a test on a thread with mounts of its own, which go when the last thread that it starts has ended.
pub(super) fn in_a_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        leave_the_mounts();
        run("mount --make-rprivate /", Stdio::null());
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(unsafe_code, reason = "unshare has no safe form here")]
fn leave_the_mounts() {
    // SAFETY: it takes no pointers and concerns this thread alone.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(left, 0, "{}", io::Error::last_os_error());
}

/// Runs a command, which must succeed.
pub(super) fn run(command: &str, input: Stdio) {
    #[expect(clippy::disallowed_methods, reason = "a test, not the daemon")]
    let mut shell = Command::new("sh");
    let done = shell.args(["-c", command]).stdin(input).status().unwrap();
    assert!(done.success(), "{command}");
}

impl Served {
    /// What is in `source` appears at `point`.
    pub(super) fn mount(source: &Path, point: &Path) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.unwrap();
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
        let command = format!("mount -i -t fuse -o {options} far '{}'", point.display());
        run(&command, device.try_clone().unwrap().into());
        let gate = Arc::new(Gate::default());
        let mut server = Server {
            device,
            source: source.to_owned(),
            files: BTreeMap::new(),
            gate: Arc::clone(&gate),
        };
        thread::spawn(move || while server.serve().is_ok() {});
        Self {
            point: point.to_owned(),
            gate,
        }
    }

    /// From now on nobody gets an answer.
    pub(super) fn hang(&self) {
        *self.gate.is_shut.lock().unwrap() = true;
    }

    /// From now on everybody does, who has waited too.
    pub(super) fn answer(&self) {
        *self.gate.is_shut.lock().unwrap() = false;
        self.gate.opened.notify_all();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.answer();
        run(
            &format!("umount -l '{}'", self.point.display()),
            Stdio::null(),
        );
    }
}

struct Server {
    device: File,
    source: PathBuf,
    /// What was looked up, by inode.
    files: BTreeMap<u64, File>,
    gate: Arc<Gate>,
}

impl Server {
    /// One request.
    fn serve(&mut self) -> io::Result<()> {
        let mut request = vec![0; 1 << 17];
        let count = self.device.read(&mut request)?;
        let (header, body) = request[..count].split_at(40);
        let (operation, unique, node) = (u32_at(header, 4), u64_at(header, 8), u64_at(header, 16));
        let shut = self.gate.is_shut.lock().unwrap();
        drop(
            self.gate
                .opened
                .wait_while(shut, |is_shut| *is_shut)
                .unwrap(),
        );
        let answer = match operation {
            FORGET | BATCH_FORGET | INTERRUPT => return Ok(()),
            INIT => {
                let mut answer = [7_u32, 31, 1 << 16, 0, 0, 1 << 16, 1]
                    .map(u32::to_ne_bytes)
                    .concat();
                answer.resize(64, 0);
                Ok(answer)
            }
            LOOKUP => self.look_up(body),
            GETATTR => self.metadata(node).map(|attributes| {
                let valid = [VALID.to_ne_bytes(), [0; 8]].concat();
                [valid, attributes].concat()
            }),
            OPEN | OPENDIR => Ok(vec![0; 16]),
            READ => self.read(node, u64_at(body, 8), u32_at(body, 16)),
            READDIR => self.list(u64_at(body, 8)),
            RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
            _ => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        };
        let (error, answer) = match answer {
            Ok(answer) => (0, answer),
            Err(error) => (-error.raw_os_error().unwrap_or(libc::EIO), Vec::new()),
        };
        let length = u32::try_from(16 + answer.len()).unwrap();
        let mut reply = [length.to_ne_bytes(), error.to_ne_bytes()].concat();
        reply.extend(unique.to_ne_bytes());
        reply.extend(answer);
        // Whoever asked may have given up.
        let _ = self.device.write(&reply);
        Ok(())
    }

    fn look_up(&mut self, name: &[u8]) -> io::Result<Vec<u8>> {
        let name = str::from_utf8(name.split(|byte| *byte == 0).next().unwrap()).unwrap();
        let file = File::open(self.source.join(name))?;
        let node = file.metadata()?.ino();
        self.files.insert(node, file);
        let attributes = self.metadata(node)?;
        // A name is to be asked for each time.
        let head = [node, 0, 0, VALID, 0].map(u64::to_ne_bytes).concat();
        Ok([head, attributes].concat())
    }

    fn metadata(&self, node: u64) -> io::Result<Vec<u8>> {
        let metadata = match self.files.get(&node) {
            Some(file) => file.metadata()?,
            None => fs::metadata(&self.source)?,
        };
        let long = [node, metadata.size(), 0, 0, 0, 0].map(u64::to_ne_bytes);
        let links = u32::try_from(metadata.nlink()).unwrap();
        let short = [0, 0, 0, metadata.mode(), links, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes);
        Ok([long.concat(), short.concat()].concat())
    }

    fn read(&self, node: u64, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        let count = self.files[&node].read_at(&mut bytes, offset)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// All names at once.
    fn list(&self, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let entries = fs::read_dir(&self.source)?.filter(|_| offset == 0);
        for (place, entry) in (1_u64..).zip(entries) {
            let entry = entry?;
            let name = entry.file_name().into_encoded_bytes();
            let length = u32::try_from(name.len()).unwrap();
            bytes.extend(
                [fs::metadata(entry.path())?.ino(), place]
                    .map(u64::to_ne_bytes)
                    .concat(),
            );
            bytes.extend([length, 0].map(u32::to_ne_bytes).concat());
            bytes.extend(name);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        Ok(bytes)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// For so many seconds the kernel need not ask how large a file is.
const VALID: u64 = 3600;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
