"""The gateway's side: the one road every call takes, the pool of each function's workers, the metering."""
