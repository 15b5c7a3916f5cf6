"""The cap audit by the journal, both ways: an honest run passes, and every planted defect turns it red."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from analysis import verdict
from analysis.cap_table import Cap
from analysis.verdict import Verdict
from proofs.forging import changed, renumbered, without_row
from tests.analysis.judging import codes, judged
from tests.analysis.plays import LIVE, LIVE_QUOTA, Group, Play, Server, a_race
from tests.analysis.recordings import Recording


def cap_of(judgement: Verdict, name: str) -> Cap:
    return next(cap for cap in judgement.audit.caps if cap.quota.name == name)


def cap_codes(judgement: Verdict) -> set[str]:
    return {code for code in codes(judgement) if code.startswith(("cap", "group_lifetime", "registration"))}


# --- honest runs -------------------------------------------------------------------------------------


def test_an_honest_race_passes_without_a_finding(tmp_path: Path) -> None:
    judgement = judged(a_race().written(tmp_path))
    assert judgement.findings == []
    cap = cap_of(judgement, "live_groups")
    assert (cap.limit, cap.reached, cap.admitted, cap.refused, cap.verdict) == ("50", "50", 53, 73, "exact")


def test_the_terminal_says_how_the_cap_held(tmp_path: Path) -> None:
    lines = verdict.text(judged(a_race().written(tmp_path)), "r").splitlines()
    assert lines[0] == "live groups: 50 of 50 · 73 refused with 10036 · 0 over · 0 wrongly refused"
    assert lines[-1] == "plan = ledger = journal = statement   · report: r"


def a_trial() -> Play:
    """Accounts, users of a day and groups of a trial, each at its cap and beyond."""
    play = Play("trial")
    for number in range(60):
        assert play.import_account(f"user_{number:03}") == 0
    for number in range(50, 110):
        play.login(f"user_{number:03}")
    assert play.delete("user_000") == 0
    assert play.login("user_000") == 0
    play.delete("user_001")
    play.import_account("late")
    play.import_account("too_late")
    for number in range(12):
        play.live(f"live_{number}", "user_002")
    for number in range(102):
        play.create(f"group_{number}", f"user_{2 + number % 40:03}")
    play.next_day()
    play.destroy("group_0")
    play.create("group_again", "user_003")
    play.login("user_000")
    return play


def test_an_honest_trial_passes_at_every_cap(tmp_path: Path) -> None:
    judgement = judged(a_trial().written(tmp_path))
    assert judgement.findings == []
    assert {cap.quota.name: cap.verdict for cap in judgement.audit.caps} == dict.fromkeys(
        ("accounts", "dau", "live_groups", "other_groups", "groups_per_user", "members_per_group", "net_new_groups"),
        "exact",
    )
    assert cap_of(judgement, "accounts").refused > 0


def test_the_hundred_and_first_user_of_a_day_is_refused_although_others_were_deleted(tmp_path: Path) -> None:
    play = Play("trial")
    for number in range(100):
        play.login(f"user_{number}")
    for number in range(3):
        play.delete(f"user_{number}")
    assert [play.login("new"), play.login("user_50"), play.import_account("new")] == [72000, 0, 0]
    assert play.login("new") == 72000
    judgement = judged(play.written(tmp_path))
    assert judgement.findings == []
    assert cap_of(judgement, "dau").refused == 2


def test_members_and_groups_of_users_are_followed_through_everything_that_ends_them(tmp_path: Path) -> None:
    play = Play("trial", Server("trial", of_user=50))
    for number in range(25):
        play.import_account(f"user_{number}")
    play.create("small", "user_0", max_members=3)
    assert [play.join("small", f"user_{number}") for number in range(1, 5)] == [0, 0, 10014, 10014]
    play.quit("small", "user_1")
    assert play.join("small", "user_3") == 0
    play.delete("user_2")
    assert [play.join("small", "user_4"), play.join("small", "user_4"), play.join("small", "user_5")] == [0, 0, 10014]
    play.resize("small", 30)
    results = [play.join("small", f"user_{number}") for number in (*range(1), *range(5, 25))]
    assert results.count(10038) == 3
    for number in range(49):
        assert play.create(f"of_0_{number}", "user_0") == 0
    assert play.create("too_many", "user_0") == 10037
    assert play.live("live", "user_0") == 0
    play.destroy("of_0_7")
    assert [play.create("fits", "user_0"), play.create("fits_not", "user_0")] == [0, 10037]
    assert play.create("crowd", "user_1", more=[f"user_{number}" for number in range(3, 24)]) == 10038
    judgement = judged(play.written(tmp_path))
    assert judgement.findings == []
    assert cap_of(judgement, "members_per_group").reached == "20"
    assert cap_of(judgement, "groups_per_user").reached == "50"


def test_a_group_id_that_comes_again_begins_anew(tmp_path: Path) -> None:
    play = Play("trial", Server("trial", members=4))
    play.prepare(*(f"user_{number}" for number in range(6)))
    play.create("g", "user_0", max_members=2)
    play.destroy("g")
    # Three do not fit into the number of the group's first life; a server that errs by one says so of the plan's four.
    play.server.overrides["members"] = 2
    assert play.create("g", "user_0", more=["user_1", "user_2"]) == 10038
    play.server.overrides["members"] = 20
    play.create("g", "user_0", LIVE)
    assert play.create("h", "user_0") == 0
    judgement = judged(play.written(tmp_path))
    assert cap_codes(judgement) == {"cap_refused_below"}


def test_a_plan_change_switches_the_limits_from_its_row_on(tmp_path: Path) -> None:
    play = Play("trial")
    for number in range(12):
        play.live(f"g{number}")
    play.change_plan("pro")
    for number in range(12, 60):
        play.live(f"g{number}")
    judgement = judged(play.written(tmp_path))
    assert judgement.findings == []
    cap = cap_of(judgement, "live_groups")
    assert (cap.limit, cap.reached, cap.refused) == ("10 then 50", "50", 2 + 8)
    assert judgement.audit.terms is not None
    assert judgement.audit.terms.plan == "pro"


def test_a_days_net_counts_destructions_of_older_groups(tmp_path: Path) -> None:
    play = Play("pro", Server("pro"))
    play.server.overrides["live"] = 10**9
    play = Play("trial")
    for number in range(100):
        assert play.create(f"g{number}") == 0
    assert play.create("over") == 10058
    play.next_day()
    for number in range(5):
        play.destroy(f"g{number}")
    assert [play.create(f"h{number}") for number in range(6)] == [0, 0, 0, 0, 0, 10058]
    judgement = judged(play.written(tmp_path))
    assert judgement.findings == []
    assert cap_of(judgement, "net_new_groups").reached == "100"


def test_accounts_made_before_the_run_need_no_ledger_row(tmp_path: Path) -> None:
    play = Play("trial")
    play.prepare("owner", "member")
    assert play.create("g", "owner", more=["member"]) == 0
    assert judged(play.written(tmp_path)).findings == []


def test_importing_a_known_account_succeeds_without_a_journal_row(tmp_path: Path) -> None:
    play = Play("trial")
    play.import_account("user")
    play.import_account("user")
    play.login("other")
    play.import_account("other")
    play.prepare("third")
    play.import_account("third")
    judgement = judged(play.written(tmp_path))
    assert judgement.findings == []
    assert judgement.audit.matches is not None
    assert judgement.audit.matches.silent == 3


def test_an_import_without_a_row_whose_account_cannot_have_been_there_is_found(tmp_path: Path) -> None:
    play = Play("trial")
    play.import_account("user")
    play.delete("user")
    play.saw("import", "user", None, 0)
    play.saw("import", "nobody", None, 0)
    judgement = judged(play.written(tmp_path))
    assert codes(judgement) == {"journal_row_missing"}
    (text,) = (finding.text for finding in judgement.audit.findings)
    assert text.startswith("2 rows")


# --- servers with a defect: both sides tell the same story, which is against the rules ----------------


class OneTooMany(Server):
    """Admits one live group beyond the cap."""

    def limit(self, name: str) -> int:
        return super().limit(name) + (name == "live")


class OneTooFew(Server):
    """Refuses the last place."""

    def limit(self, name: str) -> int:
        return super().limit(name) - (name == "live")


class CountsDestroyed(Server):
    """A destroyed group still takes its place."""

    destroyed = 0

    def destroy(self, name: str, day: int) -> int:
        code = super().destroy(name, day)
        self.destroyed += not code
        return code

    def live(self) -> int:
        return super().live() + self.destroyed


class ForgetsEmpty(Server):
    """A group that nobody is in takes no place."""

    def live(self) -> int:
        return sum(group.type == LIVE and bool(group.members) for group in self.groups.values())


class CountsRefused(Server):
    """A refused creation takes a place for good."""

    refused = 0

    def create(self, name: str, group: Group, members: list[str], day: int) -> int:
        code = super().create(name, group, members, day)
        self.refused += code == 10036
        return code

    def live(self) -> int:
        return super().live() + min(self.refused, 3)


class WrongCode(Server):
    """Refuses a live group with the code of other groups."""

    def refusal_to_create(self, name: str, group: Group, members: list[str], day: int) -> int:
        code = super().refusal_to_create(name, group, members, day)
        return 10058 if code == 10036 else code


class RefusesJoiners(Server):
    """Refuses a live group to a user who may not have another one of those that count."""

    def refusal_to_create(self, name: str, group: Group, members: list[str], day: int) -> int:
        return super().refusal_to_create(name, group, members, day) or (10037 if name == "g20" else 0)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (OneTooMany, {"cap_exceeded"}),
        (OneTooFew, {"cap_refused_below"}),
        (CountsDestroyed, {"cap_refused_below"}),
        (ForgetsEmpty, {"cap_exceeded"}),
        (CountsRefused, {"cap_refused_below"}),
        (WrongCode, {"cap_code_wrong"}),
        (RefusesJoiners, {"cap_refused_below"}),
    ],
)
def test_a_defect_of_a_server_at_the_live_groups_cap_is_found(
    tmp_path: Path, server: type[Server], expected: set[str]
) -> None:
    judgement = judged(a_race(server=server("pro")).written(tmp_path))
    assert judgement.outcome == "failed"
    assert cap_codes(judgement) == expected


def test_the_finding_names_the_first_row_and_the_places_taken(tmp_path: Path) -> None:
    judgement = judged(a_race(server=OneTooMany("pro")).written(tmp_path))
    (text,) = (f.text for f in judgement.audit.findings if f.code == "cap_exceeded")
    # The app and the connection are rows 1 and 2, then five logins and fifty groups.
    assert text.endswith("the first, seq 58, when 50 of 50 were taken")


class KeepsDeletedAccounts(Server):
    """A deleted account still takes its place."""

    deleted = 0

    def delete(self, user: str) -> int:
        code = super().delete(user)
        self.deleted += not code
        return code

    def account(self, user: str) -> int:
        return 70398 if user not in self.accounts and len(self.accounts) + self.deleted >= 100 else 0


class OneAccountTooMany(Server):
    def limit(self, name: str) -> int:
        return super().limit(name) + (name == "accounts")


class FreesTheDay(Server):
    """A deleted user counts no more among the day's users."""

    def delete(self, user: str) -> int:
        for active in self.active.values():
            active.discard(user)
        return super().delete(user)


