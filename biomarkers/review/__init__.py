"""The pathologist's part: look at scored slides, read them blinded, correct them, and measure agreement."""
