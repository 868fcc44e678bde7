"""TensorFlow -> ONNX: Keras models and files, SavedModel folders, TFLite files.

TensorFlow and tf2onnx are optional and imported on first use.
"""

import contextlib
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sfopt.errors import MissingExtraError, ModelError

__all__ = ["CONVERTIBLE_SUFFIXES", "OPSET", "convert", "is_convertible"]

OPSET = 18
"""The opset that tf2onnx is asked for, the newest that it writes."""

_OPTIMIZERS = (
    "TransposeOptimizer", "UpsampleOptimizer", "ConstFoldOptimizer", "ConstDequantizeOptimizer", "LoopOptimizer",
    "MergeDuplicatedNodesOptimizer", "ReshapeOptimizer", "GlobalPoolOptimizer", "QDQOptimizer", "IdentityOptimizer",
    "BackToBackOptimizer", "EinsumOptimizer",
)  # fmt: skip
"""tf2onnx's own, in its order."""

CONVERTIBLE_SUFFIXES = (".h5", ".hdf5", ".keras", ".tflite")


def is_convertible(path: Path) -> bool:
    """Whether `convert` takes the path: a Keras or TFLite file by its suffix, a SavedModel folder by what is in it."""
    if path.is_dir():
        return (path / "saved_model.pb").is_file()
    return path.suffix.lower() in CONVERTIBLE_SUFFIXES


def convert(source: Any) -> bytes:
    """The ONNX model, batch 1, of a Keras model object or of a `.keras`, `.h5`, `.tflite` file or SavedModel folder.

    Raises MissingExtraError without TensorFlow and tf2onnx, ModelError when the source cannot be read or converted.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise ModelError(f"{path}: no such file")
        if not is_convertible(path):
            known = ", ".join(CONVERTIBLE_SUFFIXES)
            raise ModelError(f"{path}: not a TensorFlow model: needs a SavedModel folder or one of {known}")
    with _quiet():
        _import_tensorflow()
        return _from_path(Path(source)) if isinstance(source, str | Path) else _from_keras(source, "model")


def _import_tensorflow() -> None:
    try:
        import tensorflow  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError:
        raise MissingExtraError("reading TensorFlow models", "tf") from None
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)


def _from_path(path: Path) -> bytes:
    import keras
    import tensorflow as tf

    if path.suffix.lower() == ".tflite":
        return _from_tflite(path)
    if path.is_dir():
        loaded = _attempt(lambda: tf.saved_model.load(str(path)), path, "cannot be read as a SavedModel")
        return _from_saved_model(loaded, str(path))
    model = _attempt(lambda: keras.models.load_model(path, compile=False), path, "cannot be read as a Keras model")
    return _from_keras(model, str(path))


def _from_keras(model: Any, label: str) -> bytes:
    import tensorflow as tf

    if not getattr(model, "inputs", None) or not callable(model):
        raise ModelError(f"{label}: needs a Keras model with known inputs, got {type(model).__name__}")
    names = ["input"] if len(model.inputs) == 1 else [f"input_{i}" for i in range(len(model.inputs))]
    specs = [
        tf.TensorSpec(_batch_one(tensor.shape, name, label), tensor.dtype, name=name)
        for name, tensor in zip(names, model.inputs, strict=True)
    ]

    def forward(*tensors: Any) -> Mapping[str, Any]:
        result = model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)
        return _named(list(result.values()) if isinstance(result, Mapping) else result)

    return _from_function(forward, specs, label)


def _from_saved_model(loaded: Any, label: str) -> bytes:
    import tensorflow as tf

    signatures: Mapping[str, Any] = loaded.signatures
    if not signatures:
        raise ModelError(f"{label}: the SavedModel has no signature to call; save it with `signatures=`")
    signature = signatures.get("serving_default") or next(iter(signatures.values()))
    arguments: Mapping[str, Any] = signature.structured_input_signature[1]
    specs = [tf.TensorSpec(_batch_one(s.shape, n, label), s.dtype, name=n) for n, s in arguments.items()]

    def forward(*tensors: Any) -> Mapping[str, Any]:
        result = signature(**dict(zip(arguments, tensors, strict=True)))
        return _named(list(result.values()))

    return _from_function(forward, specs, label)


def _from_tflite(path: Path) -> bytes:
    import tensorflow as tf
    import tf2onnx

    reader = _attempt(lambda: tf.lite.Interpreter(str(path)), path, "cannot be converted from TFLite")
    for tensor in reader.get_tensor_details():
        if tensor["dtype"].__name__ == "int16" and tensor["quantization_parameters"]["scales"].size:
            raise ModelError(
                f"{path}: tensor `{tensor['name']}` is quantised to int16, needs int8; convert the model with "
                "TFLITE_BUILTINS_INT8, or without quantisation"
            )
    model, _ = _attempt(
        lambda: tf2onnx.convert.from_tflite(str(path), opset=OPSET), path, "cannot be converted from TFLite"
    )
    data: bytes = model.SerializeToString()
    return data


def _from_function(forward: Callable[..., Any], specs: list[Any], label: str) -> bytes:
    import tensorflow as tf

    function = tf.function(forward, input_signature=specs)
    data: bytes = _attempt(
        lambda: _converted(function.get_concrete_function(*specs)), label, "cannot be converted to ONNX"
    )
    return data


def _converted(function: Any) -> bytes:
    """What `tf2onnx.convert.from_function` does, in half of its memory.

    tf2onnx copies the graph, weights included, for each of its optimisers, and the copies hold themselves in cycles that Python
    hardly ever looks for once TensorFlow has filled the heap. Here each copy is collected before the next is made.
    """
    import tensorflow as tf
    import tf2onnx

    given = [t.name for t in tf.nest.flatten(function.structured_input_signature) if isinstance(t, tf.TensorSpec)]
    # Behind the model's own inputs the function has the variables and constants that it captured; they are frozen.
    inputs = [t.name for t in function.inputs[: len(given)]]
    outputs = [t.name for t in function.outputs]
    names = {**dict(zip(inputs, given, strict=True)), **{t.name: n for n, t in function.structured_outputs.items()}}
    definition = tf2onnx.tf_loader.from_function(function, inputs, outputs)
    with tf.device("/cpu:0"), tf.Graph().as_default() as frozen, _small_heap():
        tf.import_graph_def(definition, name="")
        graph = tf2onnx.tfonnx.process_tf_graph(
            frozen,
            continue_on_error=True,
            opset=OPSET,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=names,
            custom_op_handlers={"Erfc": (_erfc, [])},
        )
        _refuse_unknown(graph)
        optimizers = {name: partial(_after_collection, getattr(tf2onnx.optimizer, name)) for name in _OPTIMIZERS}
        data: bytes = (
            tf2onnx.optimizer.optimize_graph(graph, optimizers=optimizers).make_model("model").SerializeToString()
        )
    return data


def _erfc(graph: Any, node: Any, *_: Any) -> Any:
    """Erfc(x) = 1 - Erf(x), which Keras's GELU needs and tf2onnx lacks."""
    import numpy as np

    one = graph.make_const(f"{node.name}_one", np.float32(1))
    name, output, inputs = node.name, node.output[0], list(node.input)
    graph.remove_node(name)
    erf = graph.make_node("Erf", inputs, name=f"{name}_erf")
    return graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=[output], name=name)


