"""The ledger: one row for each request of the plan, kept by the worker that sent it, as an Arrow stream.

Rows are gathered as small tuples while the load runs; what the plan knows of an arrival is added column by column when a
batch is written, so that an answer costs the driver well under a microsecond here.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.run_files import LEDGER_SCHEMA
from im_load import plan, population
from im_load.plan import DayPlan

BATCH_ROWS: Final = 32_768

type_sink = Callable[[bytes], None]


class Answer(NamedTuple):
    """What is known of a request once it is answered, or given up (then without the last three)."""

    place: int
    """Of the arrival in its day's plan."""
    connection: str
    request_seq: int
    planned_us: int
    sent_us: int | None
    app_before_ms: int | None
    answered_us: int | None = None
    app_after_ms: int | None = None
    code: int | None = None


class DayColumns:
    """What the plan says of a day's arrivals, ready for the ledger."""

    def __init__(
        self,
        day: DayPlan,
        *,
        seed: int,
        world: population.World,
        access_points: Sequence[str],
        first_row: int,
        start_ms: int,
    ) -> None:
        self.countries = world.country_of(seed, day.users)
        self.platforms = plan.platforms(seed, day.users, day.kinds)
        self._day = day
        self._first_row = first_row
        self._start_ms = start_ms
        self._world = world
        self._access_points = access_points
        """One for each country, in the order of the world's countries."""

    def columns(self, places: np.ndarray) -> dict[str, pa.Array]:
        """The planned columns of some arrivals."""
        day = self._day
        countries = self.countries[places]
        return {
            "row": pa.array(places + self._first_row),
            "user_id": pa.array([population.user_id(user) for user in day.users[places].tolist()]),
            "verb": _named(np.zeros(len(places), dtype=np.int32), ["login"]),
            "kind": _named(day.kinds[places], plan.KINDS),
            "platform": _named(self.platforms[places], population.PLATFORMS),
            "country": _named(countries, self._world.countries),
            "access_point": pa.array(
                [self._access_points[country] for country in countries.tolist()]
            ).dictionary_encode(),
            "planned_app_ms": pa.array(day.times_ms[places].astype(np.int64) + self._start_ms),
        }


class LedgerWriter:
    """Writes the ledger of one worker into a sink, which takes bytes as they come."""

    def __init__(self, sink: type_sink) -> None:
        self.rows = 0
        self._buffer = _Buffer(sink)
        self._writer = pa.ipc.new_stream(self._buffer, LEDGER_SCHEMA)
        self._answers: list[Answer] = []
        self._day: DayColumns | None = None

    def begin_day(self, day: DayColumns) -> None:
        """Rows added from now on are of this day's plan."""
        self.flush()
        self._day = day

    def add(self, answer: Answer) -> None:
        self._answers.append(answer)
        if len(self._answers) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._answers:
            return
        assert self._day is not None, "a day begins before its answers come"
        answers, self._answers = self._answers, []
        by_name = dict(zip(Answer._fields, zip(*answers, strict=True), strict=True))
        columns: dict[str, Any] = self._day.columns(np.array(by_name.pop("place")))
        columns["connection"] = pa.array(by_name.pop("connection")).dictionary_encode()
        batch = pa.RecordBatch.from_arrays(
            [
                columns[field.name]
                if field.name in columns
                else pa.array(by_name[field.name], field.type)
                for field in LEDGER_SCHEMA
            ],
            schema=LEDGER_SCHEMA,
        )
        self._writer.write_batch(batch)
        self._buffer.pass_on()
        self.rows += len(answers)

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


def _named(indices: np.ndarray, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), list(names))
