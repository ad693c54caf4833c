"""A pipeline as boxes and arrows: what is drawn as a graph, whatever draws it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from servelite.core.outline import KINDS, Step

IF_IT_FAILS = "if it fails"


@dataclass(frozen=True, slots=True)
class Box:
    """A stage, or a place where arrows meet.

    kind   function, pipeline, glue, value, missing; choice: the chooser of a route; input, output: of the whole;
           fork, join: where branches begin and end
    notes  its kind and its limits, in words
    frame  the id of the frame that it stands in, "" for none
    """

    id: str
    kind: str
    title: str = ""
    notes: tuple[str, ...] = ()
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is drawn around boxes that belong together: an `each`, a nested pipeline, anything that has limits as a whole."""

    id: str
    kind: str
    title: str
    notes: tuple[str, ...]
    frame: str

    @property
    def label(self) -> str:
        """What is written in its corner."""
        return ", ".join([self.title, *self.notes])


@dataclass(frozen=True, slots=True)
class Arrow:
    """What travels from a box to another; from a frame if that fails.

    kind     flow, fallback, or misfit: what comes is not what is taken
    branch   the name of the branch that begins there
    carries  the type that travels
    """

    start: str
    end: str
    kind: str = "flow"
    branch: str = ""
    carries: str = ""

    @property
    def label(self) -> str:
        """What is written beside it."""
        return " ".join(filter(None, [self.branch, self.carries, "does not fit" if self.kind == "misfit" else ""]))


@dataclass(frozen=True, slots=True)
class Drawing:
    """The boxes and arrows of a pipeline, from its input to its output."""

    name: str
    boxes: tuple[Box, ...]
    frames: tuple[Frame, ...]
    arrows: tuple[Arrow, ...]


def draw(name: str, step: Step) -> Drawing:
    """Draw a pipeline from its outline."""
    pen = _Pen()
    begin = pen.box("input", step.takes, (), "")
    ends = pen.step(step, [Arrow(begin, "")], "")
    pen.join(ends, pen.box("output", step.result, (), ""))
    return Drawing(name, tuple(pen.boxes), tuple(pen.frames), tuple(pen.arrows))


@dataclass(slots=True)
class _Pen:
    """Draws steps one after the other; the arrows that leave one have no end yet."""

    boxes: list[Box] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def box(self, kind: str, title: str, notes: tuple[str, ...], frame: str) -> str:
        self.boxes.append(Box(f"n{len(self.boxes)}", kind, title, notes, frame))
        return self.boxes[-1].id

    def join(self, arrows: Sequence[Arrow], end: str) -> None:
        self.arrows += [replace(arrow, end=end) for arrow in arrows]

    def step(self, step: Step, given: Sequence[Arrow], frame: str) -> list[Arrow]:
        """Draw a step that arrows come to, and return the arrows that leave it."""
        if not step.fits:
            given = [replace(arrow, kind="misfit") for arrow in given]
        if step.inner and (step.kind in {"each", "pipeline"} or step.notes or step.fallback):
            start = inside = f"f{len(self.frames)}"
            title, notes = ("route", step.notes) if step.kind == "route" else (step.title, step.remarks)
            self.frames.append(Frame(start, step.kind, title, notes, frame))
            ends = self._inner(step, given, inside)
        else:
            start = f"n{len(self.boxes)}"
            ends = self._inner(step, given, frame)
        if step.fallback is not None:
            others = self.step(step.fallback, [Arrow(start, "", "fallback", IF_IT_FAILS)], frame)
            said = {end.carries for end in ends}
            ends += [replace(other, carries="") if other.carries in said else other for other in others]
        return ends

    def _inner(self, step: Step, given: Sequence[Arrow], frame: str) -> list[Arrow]:
        if step.kind == "parallel":
            return self._parallel(step, given, frame)
        if step.kind == "route":
            return self._route(step, given, frame)
        if not step.inner:
            box = self.box(step.kind, step.title, step.remarks, frame)
            self.join(given, box)
            return [Arrow(box, "", carries=step.gives)]
        ends = list(given)
        for _, inner in step.inner:
            ends = self.step(inner, ends, frame)
        return [replace(arrow, carries="" if number else step.gives) for number, arrow in enumerate(ends)] if step.kind == "each" else ends

    def _parallel(self, step: Step, given: Sequence[Arrow], frame: str) -> list[Arrow]:
        fork = self.box("fork", "", (), frame)
        self.join(given, fork)
        ends = [end for name, branch in step.inner for end in self.step(branch, [Arrow(fork, "", branch=name)], frame)]
        join = self.box("join", "", (), frame)
        self.join(ends, join)
        return [Arrow(join, "", carries=step.gives)]

    def _route(self, step: Step, given: Sequence[Arrow], frame: str) -> list[Arrow]:
        choice = self.box("choice", step.title, (KINDS["route"],), frame)
        self.join(given, choice)
        return [end for name, branch in step.inner for end in self.step(branch, [Arrow(choice, "", branch=name)], frame)]
