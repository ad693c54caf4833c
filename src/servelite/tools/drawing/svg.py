"""A pipeline's drawing as an SVG picture, light or dark as its reader's screen; pygraphviz, which lays it out, has its room here."""

import contextlib
import os
import re
from collections.abc import Iterator

from servelite.core.drawing import Box, Drawing
from servelite.core.errors import DefinitionError

STDERR = 2

_CAPTION = re.compile(r'(<g id="clust\d+" class="cluster">\n<title>.*\n<path .*\n)(<text .*\n)')

LETTERS = "Helvetica,Arial,sans-serif"

LOOK = """
  .paper { fill: #f7f7f4; stroke: none; }
  text { fill: #1d2125; }
  .node text:first-of-type { font-size: 13px; font-weight: 600; }
  .node text { font-size: 9.5px; }
  .node.end text { font-size: 11px; font-weight: 400; }
  .branch text, .fallback text { font-weight: 600; }
  .edge path, .edge polygon, .cluster path { stroke: #8a94a0; }
  .edge polygon, .joint path, .joint ellipse { fill: #8a94a0; stroke: #8a94a0; }
  .edge text, .captions text, .end text { fill: #5c646c; }
  .captions text { paint-order: stroke; stroke: #f7f7f4; stroke-width: 3px; stroke-linejoin: round; }
  .cluster path { fill: #8a94a0; fill-opacity: .04; }
  .end path { fill: none; stroke: #8a94a0; }
  .function path, .pipeline path { fill: #e3f0ed; stroke: #128577; }
  .glue path, .choice polygon { fill: #faf0dc; stroke: #b98428; }
  .value path { fill: #efeaf7; stroke: #8669b3; }
  .missing path { fill: #fbeae8; stroke: #b3261e; }
  .missing text, .misfit text { fill: #b3261e; }
  .misfit path, .misfit polygon { stroke: #b3261e; }
  .misfit polygon { fill: #b3261e; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14171a; }
    text { fill: #e6e8ea; }
    .edge text, .captions text, .end text { fill: #9ba4ad; }
    .captions text { stroke: #14171a; }
    .edge path, .edge polygon, .cluster path, .end path { stroke: #77828e; }
    .edge polygon, .joint path, .joint ellipse { fill: #77828e; stroke: #77828e; }
    .function path, .pipeline path { fill: #1d3431; stroke: #3fb5a3; }
    .glue path, .choice polygon { fill: #352b18; stroke: #d9a13f; }
    .value path { fill: #2b2539; stroke: #a58bd0; }
    .missing path { fill: #39211f; stroke: #ff9d94; }
    .missing text, .misfit text { fill: #ff9d94; }
    .misfit path, .misfit polygon { stroke: #ff9d94; }
    .misfit polygon { fill: #ff9d94; }
  }
"""

TYPES = "Menlo,Consolas,DejaVu Sans Mono,monospace"

LAYOUT = f"""
  graph [rankdir=TB, compound=true, nodesep=0.3, ranksep=0.32, pad=0.25, fontname="{LETTERS}", fontsize=10]
  node [shape=box, style="rounded,filled", fontname="{LETTERS}", fontsize=12, margin="0.24,0.1", height=0.3]
  edge [arrowsize=0.6, fontname="{TYPES}", fontsize=9]
"""

SHAPES = {
    "input": f'class=end, fontname="{TYPES}", fontsize=11',
    "output": f'class=end, fontname="{TYPES}", fontsize=11',
    "function": "class=function",
    "pipeline": "class=pipeline, penwidth=2.5",
    "glue": "class=glue",
    "choice": 'class=choice, shape=hexagon, style=filled, margin="0.05,0.06"',
    "value": 'class=value, style="rounded,filled,dashed"',
    "missing": 'class=missing, style="rounded,filled,dashed"',
    "fork": "class=joint, shape=point, width=0.1",
    "join": "class=joint, shape=point, width=0.1",
}

