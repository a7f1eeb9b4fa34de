"""Claims jobs, supervises one trainer process per job and writes down what it says."""
