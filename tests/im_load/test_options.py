"""What a run is asked for: checked in one place, and refused in one line that names the option."""

from datetime import date
from pathlib import Path

import pytest

from im_load.daily_dau import WrongInputError
from im_load.options import RunOptions, checked
from im_load.plans.month import MonthOptions
from tests.im_load.playing import PLANNED, parsed


def options_of(runs: Path, scenario: str = "dau_spike", **changed: object) -> RunOptions:
    return checked(parsed(runs, **changed), PLANNED[scenario])


def month_of(options: RunOptions) -> MonthOptions:
    assert isinstance(options.plan.options, MonthOptions)
    return options.plan.options


def test_the_defaults_are_a_month_with_one_high_day(tmp_path: Path) -> None:
    options = options_of(tmp_path)

    assert len(month_of(options).daily_dau) == 31
    assert month_of(options).daily_dau.index(600) == 15
    assert options.plan.first_day == date(2026, 10, 1)
    assert (options.host, options.gates, options.defect) == (None, None, None)


@pytest.mark.parametrize("text", ["20", "2026-10-20"])
def test_the_spike_day_is_a_date_or_a_day_of_the_month(tmp_path: Path, text: str) -> None:
    options = options_of(tmp_path, spike_day=text)

    assert month_of(options).daily_dau[19] == 600


def test_what_was_given_stands_in_the_plan_without_secrets(tmp_path: Path) -> None:
    given = options_of(tmp_path, host="127.0.0.1:18080", key="secret", control_token="secret").given

    assert given["peak_dau"] == "600"
    assert given["server"] == "external"
    assert "secret" not in given.values()


@pytest.mark.parametrize("host", ["http://127.0.0.1:18080", "127.0.0.1:18080", "http://127.0.0.1:18080/"])
def test_a_host_is_an_address_and_its_control_api_is_below_it(tmp_path: Path, host: str) -> None:
    options = options_of(tmp_path, host=host)

    assert (options.host, options.control_url) == ("http://127.0.0.1:18080", "http://127.0.0.1:18080/control/v1")


def test_a_control_api_may_have_an_address_of_its_own(tmp_path: Path) -> None:
    options = options_of(tmp_path, host="http://127.0.0.1:1", control_url="http://127.0.0.1:2/control/v1")

    assert options.control_url == "http://127.0.0.1:2/control/v1"


def test_a_month_from_a_file_replaces_the_spike(tmp_path: Path) -> None:
    month = month_of(options_of(tmp_path, "dau_replay", dau_csv="examples/daily-traffic-2008-01.csv", scale="0.001"))

    assert (month.month, max(month.daily_dau)) == ("2008-01", 648)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"peak_dau": "29"}, "--peak-dau 29 is below --baseline-dau 30"),
        ({"peak_dau": "0", "baseline_dau": "0"}, "--peak-dau '0': a whole number from 1"),
        ({"peak_dau": "many"}, "--peak-dau 'many'"),
        ({"baseline_dau": "-1"}, "--baseline-dau '-1'"),
        ({"month": "2026-13"}, "--month"),
        ({"spike_day": "32"}, "--spike-day '32'"),
        ({"spike_day": "0"}, "--spike-day '0'"),
        ({"spike_day": "2026-11-01"}, "--spike-day '2026-11-01'"),
        ({"seed": "-1"}, "--seed '-1'"),
        ({"seed": "x"}, "--seed 'x'"),
        ({"plan": "gold"}, "--plan 'gold': choose one of trial, pro, ultimate"),
        ({"connections": "none"}, "--connections 'none'"),
        ({"rate": "0"}, "--rate '0'"),
        ({"rate": "inf"}, "--rate 'inf'"),
        ({"rate": "nan"}, "--rate 'nan'"),
        ({"rate": "fast"}, "--rate 'fast'"),
        ({"gates": "none.toml"}, "--gates none.toml: there is no such file"),
        ({"host": "http://127.0.0.1", "sdkappid": "app"}, "--sdkappid 'app'"),
        ({"dau_csv": ""}, "--dau-csv: name a file"),
        ({"dau_csv": "x.csv", "scale": "0"}, "--scale '0'"),
        ({"dau_csv": "x.csv", "scale": "half"}, "--scale 'half'"),
        ({"dau_csv": "x.csv", "scale": "Infinity"}, "--scale 'Infinity'"),
        ({"month": "1970-01"}, "the month 1970-01 cannot be played: years from 1971 to 2198 can"),
        ({"month": "9999-12"}, "the month 9999-12 cannot be played"),
        ({"num_users": 2_000_000}, "--users 2000000: these are drivers"),
        ({"sdkappid": "1400000001"}, "--sdkappid: it speaks of a server that is running"),
        ({"control_url": "http://127.0.0.1:1"}, "--control-url: it speaks of a server that is running"),
        ({"host": "http://127.0.0.1", "defect": "billing-day-utc"}, "--defect: the embedded server has them"),
        ({"server_workers": "2"}, "--server-workers: processes need a store to share"),
        ({"server_workers": "0", "store": "redis://127.0.0.1:1/0"}, "--server-workers '0'"),
        ({"host": "http://127.0.0.1", "store": "redis://127.0.0.1:1/0"}, "--store and --server-workers: the embedded"),
        ({"host": "http://127.0.0.1", "control_url": "http://"}, "--control-url 'http://'"),
        ({"host": "http://127.0.0.1:99999"}, "--host 'http://127.0.0.1:99999'"),
        ({"host": "http://127.0.0.1:port"}, "--host 'http://127.0.0.1:port'"),
        ({"host": "http://[::1"}, "--host 'http://[::1'"),
        ({"host": "ftp://127.0.0.1"}, "--host 'ftp://127.0.0.1'"),
        ({"host": "http://"}, "--host 'http://'"),
        ({"host": "https://127.0.0.1"}, "TLS is not supported"),
        ({"host": "https://console.tim.qq.com", "real_host_costs_money": True}, "TLS is not supported"),
    ],
)
def test_what_cannot_be_is_refused_with_the_options_name(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    with pytest.raises(WrongInputError) as refusal:
        options_of(tmp_path, "dau_replay" if "dau_csv" in changed else "dau_spike", **changed)

    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "host",
    [
        "console.tim.qq.com",
        "console.tim.qq.com.",
        "http://adminapisgp.im.qcloud.com:80",
        "HTTP://QQ.COM",
        "wss.my-imcloud.com",
    ],
)
def test_the_vendors_hosts_need_a_word_more(tmp_path: Path, host: str) -> None:
    with pytest.raises(WrongInputError, match="--real-host-costs-money"):
        options_of(tmp_path, host=host)


