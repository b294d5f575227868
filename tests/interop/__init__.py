"""The adapters against real servers, and against servers that do what no real one would."""
