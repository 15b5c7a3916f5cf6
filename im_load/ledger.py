"""The ledger: one row for each request of the plan, kept by the worker that sent it, as an Arrow stream.

Rows are gathered as small tuples while the load runs; what the plan knows of an arrival is added column by column when
a batch is written, so that an answer costs the driver well under a microsecond here.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analysis.run_files import LEDGER_SCHEMA
from im_load import columns, population
from im_load.plans import Plan
from im_load.plans.arrivals import NOBODY, VERBS, Arrivals
from im_load.routes import Routes

BATCH_ROWS: Final = 32_768

type_sink = Callable[[bytes], None]


type_row = tuple[int, int, str, int, int, int, int, int | None, int | None, int | None]
"""An answer, or a request that was given up (then without the last three), in the order of `ROW`.

A plain tuple: one is made for every request, and a named one takes three times as long.
"""
ROW: Final = (
    "place",
    "route",
    "connection",
    "request_seq",
    "planned_us",
    "sent_us",
    "app_before_ms",
    "answered_us",
    "app_after_ms",
    "code",
)
"""`place` is the arrival's in its phase, `route` a number of the worker's `Routes`; the others are columns."""


RECONNECT: Final = 0
REPEAT: Final = 1
UNPLANNED_VERBS: Final = ("resume", "login")
UNPLANNED_KINDS: Final = ("reconnect", "repeat")
"""What the plan did not ask for, by RECONNECT and REPEAT."""

type_unplanned_row = tuple[
    int, int, int, int, int, int, str, int, int, int | None, int | None, int | None, int | None, int | None
]
"""A request beside the plan, in the order of `UNPLANNED_ROW`."""
UNPLANNED_ROW: Final = (
    "row",
    "user",
    "device",
    "kind",
    "planned_app_ms",
    "route",
    "connection",
    "request_seq",
    "planned_us",
    "sent_us",
    "app_before_ms",
    "answered_us",
    "app_after_ms",
    "code",
)
"""`user` is an index, `device` 1 or 2, `kind` RECONNECT or REPEAT, `route` as in `ROW`."""


class PhaseColumns:
    """What the plan says of a phase's arrivals, ready for the ledger."""

    def __init__(
        self,
        arrivals: Arrivals,
        plan: Plan,
        *,
        routes: Routes,
        first_row: int,
        day_start_ms: int,
    ) -> None:
        self.homes = plan.world.home_of(plan.options.seed, arrivals.users)
        self.platforms = population.platforms(plan.options.seed, arrivals.users, arrivals.devices)
        self._arrivals = arrivals
        self._plan = plan
        self._first_row = first_row
        self._day_start_ms = day_start_ms
        self._routes = routes

    def columns(self, places: np.ndarray, routes: np.ndarray) -> dict[str, pa.Array]:
        """The planned columns of some arrivals, and where they went."""
        all_of, world = self._arrivals, self._plan.world
        verbs, verb_of = np.unique(all_of.verbs[places], return_inverse=True)
        return {
            "row": columns.numbers(places + self._first_row),
            "user_id": population.user_ids(all_of.users[places]),
            "group_id": self._plan.group_ids(all_of.groups[places]),
            "verb": columns.named(verb_of, [VERBS[verb] for verb in verbs]),
            "kind": columns.named(all_of.kinds[places], all_of.kind_names),
            "platform": columns.named(self.platforms[places], population.PLATFORMS),
            "country": columns.named(self.homes[places], world.countries),
            "city": columns.named(self.homes[places], world.cities),
            **self._where(routes),
            "planned_app_ms": columns.numbers(all_of.times_ms[places].astype(np.int64) + self._day_start_ms),
        }

    def unplanned_columns(
        self, users: np.ndarray, devices: np.ndarray, kinds: np.ndarray, routes: np.ndarray
    ) -> dict[str, pa.Array]:
        """The same columns of requests beside the plan, as far as they follow from these."""
        plan, seed = self._plan, self._plan.options.seed
        homes, world = plan.world.home_of(seed, users), plan.world
        return {
            "user_id": population.user_ids(users),
            "group_id": plan.group_ids(np.full(len(users), NOBODY, dtype=np.int64)),
            "verb": columns.named(kinds, UNPLANNED_VERBS),
            "kind": columns.named(kinds, UNPLANNED_KINDS),
            "platform": columns.named(population.platforms(seed, users, devices), population.PLATFORMS),
            "country": columns.named(homes, world.countries),
            "city": columns.named(homes, world.cities),
            **self._where(routes),
        }

    def _where(self, routes: np.ndarray) -> dict[str, pa.Array]:
        known = [self._routes[number] for number in range(len(self._routes))]
        versions = [route.version for route in known]
        return {
            "access_point": columns.named(routes, [route.access_point for route in known]),
            "routing_version": columns.nullable([versions[number] for number in routes.tolist()], np.int32),
        }


