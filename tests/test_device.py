"""Devices: the files that ship, the checks on a user's own file, derived figures."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.device import Device, device_names, load_device
from sfopt.errors import DeviceError

SHIPPED = ("kcu1500", "pynq-z2", "sim16", "sim8", "ultra96", "zcu104")
BRAM36_BYTES = 4096
# Block RAM and UltraRAM of the chip, as bytes of data that a scratchpad of 64-bit slices can use.
CHIP_DATA_BYTES = {
    "kcu1500": 2160 * BRAM36_BYTES,
    "zcu104": 312 * BRAM36_BYTES + 96 * 8 * BRAM36_BYTES,
    "ultra96": 216 * BRAM36_BYTES,
    "pynq-z2": 140 * BRAM36_BYTES,
}


def device_toml(**changes: object) -> str:
    """The text of a device file equal to sim8 except for `changes`; a value of None drops the key."""
    figures = load_device("sim8").to_dict() | {"sources": None} | changes
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in figures.items() if value is not None)


@pytest.fixture
def write(tmp_path: Path):
    def write_file(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write_file


def test_shipped_names():
    assert device_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_figure_names_its_source(name):
    device = load_device(name)
    figures = {f.name for f in dataclasses.fields(Device)} - {"name", "description", "sources"}
    given_figures = {key for key in figures if getattr(device, key) is not None}
    assert device.name == name
    assert set(device.sources) == given_figures


@pytest.mark.parametrize("name", sorted(CHIP_DATA_BYTES))
def test_shipped_devices_fit_their_chips(name):
    device = load_device(name)
    assert device.dsp is not None
    assert device.lanes_in * device.lanes_out <= device.dsp
    accumulator_bytes = 2 * 4 * device.lanes_out * device.accumulator_pixels
    assert device.sram_bytes + accumulator_bytes <= 0.9 * CHIP_DATA_BYTES[name]


def test_derived_sizes():
    device = load_device("kcu1500")
    assert device.sram_bytes == 6 << 20
    assert device.word_bytes == 64
    assert device.words == device.sram_bytes // 64


def test_a_file_of_ones_own(write):
    device = load_device(write(device_toml(name="mine", banks=16)))
    assert (device.name, device.sram_bytes) == ("mine", 16 * 8192)
    assert device.dsp is None


def test_unknown_device_lists_the_known_ones():
    with pytest.raises(
        DeviceError, match=r"unknown device `kcu1501`; known: kcu1500, pynq-z2, sim16, sim8, ultra96, zcu104, or"
    ):
        load_device("kcu1501")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lane_in": 8}, r"mine\.toml`: unknown key `lane_in`; allowed: name, description, lanes_in, "),
        ({"banks": None}, r"mine\.toml`: key `banks` is missing; needed: name, "),
        ({"banks": "8"}, r"mine\.toml`: device `sim8`: `banks` is '8', needs an integer"),
        ({"banks": True}, r"`banks` is True, needs an integer"),
        ({"banks": 8.0}, r"`banks` is 8.0, needs an integer"),
        ({"banks": 0}, r"`banks` is 0, needs to be above 0"),
        ({"dsp": -1}, r"`dsp` is -1, needs to be above 0"),
        ({"name": 7}, r"`name` is 7, needs a text"),
        ({"lanes_in": 12, "bank_bytes": 1200}, r"`lanes_in` is 12, needs a power of two"),
        ({"lanes_out": 12}, r"`lanes_out` is 12, needs a power of two"),
        ({"bank_bytes": 8190}, r"`bank_bytes` is 8190, needs a multiple of `lanes_in` = 8"),
        (
            {"dram_bytes_per_s": 800_000_001},
            r"`dram_bytes_per_s` is 800000001, `dram_word_bytes` x `clock_hz` carries 800000000",
        ),
        ({"sources": 3}, r"`sources` is 3, needs a table"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(write, changes, message):
    with pytest.raises(DeviceError, match=message):
        load_device(write(device_toml(**changes)))


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ('bank = "x"', "unknown key `sources.bank`; allowed: lanes_in, "),
        ("banks = 3", "`sources.banks` is 3, needs a text"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(write, sources, message):
    with pytest.raises(DeviceError, match=message):
        load_device(write(f"{device_toml()}[sources]\n{sources}\n"))


def test_not_toml(write):
    with pytest.raises(DeviceError, match=r"mine\.toml` is not TOML: "):
        load_device(write("banks = = 3"))


def test_missing_file(tmp_path):
    with pytest.raises(DeviceError, match=r"none\.toml` cannot be read: No such file"):
        load_device(tmp_path / "none.toml")


def test_json_round_trip():
    for name in device_names():
        device = load_device(name)
        again = Device.from_dict(json.loads(json.dumps(device.to_dict())))
        assert again == device
        assert again.sources == device.sources
        assert again.fingerprint() == device.fingerprint()


def test_a_device_is_a_dictionary_key():
    assert {load_device("sim8"): 1}[load_device("sim8")] == 1


def test_the_fingerprint_follows_the_figures_only():
    device = load_device("sim8")
    assert re.fullmatch("[0-9a-f]{64}", device.fingerprint())
    assert dataclasses.replace(device, name="other", description="", sources={}).fingerprint() == device.fingerprint()
    assert dataclasses.replace(device, dsp=9).fingerprint() == device.fingerprint()
    assert len({load_device(name).fingerprint() for name in SHIPPED}) == len(SHIPPED)
    for key in (
        "lanes_out",
        "banks",
        "bank_bytes",
        "accumulator_pixels",
        "clock_hz",
        "dram_latency_cycles",
        "dram_word_bytes",
    ):
        changed = dataclasses.replace(device, **{key: getattr(device, key) * 2})
        assert changed.fingerprint() != device.fingerprint(), key


@given(st.sampled_from(SHIPPED), st.integers(4096, 1 << 26))
def test_with_sram_rounds_down_to_whole_words_of_every_bank(name, size_bytes):
    device = load_device(name)
    sized = device.with_sram(size_bytes)
    bank_words_bytes = device.banks * device.word_bytes
    assert sized.banks == device.banks
    assert sized.bank_bytes % device.word_bytes == 0
    assert size_bytes - bank_words_bytes < sized.sram_bytes <= size_bytes


def test_with_sram_below_one_word_for_each_bank():
    with pytest.raises(DeviceError, match=r"a scratchpad of 63 B is too small, 8 banks of one 8 B word need 64 B"):
        load_device("sim8").with_sram(63)
    assert load_device("sim8").with_sram(64).words == 8
