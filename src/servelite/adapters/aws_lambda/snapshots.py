"""SnapStart: what is done before Lambda takes a snapshot of the process, and after a copy of it is woken."""

import gc

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.http import open_http
from servelite.core.call import Call


def register(environment: Environment) -> None:
    """Have Lambda's runtime call an environment's hooks."""
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(warm_up, environment)
    register_after_restore(environment.restored)


def warm_up(environment: Environment) -> None:
    """Run each function's first example once, and open the way of HTTP, so that all this is in the snapshot; nothing is recorded."""
    environment.http = open_http(environment)
    for pool in environment.engine.pools.values():
        function = pool.description
        if function.examples and function.pipeline is None:
            body = function.encode_input(function.examples[0]["input"])
            environment.run(pool.workers.lanes[0].worker.run([Call("0" * 32, function.name, "", body)]))
    gc.collect()
    gc.freeze()
