"""The lines that hold the code apart. Every exception stands here with its reason; there is no other way to make one."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from routing.providers import table

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway_project", "keys", "routing", "analytics")
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python_files(*directories: str) -> list[Path]:
    return sorted(path for directory in directories for path in (ROOT / directory).rglob("*.py"))


SOURCES = {name_of(path): path.read_text() for path in [ROOT / "manage.py", *python_files(*PACKAGES)]}
TESTS = {name_of(path): path.read_text() for path in python_files("tests", "bench")}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}
HAND_WRITTEN = [name for name in SOURCES if "/migrations/" not in name]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- What the hot path loads -------------------------------------------------------------------------------------------------

FORBIDDEN_ON_THE_HOT_PATH = re.compile(
    r"django\.contrib(\..*)?|.*\.(models|views|forms|pages|admin_api|serializers)|django\.db(\..*)?"
)


@pytest.mark.parametrize("module", ["routing.pipeline", "routing.attempts", "keys.auth", "keys.limits", "routing.plan"])
def test_the_hot_path_knows_no_models_views_or_pages(module):
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env={})
    own_or_djangos = [name for name in run.stdout.split() if name.split(".")[0] in {"django", *PACKAGES}]
    assert module in own_or_djangos
    assert [name for name in own_or_djangos if FORBIDDEN_ON_THE_HOT_PATH.fullmatch(name)] == []


# --- One module for each outside thing -----------------------------------------------------------------------------------

ONLY_IMPORTERS = {
    "aiohttp": {
        "routing/upstream.py",
        "routing/upstream_ws.py",  # the same for WebSockets
    },
    "python_multipart": {"routing/multipart.py"},
    "botocore": {"routing/providers/bedrock/signing.py"},
    "uvicorn": {"gateway_project/server.py"},
    "yaml": {"routing/configs/document.py"},
    "re2": {"routing/configs/patterns.py"},
    "apprise": {"analytics/alerts/sender.py"},
    "genai_prices": {"analytics/prices.py"},
    "jwt": {"routing/providers/google/tokens.py"},
    "cryptography": {
        "keys/vault.py",
        "routing/providers/oracle/signing.py",  # signs requests with RSA, for which that vendor has no token
        "gateway_project/embedded/bootstrap.py",  # makes the first vault key, before Django can be configured
        "gateway_project/embedded/secret_files.py",  # the same
    },
}


@pytest.mark.parametrize("library", ONLY_IMPORTERS)
def test_only_one_module_knows_the_library(library):
    importers = {name for name, tree in TREES.items() if any(one.split(".")[0] == library for one in imports(tree))}
    assert importers <= ONLY_IMPORTERS[library]


READS_THE_ENVIRONMENT = {
    "gateway_project/env.py",
    # Entry points: each names the settings module before Django can be asked for anything.
    "gateway_project/asgi.py",
    "gateway_project/celery.py",
    "manage.py",
}


def test_only_env_py_and_the_entry_points_read_the_environment():
    reads = re.compile(r"\bos\.(environ|getenv|putenv)\b|from os import .*\benviron\b")
    assert {name for name, text in SOURCES.items() if reads.search(text)} <= READS_THE_ENVIRONMENT
    for name in READS_THE_ENVIRONMENT - {"gateway_project/env.py"}:
        uses = [line.strip() for line in SOURCES[name].splitlines() if reads.search(line)]
        assert uses == ['os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")'], name


# --- Vendors -----------------------------------------------------------------------------------------------------------------

VENDORS = sorted({word.lower() for row in table.PROVIDERS.values() if row.id != "mock" for word in (row.id, row.label)})
A_VENDOR = re.compile(rf"(?<![a-z0-9])({'|'.join(map(re.escape, VENDORS))})(?![a-z0-9])", re.IGNORECASE)
NAMES_A_VENDOR = {
    ("keys/auth.py", "OPENAI_API_KEY"): "the portkey-ai SDK sends this text, whatever the vendor, for a key it was not given",
    ("keys/admin_auth.py", "OPENAI_API_KEY"): "the same",
    ("routing/api/realtime.py", "openai-insecure-api-key."): "browsers' SDKs send the key in a subprotocol of this name",
}


def words_of(tree: ast.AST) -> Iterator[str]:
    """Every name and text of the code. Comments and docstrings may speak of vendors: OpenAI's words are our callers' API."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        for attribute in ("id", "attr", "name", "arg", "asname"):
            if isinstance(word := getattr(node, attribute, None), str):
                yield word


def test_no_vendor_is_named_outside_the_provider_table():
    named = {
        (name, word)
        for name in HAND_WRITTEN
        if not name.startswith("routing/providers/")
        for word in words_of(TREES[name])
        if A_VENDOR.search(word)
    }
    assert named == set(NAMES_A_VENDOR)


TEMPLATES_WITH_A_SDK = {
    "templates/console/snippets.html": "the code with which OpenAI's SDK is pointed at the gateway",
    "templates/console/home.html": "says that any such SDK works",
    "templates/console/api_keys/created.html": "the variables that such SDKs read",
}


def test_templates_name_a_vendor_only_where_they_speak_of_its_sdk():
    assert {name_of(path) for path in TEMPLATES if A_VENDOR.search(path.read_text())} == set(TEMPLATES_WITH_A_SDK)


# --- Sizes -------------------------------------------------------------------------------------------------------------------

FILE_LINES, TEST_LINES, FUNCTION_LINES = 400, 600, 50
LONGER_FILES: dict[str, str] = {}
LONGER_FUNCTIONS: dict[str, str] = {}


def test_files_stay_short():
    long = {name for name in HAND_WRITTEN if SOURCES[name].count("\n") > FILE_LINES}
    long |= {name for name, text in TESTS.items() if text.count("\n") > TEST_LINES}
    assert long == set(LONGER_FILES)


def test_functions_stay_short():
    long = {
        f"{name}:{node.name}"
        for name in HAND_WRITTEN
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    }
    assert long == set(LONGER_FUNCTIONS)


# --- Django ------------------------------------------------------------------------------------------------------------------


def test_there_are_three_apps():
    own = {
        config.name
        for config in apps.get_app_configs()
        if Path(config.path).is_relative_to(ROOT) and ".venv" not in config.path
    }
    assert own == {"keys", "routing", "analytics"}
    assert own <= set(settings.INSTALLED_APPS)


INLINE = {
    "a script": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=[\"']application/json[\"'])[^>]*>", re.IGNORECASE),
    "a style sheet": re.compile(r"<style\b", re.IGNORECASE),
    "a style": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "an address of somebody else's": re.compile(
        r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"'](?:https?:)?//", re.IGNORECASE
    ),
    "text that is not escaped": re.compile(r"\|\s*safe\b|\{%\s*autoescape\s+off"),
}


@pytest.mark.parametrize("kind", INLINE)
def test_templates_hold_nothing_inline_and_nothing_from_elsewhere(kind):
    assert [name_of(path) for path in TEMPLATES if INLINE[kind].search(path.read_text())] == []


def test_nothing_renders_a_template_from_text():
    """A template engine must never see what a user wrote."""
    engine = re.compile(r"\bTemplate\(|from_string\(|mark_safe\(")
    assert [name for name, text in SOURCES.items() if engine.search(text)] == []
