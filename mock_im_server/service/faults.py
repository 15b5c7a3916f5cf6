"""The faults of an app: rules that its tests set, kept in the journal, as is every call that they refuse."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mock_im_server import journal as log
from mock_im_server.domain.faults import Fault, FaultRule, Faults
from mock_im_server.journal import Row
from mock_im_server.service.origin import Origin

if TYPE_CHECKING:
    from mock_im_server.service.app import App

TEXT: Final = "refused by a fault rule of this app"


class FaultsOfApp:
    """An app's faults; none to begin with."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._faults = Faults(())
        self.rules: tuple[FaultRule, ...] = ()

    async def set(self, rules: Sequence[FaultRule]) -> None:
        """Take these rules in place of those of before; all draws begin anew. Raises FaultsRefusedError."""
        self._take(rules)
        app = self._app
        await app.record(log.FAULTS_CHANGED, await app.settled_ms(), {"rules": [asdict(rule) for rule in rules]})

    def restore(self, rules: Sequence[FaultRule]) -> None:
        self._take(rules)

    def meet(self, api: str) -> Fault | None:
        """What the next call of `service/command` meets. Ask where there are rules only: every call counts."""
        return self._faults.meet(api, self._app.now_ms())

    async def refuse(self, api: str, code: int, origin: Origin) -> None:
        """Keep a refused call in the journal; it changes nothing else."""
        outcome, now_ms = await self._app.take_seq()
        self._app.journal.append(
            Row(
                outcome.seq,
                now_ms,
                log.FAULT_MET,
                platform=origin.platform,
                connection=origin.connection,
                request_seq=origin.request_seq,
                code=code,
                text=api,
            )
        )

    def _take(self, rules: Sequence[FaultRule]) -> None:
        self._faults = Faults(rules)
        self.rules = self._faults.rules
