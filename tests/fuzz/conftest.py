"""The long run's profile must be known before pytest chooses one."""

import tests.fuzzing  # noqa: F401 -- registers it
