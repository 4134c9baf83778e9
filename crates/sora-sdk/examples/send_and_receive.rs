//! Publishes pictures and a tone, receives them in a second connection, and prints what arrived.

use std::error::Error;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sora_devserver::{Server, ServerConfig};
use sora_sdk::{
    AudioSource, AudioStreamSink, CodecRegistry, Connection, ConnectionConfig, ConnectionEvent, Role, TrackKind,
    VideoSink, VideoSource,
};

const WIDTH: usize = 640;
const HEIGHT: usize = 480;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(Server::start(ServerConfig::default()))?;
    let urls = vec![server.signaling_url()];
    let registry = Arc::new(CodecRegistry::default());

    let (arrived, arrivals) = mpsc::channel();
    let sinks: Arc<Mutex<Vec<Box<dyn Send>>>> = Arc::default();
    let kept = sinks.clone();
    let config = ConnectionConfig::new(urls.clone(), Role::RecvOnly, "example");
    let receiver = Connection::new(config, registry.clone(), move |event| {
        let ConnectionEvent::Track(track) = event else { return };
        let arrived = arrived.clone();
        let kind = track.kind();
        // The program may be past counting.
        let tell = move || arrived.send(kind).unwrap_or_default();
        let sink: Box<dyn Send> = match kind {
            TrackKind::Video => match VideoSink::new(&track, move |_| tell()) {
                Ok(sink) => Box::new(sink),
                Err(error) => return eprintln!("{error}"),
            },
            TrackKind::Audio => match AudioStreamSink::new(&track, -1, 0, move |_| tell()) {
                Ok(sink) => Box::new(sink),
                Err(error) => return eprintln!("{error}"),
            },
        };
        if let Ok(mut sinks) = kept.lock() {
            sinks.push(sink);
        }
    })?;

    let camera = Arc::new(VideoSource::new());
    let microphone = Arc::new(AudioSource::new(1, 48_000)?);
    let mut config = ConnectionConfig::new(urls, Role::SendOnly, "example");
    config.video_source = Some(camera.clone().into());
    config.audio_source = Some(microphone.clone().into());
    let sender = Connection::new(config, registry, |_| {})?;

    receiver.connect()?;
    sender.connect()?;
    let started = Instant::now();
    for number in 0..90_usize {
        let picture: Vec<u8> = (0..WIDTH * HEIGHT * 3).map(|i| (i / 3 + number * 4) as u8).collect();
        camera.push_bgr(&picture, WIDTH as u32, HEIGHT as u32, WIDTH * 3, None)?;
        let tone: Vec<i16> = (0..1600)
            .map(|i| ((i + number * 1600) as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin())
            .map(|s| (s * 8000.0) as i16)
            .collect();
        microphone.push(&tone, 1, None)?;
        let next = started + Duration::from_millis(33) * (number as u32 + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    sender.disconnect();
    receiver.disconnect();
    drop(sinks);
    let kinds: Vec<TrackKind> = arrivals.try_iter().collect();
    let pictures = kinds.iter().filter(|kind| **kind == TrackKind::Video).count();
    println!("{pictures} of 90 pictures and {} ms of sound arrived", (kinds.len() - pictures) * 10);
    Ok(())
}
