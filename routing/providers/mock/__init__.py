"""The built-in provider `mock`: answers from inside the process, for trying things out and for tests.

docs/mock-provider.md says what it can be asked for. It speaks OpenAI's dialect, so that everything above it works as with a
real vendor; only the transport is its own.
"""

from __future__ import annotations

from routing.call import UpstreamRequest
from routing.providers.mock.transport import MockResponse, MockTransport

_transport = MockTransport()


async def respond(request: UpstreamRequest) -> MockResponse:
    """The transport for URLs of the scheme ``mock``. Raises `UpstreamUnreachable` where the model's name asks for that."""
    return await _transport.respond(request)