class DayBeforeAccounts(Server):
    """Refuses with 72000 where the accounts are full too."""

    def account(self, user: str) -> int:
        code = super().account(user)
        return 72000 if code and user.startswith("both") else code


class RefusesKnownUsers(Server):
    """Refuses the second login of a user whom it has counted already."""

    def login(self, user: str, day: int) -> int:
        return 72000 if user in self.active[day] and user == "user_007" else super().login(user, day)


def at_the_accounts_cap(server: Server) -> Play:
    play = Play("trial", server)
    for number in range(102):
        play.login(f"user_{number:03}")
    play.login("user_007")
    play.login("both_full")
    play.delete("user_000")
    play.import_account("fills")
    play.login("fills")
    play.import_account("beyond")
    return play


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Server, set()),
        (KeepsDeletedAccounts, {"cap_refused_below", "cap_code_wrong"}),
        (OneAccountTooMany, {"cap_exceeded", "cap_code_wrong"}),
        (FreesTheDay, {"cap_exceeded"}),
        (DayBeforeAccounts, {"cap_code_wrong"}),
        (RefusesKnownUsers, {"cap_refused_below"}),
    ],
)
def test_a_defect_of_a_server_at_the_accounts_cap_is_found(
    tmp_path: Path, server: type[Server], expected: set[str]
) -> None:
    judgement = judged(at_the_accounts_cap(server("trial")).written(tmp_path))
    assert cap_codes(judgement) == expected
    assert judgement.outcome == ("failed" if expected else "passed")


