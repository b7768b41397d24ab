"""What all tests share."""

import signal

import hypothesis

hypothesis.settings.register_profile("shoal", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("shoal")

# A shell's background job ignores SIGINT, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
