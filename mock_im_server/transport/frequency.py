"""Per-API call frequency limits of the REST API (60007), per SDKAppID and second of real time.

The vendor's default is 200 calls a second; some account APIs have 100 (use limits, 1047/34381).
"""

from collections.abc import Mapping
from typing import Final

DEFAULT_PER_SECOND: Final = 200
PER_SECOND: Final[Mapping[str, int]] = {
    "im_open_login_svc/multiaccount_import": 100,
    "im_open_login_svc/account_delete": 100,
    "im_open_login_svc/account_check": 100,
    "group_open_http_svc/get_appid_group_list": 1,
}


class FrequencyLimits:
    """Counts calls in windows that begin with each second."""

    def __init__(self, override: int | None = None, *, is_on: bool = True) -> None:
        self._override = override
        self._is_on = is_on
        self._second = 0
        self._calls: dict[tuple[int, str], int] = {}

    def allow(self, sdkappid: int, command: str, real_ms: int) -> bool:
        """Count a call; False when it is one too many in its second."""
        if not self._is_on:
            return True
        second = real_ms // 1_000
        if second != self._second:
            self._second = second
            self._calls.clear()
        calls = self._calls[sdkappid, command] = self._calls.get((sdkappid, command), 0) + 1
        limit = self._override or PER_SECOND.get(command, DEFAULT_PER_SECOND)
        return calls <= limit