class Loose(Server):
    """Admits one more of what it is told."""

    def __init__(self, what: str, by: int = 1) -> None:
        super().__init__("trial")
        self.what, self.by = what, by

    def limit(self, name: str) -> int:
        return super().limit(name) + self.by * (name == self.what)


class SwapsFullCodes(Server):
    """Says 10038 where the group's own number is reached."""

    def full(self, group: Group) -> int:
        return 10014 if super().full(group) == 10038 else 10038


class DayFirst(Server):
    """Refuses with the day's code where the user's own limit is reached too."""

    def refusal_to_create(self, name: str, group: Group, members: list[str], day: int) -> int:
        code = super().refusal_to_create(name, group, members, day)
        return 10006 if code == 10037 else code


def at_the_groups_caps(server: Server) -> Play:
    """A trial whose daily net is reached on the first day, its other caps on the second."""
    play = Play("trial", server)
    play.prepare(*(f"user_{number}" for number in range(30)))
    for number in range(51):
        play.create(f"of_0_{number}", "user_0")
    play.create("small", "user_1", max_members=4)
    for number in range(2, 8):
        play.join("small", f"user_{number}")
    play.create("wide", "user_1")
    for number in range(2, 24):
        play.join("wide", f"user_{number}")
    for number in range(12):
        play.live(f"live_{number}", "user_0")
    for number in range(60):
        play.create(f"more_{number}", f"user_{number % 20 + 5}")
    play.next_day()
    for number in range(60, 65):
        play.create(f"more_{number}", f"user_{number % 20 + 5}")
    for number in range(15):
        play.destroy(f"more_{number}")
    for number in range(65, 90):
        play.create(f"more_{number}", f"user_{number % 20 + 5}")
    return play


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Server("trial"), set()),
        (Loose("of_user"), {"cap_exceeded"}),
        (Loose("of_user", -1), {"cap_refused_below"}),
        (Loose("members"), {"cap_exceeded"}),
        (Loose("members", -1), {"cap_refused_below"}),
        (Loose("net"), {"cap_exceeded"}),
        (Loose("net", -1), {"cap_refused_below"}),
        (Loose("live"), {"cap_exceeded"}),
        (Loose("live", -1), {"cap_refused_below"}),
        (Loose("other"), {"cap_exceeded"}),
        (Loose("other", -1), {"cap_refused_below"}),
        (SwapsFullCodes("trial"), {"cap_code_wrong"}),
        (DayFirst("trial"), {"cap_code_wrong"}),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'what', '')}{getattr(value, 'by', '')}",
)
def test_a_defect_of_a_server_at_the_groups_caps_is_found(tmp_path: Path, server: Server, expected: set[str]) -> None:
    judgement = judged(at_the_groups_caps(server).written(tmp_path))
    assert cap_codes(judgement) == expected


