"""metrics.csv as curves: what is no number is left out, runs of an arm need not have ended at the same epoch."""

import numpy as np
import pytest

from litconv.compare.curves import curves, over_runs


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("epoch,lr,val/loss\n0,0.1,2.5\n1,0.2,1.5\n", [(0, 2.5), (1, 1.5)]),
        ("epoch,val/loss\r\n0,2.5\r\n\r\n1,1.5\r\n", [(0, 2.5), (1, 1.5)]),
        ("epoch,val/loss\n0,\n1,nan\n2,inf\nx,3\n4,1.5\n", [(4, 1.5)]),
        ("epoch,lr,val/loss\n0,0.1,2.5\n1,0.", [(0, 2.5)]),  # a line that is just being written
        ("epoch,val/loss\n", None),
        ("step,val/loss\n0,2.5\n", None),
        ("", None),
    ],
)
def test_a_curve_is_what_can_be_read_of_it(tmp_path, written, expected):
    (tmp_path / "metrics.csv").write_text(written, newline="")
    assert curves(tmp_path, ["val/loss", "val/top5"]) == ({} if expected is None else {"val/loss": expected})


def test_an_arm_has_at_each_epoch_the_runs_that_came_so_far():
    long, short = (np.array([0, 1, 2]), np.array([4.0, 3.0, 2.0])), (np.array([0, 2]), np.array([1.0, 0.0]))
    curve = over_runs([long, short])
    assert (curve.epochs, curve.mean, curve.low, curve.high) == ([0, 1, 2], [2.5, 3.0, 1.0], [1, 3, 0], [4, 3, 2])
    curve = over_runs([long, long])
    assert (curve.epochs, curve.mean, curve.low, curve.high) == ([0, 1, 2], [4, 3, 2], [4, 3, 2], [4, 3, 2])
