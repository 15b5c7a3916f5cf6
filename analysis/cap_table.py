"""What an audit says of each cap, in one form, whether a journal was replayed or a ledger had to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.bounds import Bounds
from analysis.caps import Tally
from analysis.quotas import Quota

UNLIMITED = "no limit"


@dataclass(frozen=True, slots=True)
class Cap:
    """One quota of a run: what it allows, what was reached, and how often it failed in each direction."""

    quota: Quota
    limit: str
    reached: str
    admitted: int
    refused: int
    over: int
    below: int
    wrong_code: int
    is_proven: bool
    """By a replay; without a journal there are only bounds."""
    is_raced: bool
    """The run's plan names it."""

    @property
    def holds(self) -> bool:
        """Whether nothing went beyond the cap and nothing was refused below it."""
        return not (self.over or self.below or self.wrong_code)

    @property
    def verdict(self) -> str:
        """Say it in a few words."""
        wrong = [
            f"{count:,} {what}"
            for count, what in (
                (self.over, "over"), (self.below, "wrongly refused"), (self.wrong_code, "with a wrong code")
            )
            if count
        ]  # fmt: skip
        return ", ".join(wrong) if wrong else "exact" if self.is_proven else "not disproven"

    @property
    def line(self) -> str:
        """Say all of it in one line, as for the terminal."""
        codes = " or ".join(map(str, self.quota.codes))
        wrong = f" · {self.wrong_code:,} with a wrong code" if self.wrong_code else ""
        known = "" if self.is_proven else " as far as a ledger can tell"
        return (
            f"{self.quota.words}: {self.reached} of {self.limit} · {self.refused:,} refused with {codes} · "
            f"{self.over:,} over · {self.below:,} wrongly refused{wrong}{known}"
        )


def of_tallies(tallies: Sequence[Tally], raced: frozenset[str]) -> list[Cap]:
    """Sum up a replay."""
    return [
        Cap(
            quota=tally.quota,
            limit=" then ".join(UNLIMITED if limit is None else f"{limit:,}" for limit in tally.limits),
            reached=f"{tally.reached:,}",
            admitted=tally.admitted,
            refused=tally.refused,
            over=len(tally.over),
            below=len(tally.below),
            wrong_code=len(tally.wrong_code),
            is_proven=True,
            is_raced=tally.quota.name in raced,
        )
        for tally in tallies
    ]


def of_bounds(bounds: Sequence[Bounds], raced: frozenset[str]) -> list[Cap]:
    """Sum up what a ledger shows."""
    return [
        Cap(
            quota=one.quota,
            limit=f"{one.limit:,}",
            reached=f"{one.least:,}" if one.least == one.most else f"{one.least:,} to {one.most:,}",
            admitted=one.admitted,
            refused=one.refused,
            over=one.over,
            below=len(one.below),
            wrong_code=0,
            is_proven=False,
            is_raced=one.quota.name in raced,
        )
        for one in bounds
    ]
