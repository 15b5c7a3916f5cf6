"""Tabs of Locust's web UI: what a run has come to so far, in quotas and money, and where its users are."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from flask import Response, request

from im_load.plans.limits import Quota

FIGURES: Final = "im_figures"
POINTS: Final = "im_points"
_STATS_PATH: Final = "/stats/requests"
"""What Locust's page asks for every two seconds."""
_COUNTED: Final[Mapping[str, Callable[[Mapping[str, Any]], int]]] = {
    "accounts": lambda status: int(status["accounts"]),
    "dau": lambda status: int(status["dau"]),
    "live_groups": lambda status: int(status["live_groups"]),
    "other_groups": lambda status: int(status["groups"]) - int(status["live_groups"]),
}
"""How full a quota is, by its name in the plan; of others the app's status says nothing."""

type_row = dict[str, str]


def attach(web_ui: Any, figures: Callable[[], list[type_row]], points: Callable[[], list[type_row]]) -> None:  # noqa: ANN401 -- Locust's web UI is untyped here
    """Show both tables beside Locust's own; they are asked for whenever the page asks for its statistics."""
    web_ui.template_args.update(
        extended_tabs=[{"title": "Quotas and bill", "key": FIGURES}, {"title": "Access points", "key": POINTS}],
        extended_tables=[
            {"key": FIGURES, "structure": _structure("what", "now", "of")},
            {"key": POINTS, "structure": _structure("access point", "state", "capacity", "connections")},
        ],
    )

    def extended(response: Response) -> Response:
        if request.path == _STATS_PATH and response.is_json:
            tables = [{"key": FIGURES, "data": figures()}, {"key": POINTS, "data": points()}]
            response.set_data(json.dumps({**json.loads(response.get_data()), "extended_stats": tables}))
        return response

    web_ui.app.after_request(extended)


def figures_of(status: Mapping[str, Any], quotas: Iterable[Quota], answered: int, arrivals: int) -> list[type_row]:
    """Rows of an app's status; none before there is one."""
    if not status:
        return []
    rows = [
        _row("billing day", status["day"]),
        _row("DAU", f"{status['dau']:,}"),
        _row("peak DAU of the month", f"{status['peak_dau']:,}"),
        *(
            _row(f"units of {'DAU' if item == 'dau' else item} so far", f"{units:,}")
            for item, units in status.get("units", {}).items()
        ),
        _row("bill so far", f"{status['total_cents'] // 100:,}.{status['total_cents'] % 100:02} {status['currency']}"),
    ]
    caps = [
        _row(quota.name.replace("_", " "), f"{_COUNTED[quota.name](status):,}", f"{quota.limit:,}")
        for quota in quotas
        if quota.name in _COUNTED
    ]
    return [*rows, *caps, _row("requests answered", f"{answered:,}", f"{arrivals:,}")]


def points_of(points: Sequence[Mapping[str, Any]]) -> list[type_row]:
    """Rows of the access points that are not as they should be, then of those that somebody is connected to."""
    ordered = sorted(points, key=lambda point: (point["state"] == "up" and point["capacity"] == 1, point["name"]))
    return [
        {
            "access point": point["name"],
            "state": point["state"],
            "capacity": f"{point['capacity']:.0%}",
            "connections": f"{point['connections']:,}",
        }
        for point in ordered
        if point["connections"] or point["state"] != "up" or point["capacity"] < 1
    ]


def _row(what: str, now: str, of: str = "") -> type_row:
    return {"what": what, "now": now, "of": of}


def _structure(*columns: str) -> list[dict[str, str]]:
    return [{"key": column, "title": column} for column in columns]
