"""Profiles: what users say of themselves. In memory only and in no journal, so that deleted data is gone for good."""

from collections.abc import Mapping

from mock_im_server.pieces import emptied


class Profiles:
    """The profiles of one app's users: values by the vendor's tags."""

    def __init__(self) -> None:
        self._of_user: dict[str, dict[str, object]] = {}

    def set(self, user_id: str, values: Mapping[str, object]) -> None:
        self._of_user.setdefault(user_id, {}).update(values)

    def get(self, user_id: str) -> Mapping[str, object]:
        return self._of_user.get(user_id, {})

    def forget(self, user_id: str) -> None:
        self._of_user.pop(user_id, None)

    async def release(self) -> None:
        await emptied(self._of_user)
