"""Who a call to AWS is made as: signatures, API keys, roles."""

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import time_machine
import yarl
from hypothesis import given
from hypothesis import strategies as st

from routing.call import UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, UpstreamInvalid
from routing.providers.bedrock import names
from routing.providers.bedrock.signing import AwsKeys, signed
from routing.providers.table import find
from tests.routing.providers.aws import signature_holds
from tests.routing.providers.pairs import KEY, make_call, make_target

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ROLE = "arn:aws:iam::123456789012:role/gateway"
KEYS = {"aws_region": "eu-west-1", "aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": SECRET}
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>temporary/secret</SecretAccessKey>
<SessionToken>the+session/token==</SessionToken><Expiration>2026-01-01T13:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""


class Wire:
    """Stands for the way out: keeps what is sent and answers from a script."""

    def __init__(self, *answers):
        self.sent = []
        self._answers = list(answers)

    async def send(self, request):
        self.sent.append(request)
        await asyncio.sleep(0)
        status, self.body = self._answers.pop(0)
        self.status = status
        return self

    async def read(self):
        return self.body

    async def close(self):
        pass


async def authorised(options, wire=None, *, model="anthropic.claude-v2:1", **settings):
    target = make_target("bedrock", **{"api_key": None, "options": options, **settings})
    call = make_call(
        {"model": model, "messages": [{"role": "user", "content": "Hi"}]}, headers={"authorization": "Bearer caller"}
    )
    request = find("bedrock").dialect.request(call, target)
    return await find("bedrock").signer(request, target, wire.send if wire else None)


def holds(request, secret=SECRET, service="bedrock"):
    url = yarl.URL(request.url)
    headers = {**request.headers, "host": urlsplit(request.url).netloc}
    return signature_holds(request.method, url.raw_path_qs, headers, request.body, secret=secret, service=service)


@time_machine.travel("2015-08-30T12:36:00Z", tick=False)
def test_it_signs_as_the_published_example():
    """The case get-vanilla of AWS's own test suite for the signature."""
    request = UpstreamRequest("https://example.amazonaws.com/", {}, b"", "GET")
    headers = signed(request, keys=AwsKeys("AKIDEXAMPLE", SECRET), region="us-east-1", service="service").headers
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )
    assert headers["x-amz-date"] == "20150830T123600Z"


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-v2:1",
        "us.amazon.nova-pro-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123",
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/a b+c",
    ],
)
async def test_the_signature_covers_the_request_as_it_is_sent(model):
    request = await authorised(KEYS, model=model)
    assert holds(request)
    assert not holds(request, secret="another")
    assert not holds(replace(request, body=request.body + b" "))
    assert "/eu-west-1/bedrock/" in request.headers["authorization"]
    assert request.url.startswith("https://bedrock-runtime.eu-west-1.amazonaws.com/model/")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]), min_size=1))
def test_the_address_of_any_model_is_sent_as_it_was_signed(model):
    if not model.strip("."):
        return
    url = f"https://bedrock-runtime.us-east-1.amazonaws.com/{names.path(model, 'converse')}"
    sent = yarl.URL(url)
    assert str(sent) == url
    assert sent.raw_parts[1] == "model"
    assert len(sent.raw_parts) == 4


@pytest.mark.parametrize("model", [".", "..", "..."])
async def test_a_model_that_leads_elsewhere_is_refused(model):
    with pytest.raises(InvalidRequest) as caught:
        await authorised(KEYS, model=model)
    assert caught.value.param == "model"


async def test_temporary_keys_bring_their_token():
    request = await authorised({**KEYS, "aws_session_token": "the/token"})
    assert request.headers["x-amz-security-token"] == "the/token"
    assert "x-amz-security-token" in request.headers["authorization"]
    assert holds(request)


async def test_a_retry_is_signed_anew():
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        first = await authorised(KEYS)
        clock.shift(2)
        second = await authorised(KEYS)
    assert first.headers["authorization"] != second.headers["authorization"]
    assert (first.body, first.url) == (second.body, second.url)


async def test_an_api_key_is_a_bearers():
    for options in ({}, {"aws_auth_type": "apiKey"}, {**KEYS, "aws_auth_type": "apiKey"}):
        request = await authorised(options, api_key=KEY)
        assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_keys_that_sign_go_before_an_api_key():
    assert holds(await authorised(KEYS, api_key=KEY))


