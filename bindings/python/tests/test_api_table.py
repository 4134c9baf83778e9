"""docs/PYTHON_API.md lists every name there is, with a test that there is."""

from __future__ import annotations

import enum
import inspect
import re
from pathlib import Path

import pytest

import sora_sdk
from sora_sdk.sora_sdk_ext import _parameters

HERE = Path(__file__).parent
TEXT = (HERE.parents[2] / "docs/PYTHON_API.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| `(test_\w+\.py)::(\w+)` \| (.*)\|$", TEXT, re.MULTILINE)


def there_is() -> set[str]:
    names = {"sora_sdk_ext", "__version__"}
    for name in sora_sdk.__all__:
        names.add(name)
        value = getattr(sora_sdk, name)
        if name.endswith("Impl") or not inspect.isclass(value) or issubclass(value, Exception):
            continue
        if issubclass(value, enum.Enum):
            names |= {f"{name}.{member}" for member in value.__members__}
        else:
            names |= {f"{name}.{attribute}" for attribute in vars(value) if not attribute.startswith("_")}
    return names | {f"Sora.create_connection({name})" for name, _, _ in _parameters()}


def test_every_name_is_in_the_table_once() -> None:
    names = [name for name, *_ in ROWS]
    assert len(names) == len(set(names))
    arguments = {"signaling_urls", "role", "channel_id", "audio_source", "video_source"}
    extra = {f"Sora.create_connection({name})" for name in arguments}
    assert set(names) ^ there_is() <= extra


@pytest.mark.parametrize(("name", "file", "test"), [row[:3] for row in ROWS])
def test_the_test_of_a_name_is_there(name: str, file: str, test: str) -> None:
    assert f"\ndef {test}(" in (HERE / file).read_text(encoding="utf-8"), name
