"""What calibrates a float network, and what is said about it."""

from pathlib import Path

import numpy as np
import pytest

from sfopt import importer
from sfopt.examples import digits_data, digits_model_path
from sfopt.importer import import_model
from sfopt.quantize import RANDOM_CALIBRATION_WARNING


def saved(folder: Path, count: int) -> Path:
    path = folder / "digits.npz"
    np.savez(path, image=digits_data().calibration[:count])
    return path


def test_random_numbers_stand_in_with_a_warning() -> None:
    done = list[tuple[int, int]]()
    imported = import_model(digits_model_path(), on_calibration=lambda n, total: done.append((n, total)))
    assert imported.warnings == (RANDOM_CALIBRATION_WARNING,)
    assert imported.sample is None
    assert done == [(n, importer.RANDOM_SAMPLES) for n in range(1, importer.RANDOM_SAMPLES + 1)]


def test_every_sample_of_a_file_counts(tmp_path: Path) -> None:
    done = list[tuple[int, int]]()
    path = saved(tmp_path, 40)
    imported = import_model(digits_model_path(), path, on_calibration=lambda n, total: done.append((n, total)))
    assert imported.warnings == ()
    assert done == [(n, 40) for n in range(1, 41)]
    assert imported.sample is not None
    np.testing.assert_array_equal(imported.sample["image"][0, 0], digits_data().calibration[0, :, :, 0])


def test_samples_that_are_left_out_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "CALIBRATION_LIMIT", 5)
    path = saved(tmp_path, 6)
    done = list[int]()
    imported = import_model(digits_model_path(), path, on_calibration=lambda n, _: done.append(n))
    assert imported.warnings == (f"only the first 5 samples of `{path}` are used",)
    assert done == [1, 2, 3, 4, 5]
    assert import_model(digits_model_path(), saved(tmp_path, 5)).warnings == ()


def test_paths_may_be_strings(tmp_path: Path) -> None:
    path = saved(tmp_path, 3)
    texts, paths = import_model(str(digits_model_path()), str(path)), import_model(digits_model_path(), path)
    assert (texts.name, texts.sha256) == (paths.name, paths.sha256)
    assert texts.network.groups == paths.network.groups
    assert texts.sample is not None
    assert paths.sample is not None
    np.testing.assert_array_equal(texts.sample["image"], paths.sample["image"])
