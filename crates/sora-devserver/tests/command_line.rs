//! The program: its ready line, its end, and what it refuses.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use common::{Client, connect};
use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sora-devserver"));
    command.args(["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Running, Value) {
    let mut running = Running(program(arguments).spawn().expect("started"));
    let stdout = running.0.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    (running, serde_json::from_str(&line).expect("JSON"))
}

fn refused(arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, stdout } = program(arguments).output().expect("ended");
    assert!(stdout.is_empty(), "no ready line");
    (status.code().expect("an exit code"), String::from_utf8(stderr).expect("text"))
}

#[tokio::test]
async fn the_ready_line_says_where_the_server_is() {
    let (_running, ready) = start(&[]);
    assert_eq!(ready["ready"], true);
    let url = ready["signaling_url"].as_str().expect("a URL");
    assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
    assert!(ready["api_url"].as_str().expect("a URL").starts_with("http://127.0.0.1:"));
    Client::connected(url, connect("sendrecv", json!({}))).await;
}

#[tokio::test]
async fn with_a_certificate_the_ready_line_says_wss() {
    let folder = std::env::temp_dir().join(format!("sora-devserver-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let made = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name).display().to_string());
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let (running, ready) = start(&["--tls-cert", &cert, "--tls-key", &key, "--jwt-secret", "s"]);
    let url = ready["signaling_url"].as_str().expect("a URL");
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    let token = common::token::sign("s", json!({ "channel_id": "sora" }));
    Client::connected(url, connect("recvonly", json!({ "metadata": { "access_token": token } }))).await;
    drop(running);
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn what_it_cannot_do_is_refused_with_a_reason() {
    for (arguments, reason) in [
        (&["--record", "somewhere"][..], "--record is not supported"),
        (&["--tls-cert", "cert.pem"], "--tls-key"),
        (&["--tls-client-ca", "ca.pem"], "--tls-cert"),
        (&["--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"], "/nowhere/cert.pem"),
        (&["--udp-ports", "9-1"], "LOW <= HIGH"),
        (&["--udp-ports", "many"], "LOW-HIGH"),
        (&["--ice-transport-policy", "none"], "all or relay"),
        (&["--ping-interval", "0"], "seconds"),
        (&["--ice-servers", "{}"], "JSON array"),
    ] {
        let (code, text) = refused(arguments);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(reason), "{text}");
    }
    for (arguments, reason) in [
        (&["--ice-transport-policy", "relay"][..], "turn or turns URL"),
        (&["--redirect", "http://example.com"], "ws or wss URL"),
        (&["--jwt-secret", ""], "JWT secret"),
    ] {
        let (code, text) = refused(arguments);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn a_password_in_wrong_ice_servers_is_not_repeated() {
    let (_, text) = refused(&["--ice-servers", r#"[{"urls":"turn:a","username":"u","credential":["hunter2"]}]"#]);
    assert!(text.contains("ICE server 0") && !text.contains("hunter2"), "{text}");
}
