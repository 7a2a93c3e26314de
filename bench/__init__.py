"""How fast the product is, by real processes on one machine, as ratios taken in one run.

`make bench` runs every case; `docs/reference/performance.md` is the table that comes of it. A case
starts what it measures (`stack`), says what it costs (`cpu`) and returns figures (`measurement`).
"""
