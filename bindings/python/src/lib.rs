//! The native half of the `sora_sdk` Python package. It only translates: everything it does is in `sora-sdk`.
//!
//! Native threads reach Python through [`gate`], which closes when the interpreter exits.

mod arguments;
mod array;
mod audio_source;
mod callbacks;
mod codecs;
mod connection;
mod devserver;
mod enums;
mod fork;
mod frame;
mod gate;
mod interrupt;
mod json;
mod kept;
mod late;
mod logging;
mod memory;
mod park;
mod signals;
mod sink;
mod sora;
mod track;
mod transformable;
mod transformer;
mod vad;
mod video_source;

use pyo3::prelude::*;

#[pymodule]
fn sora_sdk_ext(module: &Bound<'_, PyModule>) -> PyResult<()> {
    logging::start();
    module.add_class::<sora::Sora>()?;
    module.add_class::<connection::SoraConnection>()?;
    module.add_class::<track::SoraTrackInterface>()?;
    module.add_class::<track::SoraMediaTrack>()?;
    module.add_class::<audio_source::SoraAudioSource>()?;
    module.add_class::<video_source::SoraVideoSource>()?;
    module.add_class::<frame::SoraAudioFrame>()?;
    module.add_class::<frame::SoraVideoFrame>()?;
    module.add_class::<sink::SoraAudioSink>()?;
    module.add_class::<sink::SoraAudioStreamSink>()?;
    module.add_class::<sink::SoraVideoSink>()?;
    module.add_class::<vad::SoraVAD>()?;
    module.add_class::<transformable::SoraTransformableFrame>()?;
    module.add_class::<transformable::SoraTransformableAudioFrame>()?;
    module.add_class::<transformable::SoraTransformableVideoFrame>()?;
    module.add_class::<transformer::SoraFrameTransformer>()?;
    module.add_class::<transformer::SoraAudioFrameTransformer>()?;
    module.add_class::<transformer::SoraVideoFrameTransformer>()?;
    module.add_function(wrap_pyfunction!(logging::enable_libwebrtc_log, module)?)?;
    module.add_function(wrap_pyfunction!(codecs::video_codec_capability, module)?)?;
    module.add_function(wrap_pyfunction!(devserver::devserver, module)?)?;
    module.add_function(wrap_pyfunction!(frame::video_frame, module)?)?;
    module.add_function(wrap_pyfunction!(gate::shut_down, module)?)?;
    module.add_function(wrap_pyfunction!(fork::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(arguments::parameters, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // What is public is what sora_sdk/__init__.py says.
    module.delattr("__all__")
}
