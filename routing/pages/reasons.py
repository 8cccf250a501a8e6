"""Why a target has its place in a dry run, in the language of the page. The walk itself speaks English, as the API does."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.utils.translation import gettext as _

Words = Callable[[re.Match[str]], str]

# In the order in which they are tried: each matches one part of a reason from its start, up to the next part or the end.
_PARTS: tuple[tuple[str, Words], ...] = (
    ("the only target", lambda _part: _("the only target")),
    (
        r"first of (\d+) in a (\w+)",
        lambda part: _("first of %(count)s in a %(mode)s") % {"count": part[1], "mode": part[2]},
    ),
    (
        r"next after a failure of (\d+) in a (\w+)",
        lambda part: (
            _("after a failure of the one before it, of %(count)s in a %(mode)s") % {"count": part[1], "mode": part[2]}
        ),
    ),
    (r"drawn in a loadbalance, share (\S+?)", lambda part: _("drawn by its share of %(share)s") % {"share": part[1]}),
    (
        r"chosen by (.+?) in a loadbalance, share (\S+?)",
        lambda part: _("chosen by %(fields)s, with a share of %(share)s") % {"fields": part[1], "share": part[2]},
    ),
    ("the default, since no condition holds", lambda _part: _("the default, since no condition holds")),
    (r"the condition (.+?) holds", lambda part: _("the condition %(condition)s holds") % {"condition": part[1]}),
    (
        r"it is used only after a failure of these kinds: (.+?); .+",
        lambda part: _("it is used only after a failure of these kinds: %(kinds)s") % {"kinds": part[1]},
    ),
    (
        r"it takes calls for at most (\d+) tokens, and this one asks for (\d+)",
        lambda part: (
            _("it takes calls for at most %(most)s tokens, and this one asks for %(asked)s")
            % {"most": part[1], "asked": part[2]}
        ),
    ),
    (
        r"its breaker is open for another ([\d.]+) s",
        lambda part: _("its breaker is open for another %(time)s s") % {"time": part[1]},
    ),
)
_COMPILED = tuple((re.compile(rf"{pattern}(?:; |$)", re.DOTALL), words) for pattern, words in _PARTS)


def reason(text: str) -> str:
    """A reason in the reader's language; what is not known stays as it is."""
    said: list[str] = []
    at = 0
    while at < len(text):
        found = next(((match, words) for pattern, words in _COMPILED if (match := pattern.match(text, at))), None)
        if found is None:
            return "; ".join([*said, text[at:]])
        match, words = found
        said.append(words(match))
        at = match.end()
    return "; ".join(said)
