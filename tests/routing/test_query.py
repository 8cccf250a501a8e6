"""Portkey's query language of conditions, and the parameters that paths name."""

from __future__ import annotations

import pytest

from routing.configs.params import apply, parse_path
from routing.configs.query import MAX_DEPTH, compile_query
from routing.errors import InvalidConfig
from tests.routing.test_expression import facts

BODY = {
    "model": "gpt-4o",
    "max_tokens": 100,
    "temperature": 0,
    "stream": True,
    "user": None,
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "response_format": {"type": "json_object"},
}
METADATA = {"tier": "pro", "level": "5", "beta": "true", "user.id": "u-1", "nothing": "null"}
CALL = facts(BODY, METADATA)


def refused(query):
    with pytest.raises(InvalidConfig) as caught:
        compile_query(query, "q")
    return caught.value


HOLDS = [
    {"metadata.tier": "pro"},
    {"metadata.tier": {"$eq": "pro"}},
    {"metadata.tier": {"$ne": "free"}},
    {"metadata.tier": {"$in": ["pro", "team"]}},
    {"metadata.tier": {"$nin": ["free"]}},
    {"metadata.tier": {"$regex": "^p.o$"}},
    {"metadata.tier": {"$regex": "r"}},
    {"metadata.level": {"$gt": 4, "$lte": "5"}},
    {"metadata.level": 5},
    {"metadata.level": {"$eq": 5.0}},
    {"metadata.level": {"$in": [4, 5]}},
    {"metadata.beta": True},
    {"metadata.nothing": None},
    {"metadata.user.id": "u-1"},
    {"params.model": "gpt-4o"},
    {"params.max_tokens": {"$gte": 100, "$lt": 101}},
    {"params.temperature": 0},
    {"params.stream": True},
    {"params.user": None},
    {"params.response_format.type": "json_object"},
    {"params.tools.0.function.name": {"$eq": "f"}},
    {"params.tools[0]['function'].name": "f"},
    {"url.pathname": "/v1/chat/completions"},
    {"url.pathname": {"$regex": "chat"}},
    {"$and": [{"metadata.tier": "pro"}, {"params.stream": True}]},
    {"$or": [{"metadata.tier": "free"}, {"params.stream": True}]},
    {"$not": {"metadata.tier": "free"}},
    {"$and": [{"$or": [{"metadata.tier": "x"}, {"$not": {"params.stream": False}}]}]},
    {"$or": [{"metadata.tier": "pro"}], "params.stream": True},
    # What a missing key does not satisfy, its negation does.
    {"$not": {"metadata.none": {"$ne": "x"}}},
]


@pytest.mark.parametrize("query", HOLDS)
def test_it_holds(query):
    assert compile_query(query, "q")(CALL) is True
    assert compile_query({"$not": query}, "q")(CALL) is False


@pytest.mark.parametrize(
    "query",
    [
        {"metadata.tier": "free"},
        {"metadata.tier": "PRO"},
        {"metadata.tier": {"$eq": "pro", "$ne": "pro"}},
        {"metadata.tier": {"$gt": 1}},
        {"metadata.tier": {"$in": ["x"]}},
        {"metadata.tier": {"$regex": "^r"}},
        {"metadata.tier": {"$regex": "p", "$eq": "x"}},
        {"metadata.level": "5.0"},
        {"metadata.beta": False},
        {"metadata.tier": True},
        {"metadata.tier": None},
        {"params.model": 4},
        {"params.max_tokens": "100"},
        {"params.temperature": False},
        {"params.stream": 1},
        {"params.tools": "x"},
        {"params.tools": {"$regex": "x"}},
        {"params.tools": {"$gt": 0}},
        {"url.pathname": "/v1/embeddings"},
        {"metadata.tier": "pro", "params.stream": False},
        {"$or": [{"metadata.tier": "pro"}], "params.stream": False},
        {"params.stream": False, "$and": [{"metadata.tier": "pro"}]},
        *(
            {"metadata.none": test}
            for test in ("x", None, {"$eq": "x"}, {"$ne": "x"}, {"$nin": ["x"]}, {"$in": ["x"]}, {"$gt": 0})
        ),
        *({"metadata.none": test} for test in ({"$lt": 1}, {"$regex": "undefined"}, {"$regex": ""})),
        {"params.none.deeper": {"$ne": "x"}},
        {"params.tools.7": {"$ne": "x"}},
        {"params.model.deeper": {"$ne": "x"}},
    ],
)
def test_it_does_not_hold(query):
    assert compile_query(query, "q")(CALL) is False


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ([], "q", "expected an object"),
        ({}, "q", "is empty"),
        ({"metadata.a": {}}, "q.metadata.a", "is empty"),
        (
            {"metadata.a": {"$eqs": 1}},
            "q.metadata.a.$eqs",
            'Unsupported operator used in the query router: $eqs, did you mean "$eq"?',
        ),
        ({"metadata.a": {"x": 1}}, "q.metadata.a.x", "Unsupported operator"),
        ({"$nor": [{}]}, "q.$nor", "Unsupported operator used in the query router: $nor"),
        ({"metadata": "x"}, "q.metadata", "is not a key of a query"),
        ({"headers.x": "x"}, "q.headers.x", "is not a key of a query"),
        ({"params.a[*]": 1}, "q.params.a[*]", "drop_params only"),
        ({"params.a[": 1}, "q.params.a[", "not a path"),
        ({"metadata.a": ["x"]}, "q.metadata.a", "use $in"),
        ({"metadata.a": {"$in": "x"}}, "q.metadata.a.$in", "expected an array"),
        ({"metadata.a": {"$in": []}}, "q.metadata.a.$in", "at least one"),
        ({"metadata.a": {"$nin": [[1]]}}, "q.metadata.a.$nin[0]", "got an array"),
        ({"metadata.a": {"$gt": "x"}}, "q.metadata.a.$gt", "expected a number"),
        ({"metadata.a": {"$gt": True}}, "q.metadata.a.$gt", "expected a number"),
        ({"metadata.a": {"$gt": "nan"}}, "q.metadata.a.$gt", "expected a number"),
        ({"metadata.a": {"$regex": 5}}, "q.metadata.a.$regex", "expected a pattern"),
        ({"metadata.a": {"$regex": "(["}}, "q.metadata.a.$regex", "no pattern of RE2"),
        ({"metadata.a": {"$regex": r"(?<=a)b"}}, "q.metadata.a.$regex", "look-around"),
        ({"metadata.a": {"$regex": "x" * 1001}}, "q.metadata.a.$regex", "at most 1000"),
        ({"metadata.a": {"$regex": "(a{1000}){1000}"}}, "q.metadata.a.$regex", "no pattern of RE2"),
        ({"$and": {}}, "q.$and", "expected an array"),
        ({"$or": []}, "q.$or", "at least one"),
        ({"$or": [{"metadata.a": 1}, 5]}, "q.$or[1]", "expected an object"),
    ],
)
def test_a_bad_query_is_refused_with_its_path(query, param, words):
    error = refused(query)
    assert error.param == param
    assert words in error.message


