#!/usr/bin/env python3
"""Header and schema tell of the same members, one in comments and one as JSON.

For each interface the words in quotation marks of its table's comments are the names and values of its schema,
both ways. It knows nothing of where in a document a word stands; it finds the member that was added to one side
and forgotten on the other.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import sys

SDK = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))), "sdk")

# What stands on one side alone: {interface: {word: why}}.
IN_SCHEMA_ALONE = {"skep.base/1": {"holders": "volume.h tells of its restore"}}
IN_HEADER_ALONE = {
    "skep.lb/1": {"broken": "a state of skep.base/1 probe"},
    "skep.network/1": {"eth0": "an example"},
    "skep.runtime/1": {"1": "an example", "SIGHUP": "an example", "SIGTERM": "an example",
                       "containerd": "an example"},
    "skep.volume/1": {"id": "a member of skep.base/1 restore"},
}


def words_of_schema(schema, found):
    if isinstance(schema, dict):
        found.update(schema.get("properties", {}))
        found.update(value for value in schema.get("enum", []) if isinstance(value, str))
        for key, below in schema.items():
            if key != "errors":
                words_of_schema(below, found)
    elif isinstance(schema, list):
        for below in schema:
            words_of_schema(below, found)
    return found


def words_of_headers():
    """{interface: words}: of its struct, of what follows up to the next, and of the file's head for the first."""
    found = {}
    folder = os.path.join(SDK, "include", "skep")
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".h"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        parts = re.split(r'^#define SKEP_\w+_1 "(skep\.[\w.]+/1)"$', text, flags=re.M)
        for index in range(1, len(parts), 2):
            struct = re.search(r"typedef struct \w+ \{.*?\n\} \w+;", parts[index + 1], re.S)[0]
            told = struct
            if name != "abi.h":  # which goes on to the host's side
                told += parts[index + 1] if index + 2 >= len(parts) else ""
                told += parts[0] if index == 1 else ""
            comments = "".join(re.findall(r"/\*.*?\*/", told, re.S))
            found[parts[index]] = set(re.findall(r'"([a-zA-Z0-9_ ]+)"', comments))
    return found


def main():
    headers = words_of_headers()
    faults, known = [], 0
    for name in sorted(os.listdir(os.path.join(SDK, "schema"))):
        if not name.endswith(".json"):
            continue
        with open(os.path.join(SDK, "schema", name), encoding="utf-8") as file:
            schema = json.load(file)
        interface = schema["interface"]
        in_schema, in_header = words_of_schema(schema, set()), headers[interface]
        known += len(in_schema)
        for word in sorted(in_schema - in_header - set(IN_SCHEMA_ALONE.get(interface, {}))):
            faults.append(f'{interface}: the header does not tell of "{word}", which {name} has')
        for word in sorted(in_header - in_schema - set(IN_HEADER_ALONE.get(interface, {}))):
            faults.append(f'{interface}: {name} does not have "{word}", which the header tells of')
    print("\n".join([*faults, f"{known} words of the schemas, {len(faults)} faults"]))
    return 1 if faults or known < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
