"""The solvers in one process with TensorFlow, whichever comes first; each order in a process of its own."""

import os
import subprocess
import sys

import pytest

SFOPT = """
from sfopt.allocate.linear import solve_with_cp_sat
from sfopt.allocate.second_opinion import solve_with_highs
"""
TENSORFLOW = """
import tensorflow as tf
"""
BOTH_WORK = """
from sfopt.device import load_device
from sfopt.examples import digits_model_path
from sfopt.pipeline import Options, optimize
from test_allocate_pricing import LIMITS, random_program

assert int(tf.reduce_sum(tf.nn.relu(tf.constant([-1, 2, 3])))) == 5
assert optimize(digits_model_path(), Options(load_device("sim8"))).plan.certificate.status == "optimal"
print(solve_with_cp_sat(random_program(3), LIMITS) == solve_with_highs(random_program(3), LIMITS))
"""


@pytest.mark.parametrize("order", [TENSORFLOW + SFOPT, SFOPT + TENSORFLOW], ids=["tensorflow first", "sfopt first"])
def test_either_may_be_imported_first(order: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", order + BOTH_WORK],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "True\n"
