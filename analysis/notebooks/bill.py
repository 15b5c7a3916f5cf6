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
# # The bill of a run, proven
# Counts every distinct user again, from what the clients saw and from what the server wrote down, prices the peak day, and
# asserts that plan, ledger, journal and statement agree. The arithmetic lives in `analysis`; this page only shows it.

# %% tags=["parameters"]
run_folder = "runs/latest"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG

from analysis import figures, gates, loading, report
from analysis.audit import audit
from analysis.billing_days import iso
from analysis.headlines import headline
from analysis.verdict import Verdict

# %%
run = loading.load(Path(run_folder).resolve())
audited = audit(run)
verdict = Verdict(audited, gates.evaluate(gates.read(gates.DEFAULT_FILE), audited))
print(verdict.outcome, "·", headline(audited))

# %% [markdown]
# ## Daily active users: ledger and journal

# %%
daily = pd.DataFrame(
    {
        "ledger": pd.Series(audited.counts.ledger.dau),
        "journal": pd.Series(
            audited.counts.journal.dau if audited.counts.journal else {}, dtype="int64"
        ),
    }
)
daily.rename(index=iso)

# %%
assert audited.terms, "a bill needs a plan or a statement"
assert audited.bill, "a bill needs a plan or a statement"
figure = figures.dau_by_day(
    audited.counts.ledger.dau, audited.terms, audited.bill, narrow=False
)
SVG(figure)  # type: ignore[no-untyped-call]  # IPython has no types here

# %% [markdown]
# ## From the log to the amount

# %%
pd.DataFrame(report.waterfall(audited)).drop(columns="share")

# %%
pd.DataFrame(audited.bill.lines)

# %% [markdown]
# ## The verdict

# %%
pd.DataFrame(verdict.findings)

# %%
assert verdict.outcome == "passed", verdict.findings