async def test_a_forwarded_credential_is_left_alone():
    request = await authorised(KEYS, forward_headers=("authorization",))
    assert request.headers["authorization"] == "Bearer caller"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({}, "aws_access_key_id"),
        ({"aws_access_key_id": "AKIDEXAMPLE"}, "aws_secret_access_key"),
        ({"aws_secret_access_key": SECRET}, "aws_access_key_id"),
        ({"aws_auth_type": "apiKey", **KEYS}, "api_key"),
        ({"aws_auth_type": "assumedRole", **KEYS}, "aws_role_arn"),
        ({"aws_role_arn": ROLE}, "aws_access_key_id"),
    ],
)
async def test_a_missing_credential_is_named(options, param):
    with pytest.raises(InvalidRequest) as caught:
        await authorised(options)
    assert (caught.value.param, caught.value.code) == (f"config.{param}", "missing_provider_key")
    assert param in caught.value.message
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(("name", "value"), [("aws_region", "eu/../x"), ("aws_auth_type", "magic")])
async def test_a_setting_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(InvalidRequest) as caught:
        await authorised({**KEYS, name: value})
    assert caught.value.param == name


@time_machine.travel("2026-01-01T12:00:00Z", tick=False)
async def test_a_role_is_taken_on_once_for_all_calls():
    wire = Wire((200, ASSUMED.encode()))
    options = {**KEYS, "aws_role_arn": ROLE, "aws_external_id": "ext-7"}
    requests = await asyncio.gather(*(authorised(options, wire) for _ in range(5)))
    [asked] = wire.sent
    assert asked.url == "https://sts.eu-west-1.amazonaws.com/"
    assert asked.body == (
        b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgateway"
        b"&RoleSessionName=gatehouse&ExternalId=ext-7"
    )
    assert holds(asked, service="sts")
    for request in requests:
        assert "Credential=ASIATEMPORARY/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "the+session/token=="
        assert holds(request, secret="temporary/secret")


async def test_a_role_is_taken_on_again_before_its_keys_end():
    wire = Wire((200, ASSUMED.encode()), (200, ASSUMED.replace("TEMPORARY", "LATER").encode()))
    options = {**KEYS, "aws_role_arn": ROLE, "aws_external_id": "ext-8"}
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        await authorised(options, wire)
        clock.shift(54 * 60)
        await authorised(options, wire)
        assert len(wire.sent) == 1
        clock.shift(2 * 60)
        assert "ASIALATER" in (await authorised(options, wire)).headers["authorization"]


@pytest.mark.parametrize(
    "other",
    [
        {"aws_secret_access_key": "another"},
        {"aws_access_key_id": "AKIDOTHER"},
        {"aws_session_token": "another"},
        {"aws_role_arn": f"{ROLE}-other"},
        {"aws_external_id": "another"},
        {"aws_region": "us-west-2"},
    ],
)
async def test_keys_of_a_role_are_kept_for_just_that_role_and_who_takes_it_on(other):
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False):
        wire = Wire(*((200, ASSUMED.encode()),) * 2)
        options = {**KEYS, "aws_role_arn": f"{ROLE}-of-{next(iter(other))}"}
        await authorised(options, wire)
        await authorised({**options, **other}, wire)
    assert len(wire.sent) == 2


async def test_a_refused_role_says_why():
    body = b"<Error><Code>AccessDenied</Code><Message>User &amp; role: no AKIAABCDEFGHIJKLMNOP</Message></Error>"
    with pytest.raises(ProviderError) as caught:
        await authorised({**KEYS, "aws_role_arn": f"{ROLE}-3"}, Wire((403, body)))
    assert (caught.value.status, caught.value.message) == (403, "bedrock error: User & role: no [redacted]")


@pytest.mark.parametrize(
    "body", [b"", b"{}", ASSUMED.replace("2026-01-01T13:00:00Z", "soon").encode(), b"<SessionToken>x</SessionToken>"]
)
async def test_an_answer_without_keys_is_invalid_and_not_quoted(body):
    with pytest.raises(UpstreamInvalid) as caught:
        await authorised({**KEYS, "aws_role_arn": f"{ROLE}-4"}, Wire((200, body)))
    assert caught.value.message == "bedrock error: the answer to AssumeRole holds no credentials"


async def test_the_token_service_can_stand_elsewhere():
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False):
        wire = Wire((200, ASSUMED.encode()))
        await authorised({**KEYS, "aws_role_arn": ROLE, "aws_sts_endpoint": "https://sts.internal.example/"}, wire)
    assert wire.sent[0].url == "https://sts.internal.example/"


def test_keys_are_not_printed():
    assert SECRET not in repr(AwsKeys("AKIDEXAMPLE", SECRET, "token"))
