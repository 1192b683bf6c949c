"""Measurements of the budgets of the design, each a script that prints counts and raw figures."""
