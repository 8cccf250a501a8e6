"""From the limits as they are stored to those that are enforced. keys/validation.py holds what may be stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keys.limits.windows import NANO, UTC, Limit, Period, Unit, hashed

Json = dict[str, Any]

RATE_PERIODS: Final = {"rpm": Period.MINUTE, "rph": Period.HOUR, "rpd": Period.DAY}
BUDGET_PERIODS: Final = {
    None: Period.TOTAL,
    "daily": Period.DAY,
    "weekly": Period.WEEK,
    "monthly": Period.MONTH,
}
# In place of a model's name: each model that is not named itself, for itself.
ANY: Final = "*"


def parse(
    owner: str, label: str, rate_limits: Iterable[Json] | None, usage_limits: Json | Iterable[Json] | None, *, named: str = ""
) -> Iterator[Limit]:
    """The limits of one owner. Raises KeyError, ValueError and the like for what another version may have stored."""
    for rate in rate_limits or ():
        unit = Unit(rate["type"])
        period = Period.TOTAL if unit is Unit.CONCURRENCY else RATE_PERIODS[rate["unit"]]
        yield Limit(owner, label, unit, period, int(rate["value"]), rate.get("timezone") or UTC, named=named)
    for budget in budgets(usage_limits):
        yield Limit(
            owner,
            label,
            Unit.COST,
            BUDGET_PERIODS[budget.get("periodic_reset")],
            round(float(budget["credit_limit"]) * NANO),
            budget.get("timezone") or UTC,
            alert=budget.get("alert_threshold"),
            named=named,
        )


def budgets(usage_limits: Json | Iterable[Json] | None) -> list[Json]:
    """One budget or several, as a list."""
    if isinstance(usage_limits, dict):
        return [usage_limits] if usage_limits.get("credit_limit") else []
    return list(usage_limits or ())


@dataclass(frozen=True, slots=True)
class MetadataRule:
    """Limits for each value of one key of the calls' metadata, or for the one `value`."""

    key: str
    value: str | None
    rate_limits: Sequence[Json]
    usage_limits: Json | Sequence[Json]

    def limits(self, value: str) -> tuple[Limit, ...]:
        owner = f"metadata:{hashed(self.key, value)}"
        shown = f"{self.key}={value}"
        return tuple(parse(owner, f"metadata {shown!r}", self.rate_limits, self.usage_limits, named=shown))


@dataclass(frozen=True, slots=True)
class WorkspaceLimits:
    """What holds for all calls of a workspace together, for those of a model, and for those with some metadata."""

    whole: tuple[Limit, ...] = ()
    models: Mapping[str, tuple[Sequence[Json], Json | Sequence[Json]]] = field(default_factory=dict)
    metadata: tuple[MetadataRule, ...] = ()
    _known: dict[Any, tuple[Limit, ...]] = field(default_factory=dict, compare=False)

    def of_model(self, model: str) -> tuple[Limit, ...]:
        """The model's own limits; those of ``*`` hold for each model that has none."""
        if not self.models:
            return ()
        found = self.models.get(model) or self.models.get(ANY)
        if found is None:
            return ()
        if (known := self._known.get(model)) is None:
            made = parse(f"model:{hashed(model)}", f"model {model!r}", *found, named=model)
            known = self._remember(model, tuple(made))
        return known

    def of_metadata(self, metadata: Mapping[str, str]) -> tuple[Limit, ...]:
        """A rule for one value comes before the rule for all values of its key."""
        if not self.metadata:
            return ()
        chosen: dict[str, MetadataRule] = {}
        for rule in self.metadata:
            value = metadata.get(rule.key)
            if value is not None and (rule.value == value or (rule.value is None and rule.key not in chosen)):
                chosen[rule.key] = rule
        return tuple(limit for key, rule in chosen.items() for limit in self._of_value(rule, metadata[key]))

    def _of_value(self, rule: MetadataRule, value: str) -> tuple[Limit, ...]:
        name = (rule.key, value)
        if (known := self._known.get(name)) is None:
            known = self._remember(name, rule.limits(value))
        return known

    def _remember(self, name: Any, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[name] = limits
        return limits


# Callers choose models and metadata freely: past this many the memory is emptied and fills anew.
_KNOWN_MAX: Final = 4096
NO_LIMITS: Final = WorkspaceLimits()


def of_workspace(workspace_id: str, name: str, stored: Json) -> WorkspaceLimits:
    """From `Workspace.limits`. Raises as `parse` does."""
    made = WorkspaceLimits(
        tuple(parse(f"workspace:{workspace_id}", f"workspace {name!r}", stored.get("rate_limits"), stored.get("usage_limits"))),
        {model: (one.get("rate_limits") or [], one.get("usage_limits") or {}) for model, one in _models(stored)},
        tuple(
            MetadataRule(one["key"], one.get("value"), one.get("rate_limits") or [], one.get("usage_limits") or {})
            for one in stored.get("metadata") or ()
        ),
    )
    for model in made.models:
        made.of_model(model)  # what cannot be read is found now, not by a call
    for rule in made.metadata:
        rule.limits(rule.value or "")
    return made


def _models(stored: Json) -> Iterable[tuple[str, Json]]:
    return (stored.get("models") or {}).items()
