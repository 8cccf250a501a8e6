"""Oracle's signature, against the examples of its own documentation."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from routing.call import UpstreamRequest
from routing.errors import InvalidRequest
from routing.providers.oracle.signing import authorise, private_key, signed
from tests.routing.providers.pairs import make_call, make_target

# The key of the documentation's examples, which is a key to nothing, in parts for the sake of tools that look for keys.
DOCUMENTED = "".join(
    (
        "-----BEGIN RSA PRIV",
        "ATE KEY-----\\n",
        "MIICXgIBAAKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QF\\n",
        "NUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+F\\n",
        "UR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB\\n",
        "AoGBAJR8ZkCUvx5kzv+utdl7T5MnordT1TvoXXJGXK7ZZ+UuvMNUCdN2QPc4sBiA\\n",
        "QWvLw1cSKt5DsKZ8UETpYPy8pPYnnDEz2dDYiaew9+xEpubyeW2oH4Zx71wqBtOK\\n",
        "kqwrXa/pzdpiucRRjk6vE6YY7EBBs/g7uanVpGibOVAEsqH1AkEA7DkjVH28WDUg\\n",
        "f1nqvfn2Kj6CT7nIcE3jGJsZZ7zlZmBmHFDONMLUrXR/Zm3pR5m0tCmBqa5RK95u\\n",
        "412jt1dPIwJBANJT3v8pnkth48bQo/fKel6uEYyboRtA5/uHuHkZ6FQF7OUkGogc\\n",
        "mSJluOdc5t6hI1VsLn0QZEjQZMEOWr+wKSMCQQCC4kXJEsHAve77oP6HtG/IiEn7\\n",
        "kpyUXRNvFsDE0czpJJBvL/aRFUJxuRK91jhjC68sA7NsKMGg5OXb5I5Jj36xAkEA\\n",
        "gIT7aFOYBFwGgQAQkWNKLvySgKbAZRTeLBacpHMuQdl1DfdntvAyqpAZ0lY0RKmW\\n",
        "G6aFKaqQfOXKCyWoUiVknQJAXrlgySFci/2ueKlIE1QqIiLSZ8V8OlpFLRnb1pzI\\n",
        "7U1yQXnTAEFYM560yJlzUpOb1V4cScGd365tiSMvxLOvTA==\\n",
        "-----END RSA PRIV",
        "ATE KEY-----\\n",
    )
)
WHO = "ocid1.tenancy.oc1..<unique_ID>/ocid1.user.oc1..<unique_ID>/<key_fingerprint>"
AT = datetime(2014, 1, 5, 21, 31, 40, tzinfo=UTC)
READ = (
    "https://iaas.us-phoenix-1.oraclecloud.com/20160918/instances?availabilityDomain=Pjwf%3APHX-AD-1"
    "&compartmentId=ocid1.compartment.oc1..<unique_ID>&displayName=TeamXInstances&volumeId=ocid1.volume.oc1.phx..<unique_ID>"
)
WRITTEN = (
    b'{\n   "compartmentId": "ocid1.compartment.oc1..<unique_id>",\n   "instanceId": "ocid1.instance.oc1.phx.<unique_id>"\n'
    b'   "volumeId": "ocid1.volume.oc1.phx.<unique_id>"\n}'
)
WHOLE = {"oracle_tenancy": "t", "oracle_user": "u", "oracle_fingerprint": "aa:bb", "oracle_region": "us-chicago-1"}


def pem(key, passphrase=None):
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def asked(target):
    return target.provider.dialect.request(make_call({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}), target)


async def never(request):
    raise AssertionError("nothing is fetched")


def test_a_read_is_signed_as_documented():
    request = signed(UpstreamRequest(READ, {}, b"", "GET"), WHO, private_key(DOCUMENTED, ""), AT)
    assert request.headers["date"] == "Sun, 05 Jan 2014 21:31:40 GMT"
    assert request.headers["authorization"] == (
        f'Signature version="1",keyId="{WHO}",algorithm="rsa-sha256",headers="date (request-target) host",'
        'signature="nUo0x87DEV2xf6jYBo9igC2YWxm/C+2DFTzIFs4XiC71JVqeh4KEdVCmK0j2GZFbw+OZLC0j+PH2'
        'aU390KkTjy5Tk6FLzzap3NSpT0booSP1mKYKsTlVqerHJJi3Sp8BfGK+FjpLlyaaqKYO+i/4PrzrWHKSBN/syHrIloPPK98="'
    )


def test_a_write_is_signed_as_documented():
    url = "https://iaas.us-phoenix-1.oraclecloud.com/20160918/volumeAttachments"
    request = UpstreamRequest(url, {"content-type": "application/json"}, WRITTEN)
    assert signed(request, WHO, private_key(DOCUMENTED, ""), AT).headers["authorization"] == (
        f'Signature version="1",keyId="{WHO}",algorithm="rsa-sha256",'
        'headers="date (request-target) host content-type content-length x-content-sha256",'
        'signature="wdQpB1eeILOzR3Z+syZBPSwEQ+LNBGr1Eh/ZHSI/FKluHofk/WsIkDOlIGAaMpvZPK1u0ExC1rBZbaPJ'
        'sHYFQMSyhblIqPI9Q8mMwmQbLCq0DhQ+7tQWFBVcksP5LQ1xb95OI/4HrMZl4gklQYONaQ6v7emyKvKIUhNZsdPvMmg="'
    )


async def test_a_chat_is_signed_by_the_users_key(key):
    options = {**WHOLE, "oracle_private_key": pem(key), "oracle_compartment_id": "ocid1.compartment"}
    target = make_target("oracle", api_key=None, options=options)
    request = await authorise(asked(target), target, never)
    assert request.url == "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1/chat/completions"
    assert (request.headers["opc-compartment-id"], request.headers["compartmentid"]) == ("ocid1.compartment",) * 2
    assert request.headers["authorization"].startswith('Signature version="1",keyId="t/u/aa:bb",')
    assert "PRIVATE" not in str(request.headers)


async def test_a_key_behind_a_passphrase_is_opened(key):
    locked = pem(key, b"open sesame")
    options = {**WHOLE, "oracle_private_key": locked.replace("\n", "\\n"), "oracle_key_passphrase": "open sesame"}
    target = make_target("oracle", api_key=None, options=options)
    assert "authorization" in (await authorise(asked(target), target, never)).headers
    opened = private_key(locked, "open sesame")
    opened.public_key().verify(key.sign(b"text", PKCS1v15(), SHA256()), b"text", PKCS1v15(), SHA256())


async def test_a_key_of_the_service_needs_no_signature():
    target = make_target("oracle", options={"oracle_region": "us-chicago-1"})
    request = asked(target)
    assert await authorise(request, target, never) is request


@pytest.mark.parametrize("name", ["oracle_tenancy", "oracle_user", "oracle_fingerprint", "oracle_private_key"])
async def test_what_is_missing_is_named(key, name):
    options = {**WHOLE, "oracle_private_key": pem(key)}
    del options[name]
    target = make_target("oracle", api_key=None, options=options)
    with pytest.raises(InvalidRequest) as caught:
        await authorise(asked(target), target, never)
    assert (caught.value.param, caught.value.code) == (f"config.{name}", "missing_provider_key")


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN", "a secret that is no key"])
def test_what_is_no_key_is_refused_unquoted(text):
    with pytest.raises(InvalidRequest) as caught:
        private_key(text, "")
    assert caught.value.param == "oracle_private_key"
    assert not text or text not in caught.value.message


def test_a_locked_key_and_another_kind_are_refused(key):
    for text, passphrase in ((pem(key, b"a"), ""), (pem(key, b"a"), "b"), (pem(ec.generate_private_key(ec.SECP256R1())), "")):
        with pytest.raises(InvalidRequest) as caught:
            private_key(text, passphrase)
        assert caught.value.param == "oracle_private_key"
