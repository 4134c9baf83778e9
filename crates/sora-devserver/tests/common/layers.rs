//! A simulcast sender on the wire, made from a peer connection that knows no simulcast: it is shown one m-line for each
//! layer with the rid as its mid, and its mid extension is the server's rid extension.

const EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes";
const MID: &str = "video_up";
pub(crate) const RIDS: [&str; 3] = ["r0", "r1", "r2"];

/// The part before the first m-line, and the m-lines.
fn sections(sdp: &str) -> Vec<Vec<String>> {
    let mut sections = vec![Vec::new()];
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        sections.last_mut().expect("one at least").push(line.to_owned());
    }
    sections
}

fn join(sections: &[Vec<String>]) -> String {
    sections.iter().flatten().map(|line| format!("{line}\r\n")).collect()
}

fn has(section: &[String], line: &str) -> bool {
    section.iter().any(|known| known == line)
}

/// The server's offer as the peer connection is shown it.
pub(crate) fn split_offer(sdp: &str) -> String {
    let mut shown = Vec::new();
    for mut section in sections(sdp) {
        for line in &mut section {
            if line.starts_with("a=group:BUNDLE") {
                *line = line.replace(MID, &RIDS.join(" "));
            }
        }
        if !has(&section, &format!("a=mid:{MID}")) {
            shown.push(section);
            continue;
        }
        for rid in RIDS {
            let lines = section.iter().filter(|line| !line.starts_with("a=rid:") && !line.starts_with("a=simulcast:"));
            let lines = lines.filter(|line| !line.contains("rtp-stream-id")).map(|line| {
                let line =
                    line.replace(&format!("a=extmap:4 {EXTENSION}:mid"), &format!("a=extmap:10 {EXTENSION}:mid"));
                line.replace(&format!("a=mid:{MID}"), &format!("a=mid:{rid}"))
            });
            shown.push(lines.collect());
        }
    }
    join(&shown)
}

/// The peer connection's answer as the server gets it.
pub(crate) fn merge_answer(sdp: &str) -> String {
    let mut sent = Vec::new();
    for mut section in sections(sdp) {
        if RIDS[1..].iter().any(|rid| has(&section, &format!("a=mid:{rid}"))) {
            continue;
        }
        for line in &mut section {
            if line.starts_with("a=group:BUNDLE") {
                *line = line.replace(&RIDS.join(" "), MID);
            }
        }
        if has(&section, &format!("a=mid:{}", RIDS[0])) {
            section.retain(|line| !["a=ssrc", "a=msid:", "a=extmap:10 "].iter().any(|start| line.starts_with(start)));
            for line in &mut section {
                *line = line.replace(&format!("a=mid:{}", RIDS[0]), &format!("a=mid:{MID}"));
            }
            let extensions = [(4, "mid"), (10, "rtp-stream-id"), (11, "repaired-rtp-stream-id")];
            section.extend(extensions.map(|(id, name)| format!("a=extmap:{id} {EXTENSION}:{name}")));
            section.extend(RIDS.map(|rid| format!("a=rid:{rid} send")));
            section.push(format!("a=simulcast:send {}", RIDS.join(";")));
        }
        sent.push(section);
    }
    join(&sent)
}
