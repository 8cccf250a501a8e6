"""Vertex AI: addresses, the families of models, and the token that a service account is traded for."""

import asyncio
import base64
import struct
from dataclasses import replace
from urllib.parse import parse_qs

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from routing.call import Endpoint, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers.google.tokens import GRANT, SCOPE, TOKEN_URI, AccessTokens
from routing.providers.table import find
from tests.routing.providers.pairs import make_call, make_target

ROW = find("vertex")
DIALECT = ROW.dialect
PLACE = {"vertex_project_id": "proj-1", "vertex_region": "us-central1"}
START = "https://us-central1-aiplatform.googleapis.com/v1/projects/proj-1/locations/us-central1"
USER = {"role": "user", "content": "Hi"}


def target(options=None, **settings):
    return make_target("vertex-ai", options=PLACE if options is None else options, **settings)


def request(model="gemini-2.5-pro", endpoint=Endpoint.CHAT, to=None, **body):
    body = {"messages": [USER], **body} if endpoint == Endpoint.CHAT else body
    return DIALECT.request(make_call({"model": model, **body}, endpoint), to or target())


# --- addresses ---


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("google.gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("google/gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("publishers/google/models/gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("anthropic/claude-opus-4-5@20251101", "/publishers/anthropic/models/claude-opus-4-5@20251101:rawPredict"),
        ("claude-opus-4-5", "/publishers/anthropic/models/claude-opus-4-5:rawPredict"),
        ("mistralai.mistral-medium-3", "/publishers/mistralai/models/mistral-medium-3:rawPredict"),
        ("codestral-2", "/publishers/mistralai/models/codestral-2:rawPredict"),
    ],
)
def test_each_publisher_has_its_address(model, path):
    assert request(model).url == START + path


@pytest.mark.parametrize(
    ("model", "path", "sent"),
    [
        ("meta.llama-4-scout", "openapi", "meta/llama-4-scout"),
        ("llama-4-scout", "openapi", "meta/llama-4-scout"),
        ("qwen/qwen3-coder-maas", "openapi", "qwen/qwen3-coder-maas"),
        ("endpoints.1234567890", "1234567890", "1234567890"),
    ],
)
def test_other_makers_speak_openais_dialect(model, path, sent):
    made = request(model, stop=["x"])
    assert made.url == START.replace("/v1/", "/v1beta1/") + f"/endpoints/{path}/chat/completions"
    assert orjson.loads(made.body) == {"model": sent, "messages": [USER], "stop": ["x"]}


def test_mistrals_model_stands_in_the_body_too():
    assert orjson.loads(request("mistralai.mistral-medium-3").body)["model"] == "mistral-medium-3"
    assert request("mistral-medium-3", stream=True).url.endswith(":streamRawPredict")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_a_region_has_its_host(region, host):
    url = request(to=target({**PLACE, "vertex_region": region})).url
    assert url.startswith(f"https://{host}/v1/projects/proj-1/locations/{region}/")


@pytest.mark.parametrize("base", ["https://proxy.example", "https://proxy.example/v1"])
def test_a_host_of_ones_own_keeps_project_and_region(base):
    url = request(to=target(base_url=base)).url
    assert url.startswith("https://proxy.example/v1/projects/proj-1/locations/us-central1/publishers/google/")


@pytest.mark.parametrize("missing", ["vertex_project_id", "vertex_region"])
@pytest.mark.parametrize("model", ["gemini-2.5-pro", "claude-opus-4-5", "meta.llama-4-scout", "endpoints.1"])
def test_what_is_missing_is_named(missing, model):
    options = {name: value for name, value in PLACE.items() if name != missing}
    with pytest.raises(InvalidRequest) as caught:
        request(model, to=target(options))
    assert (caught.value.param, caught.value.code) == (missing, "missing_option")


@pytest.mark.parametrize(
    ("options", "model", "param"),
    [
        ({"vertex_region": "evil.example/"}, "m", "vertex_region"),
        ({"vertex_region": "evil.example#"}, "m", "vertex_region"),
        ({"vertex_region": "user@evil"}, "m", "vertex_region"),
        ({"vertex_region": "us-"}, "m", "vertex_region"),
        ({"vertex_project_id": "../../x"}, "m", "vertex_project_id"),
        ({"vertex_project_id": "p?x=1"}, "m", "vertex_project_id"),
        ({}, "google.x/../y", "model"),
        ({}, "endpoints.../secret", "model"),
        ({}, "meta./x", "model"),
        ({}, "anthropic.claude:predict", "model"),
    ],
)
def test_nothing_can_bend_the_address(options, model, param):
    with pytest.raises(InvalidRequest) as caught:
        request(model, to=target({**PLACE, **options}))
    assert caught.value.param == param


