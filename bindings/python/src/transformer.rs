//! Transformers: what programs see and change encoded frames with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use sora_sdk::{FrameTransformer, TransformableFrame, Transformer, TransformerThread};

use crate::callbacks::Callbacks;
use crate::transformable::{self, SoraTransformableFrame};
use crate::{fork, gate};

/// Frames that wait for on_transform: about two seconds of either kind.
const QUEUE: usize = 100;

/// What tracks share with the Python object.
#[derive(Default)]
struct Core {
    callbacks: Callbacks,
    short_circuited: AtomicBool,
    /// Runs on_transform; there once that was set.
    thread: OnceLock<TransformerThread>,
}

impl Core {
    fn start(self: &Arc<Self>) -> PyResult<()> {
        if self.thread.get().is_some() {
            return Ok(());
        }
        fork::check()?;
        fork::threads_start();
        let core = Arc::downgrade(self);
        let started = TransformerThread::start(QUEUE, move |frame| called(&core, frame));
        // If another one was quicker this one ends here.
        let _ = self.thread.set(started.map_err(|error| PyRuntimeError::new_err(error.to_string()))?);
        Ok(())
    }
}

fn called(core: &Weak<Core>, frame: TransformableFrame) {
    let Some(core) = core.upgrade() else { return };
    if core.short_circuited.load(Ordering::Relaxed) {
        return frame.forward();
    }
    gate::enter(|py| match transformable::to_python(py, frame) {
        Ok(frame) => core.callbacks.call(py, "on_transform", (frame,)),
        Err(error) => error.write_unraisable(py, None),
    });
}

impl FrameTransformer for Core {
    fn transform(&self, frame: TransformableFrame) {
        match self.thread.get() {
            Some(thread) => thread.transform(frame),
            None if self.short_circuited.load(Ordering::Relaxed) => frame.forward(),
            // Nobody wants to see it, and nobody will let it go on.
            None => {}
        }
    }
}

/// The base of the transformers of sound and of pictures.
#[pyclass(frozen, subclass, weakref, module = "sora_sdk")]
pub(crate) struct SoraFrameTransformer {
    core: Arc<Core>,
}

impl Drop for SoraFrameTransformer {
    /// Here, where the interpreter is at hand: the last to let go of the core is a thread of the network, which must not
    /// wait for it.
    fn drop(&mut self) {
        self.core.callbacks.clear();
    }
}

impl SoraFrameTransformer {
    pub(crate) fn transformer(&self) -> Transformer {
        Transformer(self.core.clone())
    }

    fn on_transform(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.core.callbacks.get(py, "on_transform")
    }

    fn set_on_transform(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.core.callbacks.set("on_transform", value)?;
        if value.is_none() { Ok(()) } else { self.core.start() }
    }
}

#[pymethods]
impl SoraFrameTransformer {
    /// Lets a frame go on that on_transform was given, changed or not, on any thread.
    ///
    /// Frames are to be given in the order they came: one that never is given, or after a later one, is not sent or not
    /// decoded, and what depends on it is not either. RuntimeError if it was given before.
    fn enqueue(&self, py: Python<'_>, frame: &Bound<'_, SoraTransformableFrame>) -> PyResult<()> {
        fork::check()?;
        let frame = frame.get().take()?;
        py.detach(|| frame.forward());
        Ok(())
    }

    /// How many frames were dropped because on_transform fell behind.
    #[getter]
    fn dropped(&self) -> u64 {
        self.core.thread.get().map_or(0, TransformerThread::dropped)
    }

    /// From now on frames go on unseen, without on_transform.
    fn start_short_circuiting(&self) {
        self.core.short_circuited.store(true, Ordering::Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.core.callbacks.traverse(&visit)
    }

    fn __clear__(&self) {
        self.core.callbacks.clear();
    }
}

macro_rules! transformer {
    ($(#[$doc:meta])* $name:ident, $callback:literal) => {
        $(#[$doc])*
        #[pyclass(extends = SoraFrameTransformer, frozen, subclass, module = "sora_sdk")]
        pub(crate) struct $name;

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
            fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
                PyClassInitializer::from(SoraFrameTransformer { core: Arc::default() }).add_subclass(Self)
            }

            #[pyo3(signature = ())]
            fn __init__(&self) {}

            #[doc = $callback]
            #[getter]
            fn on_transform(self_: PyRef<'_, Self>, py: Python<'_>) -> Option<Py<PyAny>> {
                self_.as_super().on_transform(py)
            }

            #[setter]
            fn set_on_transform(self_: PyRef<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                self_.as_super().set_on_transform(value)
            }
        }
    };
}

transformer! {
    /// Sees encoded sound: of a source, as audio_frame_transformer of Sora.create_connection(), or of a received track,
    /// by its set_frame_transformer(). One transformer may be used for several.
    ///
    /// on_transform runs on a thread of the transformer's own; if it falls behind by 100 frames, the oldest are dropped.
    SoraAudioFrameTransformer,
    "Called with a SoraTransformableAudioFrame for each packet of sound."
}

transformer! {
    /// Sees encoded pictures: of a source, as video_frame_transformer of Sora.create_connection(), or of a received track,
    /// by its set_frame_transformer(). One transformer may be used for several.
    ///
    /// on_transform runs on a thread of the transformer's own; if it falls behind by 100 frames, the oldest are dropped.
    SoraVideoFrameTransformer,
    "Called with a SoraTransformableVideoFrame for each picture, and for each layer of a simulcast one."
}

/// The transformer a value is, if it is one of this class.
pub(crate) fn of<T: pyo3::PyClass + pyo3::type_object::PyTypeInfo>(value: &Bound<'_, PyAny>) -> Option<Transformer> {
    value.cast::<T>().ok()?;
    value.cast::<SoraFrameTransformer>().ok().map(|base| base.get().transformer())
}
