//! Threads that sleep in a C call when the interpreter ends, in `queue.put` or `time.sleep`, for longer than an end may
//! take. An exception does not wake them, and once they wake by themselves there is no interpreter to come back to: what
//! Python does then takes the process down, as the thread is not Python's. So they are put to sleep for good.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a signal may take to reach a thread that sleeps.
const DELIVERY: Duration = Duration::from_millis(50);
const INTERVAL: Duration = Duration::from_micros(200);

static PARKED: AtomicUsize = AtomicUsize::new(0);

/// The kernel's number of this thread.
pub(crate) fn thread_number() -> c_int {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// How often a thread has gone to sleep, if it sleeps now. Unchanged a while later, it has slept all the time: it neither
/// runs now and then nor waits its turn for the interpreter, which looks every 5 ms.
pub(crate) fn naps(thread: c_int) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let sleeps = value("State:")?.starts_with('S');
    sleeps.then(|| value("voluntary_ctxt_switches:")?.parse().ok()).flatten()
}

extern "C" fn sleep_for_good(_: c_int) {
    PARKED.fetch_add(1, Ordering::SeqCst);
    loop {
        // SAFETY: it takes nothing, and may be called in a signal handler.
        unsafe { libc::pause() };
    }
}

/// Puts a thread that sleeps to sleep until the process is gone. False if it cannot be reached.
pub(crate) fn park(thread: c_int) -> bool {
    let before = PARKED.load(Ordering::SeqCst);
    let signal = libc::SIGRTMAX() - 1;
    // SAFETY: the handler only counts and sleeps, which is allowed in one, and lives as long as the process; the structure
    // is zero but for what is set. The number is that of a thread of this process or of none.
    let sent = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = sleep_for_good as extern "C" fn(c_int) as usize;
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut()) == 0
            && libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) == 0
    };
    let deadline = Instant::now() + DELIVERY;
    while sent && Instant::now() < deadline {
        if PARKED.load(Ordering::SeqCst) > before {
            return true;
        }
        std::thread::sleep(INTERVAL);
    }
    false
}
