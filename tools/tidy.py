#!/usr/bin/env python3
"""The house rules that a machine can check. Prints FILE:LINE: RULE and ends with 1 when one is broken.

It reads text, not a syntax tree: a rule that would need one is left to review, since a check that cries
wolf is soon switched off. Floors (who may include whom) are the part that matters most; the table is
`FLOORS`. An exception is a line in a table here, with its reason, never a mark in the file it excuses.
Only files that git tracks or would track are looked at.

SPDX-License-Identifier: Apache-2.0
"""
import functools
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
# A flat switch, one case after another, reads well at any length; this much still fits a mind.
SWITCH_LINES_MAX = 200
HEADER_WORDS_MIN = 3

CPP = (".cpp", ".hpp", ".c", ".h")
HASH = (".sh", ".cmake", ".py", ".sed")  # and CMakeLists.txt, dev, .ci/run

# What core/ may see of the standard library: everything but files, threads, clocks and terminals.
CORE_STD = set("""algorithm any array bit cassert cctype charconv chrono cmath compare concepts coroutine cstddef cstdint
cstdio cstdlib cstring deque exception expected format forward_list functional initializer_list iterator limits list
map memory numbers numeric optional queue random ranges ratio set source_location span stack stdexcept string
string_view system_error tuple type_traits typeinfo unordered_map unordered_set utility variant vector
version""".split())

# (files, includes they may not have, why)
FLOORS = [
    (r"core/", r"(daemon|cli|sdk|plugins|tests|skep)/", "core knows nothing above it"),
    (r"core/model/", r"core/(?!model/)", "core/model is the ground floor"),
    (r"core/(raft|store)/", r"core/(?!model/|raft/|store/)", "raft and store stand on model alone"),
    (r"core/raft/", r"core/store/", "raft carries bytes; it does not know the store"),
    (r"core/(?!planner/)", r"core/planner/", "the planner runs the rooms, not the rooms the planner"),
    (r"daemon/", r"(cli|plugins|tests)/", "daemon knows nothing above it"),
    (r"daemon/(?!drivers/)", r"skep/(abi|runtime|network|lb|volume|cpp)", "daemon/drivers alone knows the ABI"),
    (r"cli/", r"(plugins|tests)/", "the command line knows no plugin"),
    (r"(plugins|sdk/include|sdk/examples)/", r"(core|daemon|cli|tests|sdk/host|sdk/conformance)/",
     "drivers stand on the contract alone"),
    (r"sdk/(host|conformance|schema)/", r"(core/(?!model/(result|expected)\.hpp)|daemon/|cli/|tests/)",
     "hosts of drivers stand on the contract, and on how the house says that something went wrong"),
    (r"sdk/", r"plugins/", "the contract knows no driver"),
]

# Headers that may pull in a heavy library, with the reason.
HEAVY = re.compile(r"nlohmann/json\.hpp|boost/beast|spdlog/|grpc")
HEAVY_ALLOWED = {
    "sdk/include/skep/cpp/driver.hpp": "header-only for authors; never included by daemon or cli",
    "sdk/conformance/outcome.hpp": "cases speak JSON; included by cases alone, the face for others is kit.hpp",
    "daemon/api/docker_json/field_table.hpp": "templates over JSON, used inside that folder only",
}

# (pattern, where it is forbidden, where it is allowed after all, what to say)
EVERYWHERE = r""
HEADERS = r".*\.(hpp|h)$"
PURE = r"core/"
WORDS = [
    (r"\busing namespace\b", HEADERS, None, "`using namespace` in a header"),
    (r"\bstd::w?regex\b|#include <regex>", EVERYWHERE, None, "std::regex: slow, and it overflows the stack"),
    (r"<boost/asio\.hpp>", EVERYWHERE, None, "name the Asio headers you need"),
    (r"(\.|->)detach\(\)", EVERYWHERE, None, "a detached thread"),
    (r"\bsystem_clock\b", EVERYWHERE,
     # gRPC's alarms take nothing else.
     r"daemon/base/clock\.cpp|cli/clock\.cpp|plugins/runtime-containerd/rpc\.cpp|tests/",
     "wall time comes from the clock adapter"),
    (r"\b(class|struct)\s+\w+(Manager|Helper|Helpers|Util|Utils)\b", EVERYWHERE, None, "the name says nothing"),
    (r"\bcatch \(\.\.\.\) \{\s*\}", EVERYWHERE, None, "a swallowed exception"),
    (r"\b(steady_clock|random_device|getenv|this_thread|time)\b\s*(::|\(|\{)", PURE, None,
     "core is handed time and chance"),
    (r"\bstd::(thread|mutex|jthread|atomic|ifstream|ofstream|filesystem)\b", PURE, None, "core does no I/O"),
    (r"^\s*(throw|try)\b", PURE, r"core/(model/codec|raft/codec|store/.*codec)", "core has no exceptions"),
]
ANY_TEXT = [
    (re.compile(r"\b(TODO|FIXME)\b(?!\(#\d+\))"), "without an issue number"),
    (re.compile(r"(?<![\w./-])/(work|root|home)" + r"/\w"), "a path of one machine"),
]

