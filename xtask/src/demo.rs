//! `cargo xtask demo`: a publisher, the development server and a subscriber as three processes, measured.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::extension;
use crate::openh264;
use crate::process::{Context, Outcome, Running, to_stderr};
use crate::setup::{self, Environment, Workspace};

const CHANNEL: &str = "demo";
/// Set-up and goodbyes on a loaded machine, on top of the streaming time.
const SLACK: Duration = Duration::from_secs(60);
const SERVER_START: Duration = Duration::from_secs(15);
/// How long the subscriber may take to see the publisher's leaving and write its report.
const SUBSCRIBER_END: Duration = Duration::from_secs(10);
const SERVER_END: Duration = Duration::from_secs(5);
/// `/proc` counts CPU time in these ticks per second on every Linux platform.
const TICKS: f64 = 100.0;

#[derive(Clone, Copy, ValueEnum)]
enum Codec {
    Vp8,
    Vp9,
    H264,
    Av1,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
        }
    }
}

/// What to send, for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to stream
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Video codec
    #[arg(long, value_enum, default_value = "vp9")]
    codec: Codec,
    /// Send three sizes at once; the receiver asks for one after the other
    #[arg(long)]
    simulcast: bool,
    /// Picture size, even numbers
    #[arg(long, default_value = "1280x720", value_parser = size)]
    size: String,
    /// Most kilobits per second of video
    #[arg(long, default_value_t = 2500, value_parser = clap::value_parser!(u32).range(50..=50_000))]
    bit_rate: u32,
    /// Where to write the result as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// A video file to send instead of the test card
    #[arg(long)]
    video: Option<PathBuf>,
    /// A sound file to send instead of the melody
    #[arg(long)]
    audio: Option<PathBuf>,
}

fn size(text: &str) -> Outcome<String> {
    let expected = || format!("expected WIDTHxHEIGHT in even pixels from 160x120 to 3840x2160, got {text:?}");
    let (width, height) = text.split_once('x').ok_or_else(expected)?;
    let parse = |side: &str| side.parse::<u32>().ok().filter(|pixels| pixels % 2 == 0);
    match (parse(width), parse(height)) {
        (Some(width @ 160..=3840), Some(height @ 120..=2160)) => Ok(format!("{width}x{height}")),
        _ => Err(expected()),
    }
}

/// A line of a child's output.
enum Line {
    Sent(u64),
    Received(u64),
    Other(String),
}

fn line(text: String) -> Line {
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    match (value["sent"].as_u64(), value["received"].as_u64()) {
        (Some(frames), _) => Line::Sent(frames),
        (_, Some(frames)) => Line::Received(frames),
        _ => Line::Other(text),
    }
}

fn read_lines(child: &mut Running, to: Sender<Line>) -> Outcome {
    let stdout = child.stdout()?;
    std::thread::spawn(move || {
        for text in BufReader::new(stdout).lines() {
            let Ok(text) = text else { break };
            if to.send(line(text)).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// One line that shows how far it is.
struct Progress {
    sent: u64,
    received: u64,
    total: u64,
    live: bool,
}

impl Progress {
    fn show(&self) {
        let text = format!("sent {} of {} pictures, received {}", self.sent, self.total, self.received);
        if self.live {
            eprint!("\r{text}   ");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{text}");
        }
    }
}

/// CPU seconds a process has used.
fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    ticks(&stat).map(|ticks| ticks as f64 / TICKS)
}

/// `utime` + `stime` of a `/proc/PID/stat` line; proc(5).
fn ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

struct Urls {
    signaling: String,
    api: String,
}

fn start_server(program: &Path) -> Outcome<(Running, Urls)> {
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]);
    let mut server = Running::start("server", &mut command)?;
    let (to, lines) = channel();
    read_lines(&mut server, to)?;
    let Ok(Line::Other(ready)) = lines.recv_timeout(SERVER_START) else {
        return Err(format!("the server did not say that it listens within {} s", SERVER_START.as_secs()));
    };
    let value: Value = serde_json::from_str(&ready).context(format_args!("the server's first line {ready:?}"))?;
    let url = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name} in {ready}"));
    Ok((server, Urls { signaling: url("signaling_url")?, api: url("api_url")? }))
}

struct Streaming<'a> {
    options: &'a Options,
    interpreter: &'a Path,
    programs: &'a Path,
    path: &'a Path,
    folder: &'a Path,
    openh264: Option<PathBuf>,
}

