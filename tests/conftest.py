"""What all tests share."""

import hypothesis

hypothesis.settings.register_profile("shoal", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("shoal")