def test_a_name_that_only_looks_like_the_vendors_is_no_host_of_theirs(tmp_path: Path) -> None:
    assert options_of(tmp_path, host="http://notqq.com").host == "http://notqq.com"


def test_a_file_with_more_users_than_can_be_played_is_refused_before_the_run(tmp_path: Path) -> None:
    """A run of 6 billion would only look as if it hung."""
    with pytest.raises(WrongInputError, match=r"users on 2008-01-15 are more than 50,000,000; lower --scale"):
        options_of(tmp_path, "dau_replay", dau_csv="examples/daily-traffic-2008-01.csv", scale="10000")


def test_runs_need_a_folder(tmp_path: Path) -> None:
    cleared = parsed(tmp_path)
    cleared.runs = ""

    with pytest.raises(WrongInputError, match="--runs: name a folder"):
        checked(cleared, PLANNED["dau_spike"])


def test_runs_that_cannot_be_written_are_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(WrongInputError, match=r"--runs .*: cannot be made"):
        options_of(tmp_path / "file" / "runs")


def test_a_price_list_is_for_an_app_that_the_run_makes(tmp_path: Path) -> None:
    assert options_of(tmp_path).price_book is None
    assert options_of(tmp_path, price_book="2021-08").price_book == "2021-08"
    with pytest.raises(WrongInputError, match="has its price list already"):
        options_of(tmp_path, price_book="2021-08", host="127.0.0.1:1", sdkappid="1400000001", key="k")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"policy": "nearest"}, "--policy"),
        ({"back_off": "0"}, "--back-off"),
        ({"back_off": "soon"}, "--back-off"),
        ({"dau": "0"}, "--dau"),
        ({"days": "32"}, "--days"),
        ({"dau": "6000000"}, "--dau"),
        ({"trouble": "nowhere.toml"}, "--trouble nowhere.toml"),
    ],
)
def test_what_cannot_be_about_access_points_is_named(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(WrongInputError, match=said):
        options_of(tmp_path, "global_access", **{"dau": "100", "days": "2"} | changed)


def test_the_only_pinned_access_point_cannot_be_lost(tmp_path: Path) -> None:
    lost = {"dau": "100", "outage_hours": "3"}
    for outage in ("", "jp"):
        with pytest.raises(WrongInputError, match="pin another one too"):
            options_of(tmp_path, "region_outage", **lost, outage=outage, pin=" jp")
    assert options_of(tmp_path, "region_outage", **lost, outage="kr", pin="jp").routing.pin == ("jp",)


def test_an_outage_lasts_at_most_half_a_day(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="--outage-hours"):
        options_of(tmp_path, "region_outage", dau="100", outage="", outage_hours="13")