impl Streaming<'_> {
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.interpreter);
        command.arg(self.programs.join(name)).env("PYTHONPATH", self.path).env("PYTHONDONTWRITEBYTECODE", "1");
        command.args(["--seconds", &self.options.seconds.to_string()]).stderr(to_stderr());
        if let Some(library) = self.openh264.as_ref().filter(|_| name != "report.py") {
            command.arg("--openh264").arg(library);
        }
        command
    }

    fn media(&self, command: &mut Command) {
        command.args(["--codec", self.options.codec.name(), "--size", &self.options.size]);
        if let Some(file) = &self.options.video {
            command.arg("--video").arg(file);
        }
        if let Some(file) = &self.options.audio {
            command.arg("--audio").arg(file);
        }
    }

    fn subscriber(&self, Urls { signaling: url, api }: &Urls) -> Outcome<Running> {
        let mut command = self.program("subscriber.py");
        command.args(["--url", url, "--channel", CHANNEL, "--report"]).arg(self.folder.join("subscriber.json"));
        if self.options.simulcast {
            command.args(["--simulcast-api", api]);
        }
        Running::start("subscriber", &mut command)
    }

    fn publisher(&self, Urls { signaling: url, .. }: &Urls) -> Outcome<Running> {
        let mut command = self.program("publisher.py");
        command.args(["--url", url, "--channel", CHANNEL, "--report"]).arg(self.folder.join("publisher.json"));
        self.media(&mut command);
        command.args(["--bit-rate", &self.options.bit_rate.to_string()]);
        if self.options.simulcast {
            command.arg("--simulcast");
        }
        Running::start("publisher", &mut command)
    }

    fn report(&self) -> Outcome<Map<String, Value>> {
        let mut command = self.program("report.py");
        command.arg("--dir").arg(self.folder);
        self.media(&mut command);
        let text = command.output().context("report.py")?;
        if !text.status.success() {
            return Err(format!("report.py ended with {}", text.status));
        }
        serde_json::from_slice(&text.stdout).context("report.py did not print one JSON object")
    }
}

/// Passes on what the children print until the publisher has ended. Returns the server's CPU seconds per minute.
fn stream(
    publisher: &mut Running,
    server: &mut Running,
    lines: &Receiver<Line>,
    seconds: u32,
) -> Outcome<(ExitStatus, Option<f64>)> {
    let deadline = Instant::now() + Duration::from_secs(seconds.into()) + SLACK;
    let live = std::io::stderr().is_terminal();
    let mut progress = Progress { sent: 0, received: 0, total: u64::from(seconds) * 30, live };
    let mut first = None;
    let mut last = None;
    let status = loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(Line::Sent(frames)) => {
                progress.sent = frames;
                let now = cpu_seconds(server.id()).map(|cpu| (cpu, Instant::now()));
                first = first.or(now);
                last = now.or(last);
                progress.show();
            }
            Ok(Line::Received(frames)) => progress.received = frames,
            Ok(Line::Other(text)) => eprintln!("{text}"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if let Some(status) = publisher.ended() {
            break status;
        }
        if let Some(status) = server.ended() {
            return Err(format!("the server ended with {status} while the publisher was running"));
        }
        if Instant::now() >= deadline {
            return Err(format!("the publisher is still running after {} s", u64::from(seconds) + SLACK.as_secs()));
        }
    };
    if live {
        eprintln!();
    }
    let cpu = first.zip(last).and_then(|((cpu, begin), (cpu_end, end))| {
        let minutes = (end - begin).as_secs_f64() / 60.0;
        (minutes > 0.0).then(|| ((cpu_end - cpu) / minutes * 100.0).round() / 100.0)
    });
    Ok((status, cpu))
}

