"""Profiles for tests of the simulations."""

from typing import Any

from servelite.tools.planning.profile import Profile

MS = 1000
S = 1_000_000


def a_profile(**said: Any) -> Profile:
    """Return the profile of a function that takes 10 ms for a call, and 1 ms more for each further one of its batch."""
    batches_us = ((1, 10 * MS), (8, 17 * MS))
    fields = {
        "alone_us": (10 * MS,),
        "batches_us": batches_us,
        "init_us": 400 * MS,
        "peak_kib": 80 * 1024,
        "max_batch": 8,
        "memory_mib": 512,
    }
    return Profile("f", **{**fields, **said})
