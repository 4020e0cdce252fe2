#!/usr/bin/env python3
"""The guard of the binary contract: whether the headers of today still fit the drivers of yesterday.

  check.py headers [--include DIR] [--locks DIR]  three opinions about the headers in DIR
  check.py binaries FILE|FOLDER...                each driver exports one symbol, shares none, and carries a note
  check.py baseline                               writes the baseline anew; the diff of it is for review

The three opinions about headers, each of which can refuse:
  lock      the blocks of static asserts (lock_1_M.c) compile against them
  coverage  every struct, field and constant is named in a block, and in the probe that abidiff looks at; of a
            minor that has no block yet, what it appended may be missing
  abidiff   the probe library differs from the committed baseline by members at the end of structs, by new
            structs and by new constants alone

What abidiff says is read line by line against a list of lines that mean no harm, because its exit code is
the same for an appended member and for a moved one. It is asked for "harmless" changes too: it counts the
exchange of two members of one type among them.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as XML

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = os.path.join(os.path.dirname(HERE), "include")
BASELINE = os.path.join(HERE, "baseline.xml")
# The SHA-256 of the block of each released minor: "lock_1_0.c": "..". 1.0 is a draft.
RELEASED = {}
# Passed by value, or read out of a file: these can't grow.
FIXED = {"skep_str", "skep_note"}
# Macros that no compiled driver has built in.
NOT_BINARY = {"SKEP_ABI_MINOR", "SKEP_ABI_TARGET_MINOR", "SKEP_EXPORT", "SKEP_STR"}


class Refused(Exception):
    """One opinion's reason, a line or several."""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def compiler():
    return os.environ.get("CC", "cc")


# ---- lock ------------------------------------------------------------------------------------------------

def blocks(folder):
    return sorted(name for name in os.listdir(folder) if re.fullmatch(r"lock_\d+_\d+\.c", name))


def check_lock(include, locks):
    names = blocks(locks)
    if not names:
        raise Refused("there is no block at all")
    for name in names:
        path = os.path.join(locks, name)
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        if RELEASED.get(name, digest) != digest:
            raise Refused(f"{name} was edited after its release")
        result = run(compiler(), "-std=c11", "-fsyntax-only", "-I", include, "-I", HERE, path)
        if result.returncode != 0:
            told = re.findall(r"error: (.*)", result.stderr) or [result.stderr.strip()]
            raise Refused(f"{name}: " + "; ".join(told[:3]))
    return ", ".join(names) + (" holds" if len(names) == 1 else " hold")


# ---- the probe -------------------------------------------------------------------------------------------

def build_probe(include, folder):
    library = os.path.join(folder, "libprobe.so")
    # One form of debug information for all compilers; without -g every comparison would succeed.
    result = run(compiler(), "-std=c11", "-g", "-gdwarf-4", "-shared", "-fPIC", "-fvisibility=hidden", "-I", include,
                 "-o", library, os.path.join(HERE, "probe.c"))
    if result.returncode != 0:
        told = re.findall(r"error: (.*)", result.stderr) or [result.stderr.strip()]
        raise Refused("the probe does not compile: " + "; ".join(told[:3]))
    return library


def described(library):
    """The probe as libabigail sees it, as XML text."""
    result = run("abidw", "--no-comp-dir-path", "--no-corpus-path", "--no-show-locs", "--no-elf-needed", library)
    if result.returncode != 0:
        raise Refused(f"abidw ended with {result.returncode}: {result.stderr.strip()}")
    # Where the tree lies is nobody's business.
    return result.stdout.replace(HERE + os.sep, "sdk/abi/")


def structs_in(text):
    """{struct: [field..]} of an XML description."""
    found = {}
    for node in XML.fromstring(text).iter("class-decl"):
        if node.get("is-declaration-only") != "yes":
            found[node.get("name")] = [member.get("name") for member in node.iter("var-decl")]
    return found


# ---- coverage --------------------------------------------------------------------------------------------

def headers(include):
    folder = os.path.join(include, "skep")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".h"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                yield name, re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)


