"""Edits of offers as text: what aiortc does not do by itself but Sora does."""

from __future__ import annotations

import re


def next_version(sdp: str, version: int) -> str:
    """Sets the session version of the o= line."""
    return re.sub(r"^o=- (\d+) \d+ ", rf"o=- \1 {version} ", sdp, count=1, flags=re.MULTILINE)


def restream(sdp: str, streams: dict[str, str]) -> str:
    """Gives each sent track (by track id) the stream id of its sender; drops msid from lines that only receive."""

    def msid(found: re.Match[str]) -> str:
        track = found.group(1)
        return f"a=msid:{streams[track]} {track}\r\n" if track in streams else ""

    return re.sub(r"^a=msid:\S+ (\S+)\r\n", msid, sdp, flags=re.MULTILINE)


def rejected(sdp: str, mids: set[str]) -> str:
    """The offer with these m-lines at port 0 and inactive, out of the BUNDLE group."""
    head, *sections = re.split(r"(?m)^(?=m=)", sdp)
    for position, section in enumerate(sections):
        found = re.search(r"^a=mid:(\S+)", section, flags=re.MULTILINE)
        if found and found.group(1) in mids:
            section = re.sub(r"^(m=\w+) \d+", r"\1 0", section)
            section = re.sub(r"^a=(sendonly|recvonly|sendrecv)\r$", "a=inactive\r", section, flags=re.MULTILINE)
            gone = r"^a=(msid|ssrc|ssrc-group|candidate|end-of-candidates)\b.*\r\n"
            sections[position] = re.sub(gone, "", section, flags=re.MULTILINE)
    group = re.search(r"^a=group:BUNDLE (.*)\r$", head, flags=re.MULTILINE)
    if group:
        kept = " ".join(mid for mid in group.group(1).split() if mid not in mids)
        head = head.replace(group.group(0), f"a=group:BUNDLE {kept}\r")
    return head + "".join(sections)


def without_msid(sdp: str) -> str:
    """The offer without stream and track ids."""
    return re.sub(r"(?m)^a=(msid|ssrc):.*\r\n", "", sdp)


def simulcast(sdp: str) -> str:
    """The offer with three simulcast layers wanted on the video m-line (RFC 8853)."""
    head, video = sdp.split("m=video", 1)
    lines = "a=rid:r0 recv\r\na=rid:r1 recv\r\na=rid:r2 recv\r\na=simulcast:recv r0;r1;r2\r\n"
    return head + "m=video" + re.sub(r"(a=mid:[^\r]*\r\n)", rf"\1{lines}", video, count=1)
