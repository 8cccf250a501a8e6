"""The small parts of the embedded stack, each on its own."""

from __future__ import annotations

import io
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_project.embedded import banner, liveness, ports
from gateway_project.embedded.errors import StartError
from gateway_project.embedded.paths import Paths, private_directory
from gateway_project.embedded.process import Child, Spec, stop_all
from gateway_project.embedded.readiness import probe
from gateway_project.embedded.relay import LogFile, Relay, Terminal
from gateway_project.embedded.watch import Watch
from gateway_project.env import environment
from tests.stack import wait_until


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data")
    paths.create()
    return paths


@pytest.fixture
def make_child(paths: Paths) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def make(name: str, script: str, **more: Any) -> Child:
        spec = Spec(name, ("/bin/sh", "-c", script), environment(), Path("/"), **more)
        children.append(Child(spec, paths.pids, Relay(paths.logs, Terminal(visible=False))))
        return children[-1]

    yield make
    for child in children:
        child.signal(signal.SIGKILL)
        child.wait(10)


class TestPaths:
    def test_a_long_path_gets_a_short_directory_for_its_sockets(self):
        long = Paths(Path("/" + "long/" * 30))
        assert len(str(long.sockets)) < 60
        assert long.sockets != Paths(Path("/" + "long/" * 31)).sockets

    def test_the_database_url_keeps_capitals_and_spaces(self):
        from dj_database_url import parse

        settings = parse(Paths(Path("/Users/An Other/x")).database_url)
        assert settings["OPTIONS"]["host"] == "/Users/An Other/x/run"
        assert (settings["NAME"], settings["USER"], settings["HOST"]) == ("gatehouse", "gatehouse", "")

    def test_the_data_directory_is_for_its_owner_only(self, paths):
        assert stat.S_IMODE(paths.data_dir.stat().st_mode) == 0o700

    def test_a_directory_of_somebody_else_is_refused(self, tmp_path):
        if os.geteuid() != 0:
            pytest.skip("only root can make a directory for somebody else")
        os.chown(tmp_path, 65534, -1)
        with pytest.raises(StartError, match="belongs to another user"):
            private_directory(tmp_path)

    def test_a_file_in_the_way_is_said(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StartError, match="set GATEHOUSE_DATA_DIR"):
            Paths(tmp_path / "file" / "data").create()


class TestLiveness:
    def test_the_second_up_learns_who_holds_the_directory(self, paths):
        lock = liveness.UpLock(paths.lock, "http://127.0.0.1:1234")
        with pytest.raises(
            StartError, match=rf"another `make up` \(pid {os.getpid()}, http://127.0.0.1:1234, since .*\) holds"
        ):
            liveness.UpLock(paths.lock, "http://127.0.0.1:1")
        lock.release()
        liveness.UpLock(paths.lock, "http://127.0.0.1:1").release()

    def test_a_process_that_an_earlier_supervisor_left_is_ended(self, paths, make_child):
        child = make_child("gateway.1", "exec sleep 1000")
        child.start()
        wait_until(lambda: liveness.leftovers(paths.pids) == [("gateway.1", child.pid)], "the child is not found")
        assert liveness.end_leftovers(paths.pids) == ["gateway.1"]
        assert child.wait(1)

    def test_one_that_ignores_signals_is_killed(self, paths, make_child):
        child = make_child("worker", "trap '' INT; echo ready; while true; do sleep 0.1; done")
        child.start()
        wait_until(lambda: child.tail() == ["ready"], "the child does not start")
        assert liveness.end_leftovers(paths.pids, seconds=0.3) == ["worker"]

    def test_a_name_cannot_start_while_the_rest_of_its_last_process_lives(self, paths, make_child):
        child = make_child("postgres", "sleep 1000 & echo $!; wait")
        child.start()
        wait_until(child.tail, "the child does not start")
        backend = int(child.tail()[0])
        child.signal(signal.SIGKILL)
        child.wait(0.1)
        with pytest.raises(BlockingIOError):
            child.start()
        os.kill(backend, 9)
        wait_until(lambda: not liveness.leftovers(paths.pids), "the backend lives")
        child.start()
        os.kill(int(child.tail()[-1]) if len(child.tail()) > 1 else child.pid, 9)


class TestChild:
    def test_a_terminals_interrupt_does_not_reach_it(self, make_child):
        child = make_child("any", "exec sleep 1000")
        child.start()
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)

    def test_a_program_that_does_not_exist_is_named(self, paths):
        child = Child(Spec("x", ("/no/such/program",), {}, Path("/")), paths.pids, Relay(paths.logs, Terminal(visible=False)))
        child.start()
        assert child.wait(10)
        assert child.tail() == ["cannot run /no/such/program: No such file or directory"]

    def test_its_lines_are_kept_in_a_file(self, paths, make_child):
        child = make_child("worker", "echo one; echo two >&2")
        child.start()
        child.wait(10)
        assert [line.split(" ", 1)[1] for line in (paths.logs / "worker.log").read_text().splitlines()] == ["one", "two"]

    def test_one_that_does_not_stop_is_killed(self, make_child):
        child = make_child("any", "trap '' TERM; echo ready; while true; do sleep 0.1; done", stop_seconds=0.2)
        child.start()
        wait_until(child.tail, "the child does not start")
        child.stop()
        assert child.ending() == "was ended by SIGKILL"

    def test_a_second_interrupt_kills_at_once(self, make_child):
        child = make_child("any", "trap '' TERM; echo ready; while true; do sleep 0.1; done", stop_seconds=60)
        child.start()
        wait_until(child.tail, "the child does not start")
        stop_all([child], hurry=lambda: True)
        assert child.ending() == "was ended by SIGKILL"


