#!/usr/bin/env python3
"""Counts tests over all runners, from the JUnit files that ctest leaves.

A Catch2 program is one test to ctest but many to a person: its own closing line is counted in its place. A
test that cannot run here ends with 77, or, inside a Catch2 program, prints a line "SKIP: reason"; both are
listed with their reason, so that nobody takes a skipped test for a passed one. The last line is the count,
and the exit code is 1 when a test failed or none ran.

  count_tests.py FILE.xml...                   prints the count
  count_tests.py --write FILE.xml NAME OUTCOME makes a file of one test, for a runner that isn't ctest

SPDX-License-Identifier: Apache-2.0
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

ALL_PASSED = re.compile(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)", re.M)
SOME_FAILED = re.compile(r"^test cases:\s*(\d+)\s*\|(.*)$", re.M)
SKIP_LINE = re.compile(r"^\s*SKIP: *(.+)$", re.M)


def catch_counts(output):
    """(passed, failed) as a Catch2 program says at its end, or None for another program."""
    if ended := ALL_PASSED.search(output):
        return int(ended[1]), 0
    if ended := SOME_FAILED.search(output):
        failed = re.search(r"(\d+) failed", ended[2])
        passed = re.search(r"(\d+) passed", ended[2])
        return int(passed[1]) if passed else 0, int(failed[1]) if failed else 0
    return None


def count_case(case):
    """(passed, failed, [reason skipped]) of one ctest test."""
    output = "".join(part.text or "" for part in case.iter("system-out"))
    reasons = SKIP_LINE.findall(output)
    status = case.get("status")
    if status in ("notrun", "disabled") or case.find("skipped") is not None:
        ran_nothing = case.find("skipped")
        why = (reasons or [ran_nothing.get("message") if ran_nothing is not None else "disabled"])[-1]
        # A program that was not built is no choice of the machine's.
        if "Unable to find executable" in output or "required files" in why.lower():
            return 0, 1, []
        return 0, 0, [why]
    counts = catch_counts(output)
    if status == "fail" or case.find("failure") is not None:
        # A crash leaves no closing line, or one that does not know of it.
        passed, failed = counts or (0, 0)
        return passed, max(failed, 1), reasons
    if counts is None:
        return (0, 0, reasons) if reasons else (1, 0, [])
    return max(counts[0] - len(reasons), 0), counts[1], reasons


def count(paths):
    passed, failed, skipped, failures = 0, 0, [], []
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            case_passed, case_failed, reasons = count_case(case)
            passed += case_passed
            failed += case_failed
            skipped += [f"{case.get('name')}: {reason}" for reason in reasons]
            if case_failed:
                runner = path.rsplit("/", 1)[-1].removesuffix(".xml")
                failures.append(f"{case.get('name')} ({runner})")
    print()
    for line in skipped:
        print(f"skipped: {line}")
    for line in failures:
        print(f"FAILED: {line}")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 0 if failed == 0 and passed > 0 else 1


def write(path, name, outcome):
    case = ElementTree.Element("testcase", name=name, status="run" if outcome == "passed" else "fail")
    suite = ElementTree.Element("testsuite")
    suite.append(case)
    ElementTree.ElementTree(suite).write(path)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        sys.exit(write(*sys.argv[2:5]))
    sys.exit(count(sys.argv[1:]))
