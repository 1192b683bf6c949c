"""The HTTP API for TMS.ai. Not here: mapping rules or SQL."""
