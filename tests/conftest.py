"""Settings for all tests."""

from hypothesis import settings

# Two busy cores: a slow example is no fault.
settings.register_profile("sensorium", deadline=None)
settings.load_profile("sensorium")
