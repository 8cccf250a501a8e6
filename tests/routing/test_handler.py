"""The ASGI applications, driven by hand: the lean handler and Django's own serve the same views with the same answers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from types import SimpleNamespace

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.urls import include, path, re_path

from analytics import record as records
from analytics.prices import Prices
from analytics.recorder import Recorder
from keys.auth import INFERENCE_SCOPE, Caller
from keys.limits import Limit, Limits, Period, Unit, scripts
from routing import gateway as gateways
from routing.announce import bump_snapshot
from routing.api import handler as handlers
from routing.api import incoming
from routing.api.handler import LeanHandler
from routing.api.urls import model_calls
from routing.api.views import UnknownRouteView
from routing.breakers import Breakers
from routing.egress import EgressGuard
from routing.gateway import Gateway
from routing.health import Health
from routing.pools import Pools
from routing.providers import mock
from routing.redis import RedisPipe, Script
from routing.snapshot import Snapshot, VirtualKeyEntry
from routing.upstream import connect

MAX_BODY = 100_000
CHAT = {"model": "mock", "messages": [{"role": "user", "content": "hi"}]}
JSON = {"content-type": "application/json", "x-portkey-provider": "mock"}
FORM_TYPE = "multipart/form-data; boundary=xyz"
FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nmock\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n12345\r\n--xyz--\r\n'
)
ME = Caller("w1", "key-1", scopes=frozenset({INFERENCE_SCOPE}), metadata={"team": "search"})
RPM = Limit("key:2", "API key 'small'", Unit.REQUESTS, Period.DAY, 1)

urlpatterns = [
    path("v1/", include(model_calls)),
    path("", include(model_calls)),
    re_path(r"^v1(/|$)", UnknownRouteView.as_view()),
    path("page", lambda request: HttpResponse("a page of the console")),
]


class Spool:
    """Keeps the records in memory."""

    sheds_content = False

    def __init__(self):
        self.encoded = []

    def append(self, encoded):
        self.encoded.append(encoded)

    @property
    def records(self):
        return [records.decode(encoded) for encoded in self.encoded]


@pytest.fixture
def spool():
    return Spool()


@pytest.fixture
async def gateway(servers, settings, monkeypatch, spool):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    handlers._lean_match.cache_clear()
    pipe = RedisPipe(servers.new_redis_url())
    known = {source: Script(source) for source in (scripts.ADMIT, scripts.SETTLE, scripts.RENEW, scripts.HOLD)}
    snapshot = Snapshot(
        version=1,
        default_workspace_id="w1",
        hash_key=str,
        keys={"gh-me": ME, "gh-small": dataclasses.replace(ME, api_key_id="key-2", limits=(RPM,))},
        virtual_keys={
            ("w1", "m"): VirtualKeyEntry("id-m", "m", "mock", None),
            ("w1", "old"): VirtualKeyEntry("id-old", "old", "a-vendor-that-is-gone", "k"),
        },
    )
    made = Gateway(
        snapshots=SimpleNamespace(current=snapshot, default_workspace_id="w1"),
        upstream=connect(EgressGuard(), mock.respond),
        redis=pipe,
        limits=Limits(
            lambda source, keys, args: pipe.ask(known[source], keys, args),
            lambda source, keys, args: pipe.ask_later(known[source], keys, args),
            fail_closed=True,
        ),
        prices=Prices(),
        spool=spool,
        shipper=None,
        recorder=Recorder(spool, log_content=True, max_content_bytes=1000),
        health=Health(Breakers(pipe), Prices()),
        pools=Pools(),
        require_api_key=False,
        max_body_bytes=MAX_BODY,
    )
    monkeypatch.setattr(gateways, "_current", made)
    yield made
    await made.upstream.close()
    await pipe.close()
    handlers._lean_match.cache_clear()


@pytest.fixture(params=["lean", "stock"])
async def app(request, gateway):
    return LeanHandler(MAX_BODY) if request.param == "lean" else ASGIHandler()


@pytest.fixture
async def lean(gateway):
    return LeanHandler(MAX_BODY)


class Client:
    """The other side of an ASGI application: sends a request's messages and keeps what comes back."""

    def __init__(self, app, method, url, headers, *messages):
        where, _, query = url.partition("?")
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": where,
            "raw_path": where.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8787),
            "scheme": "http",
        }
        self.app = app
        self.sent = []
        self.incoming = asyncio.Queue()
        for message in messages:
            self.incoming.put_nowait(message)

    async def send(self, message):
        self.sent.append(message)

    async def run(self):
        await self.app(self.scope, self.incoming.get, self.send)
        return self

    def hang_up(self):
        self.incoming.put_nowait({"type": "http.disconnect"})

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.decode().lower(): value.decode("latin1") for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def json(self):
        return json.loads(self.body)


