"""get_stats(): the members of W3C webrtc-stats that the reference gives, with values that mean what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Client, Feeder, wait_until

from sora_sdk import Sora, SoraAudioStreamSink, SoraVideoSink

RTP = "id timestamp ssrc kind transportId codecId"
MEMBERS = {
    "peer-connection": "dataChannelsOpened dataChannelsClosed",
    "transport": (
        "bytesSent packetsSent bytesReceived packetsReceived dtlsState selectedCandidatePairId localCertificateId "
        "remoteCertificateId tlsVersion dtlsCipher dtlsRole srtpCipher selectedCandidatePairChanges iceRole "
        "iceLocalUsernameFragment iceState"
    ),
    "certificate": "fingerprint fingerprintAlgorithm",
    "candidate-pair": (
        "transportId localCandidateId remoteCandidateId state priority nominated writable packetsSent packetsReceived "
        "bytesSent bytesReceived totalRoundTripTime availableOutgoingBitrate requestsReceived requestsSent "
        "responsesReceived responsesSent consentRequestsSent lastPacketReceivedTimestamp lastPacketSentTimestamp"
    ),
    "local-candidate": (
        "transportId isRemote ip address port protocol candidateType priority foundation usernameFragment"
    ),
    "remote-candidate": (
        "transportId isRemote ip address port protocol candidateType priority foundation usernameFragment"
    ),
    "codec": "transportId payloadType mimeType clockRate",
    "data-channel": (
        "label protocol dataChannelIdentifier state messagesSent bytesSent messagesReceived bytesReceived"
    ),
    "media-source/audio": "trackIdentifier kind audioLevel totalAudioEnergy totalSamplesDuration",
    "media-source/video": "trackIdentifier kind width height frames framesPerSecond",
    "outbound-rtp/audio": (
        f"{RTP} packetsSent bytesSent mediaSourceId remoteId mid retransmittedPacketsSent headerBytesSent "
        "retransmittedBytesSent nackCount active"
    ),
    "outbound-rtp/video": (
        f"{RTP} packetsSent bytesSent mediaSourceId remoteId mid retransmittedPacketsSent headerBytesSent rtxSsrc "
        "retransmittedBytesSent targetBitrate framesEncoded keyFramesEncoded totalEncodeTime frameWidth frameHeight "
        "framesPerSecond framesSent qualityLimitationReason encoderImplementation firCount pliCount nackCount active "
        "powerEfficientEncoder scalabilityMode"
    ),
    "inbound-rtp/audio": (
        f"{RTP} jitter packetsLost mid packetsReceived packetsDiscarded bytesReceived headerBytesReceived audioLevel "
        "jitterBufferDelay jitterBufferTargetDelay jitterBufferEmittedCount totalSamplesReceived concealedSamples "
        "silentConcealedSamples concealmentEvents insertedSamplesForDeceleration removedSamplesForAcceleration "
        "totalAudioEnergy totalSamplesDuration trackIdentifier remoteId lastPacketReceivedTimestamp"
    ),
    "inbound-rtp/video": (
        f"{RTP} jitter packetsLost mid packetsReceived bytesReceived headerBytesReceived framesReceived framesDecoded "
        "keyFramesDecoded framesDropped totalDecodeTime totalInterFrameDelay totalSquaredInterFrameDelay firCount "
        "pliCount nackCount trackIdentifier remoteId lastPacketReceivedTimestamp frameWidth frameHeight "
        "framesPerSecond decoderImplementation powerEfficientDecoder"
    ),
    "remote-inbound-rtp": (
        f"{RTP} jitter packetsLost localId fractionLost totalRoundTripTime roundTripTimeMeasurements"
    ),
    "remote-outbound-rtp": (
        f"{RTP} packetsSent bytesSent localId remoteTimestamp reportsSent roundTripTimeMeasurements totalRoundTripTime"
    ),
}


def stats(client: Client) -> dict[str, dict[str, Any]]:
    """By type, and by kind where there are several."""
    found: dict[str, dict[str, Any]] = {}
    for one in json.loads(client.connection.get_stats()):
        for key in (one["type"], f"{one['type']}/{one.get('kind')}"):
            if key in MEMBERS:
                found[key] = one
    return found


def test_every_type_has_the_members_of_the_reference(make_client: Callable[..., Client]) -> None:
    sora = Sora()
    video, audio = sora.create_video_source(), sora.create_audio_source(1, 48_000)
    options = {"data_channel_signaling": True}
    sender = make_client("sendonly", sora, video_source=video, audio_source=audio, **options).connect()
    receiver = make_client("recvonly", **options).connect()
    wait_until(lambda: len(receiver.tracks) == 2, "two tracks")
    tracks = {track.kind: track for track in receiver.tracks}
    pictures, sounds = SoraVideoSink(tracks["video"]), SoraAudioStreamSink(tracks["audio"])
    pictures.on_frame = sounds.on_frame = lambda frame: None
    both: dict[str, dict[str, Any]] = {}

    def everything() -> bool:
        both.clear()
        both.update({**stats(sender), **stats(receiver)})
        return both.keys() == MEMBERS.keys() and both["inbound-rtp/video"].get("framesDecoded", 0) > 40

    with Feeder(video, audio):
        wait_until(everything, "every type of statistics")
    missing = {key: set(names.split()) - both[key].keys() for key, names in MEMBERS.items()}
    assert {key: names for key, names in missing.items() if names} == {}

    source, sound = both["media-source/video"], both["media-source/audio"]
    assert (source["width"], source["height"]) == (320, 240)
    assert source["frames"] >= both["outbound-rtp/video"]["framesEncoded"] > 40
    assert (source["trackIdentifier"], sound["trackIdentifier"]) == (video.id, audio.id)
    assert both["outbound-rtp/video"]["mediaSourceId"] == source["id"]
    # A sine of 8000 of 32768: its root mean square, and its square for every second.
    assert sound["audioLevel"] == pytest.approx(8000 / 32_768 / 2**0.5, rel=0.05)
    energy = sound["totalAudioEnergy"] / sound["totalSamplesDuration"]
    assert energy == pytest.approx((8000 / 32_768) ** 2 / 2, rel=0.1)
    assert both["inbound-rtp/audio"]["audioLevel"] == pytest.approx(sound["audioLevel"], rel=0.3)
    assert 10 <= both["inbound-rtp/video"]["framesPerSecond"] <= 60
    pair, transport = stats(sender)["candidate-pair"], stats(sender)["transport"]
    assert 0 < pair["bytesSent"] < transport["bytesSent"]
    assert pair["bytesSent"] > both["outbound-rtp/video"]["bytesSent"]
    assert (transport["iceRole"], transport["iceState"], transport["dtlsState"]) == (
        "controlled",
        "connected",
        "connected",
    )
    assert pair["responsesReceived"] > 0
    assert both["remote-outbound-rtp"]["packetsSent"] > 0
    now_ms = pair["timestamp"] / 1000
    assert 0 <= now_ms - pair["lastPacketSentTimestamp"] < 5_000
    assert abs(now_ms - both["remote-outbound-rtp"]["remoteTimestamp"]) < 60_000
