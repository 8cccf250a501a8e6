"""deploy/make-secrets writes what docker-compose.yml mounts, once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import dj_database_url
from cryptography.fernet import Fernet

from tests.deploy import compose


def _make(directory: Path) -> dict[str, str]:
    shutil.copy(compose.ROOT / "deploy/make-secrets", directory)
    subprocess.run([directory / "make-secrets"], check=True, capture_output=True)
    return {path.name: path.read_text(encoding="ascii").strip() for path in (directory / "secrets").iterdir()}


def test_it_writes_every_secret_that_is_mounted(tmp_path):
    made = _make(tmp_path)
    mounted = {Path(secret["file"]).name for secret in compose.load()["secrets"].values()}
    assert set(made) == mounted
    Fernet(made["vault_keys"])
    database = dj_database_url.parse(made["database_url"])
    assert (database["HOST"], database["USER"], database["PASSWORD"]) == ("postgres", "gatehouse", made["database_password"])
    assert len(set(made.values())) == len(made)


def test_it_keeps_what_is_there(tmp_path):
    assert _make(tmp_path) == _make(tmp_path)


def test_only_the_owner_of_the_directory_gets_in(tmp_path):
    _make(tmp_path)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}


def test_git_ignores_them():
    done = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/vault_keys"], cwd=compose.ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0
