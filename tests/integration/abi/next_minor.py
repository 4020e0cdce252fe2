#!/usr/bin/env python3
"""Makes the next minor of the contract out of today's: next_minor.py ROOT OUTPUT.

OUTPUT/include/skep/ are the headers with their minor raised by one and with one function appended to each of three
tables: skep_host, skep_base_1 and skep_volume_1, each called `added`. OUTPUT/host/ are those sources of sdk/host
that a new minor always touches: the list of operations, and the host's own table.

It is derived at each build, so it can't be left behind; where it finds a place changed that it has to edit, it
fails, and so does the build.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shutil
import sys

ADDED_TO_HOST = "  /* Test only: the number that proves which host this is. [any-thread] */\n" \
                "  int64_t (*added)(const struct skep_host* host);\n"
ADDED_SLOT = "  /* Test only, optional. {} -> {\"added\": TEXT}. */\n  skep_call added;\n"
NUMBER = "int64_t added_function(const skep_host*) {\n  return 42;\n}\n\n"


def edit(path, *edits):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for pattern, replacement in edits:
        text, count = re.subn(pattern, replacement, text, flags=re.M)
        if count != 1:
            sys.exit(f"next_minor.py: {pattern!r} is {count} times in {path}; wanted once")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def raise_minor(found):
    return f"#define SKEP_ABI_MINOR {int(found[1]) + 1}"


def main():
    root, output = sys.argv[1:]
    shutil.rmtree(output, ignore_errors=True)
    include, host = os.path.join(output, "include"), os.path.join(output, "host")
    shutil.copytree(os.path.join(root, "sdk", "include"), include)
    edit(os.path.join(include, "skep", "abi.h"),
         (r"^#define SKEP_ABI_MINOR (\d+)$", raise_minor),
         (r"^\} skep_host;$", ADDED_TO_HOST.replace("\\", "") + "} skep_host;"),
         (r"^\} skep_base_1;$", ADDED_SLOT + "} skep_base_1;"))
    edit(os.path.join(include, "skep", "volume.h"),
         (r"^\} skep_volume_1;$", ADDED_SLOT + "} skep_volume_1;"))

    os.makedirs(host)
    for name in ("catalog.cpp", "instance.cpp"):
        shutil.copy(os.path.join(root, "sdk", "host", name), host)
    edit(os.path.join(host, "catalog.cpp"),
         (r"^(    BASE\(reconfigure, .*\n)", r'\1    BASE(added, "", reads, optional, usual_ms),' "\n"),
         (r"^(    VOLUME\(capacity, .*\n)", r'\1    VOLUME(added, "", reads, optional, usual_ms),' "\n"))
    edit(os.path.join(host, "instance.cpp"),
         (r"^HostSide::HostSide\(", NUMBER + "HostSide::HostSide("),
         (r"&deadline_ms\};$", "&deadline_ms, &added_function};"))


if __name__ == "__main__":
    main()
