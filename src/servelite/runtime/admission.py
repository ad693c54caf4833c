"""Whether a pipeline's call is let in: by what the functions of its stages are known to need, from the first to the last."""

from collections.abc import Mapping

from servelite.core.call import Call
from servelite.core.errors import ServeliteError
from servelite.core.pipeline import Each, FunctionStage, Glue, Node, Parallel, Route, Sequence
from servelite.runtime.pool import Pool
from servelite.runtime.refusals import would_wait
from servelite.runtime.resolution import Resolution


def refusal(call: Call, pools: Mapping[str, Pool], resolution: Resolution) -> ServeliteError | None:
    """Return what a call is told that is not to be let in; one that is finds its functions awake, or waking.

    Later its stages wait as long as they have to: it would be a pity about what is already done.
    """
    pipeline, patience_s = call.function, call.patience_s
    resolved = resolution.find(pipeline)
    if all(pool.is_free for pool in resolved.certain):
        return None
    for pool in resolved.certain:
        pool.warm_up()
        if (told := pool.refusal(patience_s, call.depth)) is not None:
            return told
    if patience_s:
        begun_us, _ = _expected_us(resolved.node, pipeline, pools, resolution)
        if begun_us > patience_s * 1e6:
            return would_wait(pipeline, begun_us, patience_s * 1e6)
    return None


def _expected_us(node: Node, pipeline: str, pools: Mapping[str, Pool], resolution: Resolution) -> tuple[float, float]:
    """Return when the last stage of a node is begun, and when it is done, as far as that is known; what may not be run takes no time."""

    def expected(one: Node) -> tuple[float, float]:
        return _expected_us(one, pipeline, pools, resolution)

    begun_us = done_us = 0.0
    match node:
        case Node(fallback=Node()):
            pass
        case Sequence():
            for stage in node.stages:
                wait_us, took_us = expected(stage)
                begun_us, done_us = done_us + wait_us, done_us + took_us
        case Parallel():
            for _, branch in node.branches:
                wait_us, took_us = expected(branch)
                begun_us, done_us = max(begun_us, wait_us), max(done_us, took_us)
        case Each(stage=one) | Route(chooser=one):
            begun_us, done_us = expected(one)
        case FunctionStage() if resolution.is_pipeline(node.name):
            begun_us, done_us = _expected_us(resolution.find(node.name).node, node.name, pools, resolution)
        case FunctionStage() | Glue():
            begun_us, run_us = pools[node.name if isinstance(node, FunctionStage) else pipeline].expected_us
            done_us = begun_us + run_us
    return begun_us, done_us
