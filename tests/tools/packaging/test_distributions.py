"""Packages of a tree: whose file each is, and what is needed."""

from pathlib import Path

import pytest

from servelite.tools.packaging.distributions import Need, owners, reachable, read_distributions, read_needs
from tests.tools.packaging.trees import write_package


def need(name: str, *extras: str) -> Need:
    return Need(name, frozenset(extras), "")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree where `web` needs `sockets`, and `speed` with its extra `fast`."""
    write_package(tmp_path, "web", {"web/__init__.py": ""}, requires=("sockets>=2; python_version < '3.99'", 'Speed_Up; extra == "fast"'))
    write_package(tmp_path, "sockets", {"sockets.py": ""}, requires=("web",))
    write_package(tmp_path, "speed.up", {"speed/__init__.py": ""})
    return tmp_path


def test_a_package_knows_its_files_but_not_those_outside_of_the_tree(tree):
    known = read_distributions(tree)
    assert set(known) == {"web", "sockets", "speed-up"}
    assert set(known["web"].files) == {f"web-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")} | {"web/__init__.py"}
    assert owners(known.values())["sockets.py"] == "sockets"


@pytest.mark.parametrize(
    ("root", "found"),
    [
        (need("web"), {"web", "sockets"}),
        (need("web", "fast"), {"web", "sockets", "speed-up"}),
        (need("speed-up"), {"speed-up"}),
        (need("elsewhere"), set()),
    ],
    ids=["in a circle", "behind an extra", "alone", "not there"],
)
def test_what_is_needed_is_found_through_all_that_need_it(tree, root, found):
    assert reachable([root], read_distributions(tree)) == found


def test_an_extra_that_is_asked_for_later_counts_too(tree):
    assert "speed-up" in reachable([need("web", "fast"), need("web")], read_distributions(tree))
    assert "speed-up" in reachable([need("web"), need("web", "fast")], read_distributions(tree))


def test_a_need_that_is_not_used_leads_nowhere(tree):
    known = read_distributions(tree)
    assert reachable([need("web")], known, [("web", "sockets")]) == {"web"}
    assert reachable([need("web"), need("sockets")], known, [("web", "sockets")]) == {"web", "sockets"}


def test_requirements_are_read_by_name():
    lines = [
        "Pillow==13.0.0 \\",
        "    --hash=sha256:aa",
        "# a remark",
        "./tint-1.0-py3-none-any.whl",
        "-r other.txt",
        "a_b[C, d]>1 ; extra == 'e'",
        "",
    ]
    assert list(read_needs(lines)) == [need("pillow"), Need("a-b", frozenset({"c", "d"}), "e")]
