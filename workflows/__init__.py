"""Durable state machines: deterministic, no I/O. Not here: the steps they call (activities/) or any SQL or XML.

Changing a workflow while runs of it are open
---------------------------------------------

An export waits for days when a computer is off, and its run goes on with the newest code: Temporal replays its history
on it, and every command must come out as it did. So a change that adds, drops, moves or renames a command (a step, a
timer, an upsert of search attributes) stands behind `workflow.patched("reason-in-words")`:

    if workflow.patched(PATCH):
        await self._record(...)      # runs that come here for the first time with this code
    # runs that passed here before do what they did: nothing

Not a command, so free to change: texts, details, summaries, the order of plain Python, the values that a step gets, new
*optional* fields of payloads, timeouts and retry policies of steps. A patch costs two events of history (a marker and a
search attribute), so it stays off the way that a successful export takes.

1. Before the change: a history of the place that changes is in `tests/replay/histories` (`QBD_SAVE_HISTORIES=1 ./qbd
   test tests/workflow`). It stays for ever; the history of the new way gets a name of its own.
2. `tests/replay` replays all of them on today's code, and shows that the same change without its patch fails there.
3. When no run from before is open any more (`TemporalChangeVersion` is a search attribute: list the open runs without
   it), `workflow.deprecate_patch` takes the place of `patched`, and a release later nothing does.

Old and new workers at once, as in a rolling restart, are safe for what was not changed. A run that took a new way on a
new worker cannot go on at an old one: its task fails there ("nondeterminism"), is logged, and is tried again until a
new worker gets it. It is late, never wrong, and never Failed; when the old workers have ended, all is well. So workers
are replaced one after the other without a long pause between them, and going back to the old program is not possible
for runs that took a new way. Steps are safe in both directions as long as payloads only gain optional fields.

Why patches and not pinned versions (Worker Deployments): a pinned run needs its old worker until it ends, and ours may
wait for weeks; a versioned worker gets no task before somebody has declared its version the current one, one more step
that can be forgotten in every roll-out; and the embedded stack would need it as well. With `AUTO_UPGRADE` in place of
pinning, runs move to new code all the same, and need the same patches.
"""
