from __future__ import annotations

import time

from keys import hashing

PEPPER = hashing.derive_pepper("secret")


def test_the_same_key_and_pepper_give_the_same_hash() -> None:
    assert hashing.hash_key("gh-key", PEPPER) == hashing.hash_key("gh-key", PEPPER)
    assert len(hashing.hash_key("gh-key", PEPPER)) == 64


def test_another_secret_or_key_gives_another_hash() -> None:
    hashes = {
        hashing.hash_key("gh-key", PEPPER),
        hashing.hash_key("gh-kez", PEPPER),
        hashing.hash_key("gh-key", hashing.derive_pepper("other")),
    }
    assert len(hashes) == 3


def test_the_pepper_is_not_the_secret_itself() -> None:
    assert b"secret" not in PEPPER


def test_what_a_caller_presents_may_be_any_text() -> None:
    for text in ("", "\x00", "é", "\ud800", "x" * 100_000):
        assert len(hashing.hash_key(text, PEPPER)) == 64


def test_new_keys_differ_and_carry_the_prefix() -> None:
    keys = {hashing.new_raw_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("gh-") and len(key) >= 3 + 27 for key in keys)


def test_a_mask_shows_seven_characters_of_a_long_key_and_none_of_a_short_one() -> None:
    assert hashing.mask("gh-abcdefghijklmnop") == "gh-****mnop"
    assert hashing.mask("short-secret") == "****"
    assert hashing.mask("") == "****"
    assert "\n" not in hashing.mask('{\n "private_key": "0123456789"\n}')


def test_hashing_costs_the_hot_path_next_to_nothing() -> None:
    key = hashing.new_raw_key()
    best = min(_seconds_for_1000(key) for _ in range(5))
    assert best < 0.02, f"{best * 1000:.1f} us a hash"


def _seconds_for_1000(key: str) -> float:
    start = time.perf_counter()
    for _ in range(1000):
        hashing.hash_key(key, PEPPER)
    return time.perf_counter() - start