def _refuse_unknown(graph: Any) -> None:
    """Raise for the first operator of TensorFlow that was left as it is."""
    from tf2onnx.schemas import get_schema

    for node in graph.get_nodes():
        if (
            not node.domain
            and not node.is_const()
            and not node.is_graph_input()
            and get_schema(node.type, OPSET, "") is None
        ):
            raise ValueError(f"operator {node.type} `{node.name}` has no form in ONNX; use another layer in its place")


def _after_collection(optimizer: Callable[[], Any]) -> Any:
    gc.collect()
    return optimizer()


@contextlib.contextmanager
def _small_heap() -> Iterator[None]:
    """Collections look at what is made inside only; TensorFlow's own million objects stay."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _batch_one(shape: Any, name: str, label: str) -> list[int]:
    sizes = [int(n) if n is not None else None for n in shape]
    if sizes and sizes[0] is None:
        sizes[0] = 1
    for axis, size in enumerate(sizes):
        if size is None:
            raise ModelError(f"{label}: input `{name}`: dimension {axis} is dynamic, needs a fixed size")
    return [size for size in sizes if size is not None]


def _named(results: Any) -> Mapping[str, Any]:
    results = list(results) if isinstance(results, list | tuple) else [results]
    return {"output": results[0]} if len(results) == 1 else {f"output_{i}": r for i, r in enumerate(results)}


def _attempt(action: Callable[[], Any], label: object, problem: str) -> Any:
    """The result of `action`; whatever TensorFlow raises becomes a ModelError of one line."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - TensorFlow raises anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(f"{label}: {problem}: {lines[0] if lines else type(error).__name__}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow says nothing on the console: its logs are for those who build it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _no_native_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _no_native_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere: TensorFlow's C++ writes to it before any of its log levels apply."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
