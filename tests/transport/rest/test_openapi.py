"""The OpenAPI document, and a tool that sends whatever it allows and forbids: no 500, no answer outside it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.transport.rest.openapi import document
from tests.serving import KEY, SDKAPPID, a_server, a_usersig

EXAMPLES = 10
"""Of each command, allowed and forbidden ones alike."""
QUERY_CHARACTERS_MAX = 600
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
KNOWN = {
    **dict.fromkeys(("UserID", "From_Account", "Owner_Account", "Member_Account", "NewOwner_Account"), "alice"),
    "GroupId": "room",
    "Type": "Public",
    "MsgType": "TIMTextElem",
}

SCHEMA = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server on which alice owns the group `room`."""
    app = f"{SDKAPPID}:ultimate:{KEY}"
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--rate-limits", "off", "--app", app]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        call(url, "im_open_login_svc/account_import", {"UserID": "alice"})
        room = {"Type": "Public", "Name": "room", "GroupId": "room", "Owner_Account": "alice"}
        call(url, "group_open_http_svc/create_group", room)
        yield url
        process.terminate()


def query() -> dict[str, Any]:
    signature = a_usersig("administrator", issued_s=int(time.time()))
    return {"sdkappid": SDKAPPID, "identifier": "administrator", "usersig": signature}


def call(url: str, command: str, body: object) -> None:
    answer = requests.post(f"{url}/v4/{command}", params=query(), json=body, timeout=10)
    assert answer.json()["ErrorCode"] == 0


def acquainted(value: Any) -> Any:
    """The same body, speaking of what exists."""
    if isinstance(value, dict):
        return {
            key: KNOWN[key] if key in KNOWN and isinstance(part, str) else acquainted(part)
            for key, part in value.items()
        }
    return [acquainted(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_call_gets_a_500_or_an_answer_outside_the_document(url: str, name: str, mode: GenerationMode) -> None:
    operation = SCHEMA[f"/v4/{name}"]["POST"]

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_admin=st.booleans(), is_acquainted=st.booleans())
    def send(case: Any, *, is_admin: bool, is_acquainted: bool) -> None:
        # A longer line is HTTP's own affair: 400.
        if is_admin or len(str(case.query)) > QUERY_CHARACTERS_MAX:
            case.query = query()
        if is_acquainted:
            case.body = acquainted(case.body)
        case.call_and_validate(base_url=url, checks=CHECKS)

    send()


async def test_the_document_is_served() -> None:
    async with a_server() as server:
        served = json.loads(await server.page("/openapi.json"))
        assert served == document()
        assert set(served["paths"]) == {f"/v4/{name}" for name in COMMANDS}
        assert all(path["post"]["summary"] for path in served["paths"].values())


def test_a_document_that_promises_something_else_is_noticed(url: str) -> None:
    promised = document()
    promised["components"]["schemas"]["refusal"]["properties"]["ErrorCode"] = {"const": 1}
    case = schemathesis.openapi.from_dict(promised)["/v4/openim/sendmsg"]["POST"].Case(body={}, query=query())
    with pytest.raises(FailureGroup):
        case.call_and_validate(base_url=url, checks=CHECKS)
