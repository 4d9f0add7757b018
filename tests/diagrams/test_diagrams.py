import re
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest

from orchestrator.diagrams import drawing as diagrams
from orchestrator.diagrams.layout import Box, lay_out
from orchestrator.registry import PLATFORMS
from statemachines.machine import Milestone, PlatformMachine, State, Step

SVG = "{http://www.w3.org/2000/svg}"
ODD = 'Do obsługi <b>"ręcznej"</b> & więcej; koniec: #1'


def odd_machine() -> PlatformMachine:
    """Names of every kind, skips, a way back, a state that is reached from everywhere and leads everywhere."""
    line = ("Nowe", "W trakcie realizacji", "Wysłane", "Zrealizowane")
    states = [
        State("Nowe", (Milestone.NEW,)),
        State("W trakcie realizacji"),
        State("Wysłane", (Milestone.SHIPPED,)),
        State("Zrealizowane", (Milestone.DELIVERED,), is_end=True),
        State(ODD, (Milestone.ATTENTION,)),
        State("Anulowane", (Milestone.CANCELLED,), is_end=True),
        State("Widziane", settable=False),
        State("returned", (Milestone.RETURNED,), record_only=True),
    ]
    steps = [
        *(Step(f"go_{rank}", (line[rank],), line[rank + 1]) for rank in range(3)),
        Step("skip", ("Nowe",), "Wysłane"),
        Step("take_back", ("Wysłane",), "Nowe"),
        Step("note", ("W trakcie realizacji", ODD), None, uses=("reason",)),
        Step("call_a_person", line[:3], ODD),
        Step("go_on", (ODD,), "W trakcie realizacji"),
        Step("go_on_sent", (ODD,), "Wysłane"),
        Step("cancel", (*line[:3], ODD), "Anulowane"),
    ]
    return PlatformMachine("odd", states, steps, line, "Nowe")


BY = {"daemon": "", "platform": " (by the platform)"}
MACHINES = {**{name: platform.machine({}) for name, platform in PLATFORMS.items()}, "odd": odd_machine()}


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> PlatformMachine:
    return MACHINES[request.param]


def drawn(machine: PlatformMachine) -> ET.Element:
    return ET.fromstring(diagrams.svg(machine))


def words(root: ET.Element) -> set[str]:
    return {element.text or "" for element in root.iter(f"{SVG}text")}


# -- text ----------------------------------------------------------------------------------------------------------


def test_text_begins_with_the_main_line(machine: PlatformMachine) -> None:
    first = diagrams.text(machine).partition("\n\n")[0]

    assert " ".join(first.split()) == f"{machine.platform}: {' → '.join(machine.mainline)}"


def test_text_names_every_state_and_step(machine: PlatformMachine) -> None:
    said = " ".join(diagrams.text(machine).split())
    described = machine.describe()

    assert all(" ".join(state["name"].split()) in said for state in described["states"])
    assert all(step["step"] in said for step in described["steps"])


def test_text_has_straight_columns_and_no_trailing_blanks(machine: PlatformMachine) -> None:
    lines = diagrams.text(machine).splitlines()
    header = next(line for line in lines if line.startswith("STEP"))
    at = header.index("FROM")

    assert all(line == line.rstrip() for line in lines)
    assert all(line[at - 1 : at] in ("", " ") for line in lines[lines.index(header) :])


def test_text_fits_80_columns(machine: PlatformMachine) -> None:
    assert max(map(len, diagrams.text(machine).splitlines())) <= 80


def test_text_of_selldone_reads_as_documented() -> None:
    assert diagrams.text(MACHINES["selldone"]).splitlines()[2:11] == [
        "STATE           MILESTONE",
        "CheckQueue      new        start",
        "OrderConfirm    accepted",
        "PreparingOrder  preparing",
        "SentOrder       shipped",
        "ToCustomer      delivered  end",
        "Returned        returned",
        "Canceled        cancelled  end",
        "attention       attention  our record only",
    ]


def test_text_says_in_one_word_that_a_step_leaves_from_everywhere() -> None:
    steps = [
        Step("a", ("A",), "B"),
        Step("b", ("B",), "C"),
        Step("c", ("C",), "D"),
        Step("stop", ("A", "B", "C", "D"), "X"),
    ]
    states = [State(name) for name in "ABCD"] + [State("X", is_end=True)]
    machine = PlatformMachine("tiny", states, steps, "ABCD", "A")

    assert re.search(r"^stop +every state +X$", diagrams.text(machine), re.MULTILINE)


# -- mermaid -------------------------------------------------------------------------------------------------------

MERMAID = (
    r"stateDiagram-v2",
    r"    direction LR",
    r'    state "(?:[^"#;:<>]|#(?:quot|35|59|58|lt|gt);)+" as s\d+',
    r"    \[\*\] --> s\d+",
    r"    s\d+ --> \[\*\]",
    r"    s\d+ --> s\d+: (?:[^\"#;:<>]|#(?:quot|35|59|58|lt|gt);)+",
    r"    classDef [a-z]+ stroke-dasharray:\d+ \d+",
    r"    class s\d+(?:,s\d+)* [a-z]+",
)


def test_every_mermaid_line_is_one_that_mermaid_reads(machine: PlatformMachine) -> None:
    for line in diagrams.mermaid(machine).splitlines():
        assert any(re.fullmatch(form, line) for form in MERMAID), line


