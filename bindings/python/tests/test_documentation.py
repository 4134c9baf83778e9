"""Every name is explained, and the stub explains it in the words of the package: editors show the one, help() the other."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sora_sdk
from sora_sdk import aio, sora_sdk_ext

STUB = Path(inspect.getfile(sora_sdk)).parent / "sora_sdk_ext.pyi"


def in_stub() -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef, Any]]:
    """Public names of the stub: path, node, object. Setters and all forms but the first are left out."""
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
            continue
        thing = getattr(sora_sdk_ext, node.name)
        yield node.name, node, thing
        seen = set()
        for member in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("_") and member.name not in seen:
                seen.add(member.name)
                yield f"{node.name}.{member.name}", member, vars(thing)[member.name]


@pytest.mark.parametrize(("name", "node", "thing"), list(in_stub()), ids=[name for name, *_ in in_stub()])
def test_the_stub_documents_in_the_words_of_the_package(name: str, node: ast.ClassDef, thing: Any) -> None:
    documented = inspect.cleandoc(thing.__doc__ or "")
    assert documented, f"{name} has no documentation"
    assert ast.get_docstring(node) == documented


@pytest.mark.parametrize("module", [sora_sdk, aio])
def test_whatever_is_public_is_documented(module: Any) -> None:
    missing = []
    for name in module.__all__:
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or callable(thing)):
            continue
        members = vars(thing).items() if inspect.isclass(thing) and not issubclass(thing, int) else ()
        named = [(f"{name}.{member}", value) for member, value in members if not member.startswith("_")]
        for path, value in [(name, thing), *named]:
            explained = inspect.getdoc(value.fget if isinstance(value, property) else value)
            if (callable(value) or isinstance(value, property)) and not explained:
                missing.append(path)
    assert missing == []
