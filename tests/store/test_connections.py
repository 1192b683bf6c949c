"""What is asked of a database server that is there and says nothing."""

from __future__ import annotations

import socket

from store.engine import Database


def test_a_postgresql_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
        database = Database(address)
        assert {engine.url.query["connect_timeout"] for engine in database.engines} == {"10"}
        impatient = Database(f"{address}?connect_timeout=2")
        assert not impatient.answers()
        for one in (database, impatient):
            one.close()
