"""``python -m bench``: Gatehouse with everything on, Portkey's gateway, and direct calls, in one run on pinned cores."""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from bench import report, rounds
from bench.contestant import Contestant, Cores, Missing, direct, upstream
from bench.gatehouse import gatehouse
from bench.meter import pinned, pss_by_role
from bench.portkey import portkey

_STARTS: dict[str, Callable[[int, Path, Cores], contextlib.AbstractContextManager[Contestant]]] = {
    "gatehouse": gatehouse,
    "portkey": portkey,
}


def main() -> int:
    arguments = _arguments()
    if sys.platform != "linux":
        return _fail("the bench reads Linux's counters and pins cores: run it on Linux")
    try:
        cores = Cores.of_this_machine()
        with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as directory:
            return _bench(arguments, Path(directory), cores)
    except Missing as reason:
        return _fail(str(reason))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 40 seconds instead of three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample to FILE")
    parser.add_argument("--only", choices=sorted(_STARTS), help="leave the other gateway out")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace, directory: Path, cores: Cores) -> int:
    started = time.monotonic()
    plan = rounds.QUICK if arguments.quick else rounds.FULL
    with upstream(directory, cores) as port, _contestants(arguments.only, port, directory, cores) as contestants:
        run = _run(plan, contestants, cores)
        print(report.text(run))
        if arguments.json:
            arguments.json.write_bytes(orjson.dumps(report.as_json(run), option=orjson.OPT_INDENT_2))
    facts = ", ".join(f"{name} {value}" for name, value in report.machine().items())
    print(f"\n{plan.rounds} rounds, medians; {time.monotonic() - started:.0f} s in all; {facts}")
    errors = run.results.errors()
    for error in errors:
        _say(error)
    return 1 if errors else 0


def _run(plan: rounds.Plan, contestants: list[Contestant], cores: Cores) -> report.Run:
    idle = {contestant.name: pss_by_role(contestant.roots) for contestant in contestants}
    gc.freeze()  # what exists now stays for the whole run: collections need not look at it
    with pinned(set(cores.others)):
        results = rounds.run(plan, contestants, _say)
    loaded = {contestant.name: pss_by_role(contestant.roots) for contestant in contestants}
    return report.Run(plan, contestants, results, idle, loaded)


@contextlib.contextmanager
def _contestants(only: str | None, upstream_port: int, directory: Path, cores: Cores) -> Iterator[list[Contestant]]:
    """Direct calls and every gateway that can be started here."""
    with contextlib.ExitStack() as stack:
        contestants = [direct(upstream_port)]
        for name, start in _STARTS.items():
            if only not in {None, name}:
                continue
            try:
                contestants.append(stack.enter_context(start(upstream_port, directory, cores)))
            except Missing as reason:
                _say(f"{name} is left out: {reason}")
        yield contestants


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _fail(text: str) -> int:
    _say(text)
    return 2


if __name__ == "__main__":
    sys.exit(main())