# --- families ---


def test_the_version_and_beta_of_anthropics_models():
    made = request("claude-opus-4-5", anthropic_version="vertex-2030-01-01", anthropic_beta=["a", "b"])
    assert orjson.loads(made.body)["anthropic_version"] == "vertex-2030-01-01"
    assert made.headers["anthropic-beta"] == "a,b"
    assert "anthropic-version" not in made.headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [("vertex-2030-01-01", "vertex-2030-01-01"), ("2023-06-01", "vertex-2023-10-16"), ("", "vertex-2023-10-16")],
)
def test_the_version_of_a_client_of_anthropics_own_api_is_not_meant_for_vertex(given, sent):
    made = request("claude-opus-4-5", to=target({**PLACE, "anthropic_version": given}))
    assert orjson.loads(made.body)["anthropic_version"] == sent


@pytest.mark.parametrize(("model", "error"), [("claude-opus-4-5", {"n": 2}), ("gemini-2.5-pro", {"logit_bias": {"1": 1}})])
def test_each_family_refuses_what_it_cannot_express(model, error):
    with pytest.raises(Unsupported) as caught:
        request(model, **error)
    assert caught.value.param == next(iter(error))


def test_only_googles_models_embed():
    with pytest.raises(Unsupported):
        request("claude-opus-4-5", Endpoint.EMBEDDINGS, input="x")


def test_vectors_are_packed_and_counted():
    made = request("text-embedding-005", Endpoint.EMBEDDINGS, input="Hi", auto_truncate=False, task_type="RETRIEVAL_QUERY")
    assert orjson.loads(made.body) == {
        "instances": [{"content": "Hi", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"autoTruncate": False},
    }
    call = make_call({"model": "text-embedding-005", "input": "Hi", "encoding_format": "base64"}, Endpoint.EMBEDDINGS)
    body = {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 2}}}]}
    answer = DIALECT.reply(call, target(), orjson.dumps(body))
    assert struct.unpack("<f", base64.b64decode(orjson.loads(answer.body)["data"][0]["embedding"])) == (0.5,)
    assert (answer.usage.input_tokens, answer.usage.estimated) == (2, False)


# --- tokens ---


@pytest.fixture(scope="module")
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def owner(private_key):
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "own-project",
        "private_key_id": "k1",
        "private_key": pem,
        "client_email": "gate@own-project.iam.gserviceaccount.com",
        "token_uri": TOKEN_URI,
    }


class Endpoint200:
    """A token endpoint that answers in one way, after all who wait had their turn."""

    def __init__(self, status=200, body=None):
        self.status = status
        self.body = {"access_token": "ya29.first", "expires_in": 3599, "token_type": "Bearer"} if body is None else body
        self.asked = []
        self.closed = 0

    async def __call__(self, request):
        self.asked.append(request)
        await asyncio.sleep(0)
        return self

    async def read(self):
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)

    async def close(self):
        self.closed += 1


REQUEST = UpstreamRequest(url="https://x.example", headers={"content-type": "application/json"}, body=b"{}")


def with_account(owner, **settings):
    text = owner if isinstance(owner, str) else orjson.dumps(owner).decode()
    return target({**PLACE, "vertex_service_account_json": text}, **settings)


async def test_a_service_account_is_traded_for_a_token(owner, private_key):
    endpoint = Endpoint200()
    signed = await AccessTokens()(REQUEST, with_account(owner), endpoint)
    assert signed == replace(REQUEST, headers={**REQUEST.headers, "authorization": "Bearer ya29.first"})
    (asked,) = endpoint.asked
    form = parse_qs(asked.body.decode())
    assert (asked.url, asked.method, form["grant_type"]) == (TOKEN_URI, "POST", [GRANT])
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    claims = jwt.decode(form["assertion"][0], private_key.public_key(), ["RS256"], audience=TOKEN_URI)
    assert (claims["iss"], claims["scope"], claims["exp"] - claims["iat"]) == (owner["client_email"], SCOPE, 3600)
    assert jwt.get_unverified_header(form["assertion"][0])["kid"] == "k1"
    assert endpoint.closed == 1


async def test_calls_at_once_share_a_fetch_and_later_ones_its_token(owner):
    endpoint, sign = Endpoint200(), AccessTokens()
    await asyncio.gather(*(sign(REQUEST, with_account(owner), endpoint) for _ in range(20)))
    await sign(REQUEST, with_account(owner), endpoint)
    assert len(endpoint.asked) == 1


