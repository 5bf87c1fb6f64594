"""What the modules' own tests share."""

from hypothesis import settings

# A performance property is not tested by time.
settings.register_profile("untimed", deadline=None, max_examples=50, stateful_step_count=30)
settings.load_profile("untimed")
