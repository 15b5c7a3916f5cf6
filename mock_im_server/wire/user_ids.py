"""What a UserID may look like: at most 32 bytes of letters, digits, `_` and `-` (the vendor's login page)."""

import re
from typing import Final, TypeGuard

USER_ID_BYTES_MAX: Final = 32

_USER_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{USER_ID_BYTES_MAX}}}", re.ASCII)


def is_user_id(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and _USER_ID.fullmatch(text) is not None
