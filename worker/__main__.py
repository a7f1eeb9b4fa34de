"""``python -m worker``: one worker process."""

from worker.app import main

main()
