"""The commands and variables of docker-compose.yml, run on this machine: two gateways, a worker and beat at once.

Nothing here is built or mounted: what a container would add (its file system, its network names) is replaced, the rest is taken
from the file as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from tests.deploy import compose
from tests.stack import Servers, wait_until

API_KEY = "gh-a-key-for-the-deployment-tests"
SERVICES = ("gateway-1", "gateway-2", "worker", "beat")
CALL = {"model": "mock", "messages": [{"role": "user", "content": "Hello"}]}
HEADERS = {"x-portkey-api-key": API_KEY, "x-portkey-virtual-key": "mock"}


@dataclass(slots=True)
class Stack:
    """What Compose would have running."""

    directory: Path
    secrets: dict[str, str]
    redis_url: str
    ports: dict[str, int]
    running: dict[str, subprocess.Popen[bytes]]

    def environment(self, name: str) -> dict[str, str]:
        """The service's variables, with this machine's places for those of the container."""
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("GATEHOUSE_", "DATABASE_", "REDIS_"))
        }
        mounted = {f"/run/secrets/{secret}": path for secret, path in self.secrets.items()}
        service = compose.load()["services"][name]["environment"]
        data = self.directory / name
        data.mkdir(exist_ok=True)
        return {
            **inherited,
            **{key: mounted.get(value, value) for key, value in service.items()},
            "REDIS_URL": self.redis_url,
            "DJANGO_SETTINGS_MODULE": "gateway_project.settings",
            "GATEHOUSE_HOST": "127.0.0.1",
            "GATEHOUSE_DATA_DIR": str(data),
            "GATEHOUSE_STATIC_ROOT": str(self.directory / "static"),
            "PORT": str(self.ports.get(name, 1)),
        }

    def command(self, name: str) -> list[str]:
        words: list[str] = compose.load()["services"][name]["command"]
        return [sys.executable, *(word.replace("/tmp/", f"{self.directory}/") for word in words[1:])]

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name),
            cwd=compose.ROOT,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, name: str) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.command(name),
                cwd=compose.ROOT,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def get(self, name: str, path: str) -> int:
        """The status; 0 where nobody answers."""
        try:
            return httpx.get(self.url(name) + path, timeout=5).status_code
        except httpx.TransportError:
            return 0

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_secrets(directory: Path, database_url: str) -> dict[str, str]:
    contents = {
        "secret_key": "a secret for the deployment tests, long enough to sign with",
        "vault_keys": Fernet.generate_key().decode(),
        "database_url": database_url,
        "admin_password": "correct horse battery staple",
        "api_key": API_KEY,
    }
    for name, content in contents.items():
        (directory / name).write_text(content + "\n", encoding="ascii")
    return {name: str(directory / name) for name in contents}


@pytest.fixture(scope="module")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("deploy")
    secrets = _write_secrets(directory, servers.new_database_url("deployment"))
    ports = {"gateway-1": _free_port(), "gateway-2": _free_port()}
    stack = Stack(directory, secrets, servers.new_redis_url(), ports, {})
    migrated = stack.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert API_KEY not in migrated.stdout + migrated.stderr
    try:
        for name in SERVICES:
            stack.start(name)
        for name in ports:
            wait_until(
                lambda name=name: stack.get(name, "/ready") == 200, f"{name} is not ready: {stack.log(name)}", seconds=60
            )
        yield stack
    finally:
        stack.stop()


pytestmark = pytest.mark.xdist_group("deployment")


@pytest.mark.parametrize("name", ["gateway-1", "gateway-2"])
def test_each_gateway_is_healthy_and_serves_a_call(stack, name):
    assert stack.get(name, "/health") == 200
    answer = httpx.post(f"{stack.url(name)}/v1/chat/completions", headers=HEADERS, json=CALL, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]


def test_each_gateway_wants_a_key(stack):
    for name in stack.ports:
        assert httpx.post(f"{stack.url(name)}/v1/chat/completions", json=CALL, timeout=10).status_code == 401


def test_what_one_gateway_is_told_the_other_knows(stack):
    body = {"name": "Second", "slug": "second", "provider": "mock", "key": "unused"}
    made = httpx.post(f"{stack.url('gateway-1')}/v1/virtual-keys", headers=HEADERS, json=body, timeout=10)
    assert made.status_code == 200, made.text

    def known() -> bool:
        headers = {**HEADERS, "x-portkey-virtual-key": "second"}
        return httpx.post(f"{stack.url('gateway-2')}/v1/chat/completions", headers=headers, json=CALL).status_code == 200

    wait_until(known, "the other gateway never learned of the virtual key", seconds=10)


def test_the_image_s_health_check_agrees(stack):
    def check(port: int) -> int:
        env = {**os.environ, "PORT": str(port)}
        return subprocess.run([sys.executable, "-m", "deploy.healthy"], cwd=compose.ROOT, env=env, check=False).returncode

    assert check(stack.ports["gateway-1"]) == 0
    assert check(_free_port()) == 1


def test_the_worker_s_health_check_agrees(stack):
    words = compose.load()["services"]["worker"]["healthcheck"]["test"]
    assert words[0] == "CMD-SHELL"
    script = words[1].replace("python ", f"{sys.executable} ", 1)
    env = {**stack.environment("worker"), "HOSTNAME": socket.gethostname()}
    done = subprocess.run(script, shell=True, cwd=compose.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_migration_changes_nothing(stack):
    again = stack.run("migrate")
    assert again.returncode == 0, again.stderr
    assert '"created": true' not in again.stdout


def _readme_examples() -> list[tuple[str, str]]:
    """The first calls that the README shows: curl, then two SDKs."""
    text = (compose.ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## The first call")[2].partition("\n## ")[0]
    return re.findall(r"```(sh|python)\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_the_readme_s_first_calls_work(stack, number):
    language, code = _readme_examples()[number]
    code = code.replace("http://127.0.0.1:8787", stack.url("gateway-1"))
    command = ["sh", "-c", code] if language == "sh" else [sys.executable, "-c", code]
    env = {**os.environ, "GATEHOUSE_API_KEY": API_KEY}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Hello from mock" in done.stdout


# make test must pass on a machine with nothing but Python; CI installs HAProxy, so there it runs.
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed here")
def test_the_proxy_streams_and_survives_the_loss_of_a_gateway(stack):
    stack.ports["proxy"] = _free_port()
    env = {**os.environ, "GATEHOUSE_BIND": f"127.0.0.1:{stack.ports['proxy']}"}
    env |= {f"GATEHOUSE_GATEWAY_{number}": f"127.0.0.1:{stack.ports[f'gateway-{number}']}" for number in (1, 2)}
    with (stack.directory / "proxy.log").open("wb") as log:
        command = ["haproxy", "-db", "-f", "deploy/haproxy.cfg"]
        stack.running["proxy"] = subprocess.Popen(command, cwd=compose.ROOT, env=env, stdout=log, stderr=log)
    wait_until(lambda: stack.get("proxy", "/health") == 200, f"no proxy: {stack.log('proxy')}")
    url = f"{stack.url('proxy')}/v1/chat/completions"
    with httpx.stream("POST", url, headers=HEADERS, json={**CALL, "model": "mock-chunks-5-50", "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert len(list(answer.iter_raw())) > 1, "the proxy held the stream back"
    stack.running["gateway-1"].kill()
    stack.running["gateway-1"].wait()
    answers = [httpx.post(url, headers=HEADERS, json=CALL, timeout=10).status_code for _ in range(10)]
    assert answers == [200] * 10
