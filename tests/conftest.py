"""What all tests share."""

import signal

from hypothesis import settings

# How long an example takes says more of the machine's load than of our code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# Where a script runs the tests in the background, SIGINT is ignored, by every process started here
# as well: nothing could be interrupted then.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