class TestWatch:
    def test_it_starts_the_dead_again_later_each_time(self, make_child):
        now, said = [0.0], list[str]()
        watch = Watch(said.append, clock=lambda: now[0])
        child = make_child("gateway.1", "exit 7")
        watch.start(child)
        delays = []
        for _ in range(5):
            child.wait(10)
            delays.append(watch.tick())
            now[0] += delays[-1] + 0.001
            watch.tick()
        assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2])
        assert said[0] == "gateway.1 ended with code 7; starting it again in 0.2 s"
        assert watch.worst() == (child, 5)

    def test_a_death_after_a_healthy_time_is_a_first_one(self, make_child):
        now = [0.0]
        watch = Watch(lambda _: None, clock=lambda: now[0])
        child = make_child("gateway.1", "exec sleep 1000")
        watch.start(child)
        for _ in range(3):
            child.signal(signal.SIGKILL)
            child.wait(10)
            now[0] += 1000
            assert watch.tick() == pytest.approx(0.2)
            now[0] += 1
            watch.tick()

    def test_it_lets_go_what_it_shall_forget(self, make_child):
        watch = Watch(pytest.fail)
        child = make_child("beat", "exit 0")
        watch.start(child)
        watch.forget([child])
        child.wait(10)
        assert watch.tick() == 60


class TestPorts:
    def test_who_holds_the_port_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(StartError, match=f"port {port} on 127.0.0.1 is in use") as caught:
                ports.listen("127.0.0.1", port)
        if Path("/proc/net/tcp").exists():
            assert f"(pid {os.getpid()})" in str(caught.value)

    def test_a_host_that_does_not_exist_is_named(self):
        with pytest.raises(StartError, match="GATEHOUSE_HOST: 'no such host'"):
            ports.listen("no such host", 0)

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:1"),
            ("0.0.0.0", "http://127.0.0.1:1"),
            ("::", "http://[::1]:1"),
            ("gw.local", "http://gw.local:1"),
        ],
    )
    def test_the_address_is_one_that_can_be_opened(self, host, url):
        assert ports.url(host, 1) == url


class TestReadiness:
    def test_nobody_there_is_not_ready(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        assert not probe(f"http://127.0.0.1:{port}").ready

    def test_silence_is_not_ready(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert "timed out" in probe(f"http://127.0.0.1:{server.getsockname()[1]}", seconds=0.1).detail


class _StuckFile(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.text = ""

    def write(self, text: str) -> int:
        self.go_on.wait(10)
        self.text += text
        return len(text)


class TestRelay:
    def test_a_log_file_never_grows_past_twice_its_limit(self, tmp_path):
        log = LogFile(tmp_path / "x.log", limit=100)
        for number in range(50):
            log.write(b"line %02d\n" % number)
        log.close()
        assert (tmp_path / "x.log").read_bytes().endswith(b"line 49\n")
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 200
        assert len(list(tmp_path.iterdir())) == 2

    def test_lines_carry_the_name(self, monkeypatch):
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        terminal = Terminal()
        terminal.line("gateway.1", "hello")
        terminal.flush()
        assert out.getvalue() == "gateway.1  | hello\n"

    def test_a_terminal_that_stands_still_stops_nobody(self, monkeypatch):
        stuck = _StuckFile()
        monkeypatch.setattr(sys, "stdout", stuck)
        terminal = Terminal()
        for _ in range(20_000):
            terminal.line("gateway.1", "x")
        stuck.go_on.set()
        terminal.flush()
        assert "lines not shown: see the log files" in stuck.text

    def test_a_terminal_that_went_away_stops_nobody(self, monkeypatch):
        class Closed(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", Closed())
        terminal = Terminal()
        for _ in range(3):
            terminal.line("gateway.1", "x")
            terminal.flush()


class TestFailure:
    def test_a_bad_setting_is_one_line(self):
        assert (
            banner.failure("bootstrap", ["Traceback", "  File", "gateway_project.env.EnvError: PORT: 'x' is no number"])
            == "PORT: 'x' is no number"
        )

    def test_else_the_last_lines_are_shown(self):
        assert "  boom" in banner.failure("gateway.1", ["boom"])


class TestVirtualEnvironment:
    """tools/venv, which `make` calls."""

    def _run(self, tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "tools").mkdir()
        script = tmp_path / "tools" / "venv"
        script.write_bytes((Path(__file__).parents[2] / "tools" / "venv").read_bytes())
        for name in ("requirements.lock", "requirements-dev.lock"):
            (tmp_path / name).write_text("")
        return subprocess.run(["sh", str(script), "run", python], capture_output=True, text=True, check=False, timeout=60)

    def _fake(self, tmp_path: Path, body: str) -> str:
        fake = tmp_path / "python"
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
        return str(fake)

    def test_an_old_python_is_refused(self, tmp_path):
        done = self._run(tmp_path, self._fake(tmp_path, "exit 1"))
        assert (done.returncode, "is not Python 3.11 or newer" in done.stderr) == (1, True)

    def test_a_missing_venv_module_is_named(self, tmp_path):
        done = self._run(tmp_path, self._fake(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac'))
        assert (done.returncode, "apt install python3-venv" in done.stderr) == (1, True)
