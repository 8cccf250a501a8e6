"""What changed between two JSON documents: as a list of operations, and as lines side by side."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from routing.call import Json

# Unchanged lines that are kept around a change; a longer run is told by its length.
_CONTEXT = 3
# Lists beyond this many pairs are compared place by place.
_MOST_COMPARED = 2500


def operations(before: Any, after: Any) -> list[Json]:
    """The changes that lead from one document to the other, in the order in which they apply (RFC 6902).

    Each is ``{"op": "add" | "remove" | "replace", "path": JSON pointer, "before", "after"}``; what is not there before or after
    is left out. In a list, an item is compared with the one that is most like it, wherever that has moved to.
    """
    return list(_changes(before, after, ""))


def _changes(before: Any, after: Any, path: str) -> Iterator[Json]:
    if _same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            where = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                yield {"op": "remove", "path": where, "before": before[key]}
            elif key not in before:
                yield {"op": "add", "path": where, "after": after[key]}
            else:
                yield from _changes(before[key], after[key], where)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_changes(before, after, path)
    else:
        yield {"op": "replace", "path": path, "before": before, "after": after}


def _list_changes(before: list[Any], after: list[Any], path: str) -> Iterator[Json]:
    for _tag, start, end, new_start, new_end in _blocks([_text(item) for item in before], [_text(item) for item in after]):
        # What stands left of a place is the new list already, so its index in the new list is its index in the patched one.
        at = new_start
        for old, new in _paired(before[start:end], after[new_start:new_end]):
            where = f"{path}/{at}"
            if new is _NOTHING:
                yield {"op": "remove", "path": where, "before": old}
                continue
            if old is _NOTHING:
                yield {"op": "add", "path": where, "after": new}
            else:
                yield from _changes(old, new, where)
            at += 1


_NOTHING = object()


def _paired(before: list[Any], after: list[Any]) -> list[tuple[Any, Any]]:
    """Which item became which, in order: those that are most alike. `_NOTHING` stands where one was added or removed."""
    rows, columns = len(before), len(after)
    alike = rows * columns <= _MOST_COMPARED and all(isinstance(item, dict) for item in (*before, *after))
    if not alike:
        return list(itertools.zip_longest(before, after, fillvalue=_NOTHING))
    likeness = [[_likeness(old, new) for new in after] for old in before]
    # best[i][j]: how alike the items from i and from j on can be made.
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            paired = likeness[row][column] + best[row + 1][column + 1]
            best[row][column] = max(paired, best[row + 1][column], best[row][column + 1])
    pairs: list[tuple[Any, Any]] = []
    row = column = 0
    while row < rows and column < columns:
        if best[row][column] == likeness[row][column] + best[row + 1][column + 1]:
            pairs.append((before[row], after[column]))
            row, column = row + 1, column + 1
        elif best[row][column] == best[row + 1][column]:
            pairs.append((before[row], _NOTHING))
            row += 1
        else:
            pairs.append((_NOTHING, after[column]))
            column += 1
    return [*pairs, *((old, _NOTHING) for old in before[row:]), *((_NOTHING, new) for new in after[column:])]


def _likeness(old: Json, new: Json) -> float:
    """More for every field that says the same, a little for one that both have."""
    shared = old.keys() & new.keys()
    return 0.01 + sum(1.0 if _same(old[name], new[name]) else 0.1 for name in shared)


def _blocks(before: list[str], after: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    return difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _same(one: Any, other: Any) -> bool:
    """As JSON has it: ``1`` and ``true`` are two things, in whatever depth."""
    return _text(one) == _text(other)


# --- Lines ------------------------------------------------------------------------------------------------------------

# A line in pieces: its text, and whether that piece is what changed.
Pieces = list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Side:
    """One line of one document; `number` counts from 1."""

    number: int
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class Row:
    """A line of both documents beside each other; one side is None where the other has a line more.

    `kind` is ``same``, ``changed``, ``removed``, ``added`` or ``skipped``: then `count` unchanged lines are left out.
    """

    kind: str
    left: Side | None = None
    right: Side | None = None
    count: int = 0


def side_by_side(before: str, after: str) -> list[Row]:
    """The lines of two texts, with long runs of unchanged ones left out."""
    left, right = before.splitlines(), after.splitlines()
    rows: list[Row] = []
    for tag, start, end, new_start, new_end in _blocks(left, right):
        if tag == "equal":
            same = [
                Row(
                    "same",
                    Side(start + offset + 1, [(left[start + offset], False)]),
                    Side(new_start + offset + 1, [(left[start + offset], False)]),
                )
                for offset in range(end - start)
            ]
            rows += _shortened(same, is_first=start == 0, is_last=end == len(left))
        else:
            paired = min(end - start, new_end - new_start)
            rows += [_changed(left, right, start + offset, new_start + offset) for offset in range(paired)]
            rows += [Row("removed", left=Side(index + 1, [(left[index], False)])) for index in range(start + paired, end)]
            rows += [
                Row("added", right=Side(index + 1, [(right[index], False)])) for index in range(new_start + paired, new_end)
            ]
    return rows


def _shortened(rows: list[Row], *, is_first: bool, is_last: bool) -> list[Row]:
    head, tail = 0 if is_first else _CONTEXT, 0 if is_last else _CONTEXT
    left_out = len(rows) - head - tail
    # A line that says that one or two are left out would save nothing.
    if left_out < _CONTEXT:
        return rows
    return [*rows[:head], Row("skipped", count=left_out), *rows[len(rows) - tail :]]


def _changed(left: list[str], right: list[str], index: int, new_index: int) -> Row:
    before, after = left[index], right[new_index]
    old: Pieces = []
    new: Pieces = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    # Two lines that have little in common are marked as a whole: scattered letters would tell nothing.
    if matcher.ratio() < 0.5:
        old, new = [(before, True)], [(after, True)]
    else:
        for tag, start, end, new_start, new_end in matcher.get_opcodes():
            old += [(before[start:end], tag != "equal")] if end > start else []
            new += [(after[new_start:new_end], tag != "equal")] if new_end > new_start else []
    return Row("changed", Side(index + 1, old), Side(new_index + 1, new))
