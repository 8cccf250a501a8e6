"""Azure's addresses and credentials: OpenAI's SDK for Azure sends the same, and what is missing is named."""

import asyncio
from urllib.parse import parse_qs

import httpx
import openai
import orjson
import pytest
import time_machine

from routing.call import Endpoint, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers.table import find
from tests.routing.providers.pairs import KEY, PAIRS, make_call, make_target
from tests.routing.providers.test_bedrock_signing import Wire

USER = {"role": "user", "content": "Hi"}
CHAT = {"model": "gpt-4o", "messages": [USER]}
HOST = "https://contoso.openai.azure.com"
VERSION = "2025-03-01-preview"
ENTRA = {
    "azure_entra_tenant_id": "contoso.onmicrosoft.com",
    "azure_entra_client_id": "client-1",
    "azure_entra_client_secret": "s3cret~value",
}
TOKEN = b'{"token_type": "Bearer", "expires_in": 3600, "access_token": "the.entra.token"}'


class Form:
    """A form that is not held in memory."""

    content_type = "multipart/form-data; boundary=b"
    size_bytes = 3
    fields = None

    async def chunks(self):
        yield b"..."

    def edited(self, fields):
        form = Form()
        form.fields = fields
        return form


def call(endpoint, body=None, *, path="", query="", method="POST", upload=False):
    made = make_call(body or {}, endpoint)
    fields = {"path": path, "query": query, "method": method, "upload": Form() if upload else None}
    raw = {"raw": b""} if body is None else {}
    return type(made)(**{name: getattr(made, name) for name in made.__slots__} | fields | raw)


def request(made, provider="azure-openai", base_url=None, **options):
    given = {"resource_name": "contoso", "api_version": VERSION, **options} if provider == "azure-openai" else options
    target = make_target(provider, options=given, **({"base_url": base_url} if base_url else {}))
    return find(provider).dialect.request(made, target)


async def authorised(provider="azure-openai", wire=None, *, api_key=KEY, **options):
    target = make_target(provider, api_key=api_key, options={"resource_name": "contoso", **options})
    asked = UpstreamRequest("https://contoso.openai.azure.com/openai/x", {"accept": "a"}, b"{}")
    return (await find(provider).signer(asked, target, wire.send if wire else None)).headers


# --- OpenAI's own SDK for Azure ---


@pytest.fixture
def asked():
    return []


@pytest.fixture
def sdk(asked):
    def handle(sent):
        asked.append(sent)
        return httpx.Response(200, json={"data": [], "object": "list"})

    return openai.AzureOpenAI(
        azure_endpoint="https://contoso.openai.azure.com",
        api_version=VERSION,
        api_key=KEY,
        http_client=httpx.Client(transport=httpx.MockTransport(handle)),
    )


SAME = [
    (lambda sdk: sdk.chat.completions.create(**CHAT), call(Endpoint.CHAT, CHAT)),
    (lambda sdk: sdk.completions.create(model="d 1", prompt="x"), call(Endpoint.COMPLETIONS, {"model": "d 1", "prompt": "x"})),
    (
        lambda sdk: sdk.embeddings.create(model="e", input="x", encoding_format="float"),
        call(Endpoint.EMBEDDINGS, {"model": "e", "input": "x"}),
    ),
    (
        lambda sdk: sdk.images.generate(model="dall-e-3", prompt="x"),
        call(Endpoint.IMAGES, {"model": "dall-e-3", "prompt": "x"}),
    ),
    (
        lambda sdk: sdk.audio.speech.create(model="tts", voice="alloy", input="x"),
        call(Endpoint.SPEECH, {"model": "tts", "voice": "alloy", "input": "x"}),
    ),
    (
        lambda sdk: sdk.audio.transcriptions.create(model="whisper", file=("a.wav", b"x")),
        call(Endpoint.TRANSCRIPTIONS, {"model": "whisper"}, upload=True),
    ),
    (
        lambda sdk: sdk.images.edit(model="gpt-image-1", image=("a.png", b"x"), prompt="x"),
        call(Endpoint.IMAGE_EDITS, {"model": "gpt-image-1"}, upload=True),
    ),
    (lambda sdk: sdk.responses.create(model="gpt-4o", input="x"), call(Endpoint.RESPONSES, {"model": "gpt-4o", "input": "x"})),
    (lambda sdk: sdk.files.list(), call(Endpoint.FILES, path="files", method="GET")),
    (lambda sdk: sdk.files.list(purpose="batch"), call(Endpoint.FILES, path="files", query="purpose=batch", method="GET")),
    (lambda sdk: sdk.files.content("file-1"), call(Endpoint.FILES, path="files/file-1/content", method="GET")),
    (lambda sdk: sdk.files.delete("file-1"), call(Endpoint.FILES, path="files/file-1", method="DELETE")),
    (lambda sdk: sdk.batches.retrieve("batch_1"), call(Endpoint.BATCHES, path="batches/batch_1", method="GET")),
    (lambda sdk: sdk.fine_tuning.jobs.list(), call(Endpoint.FINE_TUNING, path="fine_tuning/jobs", method="GET")),
]


