"""The audit of a run: recomputes every count and cent from files alone, whichever server wrote them.

Knows nothing of the mock server and nothing of Locust. Importing it loads nothing, so that the harness can take
`analysis.run_files` without pulling in pandas.
"""
