"""The functions and enumerations of the module, in the order of the documentation."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from conftest import run_script

import sora_sdk
from sora_sdk import SoraLoggingSeverity, SoraSignalingErrorCode, SoraTrackState

CODES = {
    "CLOSE_SUCCEEDED": 0, "CLOSE_FAILED": 1, "INTERNAL_ERROR": 2, "INVALID_PARAMETER": 3,
    "WEBSOCKET_HANDSHAKE_FAILED": 4, "WEBSOCKET_ONCLOSE": 5, "WEBSOCKET_ONERROR": 6,
    "PEER_CONNECTION_STATE_FAILED": 7, "ICE_FAILED": 8,
}  # fmt: skip
SEVERITIES = {"VERBOSE": 0, "INFO": 1, "WARNING": 2, "ERROR": 3, "NONE": 4}


def test_enable_libwebrtc_log_as_the_documentation_shows() -> None:
    ran = run_script(
        "import sora_sdk\n\nif __name__ == '__main__':\n"
        "   sora_sdk.enable_libwebrtc_log(sora_sdk.SoraLoggingSeverity.VERBOSE)\n"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SEVERITIES)
def test_enable_libwebrtc_log_takes_every_severity(name: str) -> None:
    severity = getattr(SoraLoggingSeverity, name)
    try:
        assert sora_sdk.enable_libwebrtc_log(severity) is None
        assert sora_sdk.enable_libwebrtc_log(int(severity)) is None
    finally:
        sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.NONE)
        logging.getLogger("sora_sdk").setLevel(logging.NOTSET)


@pytest.mark.parametrize(("name", "number"), CODES.items())
def test_signaling_error_codes(name: str, number: int) -> None:
    code = getattr(SoraSignalingErrorCode, name)
    assert isinstance(code, SoraSignalingErrorCode)
    assert code == number
    assert code.name == name


@pytest.mark.parametrize(("name", "number"), SEVERITIES.items())
def test_logging_severities(name: str, number: int) -> None:
    severity = getattr(SoraLoggingSeverity, name)
    assert isinstance(severity, SoraLoggingSeverity)
    assert severity == number


@pytest.mark.parametrize("cls", [SoraSignalingErrorCode, SoraLoggingSeverity, SoraTrackState])
def test_constants_are_readonly(cls: type) -> None:
    assert len(list(cls)) == {9: 9, 5: 5, 2: 2}[len(cls.__members__)]
    for name in cls.__members__:
        with pytest.raises(AttributeError):
            setattr(cls, name, 99)


def test_the_package_imports_without_a_warning() -> None:
    ran = subprocess.run([sys.executable, "-W", "error", "-X", "dev", "-c", "import sora_sdk"], capture_output=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_no_symbol_of_a_library_inside_is_seen_outside() -> None:
    # OpenCV and PyAV load a libvpx of their own into the same process.
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", str(sora_sdk.sora_sdk_ext.__file__)]
    names = [line.split()[0] for line in subprocess.check_output(command, text=True).splitlines()]
    assert names == ["PyInit_sora_sdk_ext"]
