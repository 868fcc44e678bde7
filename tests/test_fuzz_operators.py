"""Random networks of the operators that import writes as others, through the whole flow: nothing on the host, the same bits."""

from pathlib import Path

import pytest
from random_models import SMALL
from random_operators import MOVES, random_operators
from test_fuzz import case_of, require_close_to_float, require_right, run_case


def fuzz(seed: int, folder: Path) -> None:
    model = random_operators(seed)
    result, _ = run_case(model, case_of(seed, SMALL), folder)
    require_right(model, result)
    require_close_to_float(result)


@pytest.mark.parametrize("seed", range(12))
def test_network_of_operators(seed: int, tmp_path: Path) -> None:
    fuzz(seed, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(12, 400))
def test_network_of_operators_nightly(seed: int, tmp_path: Path) -> None:
    fuzz(seed, tmp_path)


def test_every_move_is_made() -> None:
    assert {move for seed in range(60) for move in random_operators(seed).moves} >= set(MOVES)
