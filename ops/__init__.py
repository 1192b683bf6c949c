"""The `qbd` command: the embedded stack, the demo, operators' commands. Wires every part; holds no rules of its own."""
