//! One thread for the process that pulls every receive buffer each 10 ms. It runs while there is something to pull.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);
/// After a stall longer than this (a suspended machine) the clock starts anew instead of catching up.
const MAX_BEHIND: Duration = Duration::from_millis(200);

/// Something that puts out 10 ms of sound at each tick.
pub(crate) trait Ticked: Send + Sync {
    fn tick(&self, due: Instant);
}

struct Clock {
    members: Vec<Weak<dyn Ticked>>,
    running: bool,
}

static CLOCK: Mutex<Clock> = Mutex::new(Clock { members: Vec::new(), running: false });

/// Ticks the member until it is dropped.
pub(crate) fn join(member: &Arc<impl Ticked + 'static>) -> std::io::Result<()> {
    let member: Arc<dyn Ticked> = member.clone();
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    clock.members.push(Arc::downgrade(&member));
    if !clock.running {
        std::thread::Builder::new().name("sora-audio".to_owned()).spawn(run)?;
        clock.running = true;
    }
    Ok(())
}

fn run() {
    let mut next = Instant::now() + INTERVAL;
    loop {
        let now = Instant::now();
        if let Some(wait) = next.checked_duration_since(now) {
            std::thread::sleep(wait);
        } else if now - next > MAX_BEHIND {
            next = now;
        }
        // A tick that comes late is still for when it was due.
        let due = next;
        next += INTERVAL;
        let members: Vec<Arc<dyn Ticked>> = {
            let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
            clock.members.retain(|member| member.strong_count() > 0);
            if clock.members.is_empty() {
                clock.running = false;
                return;
            }
            clock.members.iter().filter_map(Weak::upgrade).collect()
        };
        members.iter().for_each(|member| member.tick(due));
    }
}
