"""A WebSocket to an access point: websockets' Sans-I/O protocol over a gevent socket.

One trunk carries the sessions of many users, as an access node's line to the core does, or just one login. Knows frames
and sockets; knows nothing of plans. gevent, not Locust: tests drive it without Locust's monkey-patching.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from gevent.lock import Semaphore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from im_load.sockets import connected

READ_BYTES: Final = 256 * 1024

type_on_messages = Callable[["Trunk", list[bytes]], None]


class TrunkBrokenError(ConnectionError):
    """Raised when a trunk cannot be opened or has closed."""


class Trunk:
    """One connection and its sequence of requests."""

    def __init__(self, gateway_url: str, instance_id: str, sdkappid: int, source: str | None = None) -> None:
        """`source` is the address of this machine that it comes from."""
        self.instance_id = instance_id
        self.seq = 0
        self.requests: dict[int, Any] = {}
        """What the owner wants to find again when the answer comes, by `seq`."""
        self.is_open = False
        self.name = urlsplit(gateway_url).netloc
        self._url = f"{gateway_url}/binfo?sdkappid={sdkappid}&instanceid={instance_id}&platform=7&sdkversion=im-load"
        self._source = source
        self._socket: Any = None
        self._sending = Semaphore()
        self._protocol = ClientProtocol(parse_uri(self._url), max_size=1 << 20)

    def open(self) -> None:
        """Connect and shake hands. Raises TrunkBrokenError."""
        address = urlsplit(self._url)
        try:
            self._socket = connected(address.hostname or "", address.port or 80, self._source)
            self._protocol.send_request(self._protocol.connect())
            self._flush()
            # A server that says no may keep its connection open: then the state stays as it is.
            while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
                self._receive()
        except OSError as error:
            self.close()
            message = f"no connection to {address.netloc}: {error}"
            raise TrunkBrokenError(message) from error
        if self._protocol.handshake_exc is not None:
            self.close()
            message = f"{address.netloc} refused the WebSocket: {self._protocol.handshake_exc}"
            raise TrunkBrokenError(message)
        self._protocol.events_received()
        # From now on reads wait as long as it takes; whoever waits for an answer has a limit of his own.
        self._socket.settimeout(None)
        self.is_open = True

    def send(self, payloads: Iterable[bytes]) -> None:
        """Hand frames to the socket, all at once. Raises TrunkBrokenError."""
        if not self.is_open:
            raise TrunkBrokenError("the connection is closed")
        try:
            for payload in payloads:
                self._protocol.send_binary(payload)
            self._flush()
        except (OSError, InvalidState) as error:  # The other side may have begun to close.
            self.close()
            raise TrunkBrokenError(str(error)) from error

    def read(self, on_messages: type_on_messages) -> None:
        """Hand over messages as they come, all that were read at once together, until the connection ends."""
        try:
            while self._receive():
                messages = self._messages()
                if messages:
                    on_messages(self, messages)
                if self._protocol.state is not State.OPEN:
                    break
        except OSError:
            pass  # Whoever has requests open here sees `is_open`.
        finally:
            self.close()

    def read_one(self, timeout_s: float) -> bytes | None:
        """The next message, or None when the connection ended or the time was up."""
        assert self._socket is not None, "a trunk is opened before it is read"
        self._socket.settimeout(timeout_s)
        try:
            while self._receive():
                messages = self._messages()
                if messages:
                    return messages[0]
        except OSError:
            return None
        return None

    def say_goodbye(self) -> None:
        """Close as RFC 6455 asks, without waiting for the other side."""
        if self.is_open and self._protocol.state is State.OPEN:
            self._protocol.send_close()
            with suppress(OSError):
                self._flush()
        self.close()

    def close(self) -> None:
        self.is_open = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _messages(self) -> list[bytes]:
        return [
            bytes(event.data)
            for event in self._protocol.events_received()
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY
        ]

    def _flush(self) -> None:
        # One at a time: the reader answers pings while a sender may wait for room in the socket.
        with self._sending:
            data = b"".join(self._protocol.data_to_send())
            if data and self._socket is not None:
                self._socket.sendall(data)

    def _receive(self) -> bool:
        if self._socket is None:
            return False
        data = self._socket.recv(READ_BYTES)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._flush()  # Pongs, and the answer to a close.
        return bool(data)