# --- spoilt recordings --------------------------------------------------------------------------------


def _kinds(recording: Recording, kind: int) -> list[int]:
    assert recording.journal is not None
    return [row for row, found in enumerate(recording.journal["kind"].to_pylist()) if found == kind]


def _a_refused_creation_admitted_in_both(recording: Recording) -> None:
    """The last refused creation is an admitted one, in ledger and journal alike."""
    assert recording.journal is not None
    row = _kinds(recording, 17)[-1]
    text = recording.journal["text"][row].as_py()
    created = text[:-1] + ', "group": 9999, "imported": false, "max_members": null, "members": []}'
    for column, value in (("kind", 16), ("code", 0), ("user_id", None), ("text", created)):
        recording.journal = changed(recording.journal, column, row, value)
    request = recording.journal["request_seq"][row].as_py()
    recording.change_ledger("code", request - 1, 0)


def _a_destruction_lost(recording: Recording) -> None:
    assert recording.journal is not None
    recording.journal = renumbered(without_row(recording.journal, _kinds(recording, 18)[0]))


def _a_destruction_twice(recording: Recording) -> None:
    assert recording.journal is not None
    row = recording.journal.slice(_kinds(recording, 18)[0], 1)
    row = changed(row, "request_seq", 0, 999)
    recording.journal = renumbered(pa.concat_tables([recording.journal, row]))


