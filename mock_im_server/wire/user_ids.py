"""What a UserID may look like: at most 32 bytes of letters, digits, `_` and `-` (the vendor's login page)."""

import re
from typing import Final

_USER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


def is_user_id(text: object) -> bool:
    return isinstance(text, str) and _USER_ID.fullmatch(text) is not None
