"""What changed between two versions: operations that lead from one to the other, and lines beside each other."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.diff import Row, operations, side_by_side

LEAF = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~", max_size=3)
DOCUMENT = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("ab/~", max_size=2), inner))


def applied(document: Any, changes: list[dict[str, Any]]) -> Any:
    """RFC 6902, as far as it says add, remove and replace."""
    root = {"": copy.deepcopy(document)}
    for change in changes:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in f"/{change['path']}".split("/")[1:]]
        holder: Any = root
        for part in way:
            holder = holder[int(part) if isinstance(holder, list) else part]
        key: Any = int(last) if isinstance(holder, list) else last
        if change["op"] != "add":
            assert json.dumps(holder[key], sort_keys=True) == json.dumps(change["before"], sort_keys=True)
        if change["op"] == "remove":
            del holder[key]
        elif change["op"] == "add" and isinstance(holder, list):
            holder.insert(key, change["after"])
        else:
            holder[key] = change["after"]
    return root[""]


@given(DOCUMENT, DOCUMENT)
def test_the_operations_lead_from_one_document_to_the_other(before: Any, after: Any) -> None:
    found = applied(before, operations(before, after))
    assert json.dumps(found, sort_keys=True) == json.dumps(after, sort_keys=True)


@given(DOCUMENT)
def test_equal_documents_have_no_operations(document: Any) -> None:
    assert operations(document, copy.deepcopy(document)) == []


def test_a_target_put_first_is_one_addition_and_the_others_stay() -> None:
    a, b, new = {"virtual_key": "a"}, {"virtual_key": "b", "weight": 2}, {"virtual_key": "new"}
    assert operations({"targets": [a, b]}, {"targets": [new, a, b]}) == [{"op": "add", "path": "/targets/0", "after": new}]
    assert operations({"targets": [a, b]}, {"targets": [b]}) == [{"op": "remove", "path": "/targets/0", "before": a}]
    assert operations({"targets": [a, b]}, {"targets": [a, {**b, "weight": 5}]}) == [
        {"op": "replace", "path": "/targets/1/weight", "before": 2, "after": 5}
    ]


def test_a_target_is_compared_with_the_one_that_is_most_like_it() -> None:
    old = [{"virtual_key": "a", "weight": 1}, {"virtual_key": "b"}]
    new = [{"virtual_key": "new"}, {"virtual_key": "a", "weight": 2}, {"virtual_key": "b"}]
    assert operations(old, new) == [
        {"op": "add", "path": "/0", "after": {"virtual_key": "new"}},
        {"op": "replace", "path": "/1/weight", "before": 1, "after": 2},
    ]


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), ([1], [True]), ({"a": 1}, {"a": 1.5}), (None, {})])
def test_values_of_different_kinds_are_different(before: Any, after: Any) -> None:
    assert len(operations(before, after)) == 1


# --- Lines ------------------------------------------------------------------------------------------------------------


def text_of(row: Row, side: str) -> str | None:
    line = getattr(row, side)
    return None if line is None else "".join(text for text, _ in line.pieces)


LINES = st.lists(st.text("ab", max_size=2), max_size=30)


@given(LINES, LINES)
def test_no_line_is_lost_but_those_that_are_counted(before: list[str], after: list[str]) -> None:
    rows = side_by_side("\n".join(before), "\n".join(after))
    for side, lines in (("left", "\n".join(before).splitlines()), ("right", "\n".join(after).splitlines())):
        at = 0
        for row in rows:
            if row.kind == "skipped":
                at += row.count
            elif (shown := getattr(row, side)) is not None:
                assert (shown.number, text_of(row, side)) == (at + 1, lines[at])
                at += 1
        assert at == len(lines)


def test_only_the_part_of_a_line_that_changed_is_marked() -> None:
    (row,) = side_by_side('"weight": 30,', '"weight": 75,')
    assert row.kind == "changed"
    assert row.left is not None
    assert row.right is not None
    assert [text for text, changed in row.left.pieces if changed] == ["30"]
    assert [text for text, changed in row.right.pieces if changed] == ["75"]


def test_a_long_run_of_unchanged_lines_is_told_by_its_length() -> None:
    lines = [str(number) for number in range(40)]
    rows = side_by_side("\n".join(lines), "\n".join([*lines[:20], "new", *lines[20:]]))
    assert [row.kind for row in rows] == ["skipped", *["same"] * 3, "added", *["same"] * 3, "skipped"]
    assert [row.count for row in rows if row.kind == "skipped"] == [17, 17]
