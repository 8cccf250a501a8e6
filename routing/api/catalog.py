"""`GET /v1/models` and `GET /v1/models/<name>`: what the caller can reach."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.prices import models_of
from keys.auth import Caller
from routing.call import Json
from routing.providers import table
from routing.snapshot import Snapshot


def models(caller: Caller, snapshot: Snapshot) -> list[Json]:
    """The models of every vendor for which the caller's workspace has a virtual key, one row for each vendor and model."""
    providers = {key.provider for (workspace, _), key in snapshot.virtual_keys.items() if workspace == caller.workspace_id}
    if caller.is_anonymous:
        providers = set()
    return [_model(name, provider) for provider in sorted(providers) for name in names(provider)]


def find(name: str, caller: Caller, snapshot: Snapshot) -> Json | None:
    """The model of that name, of the first vendor that has it; None where the caller reaches none."""
    return next((model for model in models(caller, snapshot) if model["id"] == name), None)


def names(provider: str) -> Iterable[str]:
    row = table.PROVIDERS.get(provider)
    if row is None:
        return ()
    return row.models or models_of(row.price_id or row.id)


def _model(name: str, provider: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}
