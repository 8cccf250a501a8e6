"""The in-memory tables of one moment."""

from __future__ import annotations

from keys.auth import Caller
from routing import snapshot as snapshots
from routing.call import Target
from routing.plan import Plan
from routing.providers import table
from routing.snapshot import Snapshot


def make(**fields):
    return Snapshot(**{"version": 1, "default_workspace_id": "w", "hash_key": str.upper, **fields})


def plan(path):
    return Plan(Target(path, table.find("mock"), "mock://local/v1"))


def test_a_key_is_found_by_its_hash_only():
    caller = Caller("w", "k")
    snapshot = make(keys={"GH-1": caller})
    assert snapshot.find_key("gh-1") is caller
    assert snapshot.find_key("gh-2") is None


def test_plans_are_remembered_until_there_are_too_many(monkeypatch):
    monkeypatch.setattr(snapshots, "_PLANS_MAX", 3)
    snapshot = make()
    for name in "abc":
        assert snapshot.remember(name, plan(name)).root.path == name
    assert [snapshot.plan(name).root.path for name in "abc"] == ["a", "b", "c"]
    snapshot.remember("d", plan("d"))
    assert [snapshot.plan(name) for name in "abc"] == [None] * 3
    assert snapshot.plan("d").root.path == "d"


def test_two_snapshots_share_no_plans():
    older, newer = make(), make(version=2)
    older.remember("a", plan("a"))
    assert newer.plan("a") is None
