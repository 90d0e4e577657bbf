"""Copies the programs that cargo has built, as the file that is named first tells, to a directory."""
import json
import shutil
import sys

with open(sys.argv[1], encoding="utf-8") as messages:
    for message in map(json.loads, messages):
        if message.get("executable"):
            shutil.copy(message["executable"], f"{sys.argv[2]}/{message['target']['name']}")
