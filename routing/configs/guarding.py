"""What a config may say of guardrails. It is read in full, so that it can be accepted as soon as they run.

Every form becomes Portkey's full one: hooks that hold checks. A check's id is ``<plugin>.<function>``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from routing.call import Json
from routing.configs import fields, values
from routing.configs.fields import BOOLEAN, PLAIN, TEXT, Field, Form

ACTIONS = ("block", "redact", "filter", "log")
BUNDLES = ("gdpr", "hipaa")
_HOOKS_MAX = 50
# The plain words for a check, and what its list is called in the check's own parameters.
_PLAIN_CHECKS: dict[str, tuple[str, str, str]] = {
    "pii_detection": ("default.pii", "entities", "entities"),
    "toxicity": ("default.toxicity", "", ""),
    "contains": ("default.contains", "values", "words"),
}
_FEEDBACK = fields.table(
    {
        "feedback": Field(
            fields.table(
                {
                    "value": Field(fields.number(-10, 10), "The feedback's value."),
                    "weight": Field(fields.number(0, 1), "How much it counts."),
                    "metadata": Field(PLAIN, "What is kept with it."),
                }
            ),
            "Feedback that is written for the call.",
        )
    }
)
_CHECK: fields.Fields = {
    "id": Field(TEXT, "Which check, as <plugin>.<function>."),
    "parameters": Field(PLAIN, "What the check goes by."),
    "is_enabled": Field(BOOLEAN, "false switches it off."),
}
_HOOK: fields.Fields = {
    "type": Field(fields.choice("guardrail", "mutator"), "What it does: judge, or change."),
    "id": Field(TEXT, "A name for the results."),
    "deny": Field(BOOLEAN, "A failed check refuses the call."),
    "async": Field(BOOLEAN, "It runs beside the call and cannot refuse it."),
    "sequential": Field(BOOLEAN, "Its checks run one after the other."),
    "guardrail_version_id": Field(TEXT, "Which version of a stored guardrail."),
    "on_success": Field(_FEEDBACK, "What follows when all checks pass."),
    "on_fail": Field(_FEEDBACK, "What follows when one fails."),
}
_FULL: fields.Fields = {
    **_HOOK,
    "checks": Field(
        fields.items(fields.table(_CHECK, needs=("id",)), _HOOKS_MAX, least=1), "What is checked; all of them must pass."
    ),
}


def _hook(raw: object, path: str) -> Json:
    hook = fields.read(_FULL, raw, path, needs=("checks",))
    hook.setdefault("type", "guardrail")
    return hook


def _shorthand(kind: str, raw: object, path: str) -> Json:
    """A hook in one of the short forms. Every key that is no key of a hook is a check."""
    if isinstance(raw, str):
        return {"type": kind, "id": values.text(raw, path)}
    written = fields.object_of(raw, path)
    if written.get("type", kind) not in ("guardrail", "mutator"):
        return _plain(written, path)
    own = {key: value for key, value in written.items() if fields.snake(key) in _HOOK}
    hook = {"type": kind, **fields.read(_HOOK, own, path)}
    checks = [_check(key, value, values.join(path, key)) for key, value in written.items() if key not in own]
    if not checks and "id" not in hook:
        fields.refuse(path, "names no check.")
    return {**hook, **({"checks": checks} if checks else {})}


def _check(name: str, raw: object, path: str) -> Json:
    parameters = dict(PLAIN.parse(raw, path))
    check: Json = {"id": values.text(parameters.pop("id", name), path)}
    if "." not in check["id"]:
        check["id"] = f"default.{check['id']}"
    if "is_enabled" in parameters:
        check["is_enabled"] = values.boolean(parameters.pop("is_enabled"), values.join(path, "is_enabled"))
    return {**check, "parameters": parameters}


def _plain(written: Json, path: str) -> Json:
    """``{"type": "pii_detection", "action": "redact", ...}``: one check and what to do when it finds something."""
    kind = written["type"]
    if not isinstance(kind, str) or kind not in _PLAIN_CHECKS:
        near = difflib.get_close_matches(str(kind)[:100], _PLAIN_CHECKS, n=1)
        hint = f', did you mean "{near[0]}"?' if near else f"; known are {', '.join(_PLAIN_CHECKS)}."
        fields.refuse(values.join(path, "type"), f"{values.shown(kind)} is no check{hint}")
    check_id, listed, theirs = _PLAIN_CHECKS[kind]
    known: dict[str, Field] = {"type": Field(TEXT, ""), "action": Field(fields.choice(*ACTIONS), ""), "id": Field(TEXT, "")}
    if listed:
        known[listed] = Field(fields.items(TEXT, 10_000, least=1), "", theirs)
    else:
        known["threshold"] = Field(fields.number(0, 1), "")
    read = fields.read(known, written, path, needs=(theirs,) if listed else ())
    del read["type"]
    action = read.pop("action", "block")
    name = {"id": read.pop("id")} if "id" in read else {}
    parameters = {**read, **({"operator": "none"} if kind == "contains" else {}), "action": action}
    return {"type": "guardrail", **name, "deny": action == "block", "checks": [{"id": check_id, "parameters": parameters}]}


def _named(prefix: str, parse: Callable[[Any, str], Json], raw: object, path: str) -> list[Json]:
    """A list of hooks; one without an id is called after its place."""
    hooks: list[Json] = fields.items(Form(parse, {}), _HOOKS_MAX).parse(raw, path)
    return [{**hook, "id": hook.get("id") or f"{prefix}_{number}"} for number, hook in enumerate(hooks, start=1)]


def _bundle(raw: object, path: str) -> Json:
    """The short form of both sides: which of the common checks run on what comes in and what goes out."""
    read = fields.read(_BUNDLE, raw, path)
    hooks: list[Json] = []
    if read.get("pii_redaction"):
        hooks.append(
            {"type": "guardrail", "deny": False, "checks": [{"id": "default.pii", "parameters": {"action": "redact"}}]}
        )
    if (toxicity := read.get("toxicity_filter")) is not None:
        parameters = {**toxicity, "action": "block"}
        hooks.append({"type": "guardrail", "deny": True, "checks": [{"id": "default.toxicity", "parameters": parameters}]})
    return {"hooks": hooks, "bundles": read.get("compliance_checks", [])}


_BUNDLE: fields.Fields = {
    "pii_redaction": Field(BOOLEAN, "Personal data are made unreadable."),
    "toxicity_filter": Field(
        fields.table({"threshold": Field(fields.number(0, 1), "From which score on.")}), "What is toxic is refused."
    ),
    "compliance_checks": Field(fields.items(fields.choice(*BUNDLES), len(BUNDLES)), "Bundles of checks by the law's name."),
}


def _hooks(prefix: str, parse: Callable[[Any, str], Json]) -> Form:
    return Form(partial(_named, prefix, parse), {"type": "array", "maxItems": _HOOKS_MAX})


# Each key of a config, and the side of the call and the form that it stands for.
GUARDRAILS: dict[str, Form] = {
    "before_request_hooks": _hooks("before_request_hook", _hook),
    "after_request_hooks": _hooks("after_request_hook", _hook),
    "input_guardrails": _hooks("input_guardrail", partial(_shorthand, "guardrail")),
    "output_guardrails": _hooks("output_guardrail", partial(_shorthand, "guardrail")),
    "input_mutators": _hooks("input_mutator", partial(_shorthand, "mutator")),
    "output_mutators": _hooks("output_mutator", partial(_shorthand, "mutator")),
    "guardrails": Form(_bundle, fields.object_schema(_BUNDLE)),
}
