"""One file of endpoints per noun of the interface."""