def constants_of(text):
    for name, value in re.findall(r"^#define (SKEP_\w+)[ \t]+(\S.*)$", text, re.M):
        if name not in NOT_BINARY and re.match(r'"|\(?\s*-?\d|\(?\s*\d', value):
            yield name, value.startswith('"')


def check_coverage(include, locks, description):
    known = structs_in(description)
    locked = "".join(open(os.path.join(locks, name), encoding="utf-8").read() for name in blocks(locks))
    with open(os.path.join(HERE, "probe.c"), encoding="utf-8") as file:
        probe = file.read()
    unseen, unlocked, minor = [], [], None
    for name, text in headers(include):
        if f'"skep/{name}"' not in probe:
            unseen.append(f"skep/{name}")
        if found := re.search(r"^#define SKEP_ABI_MINOR (\d+)", text, re.M):
            minor = int(found[1])
        for struct in re.findall(r"\bstruct (\w+)\s*\{", text):
            if struct not in known:
                unseen.append(f"struct {struct}")
            unlocked += [f"{struct}.{field}" for field in known.get(struct, [])
                         if not re.search(rf"\((?:struct )?{struct}, {field},", locked)]
        for constant, is_text in constants_of(text):
            if not is_text and f"CONSTANT({constant})" not in probe:
                unseen.append(constant)
            if not re.search(rf"\({constant},", locked):
                unlocked.append(constant)
    if unseen:
        raise Refused("the probe (probe.c) does not name " + ", ".join(unseen))
    if unlocked and f"lock_1_{minor}.c" in blocks(locks):
        raise Refused(f"{', '.join(unlocked)}: in no block; it belongs to a minor above {minor}, which has its "
                      f"block (while that is a draft: add it to lock_1_{minor}.c)")
    return "all is named" if not unlocked else f"minor {minor} has no block yet for {', '.join(unlocked)}"


# ---- abidiff ---------------------------------------------------------------------------------------------

# Lines that lead to a change, say that one was told already, or count.
HARMLESS = [re.compile(pattern) for pattern in (
    r"(Functions|Variables) changes summary: 0 Removed, .*",
    r"\d+ functions? with some indirect sub-type changes?:",
    r"\d+ Added functions?:",
    r"\[A\] 'function void probe_\w+\(.*\)'.*",
    r"\[C\] 'function void probe_\w+\(.*\)' has some indirect sub-type changes:",
    r"parameter \d+ of type '.*' has sub-type changes:",
    r"return type changed:",
    r"in pointed to type '.*':",
    r"in unqualified underlying type '.*':",
    r"underlying type 'struct \w+' changed:",
    r"(unqualified )?underlying type '(struct|typedef) skep_\w+' changed, as (being reported|reported earlier)",
    r"type size hasn't changed",
    r"\d+ data member changes?( \(\d+ filtered\))?:|no data member changes \(\d+ filtered\);",
    r"type of '.*' changed:",
    r"\d+ data member insertions?:",
)]


def judge(report):
    """What was appended; raises with the lines that say more than that."""
    struct, size_before, appended, bad = None, None, [], []
    for line in filter(None, map(str.strip, report.split("\n"))):
        if found := re.fullmatch(r"underlying type 'struct (\w+)' changed:", line):
            struct, size_before = found[1], None
        elif found := re.fullmatch(r"type size changed from (\d+) to (\d+) \(in bits\)", line):
            size_before = int(found[1])
            if struct is None or struct in FIXED or int(found[2]) <= size_before:
                bad.append(f"{struct}: {line}")
        elif found := re.fullmatch(r"'.*\W(\w+)', at offset (\d+) \(in bits\)", line):
            # Within what the struct already had, an old driver's struct_size would vouch for it.
            if size_before is None or int(found[2]) < size_before:
                bad.append(f"{struct}: inserted {line}")
            else:
                appended.append(f"{struct}.{found[1]}")
        elif found := re.fullmatch(r"\[A\] 'function void probe_(\w+)\(.*\)'.*", line):
            appended.append(found[1])
        elif not any(pattern.fullmatch(line) for pattern in HARMLESS):
            bad.append(line)
    if bad:
        raise Refused("; ".join(bad[:4]) + (f"; and {len(bad) - 4} more" if len(bad) > 4 else ""))
    return appended


