"""What a UserID may look like."""

import pytest

from mock_im_server.wire.user_ids import is_user_id


@pytest.mark.parametrize("text", ["a", "user_0001", "A-Z", "-", "x" * 32, "administrator"])
def test_letters_digits_underscore_and_hyphen_up_to_32_bytes(text: str) -> None:
    assert is_user_id(text)


@pytest.mark.parametrize("text", ["", "x" * 33, "a b", "a\n", "ü", "٣", "a.b", "a@b", None, 7, ["a"], True])
def test_anything_else_is_none(text: object) -> None:
    assert not is_user_id(text)
