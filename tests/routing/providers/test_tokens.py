"""Credentials that are fetched: once for all who wait, and again before they end."""

import asyncio
import gc

import pytest
import time_machine

from routing.errors import UpstreamUnreachable
from routing.providers.tokens import Fresh, TokenCache, credential_key


class Source:
    """Counts how often it is asked; answers once `gate` is open."""

    def __init__(self, lifetime_s=3600.0, open_=True):
        self.asked = 0
        self.lifetime_s = lifetime_s
        self.began, self.gate = asyncio.Event(), asyncio.Event()
        if open_:
            self.gate.set()
        self.failure = None

    async def __call__(self):
        self.asked += 1
        self.began.set()
        number = self.asked
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Fresh(f"token-{number}", self.lifetime_s)


async def test_calls_at_once_share_one_fetch():
    cache, source = TokenCache(), Source(open_=False)
    waiting = [asyncio.create_task(cache.get("k", source)) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"token-1"}
    assert await cache.get("k", source) == "token-1"
    assert source.asked == 1


async def test_credentials_are_kept_apart():
    cache, source = TokenCache(), Source()
    assert [await cache.get(key, source) for key in ("a", "b", "a")] == ["token-1", "token-2", "token-1"]


@pytest.mark.parametrize(
    ("lifetime_s", "later_s", "asked"),
    [
        (3600, 3299, 1),
        (3600, 3301, 2),
        (60, 47, 1),
        (60, 49, 2),
        (0, 0, 2),
        (-5, 0, 2),
        (float("inf"), 86_101, 2),
        (float("nan"), 0, 2),
    ],
)
async def test_a_token_is_fetched_anew_shortly_before_it_ends(lifetime_s, later_s, asked):
    cache, source = TokenCache(), Source(lifetime_s)
    with time_machine.travel(1_700_000_000, tick=False) as clock:
        await cache.get("k", source)
        clock.shift(later_s)
        assert await cache.get("k", source) == f"token-{asked}"


async def test_a_failure_reaches_all_who_wait_and_is_not_kept():
    cache, source = TokenCache(), Source(open_=False)
    source.failure = UpstreamUnreachable("no")
    waiting = [asyncio.create_task(cache.get("k", source)) for _ in range(3)]
    await asyncio.sleep(0)
    source.gate.set()
    assert [type(end) for end in await asyncio.gather(*waiting, return_exceptions=True)] == [UpstreamUnreachable] * 3
    source.failure = None
    assert await cache.get("k", source) == "token-2"


async def test_a_caller_who_leaves_does_not_end_the_fetch_for_the_others():
    cache, source = TokenCache(), Source(open_=False)
    leaver, stayer = (asyncio.create_task(cache.get("k", source)) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    source.gate.set()
    assert await stayer == "token-1"
    assert source.asked == 1


async def test_a_failure_that_nobody_waits_for_makes_no_noise():
    cache, source = TokenCache(), Source(open_=False)
    source.failure = UpstreamUnreachable("no")
    noise = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: noise.append(context))
    caller = asyncio.create_task(cache.get("k", source))
    await source.began.wait()
    caller.cancel()
    source.gate.set()
    await asyncio.wait([caller])
    del caller
    assert await cache.get("other", Source()) == "token-1"  # meanwhile the first fetch has failed
    gc.collect()
    assert noise == []


async def test_it_is_bounded_and_forgets_what_was_used_longest_ago():
    cache, source = TokenCache(max_entries=2), Source()
    for key in ("a", "b", "a", "c"):
        await cache.get(key, source)
    assert source.asked == 3
    assert await cache.get("a", source) == "token-1"
    assert await cache.get("b", source) == "token-4"


def test_a_key_tells_nothing_and_depends_on_every_part():
    key = credential_key("tenant", "client", "s3cret")
    assert key == credential_key("tenant", "client", "s3cret")
    assert "s3cret" not in key
    others = {
        credential_key("tenant", "clients", "3cret"),
        credential_key("client", "tenant", "s3cret"),
        credential_key("tenant"),
    }
    assert key not in others
    assert len(others) == 3


def test_a_fetched_value_is_not_printed():
    assert "s3cret" not in repr(Fresh("s3cret", 1.0))
