"""Stand-in for ``python -m pruning serve-predictions``: the first text of a request says what it does."""

import json
import os
import signal
import sys
import time

for number, line in enumerate(sys.stdin):
    request = json.loads(line)
    with open(request["mask"], "rb") as mask:
        content = mask.read().decode()
    first = request["texts"][0]
    if first == "hang":
        open(request["mask"] + ".hanging", "w").close()
        signal.pause()
    if first.startswith("sleep "):
        time.sleep(float(first.split()[1]))
    if first == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if first == "babble":
        print("x" * 100)
        continue
    if first.startswith("error "):
        _, kind, code = first.split()
        print(json.dumps({"error": {"kind": kind, "code": code, "message": "because", "param": None}}), flush=True)
        continue
    rows = [
        {"value": number, "label": f"{os.getpid()} {content} {pair}", "probabilities": {"a": 1.0}}
        for pair in request["pairs"] or request["texts"]
    ]
    print(json.dumps({"predictions": rows}), flush=True)
    if first == "leave":
        sys.exit(0)
