"""The console speaks Chinese completely: nothing is missing, doubtful or out of date."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CATALOG = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
_SOURCES = ("analytics", "gateway_project", "keys", "routing", "templates", "locale")

Message = tuple[str, str]


def _text(block: str, keyword: str) -> str:
    match = re.search(rf'^{keyword} ((?:".*"\n?)+)', block, re.MULTILINE)
    return "" if match is None else "".join(ast.literal_eval(line) for line in match[1].strip().splitlines())


def _messages(catalog: Path) -> dict[Message, tuple[str, str]]:
    """Each message, known by context and text, with its translation and its flags."""
    found = {}
    for block in catalog.read_text(encoding="utf-8").split("\n\n")[1:]:
        if re.search("^msgid ", block, re.MULTILINE):
            translation = _text(block, "msgstr") or _text(block, r"msgstr\[0\]")
            flags = " ".join(line for line in block.splitlines() if line.startswith("#,"))
            found[_text(block, "msgctxt"), _text(block, "msgid")] = (translation, flags)
    return found


def test_every_text_is_translated_and_none_is_doubtful() -> None:
    messages = _messages(CATALOG)
    assert len(messages) > 200
    assert [text for (_, text), (translation, _) in messages.items() if not translation] == []
    assert [text for (_, text), (_, flags) in messages.items() if "fuzzy" in flags] == []
    assert "\n#~" not in CATALOG.read_text(encoding="utf-8"), "texts that are no longer used"


def test_every_placeholder_of_a_text_is_in_its_translation() -> None:
    placeholder = re.compile(r"%\(\w+\)[sd]|\{\w+\}|</?\w+")
    for (_, text), (translation, _) in _messages(CATALOG).items():
        assert sorted(placeholder.findall(text)) == sorted(placeholder.findall(translation)), text


# make test must pass on a machine with nothing but Python; CI installs gettext, so there both of these run.
@pytest.mark.skipif(shutil.which("xgettext") is None, reason="GNU gettext is not installed: the sources cannot be searched")
def test_the_catalog_has_the_texts_of_the_sources_and_no_others(tmp_path: Path) -> None:
    for name in _SOURCES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "django",
        "makemessages",
        "-l",
        "zh_Hans",
        "--no-location",
        "--no-obsolete",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    searched = tmp_path / CATALOG.relative_to(ROOT)
    assert set(_messages(searched)) == set(_messages(CATALOG))


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="GNU gettext is not installed: the catalog cannot be compiled")
def test_the_compiled_catalog_is_that_of_the_source(tmp_path: Path) -> None:
    compiled = tmp_path / "django.mo"
    subprocess.run(["msgfmt", "-o", str(compiled), str(CATALOG)], check=True, capture_output=True)
    assert compiled.read_bytes() == CATALOG.with_suffix(".mo").read_bytes()
