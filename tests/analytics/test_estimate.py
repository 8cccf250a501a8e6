from __future__ import annotations

import pytest

from analytics.estimate import estimate_prompt_tokens, estimate_tokens, estimate_usage


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("你好世界", 4), ("你好 ab", 3), ("안녕", 2), ("カナ", 2), ("é" * 8, 2)],
)
def test_the_rule(text, tokens):
    assert estimate_tokens(text) == tokens


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 0),
        ({"prompt": "abcdefgh"}, 2),
        ({"prompt": ["abcd", "efgh"]}, 2),
        ({"input": [1, 2, 3]}, 3),
        ({"input": [[1, 2, 3], [4]]}, 4),
        ({"messages": [{"role": "user", "content": "abcdefgh"}]}, 8),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "abcd"}]}]}, 7),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:" + "x" * 4000}}]}]}, 6),
        ({"messages": [{"role": "user", "content": None}]}, 6),
    ],
)
def test_a_prompt_is_counted_from_the_body(body, tokens):
    assert estimate_prompt_tokens(body) == tokens


def test_the_output_of_a_cut_stream_is_its_number_of_pieces():
    usage = estimate_usage({"messages": []}, 17)
    assert usage.estimated
    assert usage.output_tokens == 17
