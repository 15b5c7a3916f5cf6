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
# # Where users came in
# Every login and resume of the run is routed again by an oracle of the audit's own. This page shows where users came in, what
# an outage did to them and what each policy would have cost them, and asserts that all came in where they belong. Play a run
# for it with `locust -f locustfiles/region_outage.py --headless --dau 100000`, or `global_access.py`.

# %% tags=["parameters"]
run_folder = "runs/latest"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG

from analysis import access_plots, loading
from analysis.access import POLICY_WORDS
from analysis.audit import audit
from analysis.headlines import headlines

# %%
run = loading.load(Path(run_folder).resolve())
audited = audit(run)
access = audited.access
assert access, "this run is not about access points"
print(*headlines(audited), sep="\n")

# %% [markdown]
# ## Users and access points
# Dots are cities with users, diamonds access points; crosses were lost or drained.

# %%
SVG(access_plots.world(access, narrow=False))  # type: ignore[no-untyped-call]  # IPython has no types here

# %%
pd.DataFrame(access.loads)

# %% [markdown]
# ## The load over the run, and its outages
# `recovery_us` is the time from just before the loss until 99 % of the sessions that were online there had come in elsewhere.

# %%
SVG(access_plots.load_over_time(access, narrow=False))  # type: ignore[no-untyped-call]  # IPython has no types here

# %%
pd.DataFrame(access.outages)

# %% [markdown]
# ## What each policy costs its users
# The round trip beyond the fastest one that was to be had, in milliseconds, by the latency table.

# %%
pd.DataFrame(access.regrets).replace({"policy": POLICY_WORDS})

# %% [markdown]
# ## The verdict

# %%
assert not access.wrong, pd.DataFrame(access.wrong_logins)
assert not audited.findings, audited.findings
