"""The network that ships with sfopt does what its README says."""

import numpy as np
import onnxruntime
import pytest

from sfopt.examples import digits_data, digits_model_path


@pytest.fixture(scope="module")
def predicted() -> np.ndarray:
    session = onnxruntime.InferenceSession(digits_model_path(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {"image": digits_data().images})
    return probabilities


def test_the_model_is_small():
    assert digits_model_path().stat().st_size < 1_000_000


def test_images_are_as_the_model_takes_them():
    data = digits_data()
    assert data.images.shape == (360, 8, 8, 1)
    assert data.calibration.shape == (100, 8, 8, 1)
    for images in (data.images, data.calibration):
        assert images.dtype == np.float32
        assert (images.min(), images.max()) == (0.0, 1.0)
    assert np.bincount(data.labels).min() >= 34


def test_calibration_images_are_not_test_images():
    data = digits_data()
    test_images = {image.tobytes() for image in data.images}
    assert not [image for image in data.calibration if image.tobytes() in test_images]


def test_accuracy_on_held_out_images(predicted):
    accuracy = (predicted.argmax(axis=1) == digits_data().labels).mean()
    assert accuracy > 0.98


def test_outputs_are_probabilities(predicted):
    assert predicted.shape == (360, 10)
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0, atol=1e-5)