def caller(app, method="POST", url="/v1/chat/completions", *, body=CHAT, headers=None, pieces=None, **named):
    data = pieces or [body if isinstance(body, bytes) else json.dumps(body).encode()]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in data[:-1]]
    messages.append({"type": "http.request", "body": data[-1], "more_body": False})
    extra = {name.replace("_", "-"): value for name, value in named.items()}
    return Client(app, method, url, {**(JSON if headers is None else headers), **extra}, *messages)


async def call(app, *args, **kwargs):
    return await caller(app, *args, **kwargs).run()


# --- Both handlers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["/v1", ""])
async def test_both_roots_answer_a_chat(app, root, spool):
    answer = await call(app, url=f"{root}/chat/completions", x_portkey_trace_id="t-1")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["object"] == "chat.completion"
    assert int(answer.headers.get("content-length", len(answer.body))) == len(answer.body)
    assert {name: value for name, value in answer.headers.items() if name.startswith("x-portkey")} == {
        "x-portkey-trace-id": "t-1",
        "x-portkey-cache-status": "DISABLED",
        "x-portkey-last-used-option-index": "config",
        "x-portkey-provider": "mock",
        "x-portkey-retry-attempt-count": "0",
    }
    (record,) = spool.records
    assert (record.status, record.trace_id, record.endpoint, record.model) == (200, "t-1", "chat/completions", "mock")


async def test_a_stream_arrives_in_pieces_and_is_recorded_once(app, spool):
    answer = await call(app, body={**CHAT, "model": "mock-chunks-5-0", "stream": True})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "content-length" not in answer.headers
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert len([message for message in answer.sent if message.get("body")]) >= 5
    assert answer.sent[-1].get("more_body", False) is False
    (record,) = spool.records
    assert (record.status, record.response_is_stream, record.cancelled) == (200, True, False)


async def test_a_stream_that_breaks_ends_with_an_error_and_not_as_if_it_were_complete(app, spool):
    answer = await call(app, body={**CHAT, "model": "mock-chunks-5-0-cut-2", "stream": True})
    *_, last = answer.body.strip().split(b"\n\n")
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_stream_broken"
    assert b"[DONE]" not in answer.body
    assert spool.records[0].error_code == "upstream_stream_broken"


@pytest.mark.parametrize(
    "pieces",
    [[b'{"model": "mock", "mess', b'ages": [{"role": "user", ', b'"content": "hi"}]}'], [json.dumps(CHAT).encode(), b""]],
)
async def test_a_body_may_come_in_pieces(app, pieces):
    assert (await call(app, pieces=pieces)).status == 200


