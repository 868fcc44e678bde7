"""Train the small residual network that ships with sfopt and write it as ONNX, with its test images.

Run from the repository root, in an environment that has the `tf` and `dev` extras:

    python examples/train_digits.py

Data: the 1,797 grey 8x8 digits of scikit-learn; 360 of them, stratified, are held out. Pixels are scaled to 0..1.
"""

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
HELD_OUT_IMAGES = 360
CALIBRATION_IMAGES = 100
ONNX_OPSET = 17
OUTPUT_DIR = Path(__file__).resolve().parents[1] / "sfopt" / "examples"


def convolve(x: Any, channels: int, kernel: int, stride: int = 1, relu: bool = True) -> Any:
    """Conv . BatchNorm, then Relu where `relu` says so."""
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def plain_block(x: Any, channels: int) -> Any:
    """Two 3x3 convolutions and an identity shortcut."""
    y = convolve(x, channels, 3)
    y = convolve(y, channels, 3, relu=False)
    return layers.ReLU()(layers.Add()([y, x]))


def projection_block(x: Any, channels: int) -> Any:
    """Two 3x3 convolutions, the first of stride 2, and a 1x1 projection of stride 2 as the shortcut."""
    y = convolve(x, channels, 3, stride=2)
    y = convolve(y, channels, 3, relu=False)
    shortcut = convolve(x, channels, 1, stride=2, relu=False)
    return layers.ReLU()(layers.Add()([y, shortcut]))


def squeeze_excite_block(x: Any, channels: int, squeezed: int) -> Any:
    """Two 3x3 convolutions, a channel scale computed from the global mean, and an identity shortcut."""
    y = convolve(x, channels, 3)
    y = convolve(y, channels, 3, relu=False)
    scale = layers.GlobalAveragePooling2D(keepdims=True)(y)
    scale = layers.Conv2D(squeezed, 1, activation="relu")(scale)
    scale = layers.Conv2D(channels, 1, activation="sigmoid")(scale)
    return layers.ReLU()(layers.Add()([layers.Multiply()([y, scale]), x]))


def build_network() -> keras.Model:
    """8x8x1 in, ten class probabilities out, about 190 thousand parameters."""
    image = keras.Input((8, 8, 1), name="image")
    x = convolve(image, 32, 3)
    x = plain_block(x, 32)
    x = projection_block(x, 72)
    x = squeeze_excite_block(x, 72, 18)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(10, name="logits")(x)
    return keras.Model(image, layers.Softmax(name="probabilities")(x), name="digits")


def load_images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return train images, test images (float32, N x 8 x 8 x 1, 0..1), train labels, test labels (int64)."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[..., np.newaxis]
    labels = digits.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=HELD_OUT_IMAGES, stratify=labels, random_state=SEED
    )
    return train_x, test_x, train_y, test_y


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift each image by -1, 0 or 1 pixels in both directions, filling with zeros."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    offsets = rng.integers(0, 3, size=(len(images), 2))
    return np.stack([p[r : r + 8, c : c + 8] for p, (r, c) in zip(padded, offsets, strict=True)])


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray, epochs: int) -> None:
    """Fit `model` in place with Adam on a cosine schedule, with freshly shuffled and shifted images in every epoch."""
    batch_size = 64
    steps = epochs * -(-len(images) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=1e-3), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(SEED)
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        augmented, shuffled = shifted(images[order], rng), labels[order]
        losses = [
            model.train_on_batch(augmented[first : first + batch_size], shuffled[first : first + batch_size])
            for first in range(0, len(images), batch_size)
        ]
        print(f"epoch {epoch + 1:2d}: loss {losses[-1]:.4f}", flush=True)


def export(model: keras.Model, path: Path) -> None:
    """Convert `model` with tf2onnx, batch dimension left open, and write it to `path`."""
    signature = (tf.TensorSpec((None, 8, 8, 1), tf.float32, name="image"),)
    proto, _ = tf2onnx.convert.from_keras(model, input_signature=signature, opset=ONNX_OPSET)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def onnx_accuracy(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy of the ONNX model at `path`, run by ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: images})
    return float((probabilities.argmax(axis=1) == labels).mean())


def main() -> None:
    """Train, export, measure and write `digits.onnx` and `digits.npz`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, default=OUTPUT_DIR)
    options = parser.parse_args()

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    train_x, test_x, train_y, test_y = load_images()
    model = build_network()
    train(model, train_x, train_y, options.epochs)
    options.out.mkdir(parents=True, exist_ok=True)
    model_path = options.out / "digits.onnx"
    export(model, model_path)
    np.savez_compressed(
        options.out / "digits.npz", images=test_x, labels=test_y, calibration=train_x[:CALIBRATION_IMAGES]
    )
    print(f"parameters: {model.count_params():,}; file: {model_path.stat().st_size:,} bytes")
    print(f"held-out accuracy of the ONNX model: {onnx_accuracy(model_path, test_x, test_y):.4f} of {len(test_y)}")


if __name__ == "__main__":
    main()