@pytest.mark.parametrize(("use", "made"), SAME, ids=[f"{made.method} {made.path or made.endpoint}" for _, made in SAME])
def test_openais_sdk_for_azure_asks_at_the_same_address(sdk, asked, use, made):
    use(sdk)
    ours = request(made)
    theirs = asked[0]
    assert ours.method == theirs.method
    assert ours.url.partition("?")[0] == str(theirs.url).partition("?")[0]
    assert parse_qs(ours.url.partition("?")[2]) == parse_qs(str(theirs.url).partition("?")[2])


async def test_openais_sdk_for_azure_shows_the_key_alike(sdk, asked):
    sdk.chat.completions.create(**CHAT)
    assert (await authorised())["api-key"] == asked[0].headers["api-key"] == KEY
    assert "authorization" not in await authorised()


# --- addresses ---


@pytest.mark.parametrize(
    ("options", "url", "model"),
    [
        ({}, f"{HOST}/openai/deployments/gpt-4o/chat/completions?api-version={VERSION}", "gpt-4o"),
        ({"api_version": ""}, f"{HOST}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
         "gpt-4o"),
        ({"deployment_id": "a/b"},
         f"{HOST}/openai/deployments/a%2Fb/chat/completions?api-version=2025-03-01-preview", "gpt-4o"),
        ({"api_version": "v1"}, f"{HOST}/openai/v1/chat/completions", "gpt-4o"),
        ({"api_version": "v1", "deployment_id": "prod"}, f"{HOST}/openai/v1/chat/completions", "prod"),
        ({"api_version": "preview"}, f"{HOST}/openai/v1/chat/completions?api-version=preview", "gpt-4o"),
        ({"base_url": "https://apim.example/azure/openai"},
         "https://apim.example/azure/openai/deployments/gpt-4o/chat/completions?api-version=2025-03-01-preview", "gpt-4o"),
        ({"base_url": "https://contoso.openai.azure.us/"},
         "https://contoso.openai.azure.us/openai/deployments/gpt-4o/chat/completions?api-version=2025-03-01-preview", "gpt-4o"),
        ({"base_url": f"{HOST}/openai/v1/", "deployment_id": "prod"},
         f"{HOST}/openai/v1/chat/completions", "prod"),
    ],
)  # fmt: skip
def test_addresses(options, url, model):
    made = request(call(Endpoint.CHAT, CHAT), **options)
    assert (made.url, orjson.loads(made.body)["model"]) == (url, model)


def test_a_deployment_stands_in_for_a_model_that_nobody_names():
    made = request(call(Endpoint.CHAT, {"model": "portkey-default", "messages": [USER]}), deployment_id="prod")
    assert "/deployments/prod/" in made.url
    assert orjson.loads(made.body)["model"] == "prod"


def test_a_form_names_the_deployment_in_version_v1():
    made = request(call(Endpoint.TRANSCRIPTIONS, {"model": "whisper"}, upload=True), api_version="v1", deployment_id="prod")
    assert made.url == "https://contoso.openai.azure.com/openai/v1/audio/transcriptions"
    assert made.body.fields == {"model": "prod"}
    assert made.headers["content-type"] == Form.content_type


def test_the_output_of_a_batch_is_asked_for_at_the_same_place():
    made = request(call(Endpoint.BATCHES, path="batches/batch_1/output", method="GET"))
    assert made.url == f"https://contoso.openai.azure.com/openai/batches/batch_1?api-version={VERSION}"
    then = made.then(b'{"status": "completed", "output_file_id": "file-9"}')
    assert then.url == f"https://contoso.openai.azure.com/openai/files/file-9/content?api-version={VERSION}"


