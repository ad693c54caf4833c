"""What servelite requires and a package does without is accounted for, by what it weighs here."""

import importlib.metadata

import pytest

from servelite.tools.packaging.distributions import read_needs
from servelite.tools.packaging.leaving import WHY, left_out
from servelite.tools.packaging.wheels import ON_LAMBDA


def test_what_is_left_out_comes_with_what_it_requires_each_once():
    rows = {row.part: row for row in left_out({"numpy", "onnxruntime"})}
    assert {"click", "rich", "pygments", "uvloop", "botocore"} <= set(rows)
    assert rows["pygments"].why == rows["rich"].why
    assert rows["botocore"].why == "Lambda's own Python has it"
    assert all(row.before > 0 and row.after == 0 for row in rows.values())
    assert len(list(left_out({"numpy", "onnxruntime"}))) == len(rows)


def test_what_is_in_the_package_is_not_counted_again():
    parts = {row.part for row in left_out({"click", "six", "numpy", "onnxruntime"})}
    assert not {"click", "six"} & parts


@pytest.mark.parametrize("requirement", [one for one in importlib.metadata.requires("servelite") or [] if "extra" not in one])
def test_every_requirement_of_servelite_is_taken_or_left_for_a_reason(requirement):
    (need,) = read_needs([requirement])
    assert (need.name in ON_LAMBDA) is not (need.name in WHY)
