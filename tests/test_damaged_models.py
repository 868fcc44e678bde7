"""Model files with damage: one line that says what is wrong; never a crash, a hang, more memory than a limit, or a wrong answer."""

import re
from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from damaged import try_damaged
from models import ModelBuilder
from onnx import TensorProto, helper

from sfopt.errors import ModelError
from sfopt.importer import import_model
from sfopt.onnx_io import read_onnx


def test_damaged_files(tmp_path: Path) -> None:
    outcomes = try_damaged("damaged_models.py", 0, 40, str(tmp_path))
    assert outcomes["refused by the reader"] > 20
    assert outcomes["read"] > 1
    assert "out of memory" not in outcomes


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(20))
def test_damaged_files_nightly(block: int, tmp_path: Path) -> None:
    assert "out of memory" not in try_damaged("damaged_models.py", 100 + 150 * block, 150, str(tmp_path))


def refusal(data: bytes, folder: Path) -> str:
    path = folder / "damaged.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        import_model(path)
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


class TestFunctions:
    """Functions of the model are written out where they are called, which a small file can turn into no end of operators."""

    def model(self, called: str, functions: dict[str, list[str]]) -> bytes:
        """Function name -> what it calls, one behind the other."""
        m = ModelBuilder()
        model = onnx.load_from_string(m.build(m.add("Relu", m.input((1, 3)))))
        model.graph.node[0].op_type, model.graph.node[0].domain = called, "local"
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        model.opset_import.append(opsets[1])
        for name, calls in functions.items():
            steps = ["a", *(f"t{i}" for i in range(len(calls) - 1)), "b"]
            body = [
                helper.make_node(c, [steps[i]], [steps[i + 1]], domain="local" if c in functions else "")
                for i, c in enumerate(calls)
            ]
            model.functions.append(helper.make_function("local", name, ["a"], ["b"], body, opsets))
        return model.SerializeToString()

    @pytest.mark.parametrize("functions", [{"F": ["F"]}, {"F": ["Relu", "G"], "G": ["F", "F"]}])
    def test_recursion(self, functions: dict[str, list[str]], tmp_path: Path) -> None:
        assert (
            refusal(self.model("F", functions), tmp_path)
            == "functions call themselves, or each other more than 50 deep"
        )

    def test_doubling(self, tmp_path: Path) -> None:
        doubling = {"F0": ["Relu"], **{f"F{i}": [f"F{i - 1}"] * 2 for i in range(1, 31)}}
        wanted = f"its functions written out have {1 << 30} operators, the limit is 100000"
        assert refusal(self.model("F30", doubling), tmp_path) == wanted

    def test_few_are_written_out(self) -> None:
        doubling = {"F0": ["Relu"], **{f"F{i}": [f"F{i - 1}"] * 2 for i in range(1, 4)}}
        assert [op.op_type for op in read_onnx(self.model("F3", doubling)).ops] == ["Relu"] * 8


