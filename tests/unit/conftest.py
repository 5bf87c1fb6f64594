"""What the modules' own tests share."""

import pytest
from hypothesis import settings

from tests.clock import Clock

# A performance property is not tested by time.
settings.register_profile("untimed", deadline=None, max_examples=50, stateful_step_count=30)
settings.load_profile("untimed")


@pytest.fixture
def clock() -> Clock:
    return Clock()
