"""What the READMEs and guides say of variables, files and commands is true of the tree."""

from __future__ import annotations

import ast
import re

import pytest

from tests.deploy import compose

READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (*READMES, *(f"docs/{name}.md" for name in ("getting-started", "deployment", "decisions", "scaling")))
_FILE = re.compile(r"`((?:gateway_project|routing|keys|analytics|tests|docs|deploy)/[A-Za-z0-9_./-]*)`")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def _read(name: str) -> str:
    return (compose.ROOT / name).read_text(encoding="utf-8")


def _table_variables(text: str) -> list[str]:
    """The names in the first column of the table of settings."""
    return re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize("name", READMES)
def test_the_readme_lists_every_variable_once(name):
    listed = _table_variables(_read(name))
    assert sorted(listed) == sorted(compose.variables_read())


def test_both_readmes_list_the_same_defaults():
    def defaults(name: str) -> dict[str, str | None]:
        rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]+)`)?", _read(name), re.MULTILINE)
        return dict(rows)

    assert defaults("README.md") == defaults("README.zh-CN.md")


def _defaults_in_code() -> dict[str, str]:
    """Name and default of every reader whose default is a constant, written as the README writes it."""
    found = {}
    for path in compose.sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("env_")):
                continue
            default = next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
            default = node.args[1] if default is None and len(node.args) > 1 else default
            constant = (ast.Constant, ast.BinOp, ast.operator, ast.Tuple, ast.Load)
            if default is None or not all(isinstance(part, constant) for part in ast.walk(default)):
                continue
            value = eval(compile(ast.Expression(default), "default", "eval"), {"__builtins__": {}})
            assert isinstance(node.args[0], ast.Constant)
            texts = value if isinstance(value, tuple) else (value,)
            found[str(node.args[0].value)] = ",".join(
                str(text).lower() if isinstance(text, bool) else str(text) for text in texts
            )
    return found


def test_the_defaults_are_those_of_the_code():
    in_code = _defaults_in_code()
    assert in_code["PORT"] == "8787"
    for variable, default in re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", _read("README.md"), re.MULTILINE):
        if variable != "GATEHOUSE_DATA_DIR":  # a whole path in the code
            assert in_code[variable] == default, variable


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name):
    text = _read(name)
    mentioned = [file for file in _FILE.findall(text) if not file.startswith(("deploy/secrets", "tests/routing/providers/<"))]
    missing = [file for file in mentioned if not (compose.ROOT / file).exists()]
    assert not missing
    directory = (compose.ROOT / name).parent
    assert [link for link in _LINK.findall(text) if not (directory / link).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_make_knows_the_commands(name):
    makefile = _read("Makefile")
    for target in set(re.findall(r"`?make ([a-z]+)`?", _read(name))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_both_readmes_show_the_same_code():
    blocks = [re.findall(r"```\w+\n(.*?)```", _read(name), re.DOTALL) for name in READMES]
    assert blocks[0] == blocks[1]
