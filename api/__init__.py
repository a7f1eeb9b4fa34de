"""HTTP in, HTTP out: checks what strangers send, writes a row, shows rows; knows neither worker nor torch."""
