"""Pure: the language that QuickBooks speaks. Typed messages, text and number rules, the catalogue of codes."""
