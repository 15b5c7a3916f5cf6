"""Several server processes on one Redis: what they tell each other, and how their rows become one journal.

Counts stand in the store (`stores.redis`). Everything else that a process must know of the others' doings follows from
rows of the journal, which each process hears before it answers anybody (`news`). Sessions stay where their connections
are.
"""