class TestHugeShapes:
    """A few hundred bytes of file."""

    def chain(self, change: Callable[[onnx.GraphProto], None]) -> bytes:
        model = onnx.load_from_string(models.conv_chain())
        change(model.graph)
        return model.SerializeToString()

    @pytest.mark.parametrize("side", [1 << 14, 1 << 20, 1 << 40, (1 << 62) + 1])
    def test_input(self, side: int, tmp_path: Path) -> None:
        def change(graph: onnx.GraphProto) -> None:
            for axis in (2, 3):
                graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side

        assert re.search(r"has \d+ elements, the limit is 536870912$", refusal(self.chain(change), tmp_path))

    def test_padding(self, tmp_path: Path) -> None:
        def change(graph: onnx.GraphProto) -> None:
            next(a for a in graph.node[0].attribute if a.name == "pads").ints[:] = [1 << 20] * 4

        assert "elements, the limit is 536870912" in refusal(self.chain(change), tmp_path)

    @pytest.mark.parametrize("op_type", ["Expand", "Resize", "Tile"])
    def test_repeated(self, op_type: str, tmp_path: Path) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 8, 8)), 3, 4)
        if op_type == "Resize":
            y = m.add("Resize", x, "", m.constant([1, 1, 1 << 14, 1 << 14]), mode="nearest")
        elif op_type == "Tile":
            y = m.add("Tile", x, m.constant([1, 1, 1 << 16, 1 << 16], "int64"))
        else:
            y = m.add("Expand", m.add("GlobalAveragePool", x), m.constant([1, 4, 1 << 16, 1 << 16], "int64"))
        assert "elements, the limit is 536870912" in refusal(m.build(y), tmp_path)

    def test_many_tensors(self, tmp_path: Path) -> None:
        """Each of them could be held."""
        m = ModelBuilder()
        x = m.conv(m.input((1, 1, 4096, 4096)), 1, 4)
        for _ in range(70):
            x = m.add("Relu", x)
        assert "brings the network to" in refusal(m.build(x), tmp_path)

    def test_many_constants(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each of them is within the limit."""
        monkeypatch.setattr("sfopt.onnx_io.read._FOLD_LIMIT_BYTES", 20 << 20)
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 8, 8)), 3, 4)
        for _ in range(5):
            filled = m.add("ConstantOfShape", m.constant([1, 4, 1 << 10, 1 << 9], "int64"))
            x = m.add("Add", x, m.add("ReduceMax", filled, axes=[1, 2, 3]))
        text = refusal(m.build(x), tmp_path)
        assert re.fullmatch(
            r"constant `.*` would take 8 MiB on top of 16, the limit for computed constants is 20 MiB", text
        )


@pytest.mark.parametrize("group", [0, -1, 7])
def test_what_only_onnxruntime_finds(group: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = onnx.load_from_string(models.conv_chain())
    model.graph.node[0].attribute.append(helper.make_attribute("group", group))
    text = refusal(model.SerializeToString(), tmp_path)
    assert text.startswith("onnxruntime.quantization cannot quantise the model: ")
    assert f"group: {group}" in text
    assert capfd.readouterr().err == ""


class TestExternalData:
    """Where a tensor says that its numbers are."""

    def refused(self, folder: Path, **entries: str) -> str:
        inside = folder / "inside"
        inside.mkdir()
        for path in (folder / "secret.bin", inside / "w.bin"):
            path.write_bytes(bytes(100_000))
        (inside / "link.bin").symlink_to(folder / "secret.bin")
        model = onnx.load_from_string(models.conv_chain())
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
        return refusal(model.SerializeToString(), inside)

    @pytest.mark.parametrize("location", ["../secret.bin", "link.bin", "/etc/hostname", "sub/../../secret.bin"])
    def test_outside_of_the_folder(self, location: str, tmp_path: Path) -> None:
        assert re.search(r"external data cannot be loaded|does not exist", self.refused(tmp_path, location=location))

    @pytest.mark.parametrize("location", [".", "", "/dev/zero", "a\0b", "x" * 5000])
    def test_no_file(self, location: str, tmp_path: Path) -> None:
        assert re.search("external data cannot be loaded|does not exist", self.refused(tmp_path, location=location))

    @pytest.mark.parametrize("entry", [("offset", "abc"), ("offset", "-5"), ("length", "1e3"), ("length", "-1")])
    def test_numbers_that_are_none(self, entry: tuple[str, str], tmp_path: Path) -> None:
        assert "external data cannot be loaded" in self.refused(tmp_path, location="w.bin", **dict([entry]))

    def test_too_few_bytes(self, tmp_path: Path) -> None:
        assert "too small for the declared shape" in self.refused(tmp_path, location="w.bin", length="5")

    def test_more_bytes_than_there_are(self, tmp_path: Path) -> None:
        text = self.refused(tmp_path, location="w.bin", length=str(1 << 62))
        assert text == "tensor `c0` ends at byte 4611686018427387904 of `w.bin`, which has 100000"


def test_names(tmp_path: Path) -> None:
    """Cycles, one name twice, and no name."""
    changes: dict[str, Callable[[onnx.GraphProto], None]] = {
        "topologically sorted": lambda g: g.node[0].input.__setitem__(0, g.node[2].output[0]),
        "single static assignment": lambda g: g.node[2].output.__setitem__(0, g.node[1].output[0]),
        "empty string": lambda g: (g.node[0].output.__setitem__(0, ""), g.node[1].input.__setitem__(0, ""))[0],
        "required to be non-empty": lambda g: setattr(g.input[0], "name", ""),
        "not an output of any node": lambda g: setattr(g.output[0], "name", "nowhere"),
        "has no operator that the accelerator runs": lambda g: g.output.__delitem__(slice(None)),
    }
    for wanted, change in changes.items():
        model = onnx.load_from_string(models.conv_chain())
        change(model.graph)
        assert wanted in refusal(model.SerializeToString(), tmp_path)


def test_numbers_fewer_or_more_than_the_shape_has(tmp_path: Path) -> None:
    for dims in ([8, 3, 3, 4], [1 << 40, 3, 3, 3], [-8, 3, 3, 3], [1 << 33] * 4):
        model = onnx.load_from_string(models.conv_chain())
        model.graph.initializer[0].dims[:] = dims
        assert re.search("initializer `c0`|tensor name: c0", refusal(model.SerializeToString(), tmp_path))
    assert np.prod([1 << 33] * 4) == 0  # what such a shape has in 64 bits
