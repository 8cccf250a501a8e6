"""The table of rows."""

import pytest

from routing.errors import InvalidRequest
from routing.providers.table import PROVIDERS, find


def test_it_finds_a_row_by_id_and_by_alias():
    assert find("openai") is PROVIDERS["openai"]
    assert find("claude") is PROVIDERS["anthropic"]


def test_no_alias_hides_another_row():
    names = [name for row in PROVIDERS.values() for name in (row.id, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("opnai", "Did you mean openai"), ("OpenAI", "Did you mean openai"), ("zzz", "docs/providers.md has the list.")],
)
def test_an_unknown_provider_is_refused_with_a_hint(name, hint):
    with pytest.raises(InvalidRequest) as caught:
        find(name)
    assert hint in caught.value.message
    assert (caught.value.param, caught.value.code) == ("provider", "unknown_provider")
