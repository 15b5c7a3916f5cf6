"""An HTTP/1.1 connection that is kept open and carries one call after the other, over a gevent socket.

Requests are written and answers are read by hand: a ready-made client takes three times as long, and at a cap the
harness must be the faster side. Knows nothing of plans.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from im_load.sockets import connected

READ_BYTES: Final = 64 * 1024
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
_SUCCESS: Final = range(200, 300)
_NO_CONTENT: Final = b"\r\n\r\n"


class NoAnswerError(ConnectionError):
    """Raised when a call was sent, or may have been, and its outcome is unknown."""


class CallFailedError(ConnectionError):
    """Raised when a connection cannot be opened, or the answer is an HTTP error: not what this API ever says."""


class KeepAlive:
    """One connection; opened when it is needed."""

    def __init__(
        self, host: str, port: int, headers: Mapping[str, str] | None = None, source: str | None = None
    ) -> None:
        """`source` is the address of this machine that it comes from."""
        self._host, self._port = host, port
        lines = [f"Host: {host}:{port}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._lines = "\r\n".join(lines)
        self._source = source
        self._socket: Any = None
        self._rest = b""

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, timeout_s: float) -> None:
        """Connect. Raises CallFailedError."""
        try:
            self._socket = connected(self._host, self._port, self._source)
            self._socket.settimeout(timeout_s)
        except OSError as error:
            self.close()
            message = f"no connection to {self._host}:{self._port}: {error}"
            raise CallFailedError(message) from error
        self._rest = b""

    def post(self, path: str, request_id: str, body: bytes) -> bytes:
        """The answer's body. Raises NoAnswerError, after which the connection is closed, or CallFailedError."""
        assert self._socket is not None, "a connection is opened before it is used"
        head = f"POST {path} HTTP/1.1\r\n{self._lines}\r\nX-Request-Id: {request_id}\r\n"
        length = f"Content-Length: {len(body)}\r\n\r\n"
        try:
            self._socket.sendall((head + length).encode() + body)
            status, answer = self._answer()
        except (OSError, ValueError) as error:
            self.close()
            raise NoAnswerError(str(error) or type(error).__name__) from error
        if status not in _SUCCESS:
            message = f"{self._host}:{self._port}{path.partition('?')[0]}: HTTP {status} {answer[:200]!r}"
            raise CallFailedError(message)
        return answer

    def get_all(self, paths: Sequence[str]) -> list[tuple[int, bytes]]:
        """Status and body of each, all asked for before the first is read: many in the time of a few."""
        assert self._socket is not None, "a connection is opened before it is used"
        requests = "".join(f"GET {path} HTTP/1.1\r\n{self._lines}\r\n\r\n" for path in paths)
        try:
            self._socket.sendall(requests.encode())
            return [self._answer() for _ in paths]
        except (OSError, ValueError) as error:
            self.close()
            raise NoAnswerError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _answer(self) -> tuple[int, bytes]:
        """Status and body. Raises ValueError for what is no HTTP answer, OSError when the connection ends."""
        data = self._rest
        while (end := data.find(_NO_CONTENT)) < 0:
            data += self._received()
        head, data = data[:end], data[end + 4 :]
        fields = _fields(head)
        status = int(head[9:12])
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            body, data = self._chunks(data)
        else:
            size = int(fields.get(b"content-length", b""))
            data = self._at_least(data, size)
            body, data = data[:size], data[size:]
        self._rest = data
        if fields.get(b"connection", b"").lower() == b"close":
            self.close()
        return status, body

    def _chunks(self, data: bytes) -> tuple[bytes, bytes]:
        parts = []
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._received()
            size = int(data[:end].partition(b";")[0], 16)
            data = self._at_least(data, end + 2 + size + 2)
            parts.append(data[end + 2 : end + 2 + size])
            data = data[end + 2 + size + 2 :]
            if not size:
                return b"".join(parts), data

    def _at_least(self, data: bytes, size: int) -> bytes:
        if size > ANSWER_BYTES_MAX:
            raise ValueError(f"an answer of {size} bytes")
        while len(data) < size:
            data += self._received()
        return data

    def _received(self) -> bytes:
        assert self._socket is not None, "a connection is opened before it is read"
        data: Any = self._socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        return bytes(data)


def _fields(head: bytes) -> dict[bytes, bytes]:
    r"""Header fields by their names in small letters.

    >>> _fields(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x")[b"content-length"]
    b'2'
    """
    lines = head.split(b"\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
