"""Pipelines drawn as lines of text."""

from typing import Any

from hypothesis import given

from servelite.core.outline import outline
from servelite.core.stages import sequence, stage
from servelite.tools.drawing.rails import rails
from tests.core.drawings import ANY_KNOWN, KNOWN, contract, described

REVIEW = """\
○ bytes                                 input
│
◉ read                                  pipeline
├─ ● detect                             function
│  │ list[bytes]
│  ↻ each item                          64 at a time
│  ├─ ● recognise                       function, retried twice on timed_out, at most 1.5 s
│  │  ╰╌ if it fails ■ ""               value
│  │ list[str]
│  ◆ join                               glue
│ str
◇ choose                                glue that chooses
├─ long  ⇉ parallel
│        ├─ tone ● tone                 function
│        ╰─ spam ● spam                 function, at most 0.5 s
├─ short ■ {"n": 0}                     value
│ {tone, spam} | {n}
◆ judge                                 glue
│ int
⇉ parallel                              at most 5 s
├─ a ● double                           function
├─ b ◆ judge                            glue
│    │ int
│    ● double                           function
├╌ if it fails ■ null                   value
│
○ {a, b} | null                         output"""


def lines_of(name: str, known: dict[str, Any], *, is_deep: bool = False) -> list[str]:
    return ["".join(text for text, _ in line) for line in rails(outline(name, known, is_deep=is_deep))]


def test_a_pipeline_is_drawn_from_top_to_bottom() -> None:
    assert [" ".join(line.split()) for line in lines_of("review", KNOWN, is_deep=True)] == [
        " ".join(line.split()) for line in REVIEW.splitlines()
    ]


def test_remarks_stand_below_each_other() -> None:
    lines = lines_of("review", KNOWN)
    assert {line.index(remark) for line in lines for remark in ("function", "pipeline", "glue", "input", "output") if remark in line} == {
        lines[0].index("input")
    }


def test_a_nested_pipeline_is_one_line_unless_it_is_deep() -> None:
    assert "◉ read" in "\n".join(lines_of("review", KNOWN))
    assert "detect" not in "\n".join(lines_of("review", KNOWN))


def test_what_does_not_fit_or_is_missing_is_marked() -> None:
    known = {**KNOWN, "it": described("it", contract({}, {}), sequence("detect", "tone", "nowhere"))}
    assert [line.rstrip() for line in lines_of("it", known)] == [
        "○ bytes    input",
        "│",
        "● detect   function",
        "│ list[bytes]  ✗ does not fit what is next",
        "● tone     function",
        "│ {label, score}",
        "✗ nowhere  not available",
        "│",
        "○ ?        output",
    ]


def test_a_sequence_with_limits_is_a_step_of_its_own() -> None:
    known = {**KNOWN, "it": described("it", contract({}, {}), sequence("read", stage(sequence("tone", "double"), timeout_s=1)))}
    assert [line.partition("  ")[0] for line in lines_of("it", known)[3:5]] == ["│ str", "↓ sequence"]
    assert [line.rstrip() for line in lines_of("it", known)[5:8]] == [
        "├─ ● tone    function",
        "│  │ {label, score}  ✗ does not fit what is next",
        "│  ● double  function",
    ]


@given(ANY_KNOWN)
def test_any_pipeline_is_drawn_in_lines_that_can_be_printed(known: dict[str, Any]) -> None:
    lines = lines_of("any", known, is_deep=True)
    assert lines[0].startswith("○")
    assert lines[-1].startswith("○")
    assert all(line.isprintable() for line in lines)
    assert all(line[0] in "○│├●◉◆■✗◇⇉↻↓" for line in lines)