/// `cargo xtask demo`.
///
/// # Errors
/// Why nothing arrived, or which process failed.
pub(crate) fn demo(workspace: &Workspace, options: &Options) -> Outcome {
    setup::system_packages()?;
    let server_program = workspace.devserver()?;
    let path = extension::install(workspace)?;
    let interpreter = {
        let _lock = workspace.lock()?;
        let packages = ["numpy", "opencv-python-headless", "soundfile"];
        Environment { name: "demo", packages: &packages, path: Some(&path) }.interpreter(workspace)?
    };
    let folder = workspace.target.join("demo");
    fs::create_dir_all(&folder).context(folder.display())?;
    for stale in ["publisher.json", "subscriber.json", "subscriber.npz", "last.png", "received.wav", "result.json"] {
        let _ = fs::remove_file(folder.join(stale));
    }
    let programs = workspace.root.join("examples/demo");
    let openh264 = match options.codec {
        Codec::H264 => Some(openh264::library(workspace)?),
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 => None,
    };
    let (interpreter, programs) = (&interpreter, &programs);
    let streaming = Streaming { options, interpreter, programs, path: &path, folder: &folder, openh264 };

    let (mut server, urls) = start_server(&server_program)?;
    eprintln!(
        "streaming {} {} for {} s through {}",
        options.codec.name(),
        options.size,
        options.seconds,
        urls.signaling
    );
    let (to, lines) = channel();
    let mut subscriber = streaming.subscriber(&urls)?;
    read_lines(&mut subscriber, to.clone())?;
    let mut publisher = streaming.publisher(&urls)?;
    read_lines(&mut publisher, to)?;
    let (published, server_cpu) = stream(&mut publisher, &mut server, &lines, options.seconds)?;
    let received = subscriber.wait(SUBSCRIBER_END).or_else(|| subscriber.stop(SUBSCRIBER_END));
    let served = server.stop(SERVER_END);

    let mut exit_codes = Map::new();
    let mut failed = Vec::new();
    for (child, status) in [(&publisher, Some(published)), (&subscriber, received), (&server, served)] {
        exit_codes.insert(child.name().to_owned(), json!(status.and_then(|status| status.code())));
        if !status.is_some_and(|status| status.success()) {
            let end = status.map_or("without a status".to_owned(), |status| format!("with {status}"));
            failed.push(format!("the {} ended {end}", child.name()));
        }
    }
    if !folder.join("publisher.json").is_file() || !folder.join("subscriber.json").is_file() {
        failed.push("nothing to report: a program wrote no result".to_owned());
        return Err(failed.join("; "));
    }
    let mut result = streaming.report()?;
    if let Some(Value::Object(cpu)) = result.get_mut("cpu_s_per_min") {
        cpu.insert("server".to_owned(), json!(server_cpu));
    }
    result.insert("exit_codes".to_owned(), Value::Object(exit_codes));
    let result = Value::Object(result);
    let text = format!("{result:#}\n");
    let kept = folder.join("result.json");
    for file in std::iter::once(&kept).chain(options.json.as_ref()) {
        fs::write(file, &text).context(file.display())?;
    }
    print!("{}", table(&result, &folder));
    if options.simulcast && result["layers"].as_object().is_none_or(|layers| layers.len() < 3) {
        failed.push(format!("expected three layers, got {}", result["layers"]));
    }
    if result["received_frames"].as_u64().unwrap_or(0) == 0 {
        failed.push("no picture arrived".to_owned());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn table(result: &Value, folder: &Path) -> String {
    let number = |value: &Value, unit: &str| match value {
        Value::Null => "not measured".to_owned(),
        value => format!("{value} {unit}").trim_end().to_owned(),
    };
    let latency = |key: &str| {
        let value = &result[key];
        format!("{}, 95 of 100 within {}", number(&value["p50"], "ms"), number(&value["p95"], "ms"))
    };
    let cpu = &result["cpu_s_per_min"];
    let mut rows = vec![
        ("codec", result["codec"].as_str().unwrap_or("?").to_owned()),
        ("received size", format!("{}x{}", result["width"], result["height"])),
        ("pictures", format!("{} of {} received", result["received_frames"], result["sent_frames"])),
        ("video latency", latency("video_latency_ms")),
        ("audio latency", latency("audio_latency_ms")),
        ("picture quality", number(&result["psnr_db"], "dB PSNR")),
        ("connected after", number(&result["connect_ms"], "ms")),
        ("first picture after", number(&result["first_frame_ms"], "ms")),
        ("CPU of the sender", number(&cpu["sender"], "s per minute")),
        ("CPU of the receiver", number(&cpu["receiver"], "s per minute")),
        ("CPU of the server", number(&cpu["server"], "s per minute")),
        ("last picture", folder.join("last.png").display().to_string()),
        ("received sound", folder.join("received.wav").display().to_string()),
    ];
    if result["layers"].is_object() {
        rows.push(("sizes received", result["layers"].to_string()));
        rows.push(("layers switched to", result["switches"].to_string()));
        rows.push(("worst picture", number(&result["worst_picture_db"], "dB PSNR at 80x45")));
    }
    rows.iter().map(|(name, value)| format!("{name:<20} {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_program_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 10 0 0 0 250 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn a_size_has_to_be_two_even_numbers() {
        assert_eq!(size("640x480"), Ok("640x480".to_owned()));
        for wrong in ["640", "641x480", "0x0", "640x480x3", "-2x480"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
