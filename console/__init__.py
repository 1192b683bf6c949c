"""The web console: pages over the same functions as the API's routes. It holds no rules of its own."""
