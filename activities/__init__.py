"""The steps that workflows call: short, idempotent, with the database behind them. Not here: decisions about order."""
