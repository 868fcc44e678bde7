"""The output directory is complete or untouched."""

from pathlib import Path

import pytest

from sfopt.errors import OutputError
from sfopt.output import output_directory, write_file


def test_publish_writes_every_file_and_leaves_no_staging(tmp_path: Path) -> None:
    with output_directory(tmp_path / "out") as directory:
        directory.publish({"a": b"1", "b": b"2"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    assert (tmp_path / "out" / "a").read_bytes() == b"1"


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), output_directory(tmp_path / "out"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_missing_parents_are_made_only_on_success(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), output_directory(tmp_path / "a" / "b" / "out"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with output_directory(tmp_path / "a" / "b" / "out") as directory:
        directory.publish({"x": b"1"})
    assert (tmp_path / "a" / "b" / "out" / "x").read_bytes() == b"1"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_earlier_results_survive_a_failed_run(tmp_path: Path) -> None:
    with output_directory(tmp_path / "out") as directory:
        directory.publish({"report.json": b"first"})
    with pytest.raises(RuntimeError), output_directory(tmp_path / "out"):
        raise RuntimeError
    assert (tmp_path / "out" / "report.json").read_bytes() == b"first"


def test_staging_is_on_the_file_system_of_the_target(tmp_path: Path) -> None:
    """Renaming works within one file system only, and an existing target may be the root of another one."""
    for target, place in ((tmp_path / "new", tmp_path), (tmp_path, tmp_path)):
        with output_directory(target) as directory:
            assert directory.staging.parent == place
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with output_directory(tmp_path / "link") as directory:
        assert directory.staging.resolve().parent == tmp_path / "elsewhere"
        directory.publish({"x": b"1"})
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["x"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="not a directory"), output_directory(tmp_path / "file"):
        pass
    with pytest.raises(OutputError, match="cannot write"), output_directory(tmp_path / "file" / "below"):
        pass
    with pytest.raises(OutputError, match="cannot write"):
        write_file(tmp_path / "file" / "below", b"")