class LedgerWriter:
    """Writes the ledger of one worker into a sink, which takes bytes as they come."""

    def __init__(self, sink: type_sink) -> None:
        self.rows = 0
        self._buffer = _Buffer(sink)
        self._writer = pa.ipc.new_stream(self._buffer, LEDGER_SCHEMA)
        self._added: list[type_row] = []
        self._unplanned: list[type_unplanned_row] = []
        self._phase: PhaseColumns | None = None

    def begin_phase(self, phase: PhaseColumns) -> None:
        """Rows added from now on are of this phase."""
        self.flush()
        self._phase = phase

    def extend(self, rows: Iterable[type_row]) -> None:
        self._added.extend(rows)
        if len(self._added) >= BATCH_ROWS:
            self.flush()

    def extend_unplanned(self, rows: Iterable[type_unplanned_row]) -> None:
        """The same for requests beside the plan."""
        self._unplanned.extend(rows)
        if len(self._unplanned) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        self._flush_planned()
        self._flush_unplanned()

    def _flush_planned(self) -> None:
        if not self._added:
            return
        assert self._phase is not None, "a phase begins before its answers come"
        rows, self._added = self._added, []
        by_name = dict(zip(ROW, zip(*rows, strict=True), strict=True))
        places, routes = np.array(by_name.pop("place")), np.array(by_name.pop("route"))
        written: dict[str, Any] = self._phase.columns(places, routes)
        self._write(written, by_name, len(rows))

    def _flush_unplanned(self) -> None:
        if not self._unplanned:
            return
        assert self._phase is not None, "a phase begins before its answers come"
        rows, self._unplanned = self._unplanned, []
        by_name = dict(zip(UNPLANNED_ROW, zip(*rows, strict=True), strict=True))
        users, devices = np.array(by_name.pop("user")), np.array(by_name.pop("device"), dtype=np.int8)
        kinds, routes = np.array(by_name.pop("kind")), np.array(by_name.pop("route"))
        self._write(self._phase.unplanned_columns(users, devices, kinds, routes), by_name, len(rows))

    def _write(self, written: dict[str, pa.Array], by_name: dict[str, Any], count: int) -> None:
        """What is known of rows already, and what was measured."""
        written["connection"] = columns.encoded(by_name.pop("connection"))
        written["code"] = columns.nullable(by_name.pop("code"), np.int32)
        for name, values in by_name.items():
            written[name] = columns.nullable(values, np.int64)
        batch = pa.RecordBatch.from_arrays([written[name] for name in LEDGER_SCHEMA.names], schema=LEDGER_SCHEMA)
        self._writer.write_batch(batch)
        self._buffer.pass_on()
        self.rows += count

    def close(self) -> None:
        """Complete the stream."""
        self.flush()
        self._writer.close()
        self._buffer.pass_on()


class _Buffer:
    """A file for Arrow that collects the many small writes of a batch into one."""

    closed = False

    def __init__(self, sink: type_sink) -> None:
        self._sink = sink
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:  # noqa: ANN401 -- whatever Arrow hands to a file
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def pass_on(self) -> None:
        self._sink(b"".join(self._parts))
        self._parts.clear()
