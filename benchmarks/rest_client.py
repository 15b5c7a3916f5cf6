"""A REST client that costs little itself: requests made beforehand, connections kept alive, one in flight on each."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Final, cast

import uvloop

from mock_im_server.domain.plans import ADMIN
from mock_im_server.settings import DEMO_APP
from mock_im_server.wire import usersig

PATH: Final = "/v4/im_open_login_svc/account_import"

_LENGTH: Final = b"content-length:"
_TABLE: Final = "users"


def imports(first: int, count: int) -> list[bytes]:
    """Imports of so many users, as a vendor SDK sends them: a `random` in each."""
    signature = usersig.sign(usersig.mac_of(DEMO_APP.key), DEMO_APP.sdkappid, ADMIN, int(time.time()), 86_400)
    query = f"sdkappid={DEMO_APP.sdkappid}&identifier={ADMIN}&usersig={signature}&contenttype=json"
    return [
        request(f"{PATH}?{query}&random={number}", json.dumps({"UserID": f"user{number}"}).encode())
        for number in range(first, first + count)
    ]


def batches(first: int, count: int) -> list[bytes]:
    """Imports of so many users, a hundred in each."""
    signature = usersig.sign(usersig.mac_of(DEMO_APP.key), DEMO_APP.sdkappid, ADMIN, int(time.time()), 86_400)
    query = f"sdkappid={DEMO_APP.sdkappid}&identifier={ADMIN}&usersig={signature}&contenttype=json&random=1"
    path = "/v4/im_open_login_svc/multiaccount_import"
    accounts = [[f"user{number}" for number in range(at, at + 100)] for at in range(first, first + count, 100)]
    return [request(f"{path}?{query}", json.dumps({"Accounts": batch}).encode()) for batch in accounts]


def puts(first: int, count: int) -> list[bytes]:
    """Items put into a DynamoDB table, as an AWS SDK sends them; the mock of that cloud reads no signature."""
    return [
        _dynamodb("PutItem", {"TableName": _TABLE, "Item": {"id": {"S": f"user{n}"}}})
        for n in range(first, first + count)
    ]


def table() -> bytes:
    """The request that makes the table."""
    key = {"AttributeName": "id"}
    description = {
        "TableName": _TABLE,
        "AttributeDefinitions": [key | {"AttributeType": "S"}],
        "KeySchema": [key | {"KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return _dynamodb("CreateTable", description)


def _dynamodb(action: str, body: object) -> bytes:
    headers = (
        "Content-Type: application/x-amz-json-1.0\r\n"
        f"X-Amz-Target: DynamoDB_20120810.{action}\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=any/20261123/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=any\r\n"
    )
    return request("/", json.dumps(body).encode(), headers)


def request(target: str, body: bytes, headers: str = "Content-Type: application/json\r\n") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Lane(asyncio.Protocol):
    """Requests one after the other; a new connection only where the server closes each."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port = port
        self._requests = iter(requests)
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        assert head.startswith(b"HTTP/1.1 200"), head
        lowered = head.lower()
        at = lowered.index(_LENGTH) + len(_LENGTH)
        if len(rest) >= int(lowered[at:].split(b"\r\n", 1)[0]):
            self._buffer = b""
            if b"connection: close" in lowered:
                self._transport.close()
                self._reconnecting = asyncio.create_task(self.connect())
            else:
                self._next()

    def _next(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(following)


async def _run(port: int, requests: Sequence[bytes], connections: int) -> float:
    began = time.perf_counter()
    lanes = [_Lane(port, requests[at::connections]) for at in range(connections)]
    for lane in lanes:
        await lane.connect()
    await asyncio.gather(*(lane.done for lane in lanes))
    return time.perf_counter() - began


def run(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Seconds until every request has its answer."""
    return uvloop.run(_run(port, requests, connections))
