"""The exception tree: drawn as it is, exit codes as documented, and the module on its own."""

import ast
import inspect
import pickle
import re

import pytest

from sfopt import errors


def exception_classes() -> dict[str, type[errors.SfoptError]]:
    return {name: getattr(errors, name) for name in errors.__all__}


def test_every_exception_is_exported():
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert defined == set(errors.__all__)


@pytest.mark.parametrize(
    ("branch", "exit_code"),
    [
        (errors.CheckFailedError, 1),
        (errors.UsageError, 2),
        (errors.InfeasibleError, 3),
        (errors.StoppedError, 130),
        (errors.TimeLimitError, 1),
        (errors.InternalError, 1),
    ],
)
def test_exit_codes(branch, exit_code):
    for cls in exception_classes().values():
        if issubclass(cls, branch):
            assert cls.exit_code == exit_code


def test_the_drawing_is_the_tree():
    drawn: dict[str, tuple[int, int | None]] = {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"^(?P<indent>    [│├└─ ]*)(?P<name>[A-Z]\w+)\s+(?P<code>\d+)?", line)
        if match:
            drawn[match["name"]] = (len(match["indent"]), int(match["code"]) if match["code"] else None)
        elif line.strip() == "SfoptError":
            drawn["SfoptError"] = (4, None)
    assert set(drawn) == set(errors.__all__)
    for name, (indent, code) in drawn.items():
        cls = exception_classes()[name]
        assert len(cls.__mro__) - len(errors.SfoptError.__mro__) == (indent - 4) // 4
        assert code is None or code == cls.exit_code


def test_the_module_imports_nothing():
    tree = ast.parse(inspect.getsource(errors))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_missing_extra_answers_with_the_line_that_installs_it():
    error = errors.MissingExtraError("converting a Keras model", "tf")
    assert str(error) == "converting a Keras model needs the optional dependencies `tf`: pip install 'sfopt[tf]'"
    assert (error.feature, error.extra, error.exit_code) == ("converting a Keras model", "tf", 2)


def test_exceptions_survive_the_way_home_from_another_process():
    for name, cls in exception_classes().items():
        error = cls("a feature", "tf") if name == "MissingExtraError" else cls("one line")
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (cls, str(error), vars(error))
