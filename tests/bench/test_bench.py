"""The bench measures what it says: its upstream, its load and its meter against each other, for fractions of a second."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest

from bench import report, rounds
from bench.contestant import GATEWAY, Contestant, Cores, direct, free_port, upstream
from bench.load import Door, StreamShape, chat_body, run_requests, run_streams
from bench.meter import cpu_seconds, pss_by_role, tree

CORES = Cores(frozenset({0}), frozenset({0}))
TINY = rounds.Plan(1, ((1, 0.1), (4, 0.1)), (StreamShape(3, 5, 1),), 0.1)

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with upstream(tmp_path_factory.mktemp("bench"), CORES) as port:
        yield Door(port)


def test_the_upstream_answers_as_a_provider_does(door):
    url = f"http://127.0.0.1:{door.port}/v1/chat/completions"
    with httpx.Client(trust_env=False) as client:
        whole = client.post(url, json=chat_body())
        assert whole.json()["usage"]["total_tokens"] == 63
        streamed = client.post(url, json=chat_body("stream-3-1", stream=True, stream_options={"include_usage": True}))
        assert streamed.text.count('" token"') == 3
        assert '"completion_tokens":3' in streamed.text
        assert streamed.text.endswith("data: [DONE]\n\n")
        # A body of unknown length goes out in chunks.
        assert client.post(url, content=iter([b'{"model": ', b'"x"}'])).json()["model"] == "x"
        assert client.post(url, json={"model": "status-503"}).status_code == 503
        assert client.post(url, content=b"{").status_code == 400


def test_requests_are_counted(door):
    measured = run_requests(door, 4, 0.1)
    assert measured.errors == 0
    assert measured.sent == len(measured.latencies) > 4


def test_streams_are_counted_to_the_last_chunk(door):
    measured = run_streams(door, StreamShape(5, 20, 1))
    assert (measured.errors, measured.chunks) == (0, 100)
    assert min(measured.lags) > -0.001


def test_failures_are_errors_and_not_figures(door, monkeypatch):
    monkeypatch.setattr("bench.load.chat_body", lambda *_args, **_more: {"model": "status-500"})
    requests, streams = run_requests(door, 1, 0.05), run_streams(door, StreamShape(2, 5, 1))
    assert not requests.latencies
    assert requests.errors > 0
    assert "500" in requests.first_error
    assert streams.errors == 2


def test_cpu_and_memory_of_a_tree():
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        try:
            until = time.monotonic() + 10
            while cpu_seconds(parent.pid) < 0.2:
                assert time.monotonic() < until
                time.sleep(0.02)
            family = tree(parent.pid)
            assert len(family) == 2
            assert pss_by_role({"all": parent.pid})["all"] > 2_000_000
        finally:
            for pid in reversed(tree(parent.pid)):
                subprocess.run(["kill", "-9", str(pid)], check=False)


def test_a_run_has_every_figure_and_a_report(door):
    plain = Contestant("Gatehouse", door, {GATEWAY: tree(1)[0], "worker": 1}, remarks=lambda sent: [f"{sent} sent"])
    contestants = [direct(door.port), plain]
    results = rounds.run(TINY, contestants, lambda _text: None)
    memory = {"Gatehouse": {GATEWAY: 50_000_000, "worker": 60_000_000}}
    run = report.Run(TINY, contestants, results, memory, memory)
    text = report.text(run)
    assert "gateway CPU us/request" in text
    assert "3 streams x 5 chunks x 1 ms" in text
    assert f"Gatehouse: {results.sent['Gatehouse']} sent" in text
    document = report.as_json(run)
    assert set(document["samples"]) == {"concurrency 1", "concurrency 4", "3 streams x 5 chunks x 1 ms"}
    assert results.errors() == []


def test_free_ports_are_free():
    assert free_port() != free_port()