def check_abidiff(library, description):
    with open(BASELINE, encoding="utf-8") as file:
        before = structs_in(file.read())
    missing = sorted(set(before) - set(structs_in(description)))
    if not before or missing:
        raise Refused("not in the debug information: " + (", ".join(missing) or "anything"))
    result = run("abidiff", "--harmless", "--no-show-locs", "--no-architecture", BASELINE, library)
    if result.returncode == 0:
        return "no difference"
    if result.returncode & 3 or not result.stdout.strip():
        raise Refused(f"abidiff ended with {result.returncode}: {result.stderr.strip()}")
    print(result.stdout, file=sys.stderr)  # for a person, also when it is accepted
    return "appended: " + ", ".join(judge(result.stdout))


def check_headers(include, locks):
    with tempfile.TemporaryDirectory() as folder:
        probe = {}

        def library():
            probe.setdefault("library", build_probe(include, folder))
            probe.setdefault("description", described(probe["library"]))
            return probe

        opinions = [
            ("lock", lambda: check_lock(include, locks)),
            ("coverage", lambda: check_coverage(include, locks, library()["description"])),
            ("abidiff", lambda: check_abidiff(library()["library"], library()["description"])),
        ]
        refused = 0
        for name, opinion in opinions:
            try:
                print(f"{name}: accepted: {opinion()}")
            except Refused as reason:
                refused += 1
                print(f"{name}: refused: {reason}")
    return 1 if refused else 0


# ---- binaries --------------------------------------------------------------------------------------------

def symbol_faults(path):
    table = run("readelf", "--dyn-syms", "--wide", path)
    if table.returncode != 0:
        yield f"readelf: {table.stderr.strip()}"
        return
    exported = []
    for line in table.stdout.split("\n"):
        columns = line.split()
        if len(columns) < 8 or not columns[0].endswith(":") or columns[6] == "UND":
            continue
        if columns[4] == "UNIQUE":
            yield f"{columns[7]} is unique in the whole process (STB_GNU_UNIQUE): copies of the driver share it"
        if columns[4] in ("GLOBAL", "WEAK", "UNIQUE"):
            exported.append(columns[7].split("@")[0])
    if exported != ["skep_plugin_query"]:
        shown = ", ".join(exported[:5]) + (", ..." if len(exported) > 5 else "")
        yield f"exports {len(exported)} symbols ({shown}); wanted skep_plugin_query alone"


def note_faults(path):
    notes = run("readelf", "--notes", "--wide", path).stdout
    wanted = re.search(r"^\s*skep\s+0x([0-9a-f]+)\s", notes, re.M)
    if not wanted:
        yield "has no note of skep (SKEP_DECLARE_NOTE)"
    elif int(wanted[1], 16) != 256:
        yield f"has a note of {int(wanted[1], 16)} bytes; wanted 256"


def check_binaries(places):
    files = []
    for place in places:
        if os.path.isdir(place):
            files += sorted(os.path.join(place, name) for name in os.listdir(place) if name.endswith(".so"))
        else:
            files.append(place)
    faulty = 0
    for path in files:
        faults = [*symbol_faults(path), *note_faults(path)]
        faulty += bool(faults)
        print(f"{os.path.basename(path)}: " + ("; ".join(faults) or "one symbol, none unique, its note is there"))
    print(f"{len(files)} drivers, {faulty} faulty")
    return 1 if faulty or not files else 0


# ---- the command -----------------------------------------------------------------------------------------

def write_baseline():
    with tempfile.TemporaryDirectory() as folder:
        text = described(build_probe(INCLUDE, folder))
    with open(BASELINE, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    of_headers = verbs.add_parser("headers")
    of_headers.add_argument("--include", default=INCLUDE)
    of_headers.add_argument("--locks", default=HERE)
    verbs.add_parser("binaries").add_argument("places", nargs="+")
    verbs.add_parser("baseline")
    chosen = parser.parse_args()
    if chosen.verb == "headers":
        return check_headers(chosen.include, chosen.locks)
    if chosen.verb == "binaries":
        return check_binaries(chosen.places)
    return write_baseline()


if __name__ == "__main__":
    sys.exit(main())
