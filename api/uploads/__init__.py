"""Files of rows that users send, read a row at a time and put into one form. Called by ``api.routes.datasets``."""
