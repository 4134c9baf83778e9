"""What type checkers other than mypy see: pyright, which editors use, at its strictest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def pyright(npm_dir: Path, *arguments: str | Path, folder: Path) -> dict[str, Any]:
    """pyright's findings, with this interpreter's packages."""
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [npm_dir / "node_modules/.bin/pyright", "--outputjson", *arguments],
        cwd=folder, env={**os.environ, "PATH": search}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def errors(found: dict[str, Any]) -> list[str]:
    return [
        f"{one['file']}:{one['range']['start']['line'] + 1}: {one['message']}"
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    ]


def test_the_package_and_a_program_are_clean_at_the_strictest(npm_dir: Path) -> None:
    found = pyright(npm_dir, folder=ROOT / "bindings/python")
    assert errors(found) == []
    assert found["summary"]["filesAnalyzed"] >= 15


def test_every_public_symbol_has_a_known_type(npm_dir: Path, tmp_path: Path) -> None:
    found = pyright(npm_dir, "--verifytypes", "sora_sdk", "--ignoreexternal", folder=tmp_path)
    completeness = found["typeCompleteness"]
    assert completeness["completenessScore"] == 1, [
        symbol["name"] for symbol in completeness["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]
    ]
    assert completeness["exportedSymbolCounts"]["withKnownType"] >= 200


def test_the_examples_are_clean(npm_dir: Path, tmp_path: Path) -> None:
    settings = {"include": [os.path.relpath(ROOT / "examples/python", tmp_path)], "reportMissingImports": "warning"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    assert errors(pyright(npm_dir, "--project", tmp_path, folder=tmp_path)) == []