async def test_another_key_of_the_same_name_gets_no_token_of_the_first(owner):
    endpoint, sign = Endpoint200(), AccessTokens()
    await sign(REQUEST, with_account(owner), endpoint)
    with pytest.raises(InvalidRequest):
        await sign(REQUEST, with_account({**owner, "private_key": "stolen?"}), endpoint)
    assert len(endpoint.asked) == 1


async def test_a_token_that_ends_at_once_serves_one_call(owner):
    endpoint, sign = Endpoint200(body={"access_token": "t", "expires_in": 0}), AccessTokens()
    await sign(REQUEST, with_account(owner), endpoint)
    await sign(REQUEST, with_account(owner), endpoint)
    assert len(endpoint.asked) == 2


async def test_the_account_may_be_the_key_itself(owner):
    to = target(api_key=orjson.dumps(owner).decode())
    signed = await AccessTokens()(REQUEST, to, Endpoint200())
    assert signed.headers["authorization"] == "Bearer ya29.first"
    assert "/projects/own-project/" in request(to=to).url


async def test_an_access_token_may_be_the_key():
    endpoint = Endpoint200()
    signed = await AccessTokens()(REQUEST, target(api_key="ya29.mine"), endpoint)
    assert (signed.headers["authorization"], endpoint.asked) == ("Bearer ya29.mine", [])


async def test_a_forwarded_authorization_is_left_alone(owner):
    forwarded = replace(REQUEST, headers={"authorization": "Bearer theirs"})
    assert await AccessTokens()(forwarded, with_account(owner), Endpoint200()) is forwarded


async def test_no_credential_is_named():
    with pytest.raises(InvalidRequest) as caught:
        await AccessTokens()(REQUEST, target(api_key=None), Endpoint200())
    assert (caught.value.param, caught.value.code) == ("vertex_service_account_json", "missing_provider_key")


@pytest.mark.parametrize("text", ["{", "[]", '{"client_email": "a"}', '{"client_email": "a", "private_key": 7}'])
async def test_what_is_no_service_account_is_refused(text):
    with pytest.raises(InvalidRequest) as caught:
        request(to=with_account(text))
    assert caught.value.param == "vertex_service_account_json"
    with pytest.raises(InvalidRequest) as caught:
        await AccessTokens()(REQUEST, with_account(text), Endpoint200())
    assert caught.value.param == "vertex_service_account_json"


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/token",
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com.evil.example/token",
        "https://oauth2.googleapis.com@evil.example/token",
        "https://oauth2.googleapis.com:8443/token",
        "file:///etc/passwd",
        7,
    ],
)
async def test_an_assertion_never_goes_where_a_caller_says(owner, uri):
    endpoint = Endpoint200()
    with pytest.raises(InvalidRequest) as caught:
        await AccessTokens()(REQUEST, with_account({**owner, "token_uri": uri}), endpoint)
    assert caught.value.param == "vertex_service_account_json.token_uri"
    assert endpoint.asked == []


async def test_an_operator_may_name_another_token_endpoint(owner):
    endpoint = Endpoint200()
    account = {**owner, "token_uri": "https://sts.example/token"}
    await AccessTokens()(REQUEST, with_account(account, virtual_key_id="vk"), endpoint)
    assert endpoint.asked[0].url == "https://sts.example/token"


async def test_a_refused_assertion_is_a_wrong_credential(owner):
    endpoint = Endpoint200(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    with pytest.raises(ProviderError) as caught:
        await AccessTokens()(REQUEST, with_account(owner), endpoint)
    assert caught.value.status == 401
    assert caught.value.message == "vertex-ai error: no access token for the service account: Invalid JWT Signature."
    assert caught.value.error_code == "invalid_grant"


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_other_failures_of_the_fetch_keep_their_status_and_are_not_kept(owner, status):
    endpoint, sign = Endpoint200(status, b"<html>busy</html>"), AccessTokens()
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            await sign(REQUEST, with_account(owner), endpoint)
        assert caught.value.status == status
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("body", [b"", b"[]", {}, {"access_token": 7}, {"access_token": "a\r\nx: 1"}])
async def test_an_answer_without_a_token_is_invalid(owner, body):
    with pytest.raises(UpstreamInvalid):
        await AccessTokens()(REQUEST, with_account(owner), Endpoint200(body=body))


async def test_a_bad_key_is_refused_and_never_quoted(owner):
    pem = owner["private_key"].replace("A", "B")
    with pytest.raises(InvalidRequest) as caught:
        await AccessTokens()(REQUEST, with_account({**owner, "private_key": pem}), Endpoint200())
    assert caught.value.param == "vertex_service_account_json.private_key"
    assert "BEGIN" not in caught.value.message
    assert caught.value.__cause__ is None
