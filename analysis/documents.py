"""The JSON files of a run as values: plan, manifest, statement; `docs/run-files.md` explains the fields."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from analysis import billing_days
from analysis.billing_days import DAY_MS, UTC_PLUS_8_MS

Offset = Annotated[int, msgspec.Meta(ge=-DAY_MS, le=DAY_MS)]
DayOfMonth = Annotated[int, msgspec.Meta(ge=1, le=28)]

Document = TypeVar("Document", bound="_Document")


class DocumentError(Exception):
    """Raised with one sentence when a file is missing or is not what it should be."""


class _Document(msgspec.Struct, frozen=True):
    pass


class App(_Document, frozen=True):
    """The app under load."""

    sdkappid: int
    plan: str
    price_book: str


class Readings(_Document, frozen=True):
    """The choices where the vendor leaves a point open."""

    billing_offset_ms: Offset = UTC_PLUS_8_MS
    dau: str = "login"
    charge_day: DayOfMonth = 3


class PlannedDay(_Document, frozen=True):
    """What the plan expects of a day; `codes` is None where the outcome is a race."""

    day: str
    arrivals: int
    dau_min: int
    dau_max: int
    codes: dict[int, int] | None
    admitted: dict[str, tuple[int, int]] = {}
    """The least and the most successes, by verb."""


class PlannedQuota(_Document, frozen=True):
    """A cap at which a run races."""

    name: str
    limit: int | None
    refusal: int


class Plan(_Document, frozen=True):
    """What a run meant to do."""

    format: int
    scenario: str
    seed: int
    app: App
    readings: Readings
    month: str
    arrivals: int
    days: list[PlannedDay]
    options: dict[str, Any] = {}
    peak_groups: tuple[int, int] | None = None
    call_seconds: dict[str, int] | None = None
    quotas: list[PlannedQuota] = []
    trouble: list[dict[str, Any]] | None = None
    """What was to become of access points; None in a run that is not about them."""

    def __post_init__(self) -> None:
        """Raise ValueError when a month or day is none."""
        billing_days.month_days(self.month)
        for planned in self.days:
            billing_days.day_number(planned.day)


class Worker(_Document, frozen=True):
    """What a worker handed over."""

    index: int
    file: str
    rows: int
    issued: int
    answered: int
    bytes: int
    blake2b: str
    reconnects: int = 0
    """Of `rows`, those that are not of the plan."""


class JournalPart(_Document, frozen=True):
    """What the manifest says of the journal."""

    files: list[str]
    rows: int
    last_seq: int
    head: str


class Problem(_Document, frozen=True):
    """Something that the harness noticed itself."""

    code: str
    text: str


class LocustTotals(_Document, frozen=True):
    """What Locust's own statistics say at the end."""

    requests: int | None = None
    failures: int | None = None


class Manifest(_Document, frozen=True):
    """What must be there."""

    format: int
    id: str
    complete: bool
    workers_expected: int
    workers: list[Worker]
    journal: JournalPart | None = None
    problems: list[Problem] = []
    started_at: str = ""
    duration_s: float = 0.0
    locust: LocustTotals = LocustTotals()
    server: dict[str, Any] = {}
    spike: dict[str, Any] | None = None


class StatedDay(_Document, frozen=True):
    """A day's DAU as the server states it."""

    day: str
    dau: int


class StatedLine(_Document, frozen=True):
    """A line as the server states it."""

    item: str
    quantity: int
    free: int
    per: int
    units: int
    unit_price: int
    amount_cents: int


class Statement(_Document, frozen=True):
    """What the server bills."""

    sdkappid: int
    plan: str
    month: str
    currency: str
    price_book: dict[str, Any]
    daily_dau: list[StatedDay]
    peak_dau: int
    lines: list[StatedLine]
    total_cents: int
    closed_at_ms: int
    peak_day: str | None = None
    monthly_users: int = 0
    peak_groups: int = 0
    call_seconds: dict[str, int] = {}
    charged_on: str | None = None
    charged_at_ms: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError when a day is none."""
        for stated in self.daily_dau:
            billing_days.day_number(stated.day)


class StatedPoint(_Document, frozen=True):
    """An access point as the server describes it."""

    code: str
    name: str
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]


class AccessChange(_Document, frozen=True):
    """What became of an access point by a call of the harness, and between which instants."""

    version: int
    code: str
    state: Literal["up", "draining", "down"]
    capacity: Annotated[float, msgspec.Meta(ge=0, le=1)]
    app_ms: int
    before_us: int
    after_us: int


class Access(_Document, frozen=True):
    """How the app was routed, and what became of access points."""

    format: int
    policy: Literal["great_circle", "latency_table", "client_probe"]
    start_version: int
    points: list[StatedPoint]
    pin: list[str] = []
    changes: list[AccessChange] = []
    probes: dict[str, dict[str, float | None]] = {}
    """Round trips that clients at a place have told dispatch."""
    latency_table: dict[str, dict[str, float]] | None = None
    """Round trips by place and point that the server was given in place of the model; None where nobody said."""


def read(path: Path, kind: type[Document]) -> Document:
    """Read a document. Raises DocumentError with file and reason."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as missing:
        raise DocumentError(f"{path.name} is missing") from missing
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as broken:
        raise DocumentError(f"{path.name}: {broken}") from broken
