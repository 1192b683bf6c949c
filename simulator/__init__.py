"""Plays QuickBooks Desktop and Intuit's Web Connector, for tests, demonstrations and integrators."""
