"""What a call would do, without calling anyone: the real steps of a call up to the wire, and what each of them decided.

The request is read, resolved and walked by the code that serves real calls, so a dry run cannot disagree with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from django.http import HttpRequest

from keys import validation as check
from keys.auth import Caller, bearer
from routing import attempts, patience, strategies
from routing.api import incoming
from routing.call import Call, Endpoint, Json, Target
from routing.errors import GatewayError, InvalidRequest
from routing.plan import Branch, Node, Plan, resolve
from routing.providers import adapters
from routing.snapshot import Snapshot
from routing.strategies import Context, Live, Step

# Whose body is JSON: of the others, what is sent cannot be written down in a request.
ENDPOINTS = (
    Endpoint.CHAT,
    Endpoint.COMPLETIONS,
    Endpoint.EMBEDDINGS,
    Endpoint.MESSAGES,
    Endpoint.COUNT_TOKENS,
    Endpoint.RESPONSES,
    Endpoint.MODERATIONS,
    Endpoint.RERANK,
    Endpoint.IMAGES,
    Endpoint.SPEECH,
)
_MAX_BODY_BYTES = 1024 * 1024
_HEADERS_MAX = 50
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_header_value = check.text(8192, blank=True)


def read_request(request: Any, config: Any, caller: Caller) -> Call:
    """The call that ``{"endpoint", "body", "headers", "metadata"}`` describes. `config` is inline, or the name of a saved one.

    Raises `InvalidRequest` with the path in the request.
    """
    fields = check.clean(check.mapping(request, "request"), _REQUEST, "request")
    check.require(fields, "body", path="request")
    headers = fields.get("headers", {})
    for name, value in (("x-portkey-metadata", fields.get("metadata")), ("x-portkey-config", config)):
        if value is None:
            continue
        if name in headers:
            check.refuse(f"request.headers.{name}", "is said beside the headers already")
        # In ASCII, as SDKs write it: a header has no encoding.
        headers[name] = value if isinstance(value, str) else json.dumps(value)
    endpoint = fields.get("endpoint", Endpoint.CHAT)
    asgi = HttpRequest()
    asgi.scope = {  # type: ignore[attr-defined] # as every request of ours has it
        "method": "POST",
        "path": f"/v1/{endpoint}",
        "query_string": b"",
        "headers": [(name.encode("ascii"), value.encode("latin1")) for name, value in headers.items()],
    }
    asgi._body = orjson.dumps(fields["body"])
    call = incoming.begin(asgi, endpoint)
    try:
        return incoming.read(asgi, call, caller, bearer(headers), _MAX_BODY_BYTES)
    except InvalidRequest as error:
        if error.param and not error.param.startswith("x-portkey"):
            error.param = f"request.body.{error.param}"
        raise


def _endpoint(value: Any, path: str) -> str:
    text = str(value).removeprefix("/").removeprefix("v1/")
    if text not in ENDPOINTS:
        check.refuse(path, f"must be one of {', '.join(ENDPOINTS)}")
    return text


def _headers(value: Any, path: str) -> dict[str, str]:
    given = check.mapping(value, path)
    if len(given) > _HEADERS_MAX:
        check.refuse(path, f"has too many entries: at most {_HEADERS_MAX}")
    headers = {}
    for name, content in given.items():
        if not _HEADER_NAME.fullmatch(name):
            check.refuse(path, f"{name[:100]!r} is not a header name")
        headers[name.lower()] = _header_value(content, f"{path}.{name}")
        if not headers[name.lower()].isascii():
            check.refuse(f"{path}.{name}", "must be ASCII")
    if "x-portkey-api-key" in headers:
        check.refuse(f"{path}.x-portkey-api-key", "cannot be given: the dry run is made with the rights of its caller")
    return headers


_REQUEST: dict[str, check.Check] = {
    "endpoint": _endpoint,
    "body": check.mapping,
    "headers": _headers,
    "metadata": check.mapping,
}


def run(call: Call, caller: Caller, snapshot: Snapshot, live: Live) -> Json:
    """The targets in the order in which they would be tried if each failed, those that would be skipped, and why.

    Raises `GatewayError` where the call would be refused before any target is looked at.
    """
    plan = resolve(call.headers, caller, bearer(call.headers), snapshot, call.model)
    context = Context(call, live)
    refusal: GatewayError | None = None
    steps: list[Step] = []
    try:
        steps = strategies.explain(plan.root, context)
    except GatewayError as error:
        refusal = error
    around = {target.path: chain for target, chain in _leaves(plan.root)}
    slugs = {entry.id: entry.slug for entry in snapshot.virtual_keys.values()}
    order = 0
    told = []
    for step in steps:
        order += not step.skipped
        shown = _shown(step, call, live, slugs.get(step.target.virtual_key_id or ""))
        branches = [_branch(branch, index, call) for branch, index in around[step.target.path]]
        told.append({"order": None if step.skipped else order, **shown, "branches": branches})
    return {
        "object": "dry-run",
        "endpoint": call.endpoint,
        "config": _named(plan),
        "deadline_ms": plan.deadline_ms,
        "targets": told,
        "conditions": [rule for branch in _branches(plan.root) for rule in _conditions(branch, context)],
        "error": None if refusal is None else {"status": refusal.status, **refusal.body()["error"]},
    }


def _named(plan: Plan) -> Json | None:
    return None if plan.config_id is None else {"id": plan.config_id, "version": plan.config_version}


# --- The tree ---------------------------------------------------------------------------------------------------------


def targets(plan: Plan) -> list[Target]:
    """All targets of a plan, in the order in which they are written."""
    return [target for target, _ in _leaves(plan.root)]


def _leaves(node: Node, chain: tuple[tuple[Branch, int], ...] = ()) -> Iterator[tuple[Target, tuple[tuple[Branch, int], ...]]]:
    """Every target, with the branches above it from the root down and the child of each that leads to it."""
    if isinstance(node, Target):
        yield node, chain
        return
    for index, child in enumerate(node.children):
        yield from _leaves(child, (*chain, (node, index)))


def _branches(node: Node) -> Iterator[Branch]:
    if isinstance(node, Branch):
        yield node
        for child in node.children:
            yield from _branches(child)


def _branch(branch: Branch, index: int, call: Call) -> Json:
    """How a branch stands to one of its children."""
    told: Json = {"path": branch.path, "mode": branch.mode}
    if branch.mode == "loadbalance":
        told["share"] = round(branch.weights[index] / sum(branch.weights), 4)
        told["sticky"] = list(branch.sticky)
    return told


def _conditions(branch: Branch, context: Context) -> Iterator[Json]:
    """Every rule of a conditional branch with its result; the first one that holds decides."""
    decided = False
    for rule in branch.rules:
        holds = bool(rule.holds(context.facts))
        leads_to = branch.children[rule.child].path
        yield {"path": branch.path, "condition": rule.text, "holds": holds, "decides": holds and not decided, "then": leads_to}
        decided = decided or holds
    if branch.rules and branch.default is not None:
        then = branch.children[branch.default].path
        yield {"path": branch.path, "condition": None, "holds": True, "decides": not decided, "then": then}


# --- A target ---------------------------------------------------------------------------------------------------------


def _shown(step: Step, call: Call, live: Live, virtual_key: str | None) -> Json:
    target = step.target
    body, refusal = _sent(call, target)
    return {
        "path": target.path,
        "name": target.name,
        "provider": target.provider.id,
        "virtual_key": virtual_key,
        "model": _model(body, call, target),
        "reason": step.reason,
        "skipped": {"rule": step.skipped, "wait_s": round(step.wait_s, 1) or None} if step.skipped else None,
        "refused": None if refusal is None else refusal.body()["error"],
        "retry": {
            "attempts": target.retry.attempts,
            "on_status_codes": sorted(target.retry.on_status_codes),
            "delays_ms": [patience.backoff_ms(target.retry, number) for number in range(target.retry.attempts)],
            "use_retry_after_header": target.retry.use_retry_after,
        },
        "timeouts": {
            name: value
            for name in ("attempt_ms", "connect_ms", "first_token_ms", "idle_ms", "total_ms")
            if (value := getattr(target.timeouts, name)) is not None
        },
        "breaker": _breaker(target, live),
        "request": body,
    }


def _breaker(target: Target, live: Live) -> Json | None:
    if target.breaker is None:
        return None
    wait_s = live.open_for_s(target)
    return {"state": "closed" if wait_s is None else "open", "open_for_s": None if wait_s is None else round(wait_s, 1)}


def _sent(call: Call, target: Target) -> tuple[Json | None, GatewayError | None]:
    """The body that the provider would get, if it is JSON, or the gateway's own reason not to send it."""
    try:
        attempts.check_target(call, target)
        if adapters.answered_here(call, target) is not None:
            return None, None
        request = adapters.dialect_for(call, target).request(call, target)
    except GatewayError as error:
        return None, error
    try:
        body = orjson.loads(request.body) if isinstance(request.body, bytes) else None
    except orjson.JSONDecodeError:
        return None, None
    return (body if isinstance(body, dict) else None), None


def _model(body: Mapping[str, Any] | None, call: Call, target: Target) -> str | None:
    """What is sent as the model; some vendors have it in the address instead of the body."""
    sent = (body or {}).get("model")
    return sent if isinstance(sent, str) else target.model or call.model or None
