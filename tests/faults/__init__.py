"""The fault rig: real processes, real load, one fault at a time, and a count of what was lost.

`python -m tests.faults` runs the table (`make faults`); `docs/reference/faults.md` is its result.
The rig knows the product from outside only: REST, `manage.py`, signals, and SQL that reads.
"""
