"""The command line: what it makes of good options, and one line with exit code 3 for every bad one."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mock_im_server.defects import DEFECTS
from mock_im_server.domain.apps import AppSettings
from mock_im_server.settings import DEMO_APP, KEY_VARIABLE, TOKEN_VARIABLE, parse
from tests.serving import at_ms, is_one_line

STARTS_S_MAX = 30


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def test_without_options_there_is_a_demo_app_in_real_time() -> None:
    settings = parse([])
    assert settings.apps == (DEMO_APP,)
    assert (settings.host, settings.port, settings.control_port) == ("127.0.0.1", 18080, None)
    assert (settings.start_ms, settings.data_dir, settings.rate_limits, settings.defect) == (None, None, None, None)


def test_apps_may_be_repeated() -> None:
    settings = parse(["--app", "1400000001:pro:one", "--app", "1400000002:trial:two"])
    assert settings.apps == (AppSettings(1_400_000_001, "pro", "one"), AppSettings(1_400_000_002, "trial", "two"))


def test_an_app_is_split_at_its_first_two_colons() -> None:
    assert parse(["--app", "1400000001:pro:a:b:c"]).apps[0].key == "a:b:c"


def test_a_key_is_read_from_a_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv(KEY_VARIABLE, "from-the-environment")
    options = ["--app", f"1400000001:pro:@{tmp_path / 'key'}", "--app", "1400000002:pro:"]
    assert [app.key for app in parse(options).apps] == ["from-a-file", "from-the-environment"]


def test_the_start_is_midnight_in_utc_plus_8() -> None:
    assert parse(["--start", "2026-10-01"]).start_ms == at_ms("2026-10-01") == 1_790_784_000_000


@pytest.mark.parametrize(("text", "expected"), [("off", 0), ("1", 1), ("5000", 5_000)])
def test_rate_limits_are_off_or_a_number(text: str, expected: int) -> None:
    assert parse(["--rate-limits", text]).rate_limits == expected


def test_round_trips_are_off_or_have_a_seed() -> None:
    assert [parse(options).round_trips for options in ([], ["--round-trips"], ["--round-trips", "7"])] == [None, 1, 7]


def test_webhooks_may_be_repeated_and_a_url_has_colons() -> None:
    options = [
        "--app",
        "1:pro:k",
        "--app",
        "2:pro:k",
        "--webhook",
        "1:http://127.0.0.1:8/a",
        "--webhook",
        "2:https://b/",
    ]
    assert parse(options).webhooks == ((1, "http://127.0.0.1:8/a"), (2, "https://b/"))
    # Maybe the data directory holds that app.
    assert parse(["--data-dir", "state", "--webhook", "7:http://b/"]).webhooks == ((7, "http://b/"),)


def test_the_control_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "chosen")
    assert parse([]).control_token == "chosen"


def test_help_names_every_defect_and_the_demo_app(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(name in shown for name in [*DEFECTS, str(DEMO_APP.sdkappid), DEMO_APP.key, KEY_VARIABLE])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--webhook", "http://b/"], "a webhook is SDKAPPID:URL"),
        (["--webhook", "1400000001:ftp://b/"], "a webhook is SDKAPPID:URL"),
        (["--webhook", "7:http://b/"], "--webhook names app 7, which no --app makes"),
        (["--port", "70000"], "a port is a number from 0 to 65535, not '70000'"),
        (["--port", "-1"], "--port"),
        (["--port", "http"], "not 'http'"),
        (["--port", "9" * 5_000], "--port"),
        (["--control-port", "x"], "--control-port"),
        (["--app", "1400000001"], "SDKAPPID:PLAN:KEY"),
        (["--app", "1400000001:pro"], "SDKAPPID:PLAN:KEY"),
        (["--app", "x:pro:key"], "SDKAPPID:PLAN:KEY"),
        (["--app", "1400000001:pro:"], f"set ${KEY_VARIABLE}"),
        (["--app", "1400000001:pro:@/nowhere/key"], "cannot read the key from /nowhere/key: No such file"),
        (["--app", "1:pro:a", "--app", "1:trial:b"], "two --app have the same SDKAppID"),
        (["--start", "2026-13-01"], "a day is written like 2026-10-01, not '2026-13-01'"),
        (["--start", "soon"], "not 'soon'"),
        (["--rate-limits", "0"], "write off or a number"),
        (["--rate-limits", "-5"], "--rate-limits"),
        (["--rate-limits", "many"], "not 'many'"),
        (["--defect", "unknown"], "whole-peak-charged"),
        (["--data-dir"], "--data-dir"),
        (["--tls-port", "0", "--tls-cert", "a.pem"], "--tls-cert and --tls-key go together"),
        (["--tls-cert", "a.pem", "--tls-key", "b.pem"], "--tls-cert needs --tls-port"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_3(
    options: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(options)
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out) == (3, "")
    assert is_one_line(shown.err)
    assert said in shown.err


def started(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mock_im_server", *options]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def refused(*options: str) -> str:
    """What a server says that does not start."""
    process = started(*options)
    out, err = process.communicate(timeout=STARTS_S_MAX)
    assert (process.returncode, out) == (3, "")
    assert is_one_line(err)
    return err


@pytest.mark.slow
def test_a_ready_server_prints_one_line_of_json_and_stops_when_told(tmp_path: Path) -> None:
    with started("--port", "0", "--app", "1400000001:trial:key", "--data-dir", str(tmp_path)) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["url"].replace("http", "ws") == ready["gateway_url"]
        assert ready["control_url"].startswith(ready["url"])
        assert len(ready["control_token"]) >= 32
        assert ready["apps"] == [{"sdkappid": 1_400_000_001, "plan": "trial"}]
        assert (ready["data_dir"], ready["defect"]) == (str(tmp_path), None)
        assert (ready["tls_url"], ready["tls_authority"]) == (None, None)
        # A second one on the same directory or port would do harm.
        taken = ready["url"].rsplit(":", 1)[1]
        assert "in use by another server" in refused("--port", "0", "--data-dir", str(tmp_path))
        assert f"cannot listen on 127.0.0.1:{taken}: Address already in use" in refused("--port", taken)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=STARTS_S_MAX)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_a_server_may_stop_with_its_standard_input() -> None:
    with started("--port", "0", "--stop-with-stdin") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(STARTS_S_MAX) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--app", "1400000001:gold:key"], "unknown plan 'gold': choose one of trial, pro, ultimate"),
        (["--app", "0:pro:key"], "the SDKAppID must be 1 to 4294967295, not 0"),
        (["--start", "9999-12-31"], "a clock starts between 1970 and 2199"),
        (["--data-dir", "/dev/null/x"], "Not a directory"),
    ],
)
def test_what_only_the_server_knows_is_one_line_too(options: Sequence[str], said: str) -> None:
    assert said in refused("--port", "0", *options)


@pytest.mark.slow
def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "Address already in use" in refused("--port", str(taken.getsockname()[1]))
