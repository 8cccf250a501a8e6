"""Errors of vendors in all their forms."""

import pytest

from routing.providers import failures
from tests.routing.providers.pairs import KEY, make_target

TARGET = make_target("openai")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "No", "type": "t", "param": "p", "code": 7}}', ("No", "t", "p", 7)),
        (b'{"error": {"message": "No", "type": 5, "param": [], "code": true}}', ("No", None, None, None)),
        (b'{"error": {"code": "x"}}', ('{"code":"x"}', None, None, "x")),
        (b'{"error": "No", "code": "c"}', ("No", None, None, "c")),
        (b'[{"error": {"message": "No", "code": 400}}]', ("No", None, None, 400)),
        (b'{"message": "No", "type": "t"}', ("No", "t", None, None)),
        (b'{"message": {"detail": "No"}}', ("No", None, None, None)),
        (b'{"message": {"other": 1}}', ('{"other":1}', None, None, None)),
        (b'{"detail": "No"}', ("No", None, None, None)),
        (
            b'{"detail": [{"loc": ["body", "model"], "msg": "Field required"}, {"msg": "b"}, {"x": 1}, "c"]}',
            ('body.model: Field required; b; {"x":1}; c', None, None, None),
        ),
        (b'{"other": 1}', ('{"other":1}', None, None, None)),
        (b'"No"', ("No", None, None, None)),
        (b'" "', ('" "', None, None, None)),
        (b"[]", ("[]", None, None, None)),
        (b"7", ("7", None, None, None)),
        (b"{}", ("{}", None, None, None)),
        (b"No \n way", ("No way", None, None, None)),
        (b"", ("HTTP status 500 without a body", None, None, None)),
        (b"\xff", ("\ufffd", None, None, None)),
        (
            b"<html><head><title>502</title><style>p {}</style><script>x()</script></head><!-- c --><p>Bad\nGateway</p></html>",
            ("502 Bad Gateway", None, None, None),
        ),
    ],
)
def test_it_reads_every_form_of_error(body, expected):
    error = failures.provider_error(TARGET, 500, body)
    message, kind, param, code = expected
    assert error.body() == {
        "error": {"message": f"openai error: {message}", "type": kind, "param": param, "code": code},
        "provider": "openai",
    }
    assert error.status == 500


def test_long_errors_are_shortened():
    error = failures.provider_error(TARGET, 500, b"x" * 100_000)
    assert len(error.message) == len("openai error: ") + failures.MAX_MESSAGE_CHARS


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-proj-abcdefgh12345",
        "sk-ant-api03-abc_def-123",
        "Bearer abc.def-123456",
        "gsk_abcdefgh1234",
        "abcd****wxyz",
        "AIza" + "a" * 35,
    ],
)
def test_what_looks_like_a_key_is_taken_out(secret):
    error = failures.provider_error(
        TARGET, 401, f'{{"error": {{"message": "Wrong key: {secret}.", "code": "{secret}"}}}}'.encode()
    )
    assert secret not in str(error.body())
    assert error.message.startswith("openai error: Wrong key: [redacted]")


@pytest.mark.parametrize(
    "words", ["risk-averse asking-price", "skip_parameters is unknown", "max_tokens must be >= 1", "**bold** words"]
)
def test_ordinary_words_stay(words):
    assert failures.provider_error(TARGET, 400, words.encode()).message == f"openai error: {words}"


def test_an_invalid_answer_may_be_empty():
    assert failures.invalid(TARGET, "no").message == "openai error: no"


def test_an_invalid_answer_is_quoted_short_and_clean():
    error = failures.invalid(TARGET, "no", f"<p>{KEY} {'x' * 5000}</p>".encode())
    assert error.message.startswith("openai error: no: [redacted] xxx")
    assert len(error.message) < 300
    assert error.provider == "openai"
