"""Azure's refusals by its content filters, whose findings callers read beside OpenAI's fields (``error.innererror``)."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Json, Target
from routing.errors import ProviderError
from routing.providers import failures, reading

# Codes and the findings of each filter; what else may stand there is not known to be free of the prompt.
_KEPT = ("code", "content_filter_result", "content_filter_results")


class FilteredError(ProviderError):
    """An error with the findings of the filters."""

    def __init__(self, error: ProviderError, findings: Json) -> None:
        super().__init__(
            error.message, status=error.status, error_type=error.error_type, param=error.param, code=error.error_code
        )
        self.provider = error.provider
        self.original = error.original
        self.findings = findings

    def body(self) -> Json:
        shaped = super().body()
        shaped["error"]["innererror"] = self.findings
        return shaped


def with_findings(error: ProviderError, target: Target, body: bytes) -> ProviderError:
    """The same error, with the findings that `body` holds, unless there is a credential in them."""
    try:
        parsed: Any = reading.loads(body)
    except orjson.JSONDecodeError:
        return error
    inner = parsed.get("error") if isinstance(parsed, dict) else None
    found = inner.get("innererror") if isinstance(inner, dict) else None
    findings = {key: found[key] for key in _KEPT if found.get(key)} if isinstance(found, dict) else {}
    text = orjson.dumps(findings).decode()
    return FilteredError(error, findings) if findings and failures.redact(text, target) == text else error