def _an_unreadable_text(recording: Recording) -> None:
    assert recording.journal is not None
    recording.journal = changed(recording.journal, "text", _kinds(recording, 16)[0], "{")


def _another_group_in_the_journal(recording: Recording) -> None:
    assert recording.journal is not None
    row = _kinds(recording, 17)[0]
    text = recording.journal["text"][row].as_py().replace("g5", "g11")
    recording.journal = changed(recording.journal, "text", row, text)


def _another_owner_in_the_ledger(recording: Recording) -> None:
    recording.change_ledger("user_id", 10, "user_4")


def _another_verb(recording: Recording) -> None:
    recording.change_ledger("verb", 6, "join_group")


def _a_refusal_that_the_client_saw_as_success(recording: Recording) -> None:
    row = recording.ledgers[0]["code"].to_pylist().index(10036)
    recording.change_ledger("code", row, 0)


def _a_known_account_named_again(recording: Recording) -> None:
    assert recording.journal is not None
    row = _kinds(recording, 5)[0]
    again = changed(recording.journal.slice(row, 1), "counted_day", 0, -1)
    again = changed(again, "request_seq", 0, 999)
    recording.journal = renumbered(pa.concat_tables([recording.journal, again]))


def _statement_without_empty_groups(recording: Recording) -> None:
    assert recording.statement is not None
    recording.statement["peak_groups"] = 49
    recording.statement["lines"][2]["quantity"] = 49


def _statement_counts_destroyed_groups(recording: Recording) -> None:
    assert recording.statement is not None
    recording.statement["peak_groups"] = 53
    recording.statement["lines"][2]["quantity"] = 53


def _plan_expects_another_peak(recording: Recording) -> None:
    recording.plan["peak_groups"] = [51, 51]


def _plan_expects_other_successes(recording: Recording) -> None:
    recording.plan["days"][0]["admitted"]["create_group"] = [52, 52]


def _plan_has_another_limit(recording: Recording) -> None:
    recording.plan["quotas"] = [LIVE_QUOTA | {"limit": 49}]


def _plan_has_another_refusal(recording: Recording) -> None:
    recording.plan["quotas"] = [LIVE_QUOTA | {"refusal": 10058}]


def _plan_has_an_unknown_quota(recording: Recording) -> None:
    recording.plan["quotas"] = [LIVE_QUOTA | {"name": "rooms"}]


def _opened_under_another_plan(recording: Recording) -> None:
    assert recording.journal is not None
    recording.journal = changed(recording.journal, "text", 0, '{"plan": "ultimate"}')


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        (_a_refused_creation_admitted_in_both, {"cap_exceeded", "statement_differs", "admitted_differs"}),
        (_a_destruction_lost, {"journal_row_missing", "groups_differ", "cap_exceeded"}),
        (_a_destruction_twice, {"journal_row_unasked", "group_lifetime_wrong"}),
        (_an_unreadable_text, {"journal_values"}),
        (_another_group_in_the_journal, {"group_differs"}),
        (_another_owner_in_the_ledger, {"user_differs"}),
        (_another_verb, {"verb_differs"}),
        (_a_refusal_that_the_client_saw_as_success, {"code_differs", "admitted_differs", "codes_differ"}),
        (_a_known_account_named_again, {"registration_wrong"}),
        (_statement_without_empty_groups, {"statement_differs", "bill_differs"}),
        (_statement_counts_destroyed_groups, {"statement_differs", "bill_differs"}),
        (_plan_expects_another_peak, {"peak_groups_differs"}),
        (_plan_expects_other_successes, {"admitted_differs"}),
        (_plan_has_another_limit, {"quota_differs"}),
        (_plan_has_another_refusal, {"quota_differs"}),
        (_plan_has_an_unknown_quota, {"quota_unknown"}),
        (_opened_under_another_plan, {"plan_differs"}),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_planted_defect_of_a_race_is_found(
    tmp_path: Path, defect: Callable[[Recording], None], expected: set[str]
) -> None:
    recording = a_race().recording()
    defect(recording)
    judgement = judged(recording.written(tmp_path))
    assert judgement.outcome != "passed"
    assert expected <= codes(judgement)
