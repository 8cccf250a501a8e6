"""What stands in static/vendor/ is what the list of hashes says, with its licences, and small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
VENDOR = ROOT / "static" / "vendor"


def test_every_vendored_file_has_the_hash_of_the_list() -> None:
    check = subprocess.run(
        [sys.executable, "scripts/vendor_static.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (check.returncode, check.stderr) == (0, "")


def test_every_vendored_package_brings_its_licence_and_all_are_small() -> None:
    packages = [path for path in VENDOR.iterdir() if path.is_dir()]
    assert [path.name for path in packages if not (path / "LICENSE").exists()] == []
    assert sum(path.stat().st_size for path in VENDOR.rglob("*") if path.is_file()) < 2_000_000


def test_templates_and_styles_name_only_files_of_this_server() -> None:
    pages = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static" / "console").iterdir()]
    for path in pages:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert 'src="http' not in text, path
        assert 'href="http' not in text, path
        assert "url(http" not in text, path


def test_templates_hold_no_inline_script_style_or_handler() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script>" not in text, path
        assert "<style" not in text, path
        assert " style=" not in text, path
        assert " onclick=" not in text, path
