"""Re-creates static/vendor/ from the npm packages in vendor_static.toml and checks every file against SHA256SUMS.

python scripts/vendor_static.py            fetch with the npm client, write, compare with the committed hashes
python scripts/vendor_static.py --accept   the same, but take the new hashes (after a change of version)
python scripts/vendor_static.py --check    only compare what is there: no network
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "scripts" / "vendor_static.toml"
VENDOR = ROOT / "static" / "vendor"
SUMS = VENDOR / "SHA256SUMS"

_SVG = "http://www.w3.org/2000/svg"
# The maps are not kept, and a static storage that rewrites references would look for them.
_SOURCE_MAP = re.compile(rb"\n?(/\*# sourceMappingURL=[^*]*\*/|//# sourceMappingURL=\S+)\s*\Z")


def unpack(name: str, version: str, directory: Path) -> Path:
    """The package's content, as the npm client delivers it."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed: it fetches the packages")
    command = [npm, "pack", f"{name}@{version}", "--silent", "--pack-destination", str(directory)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - names come from our own list
    (archive,) = directory.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    return directory / "package"


def sprite(package: Path, names: list[str]) -> bytes:
    """One SVG file with a symbol for each icon: its drawing, without the size and colour that CSS gives."""
    symbols = []
    for name in sorted(names):
        icon = ElementTree.parse(package / "icons" / "outline" / f"{name}.svg").getroot()  # noqa: S314 - hashes pin it
        paths = [part for part in icon if part.get("d") != "M0 0h24v24H0z"]
        drawing = "".join(
            f"<{part.tag.removeprefix(f'{{{_SVG}}}')} " + " ".join(f'{key}="{value}"' for key, value in part.items()) + "/>"
            for part in paths
        )
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{drawing}</symbol>')
    return ("\n".join([f'<svg xmlns="{_SVG}">', *symbols, "</svg>"]) + "\n").encode()


def contents(package: dict[str, Any]) -> dict[str, bytes]:
    """What is kept of one package, by file name."""
    with tempfile.TemporaryDirectory() as directory:
        source = unpack(package["name"], package["version"], Path(directory))
        kept = {Path(path).name: _SOURCE_MAP.sub(b"\n", (source / path).read_bytes()) for path in package["files"]}
        if "icons" in package:
            kept["sprite.svg"] = sprite(source, package["icons"])
    if "licence" in package:
        kept["LICENSE"] = package["licence"].lstrip().encode()
    return kept


def recreate() -> None:
    with LIST.open("rb") as file:
        packages = tomllib.load(file)["package"]
    made = {f"{package['directory']}-{package['version']}": contents(package) for package in packages}
    for old in VENDOR.glob("*/"):
        shutil.rmtree(old)
    for directory, files in made.items():
        (VENDOR / directory).mkdir(parents=True)
        for name, data in files.items():
            (VENDOR / directory / name).write_bytes(data)


def sums() -> str:
    """The files below static/vendor/ as `sha256sum` lists them."""
    files = sorted(path for path in VENDOR.rglob("*") if path.is_file() and path != SUMS)
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(VENDOR).as_posix()}\n" for path in files)
    return "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--accept", action="store_true", help="write the new hashes")
    group.add_argument("--check", action="store_true", help="compare what is there")
    options = parser.parse_args()
    if not options.check:
        recreate()
    if options.accept:
        SUMS.write_text(sums(), encoding="ascii")
    expected, found = set(SUMS.read_text(encoding="ascii").splitlines()), set(sums().splitlines())
    for line in sorted(expected - found):
        sys.stderr.write(f"missing or changed: {line}\n")
    for line in sorted(found - expected):
        sys.stderr.write(f"not in SHA256SUMS: {line}\n")
    return 0 if expected == found else 1


if __name__ == "__main__":
    sys.exit(main())
