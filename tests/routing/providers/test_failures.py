"""Errors of vendors in all their forms."""

from dataclasses import replace

import orjson
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


# Vendors' errors in their own words, with one key in each of the places that a careless vendor puts it.
ORIGINALS = {
    "openai": {"error": {"message": "No", "type": "t", "details": [{"header": f"Bearer {KEY}"}]}, KEY: True},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "No"}, "request_id": f"req {KEY}"},
    "google": {
        "error": {"code": 429, "message": "No", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "3s", "k": KEY}]}
    },
    "vertex-ai": [{"error": {"code": 429, "message": "No", "status": "RESOURCE_EXHAUSTED", "details": [{"k": KEY}]}}],
    "azure-openai": {"error": {"message": "No", "innererror": {"code": "ResponsibleAIPolicyViolation"}, "k": KEY}},
    "cohere": {"message": "No", "id": KEY},
    "mistral-ai": {"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "No"}]}, "k": KEY},
    "ollama": {"error": f"No {KEY}"},
    "workers-ai": {"success": False, "errors": [{"code": 7, "message": "No"}], "messages": [KEY]},
}


@pytest.mark.parametrize("provider", ORIGINALS)
def test_the_original_stands_beside_the_error_only_where_the_target_is_not_strict(provider):
    target, body = make_target(provider), orjson.dumps(ORIGINALS[provider])
    assert "provider_error" not in target.provider.dialect.error(target, 429, body).body()
    error = target.provider.dialect.error(replace(target, strict=False), 429, body)
    assert (error.status, "No" in error.message) == (429, True)
    assert error.body()["provider_error"] == orjson.loads(body.replace(KEY.encode(), b"[redacted]"))


def test_the_original_of_awss_errors_repeats_no_request():
    target = make_target("bedrock", strict=False)
    echo = "Bad signature. The Canonical String for this request should have been 'POST\nx-amz-security-token:IQoJb3JpZ2luX2Vj'"
    error = target.provider.dialect.error(target, 403, orjson.dumps({"message": echo, "__type": "a#InvalidSignatureException"}))
    assert error.body()["provider_error"] == {"message": "Bad signature.", "type": "InvalidSignatureException"}


@pytest.mark.parametrize(
    ("body", "original"),
    [
        (b"", None),
        (b"<html>No</html>", "<html>No</html>"),
        (f"half {KEY}".encode(), "half [redacted]"),
        (b'{"a":' * 400 + b"1" + b"}" * 400, '{"a":' * 400 + "1" + "}" * 400),
        (b"x" * 100_000, "x" * failures.MAX_ORIGINAL_BYTES),
        (
            b"x" * (failures.MAX_ORIGINAL_BYTES - 10) + b" " + KEY.encode(),
            "x" * (failures.MAX_ORIGINAL_BYTES - 10) + " [redacted",
        ),
    ],
    ids=["nothing", "a page", "half", "deep", "long", "a key at its end"],
)
def test_an_original_that_is_no_json_is_a_text(body, original):
    assert failures.provider_error(replace(TARGET, strict=False), 500, body).body().get("provider_error") == original


def test_the_original_of_an_error_in_a_stream():
    event = {"error": {"message": "No", "metadata": {"raw": KEY}}}
    error = failures.error_in_stream(replace(TARGET, strict=False), event)
    assert error.body()["provider_error"] == {"error": {"message": "No", "metadata": {"raw": "[redacted]"}}}