# Each trap that other implementations of raft fell into, by its number in the design notes, is named by a test,
# as "trap 7", and the test says which guard makes it pass.
TRAPS = range(1, 36)
TRAPS_WITHOUT_TEST = {
    15: "reads by lease are not there",
}

findings = []


def report(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def tracked_files():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=True).stdout.decode()
    return sorted(path for path in set(listed.split("\0"))
                  if path and os.path.isfile(os.path.join(ROOT, path)))


@functools.cache
def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


# ---- C++ as far as it must be understood ------------------------------------------------------------------

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^\s()\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'',
    re.S)


@functools.cache
def code_only(path):
    """The text with comments and literals blanked, line for line. Includes keep their names."""
    def blank(match):
        kept = match[0][0] if match[0][0] in "\"'" else ""
        return kept + re.sub(r"[^\n]", " ", match[0][len(kept):])
    lines = []
    for line in TOKEN.sub(blank, read(path)).split("\n"):
        lines.append("" if re.match(r"\s*#", line) else line)
    return "\n".join(lines)


def functions(text):
    """(first line, last line, body) of each function that is not inside another."""
    stack, head, head_line, line, depth = [], "", 1, 1, 0
    for index, char in enumerate(text):
        if char == "\n":
            line += 1
        inside = any(entry[0] == "function" for entry in stack)
        if char == "{":
            kind = "other" if inside else classify(head)
            stack.append((kind, head_line, index))
            if kind != "initializer":
                head = ""
        elif char == "}" and stack:
            kind, first, start = stack.pop()
            if kind == "function":
                yield first, line, text[start:index]
            if kind != "initializer":
                head = ""
        elif char == ";":
            head = ""
        elif not head and not char.isspace():
            head, head_line = char, line
        elif head:
            head += char


def classify(head):
    head = re.sub(r"\s+", " ", head).strip()
    if re.search(r"\b(namespace|class|struct|union|enum|extern)\b", head) and not head.endswith(")"):
        return "scope"
    if re.search(r"\)\s*(noexcept)?\s*:.*[\w>]$", head) or head.startswith(","):
        return "initializer"
    if re.search(r"\)( const| noexcept| override| final| mutable| ->[^;]*|&)*$", head) or re.search(r"\) ?:.*\)$", head):
        return "function"
    return "scope" if not head or head.startswith('extern "') else "other"


def is_flat_switch(body):
    found = re.search(r"\bswitch \(", body)
    if not found:
        return False
    opened = body.index("{", found.start())
    depth = 0
    for index in range(opened, len(body)):
        depth += {"{": 1, "}": -1}.get(body[index], 0)
        if depth == 0:
            return body.count("\n", opened, index) > 0.6 * body.count("\n")
    return False


def check_functions(path):
    for first, last, body in functions(code_only(path)):
        length = last - first + 1
        limit = SWITCH_LINES_MAX if is_flat_switch(body) else FUNCTION_LINES_MAX
        if length > limit:
            report(path, first, f"a function of {length} lines; at most {limit}")


def includes(path):
    for number, line in enumerate(read(path).split("\n"), 1):
        if found := re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line):
            yield number, found[1] == "<", found[2]


