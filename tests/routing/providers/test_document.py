"""docs/providers.md is made from the table."""

from routing.providers.document import markdown
from routing.providers.table import PROVIDERS
from tests.test_boundaries import ROOT

PAGE = markdown()


def line(provider, section):
    (found,) = [
        one for one in PAGE.partition(section)[2].splitlines() if one.startswith((f"| `{provider}`", f"| [`{provider}`]"))
    ][:1]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_document_is_up_to_date():
    written = (ROOT / "docs" / "providers.md").read_text()
    assert written == PAGE, "run `manage.py providers_doc`"


def test_every_row_is_in_it():
    assert all(f"| `{row.id}` |" in PAGE and f"[`{row.id}`](" in PAGE for row in PROVIDERS.values() if row.source)
    assert f"{len(PROVIDERS)} providers" in PAGE


def test_it_says_what_a_dialect_refuses():
    head = PAGE.partition("## What their chats take")[2].splitlines()[6]
    titles = [cell.strip() for cell in head.strip("|").split("|")]
    assert line("anthropic", "## What their chats take")[titles.index("n")] == ""
    assert line("anthropic", "## What their chats take")[titles.index("Tools")] == "●"
    assert set(line("groq", "## What their chats take")[1:]) == {"●"}


def test_it_shows_address_credential_and_options():
    cells = line("cloudflare-ai-gateway", "## Addresses")
    assert cells[2].endswith("/{cloudflare_account_id}/{cloudflare_gateway_id}/compat`")
    assert cells[3] == "`authorization: Bearer <key>`"
    assert "`cloudflare_gateway_token` (*secret*)" in cells[4]
    assert line("qdrant", "## Addresses")[3] == "`api-key: <key>`, if there is one"
    assert "`max_completion_tokens` is sent as `max_tokens`" in line("deepseek", "## Addresses")[6]
