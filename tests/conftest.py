"""What all tests share."""

from hypothesis import settings

# How long an example takes says more of the machine's load than of our code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