@pytest.mark.parametrize(
    ("provider", "options", "param"),
    [
        ("azure-openai", {"resource_name": ""}, "resource_name"),
        ("azure-openai", {"resource_name": "evil.example/x"}, "resource_name"),
        ("azure-openai", {"deployment_id": ".."}, "deployment_id"),
        ("azure-ai", {}, "azure_foundry_url"),
    ],
)
def test_a_part_of_the_address_that_is_missing_or_wrong_is_named(provider, options, param):
    with pytest.raises(InvalidRequest) as caught:
        request(call(Endpoint.CHAT, CHAT), provider, **options)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"azure_foundry_url": "https://m.eastus2.models.ai.azure.com"}, "https://m.eastus2.models.ai.azure.com/chat/completions"),
        ({"azure_foundry_url": "https://r.services.ai.azure.com/models", "api_version": "2024-05-01-preview"},
         "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview"),
        ({"azure_foundry_url": "https://r.services.ai.azure.com/anthropic/v1", "api_version": "x"},
         "https://r.services.ai.azure.com/anthropic/v1/messages"),
    ],
)  # fmt: skip
def test_addresses_of_foundry(options, url):
    assert request(call(Endpoint.CHAT, CHAT), "azure-ai", **options).url == url


def test_extra_parameters_are_dropped_unless_said_otherwise():
    base = {"azure_foundry_url": "https://m.models.ai.azure.com"}
    assert request(call(Endpoint.CHAT, CHAT), "azure-ai", **base).headers["extra-parameters"] == "drop"
    passed = request(call(Endpoint.CHAT, CHAT), "azure-ai", **base, azure_extra_parameters="pass-through")
    assert passed.headers["extra-parameters"] == "pass-through"
    anthropic = request(call(Endpoint.CHAT, CHAT), "azure-ai", azure_foundry_url="https://r.example/anthropic")
    assert "extra-parameters" not in anthropic.headers


def test_the_model_that_is_billed_can_be_named():
    answer = b'{"choices": [], "model": "gpt-4o-2024-11-20"}'
    target = make_target("azure-openai", options={"resource_name": "c", "azure_model_name": "gpt-4o-mini"})
    assert find("azure").dialect.reply(call(Endpoint.CHAT, CHAT), target, answer).model == "gpt-4o-mini"
    [pair] = [pair for pair in PAIRS if str(pair) == "azure-openai/chat-stream"]
    plain, named = (find("azure").dialect.stream(pair.call, to) for to in (pair.target, target))
    assert plain.feed(pair.stream) == named.feed(pair.stream)
    assert (named.usage, named.done, named.deltas, named.ends_with_body) == (pair.usage, True, plain.deltas, False)
    assert (plain.model, named.model) == ("gpt-4o-2024-11-20", "gpt-4o-mini")


def test_the_first_chunk_of_a_stream_passes_as_it_is():
    chunk = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
    made = call(Endpoint.CHAT, {**CHAT, "stream": True})
    assert find("azure").dialect.stream(made, make_target("azure-openai")).feed(chunk) == chunk


@pytest.mark.parametrize(
    "inner", [{"content_filter_result": {"note": KEY}}, {"revised_prompt": "the prompt"}, {}, "x", None, {"code": ""}]
)
def test_findings_that_hold_more_than_findings_are_left_out(inner):
    body = orjson.dumps({"error": {"message": "Filtered", "code": "content_filter", "innererror": inner}})
    shaped = find("azure").dialect.error(make_target("azure-openai"), 400, body).body()
    assert shaped["error"] == {"message": "azure-openai error: Filtered", "type": None, "param": None, "code": "content_filter"}


# --- credentials ---


@pytest.mark.parametrize(
    ("provider", "options", "expected"),
    [
        ("azure-openai", {}, {"api-key": KEY}),
        ("azure-openai", {"azure_ad_token": "tok"}, {"authorization": "Bearer tok"}),
        ("azure-openai", {"azure_ad_token": "tok", "azure_auth_mode": "entra"}, {"authorization": "Bearer tok"}),
        ("azure-ai", {"azure_foundry_url": "https://m.example"}, {"api-key": KEY, "authorization": f"Bearer {KEY}"}),
        ("azure-ai", {"azure_foundry_url": "https://m.example/anthropic"}, {"x-api-key": KEY}),
        ("azure-ai", {"azure_foundry_url": "https://m.example", "azure_ad_token": "tok"}, {"authorization": "Bearer tok"}),
    ],
)
async def test_a_key_or_a_token_is_shown(provider, options, expected):
    assert await authorised(provider, **options) == {"accept": "a", **expected}


