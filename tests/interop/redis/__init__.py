"""The Redis adapter against real, broken and hostile servers."""
