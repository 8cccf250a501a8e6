"""Oracle's signature of a request: RSA over the date, the address, the host and the content (draft-cavage-http-signatures).

https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm. Only this module signs with RSA by itself.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from routing.call import Target, UpstreamRequest
from routing.errors import InvalidRequest
from routing.providers.base import Option, Send

REGION = Option("oracle_region")
COMPARTMENT = Option("oracle_compartment_id", sent_as="opc-compartment-id")
# Who signs, in the order in which they name the key.
_NAMES = ("oracle_tenancy", "oracle_user", "oracle_fingerprint")
_KEY, _PASSPHRASE = "oracle_private_key", "oracle_key_passphrase"
_NONE_HERE = "the service is called at its address of OpenAI's dialect, which knows neither versions nor modes of serving."
OPTIONS = (
    REGION,
    COMPARTMENT,
    # As whom the stored key acts is not for a caller to say.
    *(Option(name, destination=True) for name in _NAMES),
    Option(_KEY, secret=True),
    Option(_PASSPHRASE, secret=True),
    *(Option(name, unfit=_NONE_HERE) for name in ("oracle_api_version", "oracle_serving_mode")),
)


async def authorise(request: UpstreamRequest, target: Target, send: Send) -> UpstreamRequest:
    """See `Signer`. With a key of the service the request is left as it is, for that already stands in it."""
    if "authorization" in request.headers:
        return request
    for name in (*_NAMES, _KEY):
        if not target.options.get(name):
            raise InvalidRequest(
                f"{target.provider.label} needs a key of the service, or {', '.join((*_NAMES, _KEY))}: {name} is missing.",
                param=f"{target.path}.{name}",
                code="missing_provider_key",
            )
    who = "/".join(str(target.options[name]) for name in _NAMES)
    key = private_key(str(target.options[_KEY]), str(target.options.get(_PASSPHRASE) or ""))
    headers = dict(request.headers)
    if compartment := target.options.get(COMPARTMENT.name):
        headers["compartmentid"] = str(compartment)
    return signed(replace(request, headers=headers), who, key, datetime.now(UTC))


def signed(request: UpstreamRequest, who: str, key: RSAPrivateKey, at: datetime) -> UpstreamRequest:
    """The request with its signature. Raises `InvalidRequest` for a body that is not in memory."""
    if not isinstance(request.body, bytes):
        raise InvalidRequest("An upload cannot be signed for this provider: give a key of the service.", param="api_key")
    if '"' in who:
        raise InvalidRequest("oracle_tenancy, oracle_user and oracle_fingerprint hold no quotation marks.", param="oracle_user")
    url = urlsplit(request.url)
    target = url.path + (f"?{url.query}" if url.query else "")
    said = {
        "date": format_datetime(at, usegmt=True),
        "(request-target)": f"{request.method.lower()} {target}",
        "host": url.netloc,
    }
    if request.method in ("POST", "PUT", "PATCH"):
        said |= {
            "content-type": request.headers.get("content-type", "application/json"),
            "content-length": str(len(request.body)),
            "x-content-sha256": base64.b64encode(hashlib.sha256(request.body).digest()).decode(),
        }
    text = "\n".join(f"{name}: {value}" for name, value in said.items())
    signature = base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    shown = {name: value for name, value in said.items() if name not in ("(request-target)", "host", "content-length")}
    shown["authorization"] = (
        f'Signature version="1",keyId="{who}",algorithm="rsa-sha256",headers="{" ".join(said)}",signature="{signature}"'
    )
    return replace(request, headers={**request.headers, **shown})


@lru_cache(maxsize=64)
def private_key(pem: str, passphrase: str) -> RSAPrivateKey:
    """From PEM; a header has no line breaks, so that they may be written out. Raises `InvalidRequest`, which quotes nothing."""
    text = pem.replace("\\n", "\n").strip().encode()
    try:
        key = load_pem_private_key(text, passphrase.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidRequest(f"{_KEY}: is no private key, or {_PASSPHRASE} does not open it.", param=_KEY) from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidRequest(f"{_KEY}: is no RSA key.", param=_KEY)
    return key