def check_includes(path):
    for number, angled, name in includes(path):
        for files, forbidden, why in FLOORS:
            if re.match(files, path) and re.match(forbidden, name):
                report(path, number, f"includes {name}: {why}")
        if re.match(r"(?!tests/)" + HEADERS, path) and HEAVY.search(name) and path not in HEAVY_ALLOWED:
            report(path, number, f"{name} in a header: forward declare, one adapter owns it")
        if path.startswith("core/"):
            check_core_include(path, number, angled, name)


def check_core_include(path, number, angled, name):
    if name.endswith(".pb.h") or name.startswith("google/protobuf"):
        if not re.match(r"core/(model/codec/|raft/codec/|store/.*codec)", path):
            report(path, number, f"{name}: protobuf belongs to the codecs")
    elif name.startswith("tl/"):
        if path != "core/model/expected.hpp":
            report(path, number, f"{name}: use core/model/expected.hpp")
    elif angled and name not in CORE_STD:
        report(path, number, f"<{name}> in core: it does no I/O and knows the standard library alone")


SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep)\s*\(|::sleep\(")
LOOP = re.compile(r"\b(while|for|do|until)\b")
LOOP_LINES = 8


def check_sleeps(path):
    """A pause between two looks at a state is fine; a sleep for a guessed time hides a race."""
    lines = code_only(path).split("\n")
    for number, line in enumerate(lines, 1):
        if SLEEP.search(line) and not any(map(LOOP.search, lines[max(0, number - LOOP_LINES):number])):
            report(path, number, f"{line.strip()}: a sleep outside a loop that looks for something")


def check_words(path):
    text = code_only(path)
    for pattern, where, allowed, why in WORDS:
        if not re.match(where, path) or (allowed and re.match(allowed, path)):
            continue
        source = read(path) if "#include" in pattern or "<boost" in pattern else text
        for found in re.finditer(pattern, source, re.M):
            report(path, source.count("\n", 0, found.start()) + 1, f"{found[0].strip()}: {why}")


# ---- headers ---------------------------------------------------------------------------------------------

def leading_comment(path):
    text = read(path)
    text = re.sub(r"\A#!.*\n", "", text)
    if path.endswith(".py"):
        found = re.match(r'\s*"""(.*?)"""', text, re.S)
    elif path.endswith(CPP + (".proto",)):
        found = re.match(r"\s*((?://[^\n]*\n\s*?)+|/\*.*?\*/)", text, re.S)
    else:
        found = re.match(r"((?:#[^\n]*\n)+)", text)
    return found[1] if found else ""


def check_header(path):
    marks = re.findall(r"^.*SPDX-" + "License-Identifier:.*$", read(path), re.M)
    if len(marks) != 1:
        report(path, 1, f"{len(marks)} SPDX lines; wanted one")
    elif not re.match(r"\W*SPDX-\S+ Apache-2\.0(\s*\*/)?$|\W*SPDX-\S+ \(GPL-2\.0 OR BSD", marks[0]):
        report(path, 1, "the SPDX mark needs a line of its own")
    header = leading_comment(path)
    prose = re.sub(r"SPDX-\S+ \S+", "", header)
    if len(re.findall(r"[A-Za-z]{2,}", prose)) < HEADER_WORDS_MIN:
        report(path, 1, "does not begin with its idea in prose")
    if re.search(r"\bCopyright\b|\bAuthor:|\(c\)", header):
        report(path, 1, "no author or date in a header")


def check_guard(path):
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", read(path), re.M):
        report(path, 1, "no #pragma once")


# ---- protobuf --------------------------------------------------------------------------------------------

# Written from somebody else's field numbers; their documentation is theirs.
PROTO_FOREIGN = {"plugins/runtime-containerd/proto/cri.proto"}
PROTO_FIELD = re.compile(r"^\s*(repeated |optional )?[\w.]+ \w+ = \d+( \[[^\]]*\])?;")


def check_proto(path):
    """A field has a comment behind it, or above it or its group; a small message's own comment will do."""
    covered = in_message = False
    lines = read(path).split("\n")
    for number, line in enumerate(lines, 1):
        if re.search(r"\bmap\s*<", line.split("//")[0]):
            report(path, number, "map<> serialises in random order: use a repeated message")
        stripped = line.strip()
        if stripped.startswith("//"):
            covered = True
        elif re.match(r"(message|oneof|enum) \w+ \{", stripped):
            in_message = True
            end = next((i for i in range(number, len(lines)) if lines[i].strip() == "}"), number)
            covered = covered and end - number <= 3
        elif not stripped or stripped == "}":
            covered = False
        elif in_message and PROTO_FIELD.match(line) and "//" not in line and not covered and (
                path not in PROTO_FOREIGN):
            report(path, number, f"field without a comment: {stripped}")


# ---- the tree --------------------------------------------------------------------------------------------

def check_dead_files(paths):
    named = set()
    for path in paths:
        if path.endswith(("CMakeLists.txt", ".cmake")):
            folder = os.path.dirname(path)
            for word in re.findall(r"[\w./${}-]+\.(?:cpp|c|sh)\b", read(path)):
                word = re.sub(r"^\$\{(CMAKE_SOURCE_DIR|PROJECT_SOURCE_DIR)\}/", "/", word)
                word = re.sub(r"^\$\{CMAKE_CURRENT_(SOURCE|LIST)_DIR\}/", "", word)
                named.add(os.path.normpath(word[1:] if word.startswith("/") else os.path.join(folder, word)))
    included = {name.rsplit("/", 1)[-1] for path in paths if path.endswith(CPP) for _, _, name in includes(path)}
    for path in paths:
        if path.endswith((".cpp", ".c")) and path not in named:
            report(path, 1, "a dead file: no CMakeLists.txt names it")
        if path.endswith((".hpp", ".h")) and not path.startswith("sdk/") and path.rsplit("/", 1)[-1] not in included:
            report(path, 1, "a dead file: nobody includes it")


def anchors(text):
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def check_links(path):
    text = re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), read(path), flags=re.S | re.M)
    folder = os.path.dirname(path)
    for found in re.finditer(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = found[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        line = text.count("\n", 0, found.start()) + 1
        full = os.path.normpath(os.path.join(folder, target)) if target else path
        if not os.path.exists(os.path.join(ROOT, full)):
            report(path, line, f"a dead link: {found[1]}")
        elif anchor and full.endswith(".md") and anchor not in anchors(read(full)):
            report(path, line, f"no such heading: {found[1]}")
    for found in re.finditer(r"`((?:core|daemon|cli|sdk|plugins|tests|docs|tools|cmake)/[\w./-]*)`", text):
        if not os.path.exists(os.path.join(ROOT, found[1])):
            report(path, text.count("\n", 0, found.start()) + 1, f"there is no {found[1]}")


def check_text(path):
    text = read(path)
    for pattern, why in ANY_TEXT:
        for found in pattern.finditer(text):
            report(path, text.count("\n", 0, found.start()) + 1, f"{found[0]}: {why}")


def is_source(path):
    name = os.path.basename(path)
    return path.endswith(CPP + HASH + (".proto",)) or name == "CMakeLists.txt" or path in ("dev", ".ci/run")


def check_file(path):
    check_text(path)
    if is_source(path):
        lines = read(path).count("\n")
        if lines > FILE_LINES_MAX:
            report(path, FILE_LINES_MAX, f"a file of {lines} lines; at most {FILE_LINES_MAX}")
        # Build lists speak for themselves; their licence is the tree's.
        if os.path.basename(path) != "CMakeLists.txt" and not path.endswith(".cmake"):
            check_header(path)
    if path.endswith(CPP):
        check_guard(path)
        check_includes(path)
        check_words(path)
        check_sleeps(path)
        check_functions(path)
    if path.endswith(".proto"):
        check_proto(path)
    if path.endswith(".md"):
        check_links(path)


def check_traps(paths):
    named = set()
    for path in paths:
        if path.startswith("tests/") and path.endswith(".cpp"):
            for found in re.finditer(r"\btraps? (\d+(?:, \d+)*)", read(path)):
                named.update(int(number) for number in found[1].split(", "))
    for number in TRAPS:
        if number not in named and number not in TRAPS_WITHOUT_TEST:
            report("tests/unit", 1, f"no test names trap {number}")


def main():
    paths = tracked_files()
    for path in paths:
        if path not in ("LICENSE", "tools/tidy.py"):
            check_file(path)
    check_header("tools/tidy.py")
    check_dead_files(paths)
    check_traps(paths)
    for line in findings:
        print(line)
    print(f"tidy: {len(paths)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
