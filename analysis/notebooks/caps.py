# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The caps of a run, in both directions
# A cap holds when nothing was admitted beyond it, and nothing was refused while a place was free. This page replays the
# journal in its order, shows how each cap filled, and asserts both. Play a run for it with
# `locust -f locustfiles/live_group_cap.py --headless`, or `account_cap.py`.

# %% tags=["parameters"]
run_folder = "runs/latest"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG, display

from analysis import cap_series, figures, loading
from analysis.audit import audit
from analysis.headlines import headlines

# %%
run = loading.load(Path(run_folder).resolve())
audited = audit(run)
print(*headlines(audited), sep="\n")

# %% [markdown]
# ## What each cap allowed, and what was reached
# `over` were admitted beyond the cap, `below` refused under it; `is_raced` are the caps for which the plan set out.

# %%
table = pd.DataFrame(audited.caps).drop(columns="quota")
table.insert(0, "cap", [cap.quota.words for cap in audited.caps])
table

# %% [markdown]
# ## How they filled
# Above the places taken, most and fewest within a slice of time, against the cap; below what was admitted and refused meanwhile.

# %%
for series in cap_series.of_audit(audited):
    display(SVG(figures.cap_over_time(series, narrow=False)))  # type: ignore[no-untyped-call]  # IPython has no types here

# %% [markdown]
# ## Who was refused with what
# Every answer of the clients by verb and code: 0 is a success, the others are refusals. What a code means stands in
# `docs/coverage.md`.

# %%
run.ledger.answered.groupby(["verb", "code"], observed=True).size().unstack(fill_value=0)

# %% [markdown]
# ## How full it was at each request
# A replay keeps, for each request that asked for a place, how many were taken before it. The last row admitted and the
# first refused have to lie on either side of the cap.

# %%
replayed = {
    tally.quota.words: pd.DataFrame(
        {"taken before": tally.attempts.before, "must be refused": tally.attempts.lacks_room}
    )
    for tally in audited.tallies
}
pd.concat(
    {
        words: frame.groupby("must be refused")["taken before"].agg(["count", "min", "max"])
        for words, frame in replayed.items()
    }
) if replayed else "There is no journal, so nothing can be replayed: the table above has bounds only."

# %% [markdown]
# ## The verdict

# %%
wrong = [cap.line for cap in audited.caps if not cap.holds]
assert audited.caps, "no cap had a say in this run: play one that races for places"
assert not wrong, wrong
