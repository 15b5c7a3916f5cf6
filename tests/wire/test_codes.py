"""Every code has its text."""

from mock_im_server.wire import codes


def test_each_code_that_is_named_has_a_text() -> None:
    named = {value for name, value in vars(codes).items() if name.isupper() and isinstance(value, int)}
    assert named <= set(codes.TEXTS)


def test_a_refusal_says_something() -> None:
    assert [code for code, text in codes.TEXTS.items() if not text] == [codes.OK]
