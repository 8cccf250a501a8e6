"""What a vendor cannot express: refused by name, or left out and named where the target allows it."""

from __future__ import annotations

from typing import Any, NoReturn

from routing.call import Json, Target
from routing.errors import Unsupported

# Parameters that few vendors know, with the values that change nothing: a caller who always sends those is served.
HARMLESS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "audio": (),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "verbosity": ("medium",),
    "web_search_options": (),
}
# Mere wishes: the answer is as good without them.
WISHES = frozenset({"store", "prompt_cache_key", "prompt_cache_retention", "prediction", "stream", "stream_options"})


class Wishes:
    """Collects what one request leaves out. `dropped` holds the paths in the order in which they were met."""

    def __init__(self, target: Target) -> None:
        self.label = target.provider.label
        self._may_drop = target.drop_unsupported
        self._dropped: list[str] = []

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)

    def refuse(self, path: str, complaint: str | None = None) -> None:
        """Raises `Unsupported` that names `path`, unless the target leaves out what cannot be said."""
        if not self._may_drop:
            raise Unsupported(complaint or f"{self.label} cannot express {path}.", param=path)
        self._dropped.append(path)

    def never(self, path: str, complaint: str) -> NoReturn:
        """Raises `Unsupported` for what cannot be left out without changing the question itself."""
        raise Unsupported(complaint, param=path)

    def refuse_all(self, body: Json, *, but: frozenset[str] = frozenset()) -> None:
        """Refuses each parameter of `HARMLESS` that asks for something; those in `but` the vendor knows."""
        for name, harmless in HARMLESS.items():
            value = body.get(name)
            if name not in but and value is not None and value not in harmless:
                self.refuse(name)