@pytest.mark.parametrize(
    ("url", "method", "body", "status", "code"),
    [
        ("/v1/chat/completions", "POST", b"{", 400, "invalid_json"),
        ("/v1/chat/completions", "POST", b"[]", 400, "invalid_json"),
        ("/v1/chat/completions", "POST", b"", 400, "invalid_json"),
        ("/v1/chat/completions", "POST", b"[" * 5000, 400, "invalid_json"),
        ("/v1/chat/completions", "POST", {"model": "m"}, 400, "missing_parameter"),
        ("/v1/chat/completions", "POST", {**CHAT, "messages": []}, 400, "invalid_request"),
        ("/v1/chat/completions", "POST", {**CHAT, "model": 5}, 400, "invalid_request"),
        ("/v1/chat/completions", "POST", {**CHAT, "stream": "yes"}, 400, "invalid_request"),
        ("/v1/completions", "POST", {"model": "mock"}, 400, "missing_parameter"),
        ("/v1/embeddings", "POST", {"model": "mock", "input": 5}, 400, "invalid_request"),
        ("/v1/chat/completions", "GET", b"", 405, "method_not_allowed"),
        ("/v1/chat/completions", "PUT", CHAT, 405, "method_not_allowed"),
        ("/v1/chat/completions", "OPTIONS", b"", 405, "method_not_allowed"),
        ("/v1/chat/completions", "DISPATCH", b"", 405, "method_not_allowed"),
        ("/v1/chat/completions", "GATEWAY", b"", 405, "method_not_allowed"),
        ("/v1/models", "POST", b"{}", 405, "method_not_allowed"),
        ("/v1/models", "HEAD", b"", 405, "method_not_allowed"),
        ("/v1/nothing", "POST", CHAT, 404, "unknown_route"),
        ("/v1/nothing", "GET", b"", 404, "unknown_route"),
        ("/v1", "GET", b"", 404, "unknown_route"),
        ("/v1/", "GET", b"", 404, "unknown_route"),
    ],
)
async def test_what_cannot_be_served_is_refused_in_json_and_recorded(app, spool, url, method, body, status, code):
    answer = await call(app, method, url, body=body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    if method != "HEAD":
        assert answer.json["error"]["code"] == code
    assert answer.headers["x-portkey-gateway-exception"] == "true"
    assert answer.headers["x-portkey-trace-id"]
    assert [(record.status, record.error_code) for record in spool.records] == [(status, code)]


@pytest.mark.parametrize(
    ("url", "allowed"), [("/v1/embeddings", "POST"), ("/files", "GET, POST"), ("/v1/files/f", "DELETE, GET")]
)
async def test_a_wrong_method_is_told_which_are_right(app, url, allowed):
    answer = await call(app, "PATCH", url)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("depth", [150, 199, 200, 253, 254, 900])
async def test_a_body_may_be_deep_but_not_beyond_sense(app, depth):
    extra = b'"extra": ' + b"[" * depth + b"]" * depth
    answer = await call(app, body=json.dumps(CHAT).encode()[:-1] + b", " + extra + b"}")
    assert answer.status == (200 if depth < 200 else 400)


async def test_no_body_is_read_before_the_key_is_known(lean):
    calling = caller(lean, authorization="Bearer gh-wrong")
    calling.incoming = asyncio.Queue()  # nothing comes
    answer = await asyncio.wait_for(calling.run(), 5)
    assert answer.status == 401


async def test_a_caller_who_hangs_up_in_the_middle_of_an_upload_is_forgotten(lean, spool):
    calling = caller(lean, url="/v1/audio/transcriptions", headers={**JSON, "content-type": FORM_TYPE})
    calling.incoming = asyncio.Queue()
    calling.incoming.put_nowait({"type": "http.request", "body": FORM[:50], "more_body": True})
    calling.hang_up()
    await calling.run()
    assert (calling.sent, spool.encoded) == ([], [])


async def test_an_error_of_the_provider_keeps_its_status_and_is_not_the_gateways(app):
    answer = await call(app, body={**CHAT, "model": "mock-status-429"})
    assert (answer.status, answer.json["provider"]) == (429, "mock")
    assert "x-portkey-gateway-exception" not in answer.headers


async def test_the_wrong_kind_of_body_is_refused(app):
    answer = await call(app, headers={"content-type": "text/plain", "x-portkey-provider": "mock"})
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_content_type")


async def test_a_key_is_known_and_its_metadata_recorded(app, spool):
    answer = await call(app, x_portkey_api_key="gh-me", x_portkey_virtual_key="m", x_portkey_metadata='{"user": 7}')
    assert answer.status == 200
    (record,) = spool.records
    assert (record.api_key_id, record.virtual_key_id) == ("key-1", "id-m")
    assert record.metadata == {"team": "search", "user": "7"}


async def test_an_unknown_key_is_refused(app, spool):
    answer = await call(app, authorization="Bearer gh-wrong")
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert "gh-wrong" not in repr(spool.encoded)


async def test_a_limit_answers_with_its_headers(app):
    assert (await call(app, authorization="Bearer gh-small")).status == 200
    answer = await call(app, authorization="Bearer gh-small")
    assert (answer.status, answer.json["error"]["type"]) == (429, "rate_limit_error")
    assert (answer.headers["x-ratelimit-limit-requests"], answer.headers["x-ratelimit-remaining-requests"]) == ("1", "0")
    assert int(answer.headers["retry-after"]) > 0


async def test_models_are_those_of_the_callers_virtual_keys(app):
    answer = await call(app, "GET", "/v1/models", x_portkey_api_key="gh-me")
    assert (answer.status, answer.json["object"]) == (200, "list")
    assert {model["owned_by"] for model in answer.json["data"]} == {"mock"}
    assert (await call(app, "GET", "/v1/models")).json["data"] == []


async def test_a_bug_shows_its_trace_id_and_nothing_else(app, spool, monkeypatch):
    def bug(*args):
        raise RuntimeError("SECRET insides")

    monkeypatch.setattr(incoming, "read", bug)
    answer = await call(app, x_portkey_trace_id="t-9")
    assert (answer.status, answer.headers["x-portkey-trace-id"]) == (500, "t-9")
    assert "SECRET" not in repr(answer.sent) + repr(spool.encoded)
    assert [record.status for record in spool.records] == [500]


async def test_before_the_first_snapshot_calls_are_told_to_wait(app, gateway):
    gateway.snapshots.current = None
    answer = await call(app)
    assert (answer.status, answer.json["error"]["code"]) == (503, "starting")


async def test_pages_are_served_as_ever(app, spool):
    answer = await call(app, "GET", "/page")
    assert (answer.status, answer.body) == (200, b"a page of the console")
    assert spool.encoded == []


async def test_both_handlers_answer_alike(gateway):
    requests = [
        {"body": CHAT},
        {"body": {**CHAT, "stream": True}},
        {"body": b"{"},
        {"method": "DELETE"},
        {"url": "/v1/nothing"},
        {"body": {**CHAT, "model": "mock-status-503"}},
        {"authorization": "Bearer gh-wrong"},
        {"url": "/v1/audio/speech", "body": {"model": "mock", "input": "one two"}},
        {"url": "/v1/audio/transcriptions", "body": FORM, "headers": {**JSON, "content-type": FORM_TYPE}},
        {"url": "/v1/audio/transcriptions", "body": FORM[:-9], "headers": {**JSON, "content-type": FORM_TYPE}},
        {"url": "/v1/models/mock", "method": "GET", "x_portkey_api_key": "gh-me"},
        {"url": "/v1/models/mock", "method": "PUT"},
    ]
    for request in requests:
        pair = [await call(app, x_portkey_trace_id="t", **request) for app in (LeanHandler(MAX_BODY), ASGIHandler())]
        lean, stock = [(answer.status, answer.headers, stable(answer.body)) for answer in pair]
        stock[1].pop("content-length", None)
        lean[1].pop("content-length", None)
        assert lean == stock


def stable(body):
    """A body without what is new in every answer."""
    for piece in (b"created", b'"id"'):
        start = body.find(piece)
        while start >= 0:
            end = min(found for mark in (b",", b"}") if (found := body.find(mark, start)) >= 0)
            body = body[:start] + body[end:]
            start = body.find(piece)
    return body


# --- The lean handler alone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[b"x" * (MAX_BODY + 1)], [b"x" * MAX_BODY, b"x"], [b"x" * 60_000] * 3])
async def test_a_body_beyond_the_limit_is_refused_without_reading_the_rest(lean, spool, pieces):
    calling = caller(lean, pieces=pieces)
    answer = await calling.run()
    assert (answer.status, answer.json["error"]["code"]) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"
    assert str(MAX_BODY) in answer.json["error"]["message"]
    assert [record.status for record in spool.records] == [413]


async def test_a_body_of_exactly_the_limit_is_read(lean):
    body = json.dumps({**CHAT, "pad": ""}).encode()
    padded = body[:-2] + b"x" * (MAX_BODY - len(body)) + b'"}'
    assert len(padded) == MAX_BODY
    assert (await call(lean, body=padded)).status == 200


async def test_a_caller_who_hangs_up_before_the_body_is_complete_is_forgotten(lean, spool):
    calling = caller(lean)
    calling.incoming = asyncio.Queue()
    calling.incoming.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    calling.hang_up()
    await calling.run()
    assert (calling.sent, spool.encoded) == ([], [])


async def test_a_caller_who_hangs_up_while_the_provider_works_is_recorded_as_gone(lean, spool):
    calling = caller(lean, body={**CHAT, "model": "mock-delay-60000"})
    running = asyncio.ensure_future(calling.run())
    await turns(20)
    calling.hang_up()
    await asyncio.wait_for(running, 5)
    assert calling.sent == []
    (record,) = spool.records
    assert (record.status, record.cancelled) == (499, True)


async def test_a_caller_who_hangs_up_in_the_middle_of_a_stream_is_recorded_at_once(lean, spool):
    calling = caller(lean, body={**CHAT, "model": "mock-chunks-5-0-hang-2", "stream": True})
    running = asyncio.ensure_future(calling.run())
    await turns(50)
    assert calling.sent[0]["status"] == 200
    calling.hang_up()
    await asyncio.wait_for(running, 5)
    (record,) = spool.records
    assert (record.status, record.cancelled, record.response_is_stream) == (499, True, True)


@pytest.mark.parametrize("message", ["http.response.start", "http.response.body"])
async def test_a_caller_who_hangs_up_while_it_is_sent_something_is_recorded_at_once(lean, spool, message):
    calling = caller(lean, body={**CHAT, "model": "mock-chunks-5-0", "stream": True})

    async def stuck(sent):
        if sent["type"] == message:
            calling.hang_up()
            await asyncio.Event().wait()  # the caller's buffers are full
        calling.sent.append(sent)

    calling.send = stuck
    await asyncio.wait_for(calling.run(), 5)
    (record,) = spool.records
    assert (record.cancelled, record.response_is_stream) == (True, True)


async def test_a_server_that_stops_cancels_its_calls(lean, spool):
    calling = caller(lean, body={**CHAT, "model": "mock-delay-60000"})
    running = asyncio.ensure_future(calling.run())
    await turns(20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [record.status for record in spool.records] == [499]


async def test_what_comes_after_the_body_disturbs_nobody(lean):
    calling = caller(lean)
    calling.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    assert (await calling.run()).status == 200


async def turns(count):
    """Lets everybody else run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def stored_version(transactional_db, settings, servers):
    settings.REDIS_URL = servers.new_redis_url()
    bump_snapshot()


async def test_the_gateway_starts_and_closes_with_the_server(stored_version, settings, tmp_path):
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.MIDDLEWARE = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent, seen = [], []

    async def receive():
        seen.append(gateways._current)
        return next(messages)

    async def send(message):
        sent.append(message["type"])

    await LeanHandler(MAX_BODY)({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [gateway is not None for gateway in seen] == [False, True]
    assert seen[1].snapshot.version > 0
    assert (gateways._current, gateways._starting) == (None, None)
    assert not seen[1].snapshots._thread.is_alive()
