"""A kept-alive connection: one answer for each call, or the word that nobody knows."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from im_load.keep_alive import CallFailedError, KeepAlive, NoAnswerError

OK = b'{"ErrorCode":0}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + OK


@contextmanager
def a_server(*answers: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """Answers call by call, in pieces; None closes the connection instead. Yields its port and what it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            waiting = list(answers)
            while waiting:
                connection, _ = listener.accept()
                with connection:
                    while waiting and (data := connection.recv(65_536)):
                        heard.append(data)
                        answer = waiting.pop(0)
                        if answer is None:
                            break
                        for at in range(0, len(answer), 7):
                            connection.sendall(answer[at : at + 7])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            thread.join(10)


@contextmanager
def connected(port: int, **headers: str) -> Iterator[KeepAlive]:
    connection = KeepAlive("127.0.0.1", port, headers)
    connection.open(timeout_s=5)
    try:
        yield connection
    finally:
        connection.close()


def test_two_calls_share_a_connection_and_name_themselves() -> None:
    with a_server(PLAIN, PLAIN) as (port, heard), connected(port, Authorization="Bearer t") as connection:
        assert [connection.post("/v4/x?y=1", f"{'a' * 32}-{seq}", b"{}") for seq in (1, 2)] == [OK, OK]

    lines = heard[1].split(b"\r\n")
    assert lines[0] == b"POST /v4/x?y=1 HTTP/1.1"
    assert {b"X-Request-Id: " + b"a" * 32 + b"-2", b"Authorization: Bearer t", b"Content-Length: 2"} <= set(lines)
    assert lines[-1] == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN.replace(b"Content-Length", b"content-length"),
        b"HTTP/1.1 201 Created\r\nContent-Length: 15\r\nConnection: close\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n"
        + OK[:6]
        + b"\r\n9;x\r\n"
        + OK[6:]
        + b"\r\n0\r\n\r\n",
    ],
)
def test_answers_of_other_shapes_are_read(answer: bytes) -> None:
    with a_server(answer) as (port, _), connected(port) as connection:
        assert connection.post("/", "id", b"{}") == OK


def test_a_server_that_says_close_is_taken_at_its_word() -> None:
    answer = PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with a_server(answer) as (port, _), connected(port) as connection:
        connection.post("/", "id", b"{}")
        assert not connection.is_open


@pytest.mark.parametrize("answer", [None, b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"])
def test_what_is_no_answer_leaves_the_outcome_open(answer: bytes | None) -> None:
    with a_server(answer) as (port, _), connected(port) as connection:
        with pytest.raises(NoAnswerError):
            connection.post("/", "id", b"{}")
        assert not connection.is_open


def test_an_http_error_is_none_of_the_apis_answers() -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
    refused = pytest.raises(CallFailedError, match=r"/v4/x: HTTP 404 b'no'")
    with a_server(answer) as (port, _), connected(port) as connection, refused:
        connection.post("/v4/x?usersig=secret", "id", b"{}")


def test_where_nobody_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(CallFailedError, match=r"no connection to 127\.0\.0\.1"):
        KeepAlive("127.0.0.1", port).open(timeout_s=1)


def test_many_are_asked_for_before_the_first_is_answered() -> None:
    refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nnone\n"
    with a_server(PLAIN + refused + PLAIN) as (port, heard), connected(port) as connection:
        assert connection.get_all(["/a", "/b", "/c"]) == [(200, OK), (503, b"none\n"), (200, OK)]

    assert [line.split(b" ")[1] for line in heard[0].split(b"\r\n") if line.startswith(b"GET")] == [b"/a", b"/b", b"/c"]


def test_answers_that_break_off_are_no_answers() -> None:
    with a_server(PLAIN, None) as (port, _), connected(port) as connection:
        connection.get_all(["/a"])
        with pytest.raises(NoAnswerError):
            connection.get_all(["/b", "/c"])
        assert not connection.is_open
