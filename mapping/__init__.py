"""Pure: a TMS document and a company's mapping become a QuickBooks transaction, or every reason why not."""
