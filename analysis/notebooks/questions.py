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
# # Asking a run your own questions
# The report answers what everybody asks. For the rest a run is two tables: the **ledger**, a row for each request as a client saw
# it, and the **journal**, a row for each change and refusal as the server wrote it. This page asks them five questions in
# pandas and one in SQL; change them. What each column means stands in `docs/run-files.md`.

# %% tags=["parameters"]
run_folder = "runs/latest"

# %%
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from analysis import latencies, loading, matching, run_files
from analysis.billing_days import DAY_MS, iso
from analysis.metrics import measure
from analysis.samples import Samples
from analysis.selections import Selection

run = loading.load(Path(run_folder).resolve())
answered = run.ledger.answered
answered.head()

# %% [markdown]
# **Which requests were refused, with what, from which platforms?** Every answer has a code; 0 is a success.

# %%
answered[answered["code"] != 0].groupby(["verb", "code", "platform"], observed=True).size()

# %% [markdown]
# **Which countries have the most active users on each day?** A user counts once a day, whatever comes. Days are billing days, and begin
# where the run says.

# %%
day = (answered["app_before_ms"] + run.offset_ms) // DAY_MS
is_login = (answered["verb"] == "login") & (answered["code"] == 0)
users = answered[is_login].groupby([day[is_login].map(iso), "country"], observed=True)["user"].nunique()
users.rename_axis(["day", "country"]).sort_values(ascending=False).head(12)

# %% [markdown]
# **Who had to wait longest?** `service` runs from the send to the answer, `response` from the planned instant; in milliseconds.

# %%
times = pd.DataFrame(
    {
        "service": (answered["answered_us"] - answered["sent_us"]) / latencies.US_PER_MS,
        "response": (answered["answered_us"] - answered["planned_us"]) / latencies.US_PER_MS,
    }
).groupby(answered["access_point"], observed=True)
times.quantile(np.array([0.5, 0.99])).unstack()

# %% [markdown]
# **What does a gate see?** The metrics of `docs/gates.md`, under the same selections: this one would be written
# `latency.service_p99_ms` with `where = { verb = "login", day = "peak" }`.

# %%
samples = Samples(run)
chosen = Selection({"verb": ("login",), "day": ("peak",)})
{name: measure(name, samples, chosen) for name in ("requests.count", "latency.service_p99_ms", "logins.per_second")}

# %% [markdown]
# **What did the server make of it?** Ledger and journal are joined by request id; here, how often which answer stands beside which
# kind of row.

# %%
assert run.journal, "there is no journal: this server keeps none"
matched = matching.match(run.ledger, run.journal, matching.registrations(run.ledger, run.journal))
kinds = matched.journal["kind"].map(pd.Series(run_files.JOURNAL_KINDS)).to_numpy()
pd.crosstab(kinds, matched.ledger["code"].to_numpy(), rownames=["journal"], colnames=["code in the ledger"])

# %% [markdown]
# **The same in SQL.** Both tables are Arrow, which DuckDB reads where it lies; the strings are all there.

# %%
ledger = run.ledger.table
duckdb.execute(
    """
    SELECT kind, count(*) AS requests, count(DISTINCT user_id) AS users,
           median(answered_us - sent_us) / 1000 AS service_p50_ms
    FROM ledger WHERE code = 0 GROUP BY kind ORDER BY requests DESC
    """
).df()