async def test_a_forwarded_credential_is_left_alone():
    target = make_target("azure-openai")
    asked = UpstreamRequest("https://x.example", {"authorization": "Bearer mine"}, b"")
    assert await find("azure").signer(asked, target, None) is asked


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({}, "api_key"),
        ({"azure_auth_mode": "entra"}, "azure_entra_tenant_id"),
        ({**ENTRA, "azure_entra_client_secret": "", "azure_auth_mode": "entra"}, "azure_entra_client_secret"),
        ({**ENTRA, "azure_entra_tenant_id": "../x"}, "azure_entra_tenant_id"),
        ({"azure_auth_mode": "magic"}, "azure_auth_mode"),
        ({"azure_auth_mode": "managed"}, "azure_auth_mode"),
        ({"azure_auth_mode": "workload"}, "azure_auth_mode"),
    ],
)
async def test_a_credential_that_is_missing_or_not_to_be_had_is_named(options, param):
    with pytest.raises(InvalidRequest) as caught:
        await authorised(api_key=None, **options)
    assert caught.value.param == f"config.{param}"
    assert isinstance(caught.value, Unsupported) is (options.get("azure_auth_mode") in ("managed", "workload"))


async def test_a_token_is_fetched_once_and_kept():
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        wire = Wire((200, TOKEN), (200, TOKEN.replace(b"entra", b"second")))
        found = await asyncio.gather(*(authorised(wire=wire, **ENTRA, azure_entra_scope="s") for _ in range(4)))
        assert {headers["authorization"] for headers in found} == {"Bearer the.entra.token"}
        [sent] = wire.sent
        assert sent.url == "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"
        assert parse_qs(sent.body.decode()) == {
            "grant_type": ["client_credentials"], "client_id": ["client-1"], "client_secret": ["s3cret~value"], "scope": ["s"]
        }  # fmt: skip
        clock.shift(3301)
        assert (await authorised(wire=wire, **ENTRA, azure_entra_scope="s"))["authorization"] == "Bearer the.second.token"


async def test_the_scope_and_the_authority_have_defaults_and_can_be_given():
    wire = Wire((200, TOKEN))
    await authorised(wire=wire, **ENTRA, azure_auth_mode="entra", azure_authority_host="https://login.example/")
    assert wire.sent[0].url.startswith("https://login.example/contoso.onmicrosoft.com/")
    assert parse_qs(wire.sent[0].body.decode())["scope"] == ["https://cognitiveservices.azure.com/.default"]


async def test_a_refused_client_says_why_without_its_secret():
    body = {"error": "invalid_client", "error_description": "AADSTS7000215: s3cret~value is wrong.\r\nTrace ID: 1"}
    with pytest.raises(ProviderError) as caught:
        await authorised(wire=Wire((400, orjson.dumps(body))), **ENTRA, azure_entra_scope="refused")
    assert (caught.value.status, caught.value.error_type) == (401, "authentication_error")
    assert caught.value.message == "azure-openai error: AADSTS7000215: [redacted] is wrong."


@pytest.mark.parametrize("body", [b"", b"[]", b'{"expires_in": 3600}', b'{"access_token": "a\\nx-evil: 1"}'])
async def test_an_answer_without_a_token_is_invalid_and_not_quoted(body):
    with pytest.raises(UpstreamInvalid) as caught:
        await authorised(wire=Wire((200, body)), **ENTRA, azure_entra_scope=f"bad {body!r}")
    assert caught.value.message == "azure-openai error: the answer of the token service holds no token"


async def test_a_token_without_a_lifetime_serves_one_call():
    wire = Wire((200, b'{"access_token": "a"}'), (200, b'{"access_token": "b", "expires_in": "0"}'))
    found = [(await authorised(wire=wire, **ENTRA, azure_entra_scope="short"))["authorization"] for _ in range(2)]
    assert found == ["Bearer a", "Bearer b"]
