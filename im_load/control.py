"""A client of the mock server's control API, and of what any server of this kind answers."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

TIMEOUT_S: Final = 30.0
CHUNK_BYTES: Final = 1 << 20


class ServerError(Exception):
    """Raised when a server does not answer, or answers that it will not; the message is one line for a person."""


class Http:
    """One kept-alive connection: the clock is moved hundreds of times in a run."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._where = parts.netloc
        self._prefix = parts.path.rstrip("/")
        self._headers = dict(headers or {})
        self._connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)

    def json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 -- JSON
        """The answer's JSON. Raises ServerError."""
        status, data = self.request(method, path, body)
        if status >= 400:  # noqa: PLR2004 -- HTTP's errors
            text = data.decode(errors="replace").strip() or f"HTTP {status}"
            raise ServerError(f"{self._where}: {text}")
        try:
            return json.loads(data)
        except ValueError as error:
            message = f"{self._where} is no IM server: {path} did not answer JSON"
            raise ServerError(message) from error

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        payload = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, self._prefix + path, payload, self._headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            message = f"{self._where} does not answer: {str(error) or type(error).__name__}"
            raise ServerError(message) from error

    def close(self) -> None:
        self._connection.close()

    def save(self, path: str, target: Path, size: int) -> None:
        """Stream the first `size` bytes of an answer's body into a file. Raises ServerError."""
        try:
            self._connection.request("GET", self._prefix + path, None, self._headers)
            response = self._connection.getresponse()
            if response.status != 200:  # noqa: PLR2004 -- HTTP's OK
                raise ServerError(f"{self._where}: {response.read().decode().strip()}")
            with target.open("wb") as file:
                while chunk := response.read(CHUNK_BYTES):
                    file.write(chunk)
                file.truncate(size)
        except (OSError, HTTPException) as error:
            self._connection.close()
            message = f"{self._where}: {path} broke off: {error}"
            raise ServerError(message) from error


class Control:
    """The control API of one server."""

    def __init__(self, control_url: str, token: str) -> None:
        self.url, self.token = control_url, token
        self._http = Http(control_url, {"Authorization": f"Bearer {token}"})

    def another(self) -> "Control":
        """A second connection, for another greenlet."""
        return Control(self.url, self.token)

    def close(self) -> None:
        self._http.close()

    def version(self) -> dict[str, Any]:
        return dict(self._http.json("GET", "/version"))

    def make_app(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._http.json("POST", "/apps", wish))

    def status(self, sdkappid: int) -> dict[str, Any]:
        return dict(self._http.json("GET", f"/apps/{sdkappid}"))

    def move_clock(self, sdkappid: int, now_ms: int) -> None:
        self._http.json("PUT", f"/apps/{sdkappid}/clock", {"now_ms": now_ms})

    def access_points(self) -> dict[str, Any]:
        return dict(self._http.json("GET", "/access_points"))

    def change_access_point(self, code: str, state: str | None, capacity: float | None) -> dict[str, Any]:
        wish = {"state": state, "capacity": capacity}
        given = {name: value for name, value in wish.items() if value is not None}
        return dict(self._http.json("PUT", f"/access_points/{code}", given))

    def choose_routing(self, sdkappid: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._http.json("PUT", f"/apps/{sdkappid}/routing", choice))

    def statement(self, sdkappid: int, month: str) -> dict[str, Any]:
        return dict(self._http.json("GET", f"/apps/{sdkappid}/statements/{month}"))

    def save_journal(self, sdkappid: int, folder: Path) -> dict[str, Any]:
        """Fetch all segments; returns what the journal said of itself at that moment (files, rows, last_seq, head)."""
        journal = self._http.json("GET", f"/apps/{sdkappid}/journal")
        folder.mkdir(exist_ok=True)
        for file in journal["files"]:
            name = file["name"]
            self._http.save(f"/apps/{sdkappid}/journal/{name}", folder / name, file["bytes"])
        return {**journal, "files": [file["name"] for file in journal["files"]]}


def nearest_points(url: str, sdkappid: int, countries: Sequence[str]) -> tuple[list[str], int | None]:
    """The nearest access point's code for each country, asked once a place, and the version of the table that says so.

    All "" and None where a server has no dispatch.
    """
    points: list[str] = []
    version = None
    with closing(Http(url)) as http:
        for country in countries:
            status, data = http.request("GET", f"/dispatch?{urlencode({'country': country, 'sdkappid': sdkappid})}")
            if status == 404:  # noqa: PLR2004 -- HTTP's not found
                return [""] * len(countries), None
            answer = json.loads(data)
            points.append(answer["points"][0]["code"])
            version = answer["version"]
    return points, version