def test_mermaid_draws_every_move_and_actions_as_loops(machine: PlatformMachine) -> None:
    lines = diagrams.mermaid(machine).splitlines()
    described = machine.describe()
    ids = {state["name"]: f"s{index}" for index, state in enumerate(described["states"])}
    expected = [
        f"    {ids[source]} --> {ids[step['to'] or source]}: {step['step']}" + BY[step["by"]]
        for step in described["steps"]
        for source in step["from"]
    ]

    assert [line for line in lines if re.match(r"    s\d+ --> s", line)] == expected


def test_mermaid_labels_states_with_their_milestones() -> None:
    drawing = diagrams.mermaid(MACHINES["selldone"])

    assert 'state "SentOrder (shipped)" as s3' in drawing
    assert 'state "attention (our record only)" as s7' in drawing
    assert 'state "RETURNED (returned, seen, not set)"' in diagrams.mermaid(MACHINES["shopify"])


# -- svg -----------------------------------------------------------------------------------------------------------


def test_svg_shows_every_state_once_with_its_name(machine: PlatformMachine) -> None:
    groups = [group for group in drawn(machine).iter(f"{SVG}g") if group.get("data-state")]
    names = [group.get("data-state") for group in groups]

    assert sorted(filter(None, names)) == sorted(machine.states)
    for group in groups:
        shown = " ".join(part.text or "" for part in group if part.get("class") == "name")
        assert shown == group.get("data-state")


def test_svg_shows_every_step(machine: PlatformMachine) -> None:
    shown = {part.removeprefix("↻ ") for text in words(drawn(machine)) for part in text.split(" / ")}

    assert {step["step"] + BY[step["by"]] for step in machine.describe()["steps"]} <= shown


def test_svg_marks_states_that_cannot_be_set() -> None:
    kinds = {g.get("data-state"): g.get("class") for g in drawn(MACHINES["shopify"]).iter(f"{SVG}g")}

    assert kinds["FULFILLED"] == "state normal"
    assert kinds["RETURNED"] == "state seen"
    assert kinds["attention"] == "state record"


def test_svg_needs_nothing_from_elsewhere_and_runs_nothing(machine: PlatformMachine) -> None:
    root = drawn(machine)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    attributes = {name for element in root.iter() for name in element.keys()}  # noqa: SIM118 - of an Element

    assert tags <= {"svg", "title", "desc", "style", "defs", "marker", "g", "path", "rect", "circle", "text"}
    assert not any(name.startswith("on") or "href" in name for name in attributes)
    assert "url(" not in diagrams.STYLE
    assert "prefers-color-scheme: dark" in diagrams.STYLE


def boxes_of(machine: PlatformMachine) -> tuple[Box, ...]:
    return lay_out(machine.describe()).boxes


def test_boxes_do_not_overlap(machine: PlatformMachine) -> None:
    for one, other in combinations(boxes_of(machine), 2):
        is_beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        is_above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert is_beside or is_above, (one.name, other.name)


def test_everything_lies_inside_the_picture(machine: PlatformMachine) -> None:
    layout = lay_out(machine.describe())
    points = [point for wire in layout.wires for line in wire.lines for point in line]
    points += [(box.x, box.y) for box in layout.boxes]
    points += [(box.x + box.width, box.y + box.height) for box in layout.boxes]

    assert all(layout.left <= x <= layout.left + layout.width and 0 <= y <= layout.height for x, y in points)


def is_on_edge(point: tuple[float, float], box: Box) -> bool:
    x, y = point
    is_on_side = x in (box.x, box.x + box.width) and box.y <= y <= box.y + box.height
    return is_on_side or (y in (box.y, box.y + box.height) and box.x <= x <= box.x + box.width)


def test_every_move_is_one_line_from_its_source_to_its_target(machine: PlatformMachine) -> None:
    described = machine.describe()
    layout = lay_out(described)
    boxes = {box.name: box for box in layout.boxes}
    moves = [(step["step"], source, step["to"]) for step in described["steps"] if step["to"] for source in step["from"]]
    lines = [(wire.step.split(" / "), line) for wire in layout.wires for line in wire.lines]

    for step, source, to in moves:
        found = [
            line
            for steps, line in lines
            if step in steps and is_on_edge(line[0], boxes[source]) and is_on_edge(line[-1], boxes[to])
        ]
        assert found, (step, source, to)


def test_lines_are_upright_or_level(machine: PlatformMachine) -> None:
    for wire in lay_out(machine.describe()).wires:
        for line in wire.lines:
            for (x1, y1), (x2, y2) in pairwise(line):
                assert x1 == x2 or y1 == y2, wire.step


def test_a_step_from_many_states_has_one_label() -> None:
    labels = [wire.step for wire in lay_out(MACHINES["odd"].describe()).wires]

    assert labels.count("cancel") == 1
    assert labels.count("call_a_person") == 1


def test_a_machine_of_one_state_has_a_picture() -> None:
    lonely = PlatformMachine("lonely", [State("Only")], [], ["Only"], "Only").describe()

    assert [box.name for box in lay_out(lonely).boxes] == ["Only"]


def test_a_sheet_has_every_machine_below_the_one_before() -> None:
    root = ET.fromstring(diagrams.svg_sheet(list(MACHINES.values())))
    drawings = root.findall(f"{SVG}svg")
    assert len(drawings) == len(MACHINES)
    assert len(root.findall(f".//{SVG}style")) == 1
    bottom = 0.0
    for drawing in drawings:
        assert float(drawing.attrib["y"]) == bottom
        bottom += float(drawing.attrib["height"])
        assert float(drawing.attrib["width"]) <= float(root.attrib["width"])
    assert float(root.attrib["height"]) == bottom
    assert {word for machine in MACHINES.values() for word in words(drawn(machine))} == words(root)
