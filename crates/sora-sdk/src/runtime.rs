use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// One worker drives every connection of the process: the work per packet is small, and threads that wake each other
/// cost more than they bring.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

pub(crate) fn handle() -> io::Result<Handle> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("sora-net").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime).handle().clone())
}
