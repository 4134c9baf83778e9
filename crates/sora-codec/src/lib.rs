#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[cfg(feature = "libaom")]
mod aom;
mod buffer;
#[cfg(feature = "dav1d")]
mod dav1d;
mod error;
mod implementation;
#[cfg(feature = "openh264")]
mod openh264;
mod opus;
#[cfg(any(feature = "libvpx", feature = "dav1d", feature = "openh264"))]
mod planes;
mod preference;
#[cfg(feature = "rav1e")]
mod rav1e;
mod registry;
mod scalability;
mod video;
#[cfg(feature = "libvpx")]
mod vpx;

pub use buffer::{BufferPool, I420Buffer};
pub use error::{CodecError, MAX_PIXELS};
pub use implementation::Implementation;
#[cfg(feature = "openh264")]
pub use openh264::{OpenH264, OpenH264Error, Version as OpenH264Version};
pub use opus::{OpusDecoder, OpusEncoder, OpusParameters};
pub use preference::{CodecPreference, PreferenceError, VideoCodecPreference};
pub use registry::{Backend, Capability, CodecRegistry, Tier};
pub use scalability::{ScalabilityMode, UnknownScalabilityMode};
pub use sora_rtp::VideoCodecType;
pub use video::{EncodedPicture, VideoDecoder, VideoEncoder, VideoEncoderConfig};
