"""Every exception that sfopt raises on purpose, and the exit code the command line ends with for each.

    SfoptError
    ├── CheckFailedError      1  a check ran and the answer was no
    │   ├── EquivalenceError     two backends disagree on a tensor
    │   ├── PlanCheckError       a plan breaks a rule of the plan checker
    │   └── SimulationFault      the simulated machine was asked for something it must not do
    ├── UsageError            2  bad usage or bad input
    │   ├── CalibrationError     calibration data is missing, empty or of the wrong shape
    │   ├── DeviceError          a device is unknown, or its file is wrong
    │   ├── MissingExtraError    an optional dependency is not installed
    │   ├── ModelError           a model is unreadable, invalid or unsupported
    │   ├── OutputError          an output file cannot be written
    │   └── ProgramError         a program file is damaged or made for another device
    ├── InfeasibleError       3  no plan exists within the limits
    ├── StoppedError        130  stopped by the user, with something kept to go on from
    ├── TimeLimitError        1  the time limit ended before an answer or a proof
    └── InternalError         1  a defect of sfopt itself

A message is one line that names the thing, the value and the limit.
"""

__all__ = [
    "CalibrationError",
    "CheckFailedError",
    "DeviceError",
    "EquivalenceError",
    "InfeasibleError",
    "InternalError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "PlanCheckError",
    "ProgramError",
    "SfoptError",
    "SimulationFault",
    "StoppedError",
    "TimeLimitError",
    "UsageError",
]


class SfoptError(Exception):
    """Base of every exception in this module; `exit_code` is what the command line exits with."""

    exit_code: int = 1


class CheckFailedError(SfoptError):
    """A check ran to its end and failed."""

    exit_code = 1


class EquivalenceError(CheckFailedError):
    """Two backends gave different values for one tensor."""


class PlanCheckError(CheckFailedError):
    """A plan breaks a rule of the plan checker."""


class SimulationFault(CheckFailedError):  # noqa: N818 (a fault is what a machine raises; the name is the field's)
    """The simulated machine met an access or an instruction that its rules forbid."""


class UsageError(SfoptError):
    """The request or its input is wrong; the user can mend it."""

    exit_code = 2


class CalibrationError(UsageError):
    """Calibration data is missing, empty, unreadable or of the wrong shape."""


class DeviceError(UsageError):
    """A device is unknown, or its description is incomplete or wrong."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message is the line that installs it.

    `feature` is what was asked for, `extra` the name of the optional dependency group.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the optional dependencies `{extra}`: pip install 'sfopt[{extra}]'")
        self.feature = feature
        self.extra = extra

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """Exceptions are pickled as their message; this one is made from two other texts, and worker processes send it home."""
        return type(self), (self.feature, self.extra)


class ModelError(UsageError):
    """A model is unreadable, invalid, or uses something that sfopt does not support."""


class OutputError(UsageError):
    """An output file or folder cannot be written."""


class ProgramError(UsageError):
    """A program file is damaged, of another version, or made for another device."""


class InfeasibleError(SfoptError):
    """No plan exists within the limits that were given."""

    exit_code = 3


class StoppedError(SfoptError):
    """The user stopped a run that kept what it had done."""

    exit_code = 130


class TimeLimitError(SfoptError):
    """The time limit ended with neither an answer nor a proof that there is none: not `InfeasibleError`, which is proven."""

    exit_code = 1


class InternalError(SfoptError):
    """A defect of sfopt itself: something that its own rules exclude has happened."""
