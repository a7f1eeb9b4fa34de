"""Cached values are read again when they are too old."""

import pytest

from service.operations.remembered import Remembered


def test_it_is_read_again_once_it_is_too_old() -> None:
    now, values = [0.0], iter([1, 2])
    remembered = Remembered[int](10, clock=lambda: now[0])
    assert remembered.get(lambda: next(values)) == 1
    now[0] = 10.0
    assert remembered.get(lambda: next(values)) == 1
    now[0] = 10.5
    assert remembered.get(lambda: next(values)) == 2


def test_what_could_not_be_read_is_asked_for_again() -> None:
    remembered = Remembered[float](10)
    with pytest.raises(ZeroDivisionError):
        remembered.get(lambda: 1 / 0)
    assert remembered.get(lambda: 1) == 1