def test_queries_nest_to_a_bound():
    query = {"metadata.a": 1}
    for _ in range(MAX_DEPTH - 1):
        query = {"$not": query}
    assert compile_query(query, "q")
    assert "deeper" in refused({"$not": query}).message


# --- Parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (
            "model",
            {"messages": [{"role": "user", "name": "n", "x": [1, 2]}, {"role": "system", "name": "m"}], "tools": {"a.b": 1}},
        ),
        (
            "messages[*].name",
            {"model": "m", "messages": [{"role": "user", "x": [1, 2]}, {"role": "system"}], "tools": {"a.b": 1}},
        ),
        ("messages[1]", {"model": "m", "messages": [{"role": "user", "name": "n", "x": [1, 2]}], "tools": {"a.b": 1}}),
        (
            "messages[0].x[*]",
            {
                "model": "m",
                "messages": [{"role": "user", "name": "n", "x": []}, {"role": "system", "name": "m"}],
                "tools": {"a.b": 1},
            },
        ),
        (
            "messages.0.x[1]",
            {
                "model": "m",
                "messages": [{"role": "user", "name": "n", "x": [1]}, {"role": "system", "name": "m"}],
                "tools": {"a.b": 1},
            },
        ),
        (
            "tools['a.b']",
            {
                "model": "m",
                "messages": [{"role": "user", "name": "n", "x": [1, 2]}, {"role": "system", "name": "m"}],
                "tools": {},
            },
        ),
    ],
)
def test_a_path_takes_away_what_it_names_and_nothing_else(path, left):
    body = {
        "model": "m",
        "messages": [{"role": "user", "name": "n", "x": [1, 2]}, {"role": "system", "name": "m"}],
        "tools": {"a.b": 1},
    }
    before = repr(body)
    assert apply(body, {}, {}, [path]) == left
    assert repr(body) == before


@pytest.mark.parametrize("path", ["nope", "a.b", "a[0]", "a[*].b", "list[7]", "list[*].b", "text.x", "text[0]", "a['b']"])
def test_a_path_to_nothing_leaves_the_very_same_body(path):
    body = {"a": {"c": 1}, "list": [1, 2], "text": "t"}
    assert apply(body, {}, {}, [path]) is body


def test_defaults_fill_in_overrides_replace_and_drops_take_away_in_this_order():
    body = {"a": 1, "b": "portkey-default", "c": 3, "n": None}
    changed = apply(body, {"a": 9, "b": 9, "d": 9, "e": 9, "n": 9}, {"c": 8, "e": 8, "f": 8}, ["d", "f"])
    assert changed == {"a": 1, "b": 9, "c": 8, "e": 8, "n": None}
    assert body == {"a": 1, "b": "portkey-default", "c": 3, "n": None}
    assert apply(body, {"a": 5}, {}, ()) is body


@pytest.mark.parametrize(
    "path",
    ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[x]", "[0]", "[*]", "a b", "a['", "x" * 501, ".".join("x" * 40)],
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidConfig) as caught:
        parse_path(path, "drop_params[0]")
    assert caught.value.param == "drop_params[0]"
