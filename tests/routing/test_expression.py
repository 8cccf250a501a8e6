"""The expression language of conditions: what holds for a call, and what is refused with its column."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.call import Call
from routing.configs.expression import MAX_CHARACTERS, MAX_DEPTH, compile_expression
from routing.configs.facts import Facts
from routing.errors import InvalidConfig


def facts(body=None, metadata=None, endpoint="chat/completions", path=""):
    return Facts(Call("id", endpoint, body or {}, b"", {}, "trace", metadata or {}, 0.0, 0, path=path))


def user(text, **more):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def holds(text, body=None, **metadata):
    return compile_expression(text, "p")(facts(body, metadata))


def refused(text):
    with pytest.raises(InvalidConfig) as caught:
        compile_expression(text, "rules[0].condition")
    assert caught.value.param == "rules[0].condition"
    return caught.value.message


CHAT = user("请写一段代码 in Python 3", max_tokens=100, temperature=0.5, user="u-1", nested={"list": [1, {"deep": "x"}]})

TRUE = [
    *("input.contains('代码')", 'input.contains("代码")'),
    *("input.startsWith('请')", "input.starts_with('请')", "input.endsWith('3')", "input.length > 5", "input.length() == 18"),
    *(r"input.matches('[Pp]ython \d')", r"input.matches('^请.*\d$')", r"not input.matches('^Python')"),
    *("model == 'gpt-4o'", "model.startsWith('gpt-')", "model in ['gpt-4o', 'gpt-4']", "model not in ['a']", "'4o' in model"),
    *(
        "max_tokens == 100",
        "max_tokens >= 100 and max_tokens < 101",
        "max_tokens != 99",
        "temperature <= 0.5",
        "temperature > -1",
    ),
    *("temperature == 5e-1", "tokens > 1", "tokens < 100"),
    *("not stream", "!stream", "stream == false", "!has_tools && !has_images", "not (stream or has_tools)"),
    *("metadata.tier == 'pro'", "metadata['tier'] == \"pro\"", "metadata.tier in ['pro', 'team']", "metadata.level > 3"),
    *("metadata.level == 5", "metadata.level == '5'", "metadata.level in [4, 5]", "5 == metadata.level", "metadata.beta"),
    *("metadata.beta == true", "true == metadata.beta", "metadata.tier.length == 3", "metadata.tier.matches('^p')"),
    *(
        "metadata.none == null",
        "metadata.none != 'x'",
        "metadata.none not in ['x']",
        "not metadata.none",
        "metadata.a-b == 'c'",
    ),
    *("params.user == 'u-1'", "params.nested.list.length == 2", "params.nested.list[1].deep == 'x'", "params.nope == null"),
    *("params['nested'].list.contains(1)", "params.nested['list'].contains(1)"),
    *(
        "stream or not stream and not stream",
        "true",
        "TRUE AND NOT False",
        "(((true)))",
        "1 < 2",
        "'a' < 'b'",
        "2 > 1 and 1 in [1]",
    ),
    *("not stream and (has_tools or model == 'gpt-4o')", "'it\\'s' == \"it's\"", "'\\u4ee3' == '代'", "'a\\tb'.length == 3"),
    *(r"'a\\d' == 'a\\d'", "'x'.contains('')", "[1, 2].length == 2", "[1, 'a', null].contains(null)"),
]


@pytest.mark.parametrize("text", TRUE)
def test_it_holds(text):
    metadata = {"tier": "pro", "level": "5", "beta": "true", "a-b": "c"}
    assert compile_expression(text, "p")(facts(CHAT, metadata)) is True
    assert compile_expression(f"not ({text})", "p")(facts(CHAT, metadata)) is False


@pytest.mark.parametrize(
    "text",
    [
        *("model > 3", "model < 3", "max_tokens > 'a'", "max_tokens == '100'"),
        *("metadata.tier > 3", "metadata.tier < 3", "metadata.none > 0", "metadata.none <= 0", "metadata.none.contains('x')"),
        *("metadata.none.length > 0", "params.nested.contains('x')", "params.user.matches('z')", "1 in 5", "1 not in 5"),
        *("model in 'x'", "true == 1", "1 == true", "metadata.tier", "params.user", "null", "params.nested > 1", "[1] > [0]"),
        *("'a' in null", "input.contains(5)", "input.startsWith(null)", "metadata.beta > 0", "stream == 0"),
    ],
)
def test_what_makes_no_sense_for_the_values_does_not_hold(text):
    assert holds(text, CHAT, tier="pro", beta="true") is False


def test_nothing_is_known_of_an_empty_call():
    for text in ("input.length > 0", "model == 'x'", "max_tokens > 0", "temperature >= 0", "has_tools", "has_images", "stream"):
        assert holds(text, {}) is False
    assert holds("input.length == 0 and model == null and max_tokens == null", {})


def test_and_binds_more_than_or_and_not_more_than_both():
    assert holds("true or false and false")
    assert not holds("(true or false) and false")
    assert not holds("not true or false")
    assert holds("not false and true")
    assert holds("not 1 == 2")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "system"}]}, "b"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}],
                    }
                ]
            },
            "a\nb",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "q"},
                    {"role": "user", "content": [{"type": "tool_result", "content": "r"}]},
                ]
            },
            "q",
        ),
        ({"messages": [{"role": "user", "content": None}]}, ""),
        ({"messages": ["x", {"role": "user", "content": {"a": 1}}]}, ""),
        ({"messages": "x"}, ""),
        ({"prompt": "p"}, "p"),
        ({"prompt": ["p", "q"]}, "p\nq"),
        ({"prompt": [1, 2]}, ""),
        ({"input": "i"}, "i"),
        ({"input": ["i", "j"]}, "i\nj"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "r"}]}, {"type": "reasoning"}]}, "r"),
        ({"query": "find", "documents": ["d"]}, "find"),
    ],
)
def test_the_input_is_the_text_of_the_last_message_of_the_user(body, text):
    assert facts(body).input == text


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (user([{"type": "image_url", "image_url": {"url": "x"}}]), True),
        (user([{"type": "image", "source": {}}]), True),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, True),
        (user([{"type": "text", "text": "image_url"}]), False),
        (user("image"), False),
    ],
)
def test_it_sees_images(body, found):
    assert facts(body).has_images is found


def test_it_sees_tools_streams_bounds_and_paths():
    assert facts({"tools": [{}]}).has_tools
    assert facts({"functions": [{}]}).has_tools
    assert not facts({"tools": []}).has_tools
    assert facts({"stream": True}).stream
    assert facts({"max_completion_tokens": 5, "max_tokens": 9}).max_tokens == 5
    assert facts({"max_output_tokens": 7}).max_tokens == 7
    assert facts({"max_tokens": True}).max_tokens is None
    assert facts({}, endpoint="embeddings").pathname == "/v1/embeddings"
    assert facts({}, path="files/f-1/content").pathname == "/v1/files/f-1/content"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column 1: expected a value, found 'the end'"),
        ("stream and", "column 11: expected a value"),
        ("and stream", "column 1: 'and' is not known"),
        ("input", "column 1: expected a condition, found a text"),
        ("input.length", "column 1: expected a condition, found a number"),
        ("stream and 5", "column 12: expected a condition, found a number"),
        ("not 'x'", "column 5: expected a condition"),
        ("stream or input.length", "column 11: expected a condition"),
        ("model = 'x'", "column 7: use == to compare"),
        ("model === 'x'", "column 9: use == to compare"),
        ("1 < 2 < 3", "column 7: comparisons cannot be chained"),
        ("stream stream", "column 8: did not expect 'stream'"),
        ("stream; drop", "column 7: did not expect ';'"),
        ("foo == 1", "column 1: 'foo' is not known; known are input, model"),
        ("Input.length > 1", "'Input' is not known"),
        ("input.upper() == 'X'", "column 7: .upper is not known"),
        ("max_tokens.length > 1", "column 12: a number has no .length"),
        ("stream.contains('x')", "column 8: a condition has no .contains"),
        ("input.contains('x'", "column 19: expected ')', found 'the end'"),
        ("input.contains 'x'", "column 16: expected '('"),
        ("input.contains('x)", "column 16: a text begins here and has no end"),
        ("input.matches(model)", "column 15: expected a pattern in quotes"),
        ("input.matches('(')", "column 15: is no pattern of RE2 (missing ): ()"),
        ("input.matches('(?=a)')", "look-around"),
        ("(stream", "column 8: expected ')'"),
        ("stream)", "column 7: did not expect ')'"),
        ("model in ['a' 'b']", "column 15: expected ','"),
        ("metadata == 'x'", "column 10: expected '.'"),
        ("metadata. == 'x'", "column 11: expected a name after the dot"),
        ("metadata[5] == 'x'", "column 10: expected a key in quotes"),
        ("model == 0x10", "column 10: did not expect '0'"),
        ("__import__('os').system('ls')", "column 1: '__import__' is not known"),
        ("input.__class__ == 1", "column 7: .__class__ is not known"),
        ("(" * 100 + "stream" + ")" * 100, f"nested deeper than {MAX_DEPTH} levels"),
        ("not " * 100 + "stream", f"nested deeper than {MAX_DEPTH} levels"),
        ("model in " + "[" * 100, f"nested deeper than {MAX_DEPTH} levels"),
        ("!" * 4000 + "stream", "at most 1024 words"),
        ("x" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS} characters"),
    ],
)
def test_a_bad_expression_is_refused_with_its_column(text, words):
    assert words in refused(text)


def test_a_hostile_pattern_costs_no_time():
    hostile = compile_expression("input.matches('(a+)+$')", "p")
    call = facts(user("a" * 100_000 + "b"))
    began = time.monotonic()
    assert hostile(call) is False
    assert time.monotonic() - began < 1


words = st.sampled_from(
    [
        *(
            "input",
            "model",
            "tokens",
            "stream",
            "metadata.a",
            "params.b",
            ".length",
            ".contains(",
            ".matches(",
            "'a'",
            '"b"',
            "'(",
            "1",
            "2.5",
        ),
        *(
            "==",
            "!=",
            "<",
            ">=",
            "in",
            "not",
            "and",
            "or",
            "&&",
            "!",
            "(",
            ")",
            "[",
            "]",
            ",",
            ".",
            "null",
            "true",
            "'\\",
            "é",
            "\n",
            "\ud800",
        ),
    ]
)


@given(st.one_of(st.text(max_size=30), st.lists(words, max_size=12).map(" ".join), st.lists(words, max_size=12).map("".join)))
def test_any_text_is_an_expression_or_is_refused_with_its_column(text):
    expression = refusal = None
    try:
        expression = compile_expression(text, "p")
    except InvalidConfig as error:
        refusal = error
    if expression is None:
        assert refusal.message.startswith("p: column ")
    else:
        for call in (facts(), facts(CHAT, {"a": "1"})):
            assert expression(call) in (True, False)
