//! Two timers that tokio's own cannot replace, which run on CLOCK_MONOTONIC: [`Alarm`] goes off at a
//! point of boot time, and so on time after a suspend; [`ClockWatch`] tells when the wall clock was set.
//! Both must be made inside a tokio runtime with I/O enabled. Neither ever wakes a sleeping machine.

#![expect(unsafe_code, reason = "libc's timerfd calls take raw pointers")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, itimerspec, timespec};

use crate::sys::readable::Readable;

/// Goes off once, at a point of CLOCK_BOOTTIME.
#[derive(Debug)]
pub struct Alarm(Readable);

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        Ok(Self(timer(libc::CLOCK_BOOTTIME)?))
    }

    /// Sets it to `usec` microseconds after boot, in place of what it was set to; a point that has
    /// passed makes it go off at once. `None` stops it.
    pub fn set(&self, usec: Option<u64>) -> io::Result<()> {
        // All zeros would stop the timer.
        let at = usec.map_or(ZERO, |usec| to_timespec(usec.max(1)));
        arm(&self.0, libc::TFD_TIMER_ABSTIME, at)
    }

    /// Waits until it goes off; for ever while it is not set. May be dropped and called again.
    pub async fn gone_off(&self) -> io::Result<()> {
        ticks(&self.0).await.map(|_| ())
    }
}

/// Tells when the wall clock is set, and when the machine wakes from a suspend.
#[derive(Debug)]
pub struct ClockWatch(Readable);

impl ClockWatch {
    /// Watches from now on.
    pub fn new() -> io::Result<Self> {
        let watch = Self(timer(libc::CLOCK_REALTIME)?);
        watch.rearm()?;
        Ok(watch)
    }

    /// Waits until CLOCK_REALTIME jumps against CLOCK_MONOTONIC; slewing is no jump. Jumps that nobody
    /// waited for are told as one. May be dropped and called again.
    pub async fn stepped(&self) -> io::Result<()> {
        loop {
            match ticks(&self.0).await {
                // Set at the end of time, it never expires, but for a clock set to there.
                Ok(_) => self.rearm()?,
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => return self.rearm(),
                Err(error) => return Err(error),
            }
        }
    }

    fn rearm(&self) -> io::Result<()> {
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        let end = timespec {
            tv_sec: libc::time_t::MAX,
            tv_nsec: 0,
        };
        match arm(&self.0, flags, end) {
            // The clock was set while we armed the timer, which is armed nevertheless.
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Ok(()),
            done => done,
        }
    }
}

fn timer(clock: c_int) -> io::Result<Readable> {
    // SAFETY: timerfd_create takes no pointers.
    let fd = unsafe { libc::timerfd_create(clock, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
    done(fd)?;
    // SAFETY: fd was just made and nobody else holds it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Readable::new(fd)
}

fn arm(timer: &Readable, flags: c_int, at: timespec) -> io::Result<()> {
    let setting = itimerspec {
        it_interval: ZERO,
        it_value: at,
    };
    let fd = timer.as_raw_fd();
    // SAFETY: the kernel reads one itimerspec and may be told not to write the old one.
    done(unsafe { libc::timerfd_settime(fd, flags, &raw const setting, ptr::null_mut()) })
}

/// Waits for the next expiry and takes it.
async fn ticks(timer: &Readable) -> io::Result<u64> {
    let read = |fd| {
        let mut count: u64 = 0;
        let size = size_of::<u64>();
        // SAFETY: the kernel writes at most `size` bytes, which is the size of the counter.
        let read = unsafe { libc::read(fd, (&raw mut count).cast(), size) };
        match read {
            8 => Ok(count),
            0.. => Err(ErrorKind::UnexpectedEof.into()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    timer.read(read).await
}

fn to_timespec(usec: u64) -> timespec {
    let secs = usec / 1_000_000;
    timespec {
        tv_sec: libc::time_t::try_from(secs).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::try_from(usec % 1_000_000 * 1_000).unwrap_or(0),
    }
}

fn done(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

const ZERO: timespec = timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::sys::clock;

    #[tokio::test]
    async fn an_alarm_goes_off_at_its_time_once() {
        let alarm = Alarm::new().unwrap();
        let at = clock::boottime() + 20_000;

        alarm.set(Some(at)).unwrap();
        alarm.gone_off().await.unwrap();

        assert!(clock::boottime() >= at);
        assert!(is_silent(&alarm).await, "it goes off once");
    }

    #[tokio::test]
    async fn an_alarm_set_to_the_past_goes_off_at_once_and_a_stopped_one_never() {
        let alarm = Alarm::new().unwrap();
        for past in [0, 1, clock::boottime()] {
            alarm.set(Some(past)).unwrap();
            alarm.gone_off().await.unwrap();
        }

        alarm.set(Some(1)).unwrap();
        alarm.set(None).unwrap();
        assert!(is_silent(&alarm).await);
        alarm.set(Some(u64::MAX)).unwrap();
        assert!(is_silent(&alarm).await);
    }

    #[tokio::test]
    async fn a_clock_that_nobody_sets_is_never_told_as_set() {
        let watch = ClockWatch::new().unwrap();

        let told = timeout(Duration::from_millis(20), watch.stepped()).await;

        assert!(told.is_err());
    }

    async fn is_silent(alarm: &Alarm) -> bool {
        timeout(Duration::from_millis(20), alarm.gone_off())
            .await
            .is_err()
    }
}