LINES = {"flow": "class=flow", "fallback": "class=fallback, style=dashed", "misfit": "class=misfit, penwidth=2"}


def svg(drawing: Drawing) -> str:
    """Return an SVG picture.

    Raises:
        DefinitionError: pygraphviz is not installed.
    """
    try:
        from pygraphviz import AGraph
    except ImportError as error:
        raise DefinitionError(
            "An SVG picture needs pygraphviz, which brings Graphviz. Install it: pip install 'servelite[draw]'"
        ) from error
    with _without_warnings():
        picture: bytes = AGraph(string=dot(drawing)).draw(format="svg", prog="dot")
    return _styled(picture.decode())


def dot(drawing: Drawing) -> str:
    """Return the graph in Graphviz' own language."""
    return "\n".join([f"digraph {_quoted(drawing.name)} {{", LAYOUT, *_inside(drawing, ""), *_arrows(drawing), "}"])


def _inside(drawing: Drawing, frame: str) -> Iterator[str]:
    """Yield the boxes of a frame, and the frames in it."""
    boxes = {box.id: box for box in drawing.boxes if box.frame == frame}
    yield from map(_box, boxes.values())
    beside = [arrow for arrow in drawing.arrows if arrow.kind == "fallback" and arrow.start in boxes and arrow.end in boxes]
    yield from (f"{{ rank=same; {arrow.start}; {arrow.end} }}" for arrow in beside)
    for inner in drawing.frames:
        if inner.frame == frame:
            label = _quoted(inner.label)
            yield f'subgraph cluster_{inner.id} {{ style="rounded,filled"; margin=10; labeljust=l; label={label}'
            yield from _inside(drawing, inner.id)
            yield "}"


def _box(box: Box) -> str:
    label = "\n".join([box.title, *box.notes])
    return f"{box.id} [{SHAPES[box.kind]}, label={_quoted(label)}]"


def _arrows(drawing: Drawing) -> Iterator[str]:
    aside = {arrow.end for arrow in drawing.arrows if arrow.kind == "fallback"}
    for arrow in sorted(drawing.arrows, key=lambda one: one.kind == "fallback"):  # what comes last is put to the right
        start = _box_in(drawing, arrow.start)
        cluster = f", ltail=cluster_{arrow.start}" if start != arrow.start else ""
        weight = 1 if arrow.start in aside or arrow.kind == "fallback" else 5  # the main road is straight
        look = "class=branch" if arrow.branch and arrow.kind == "flow" else LINES[arrow.kind]
        label = _quoted(f" {arrow.label} " if arrow.label else "")
        yield f"{start} -> {arrow.end} [{look}{cluster}, weight={weight}, label={label}]"


def _box_in(drawing: Drawing, start: str) -> str:
    """Return a box of a frame, for Graphviz' arrows begin at boxes; a box is its own."""
    inside = [box.id for box in drawing.boxes if box.frame == start] + [frame.id for frame in drawing.frames if frame.frame == start]
    return _box_in(drawing, inside[0]) if inside else start


def _quoted(text: str) -> str:
    """Return a text as Graphviz reads it: backslashes are its own, and so are entities such as `&lt;`."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").replace("\n", "\\n") + '"'


def _styled(picture: str) -> str:
    """Put in the colours, which follow the reader's choice of light or dark, and what frames are called above the arrows that cross it."""
    captions = "".join(caption for _, caption in _CAPTION.findall(picture))
    head, graph, rest = _CAPTION.sub(r"\1", picture).partition("<g id=")
    body, end, _ = rest.replace("<polygon ", '<polygon class="paper" ', 1).rpartition("</g>\n</svg>")
    return f'{head}<style>{LOOK}</style>\n{graph}{body}<g class="captions">\n{captions}</g>\n{end}\n'


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Drop what is written to stderr: the font library that Graphviz uses warns of files of its newer versions."""
    stderr, nothing = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, STDERR)
    try:
        yield
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
        os.close(nothing)
