#!/usr/bin/env python3
"""Runs the commands of a guide, exactly as they stand in its text, and compares what they print.

A block fenced as ```console is one part of a single session of bash. A line that begins with "$ " is a
command, with the lines it goes on for (a backslash at the end, a here-document); the lines below it, if
there are any, are its output. In those, a line "..." stands for any number of lines, and "..." inside a
line for any text. A command has to succeed; the last one of a block marked `fails` must not.

Words behind `console` choose blocks: of `c` and `cpp`, of `gcc` and `clang`, those that --with does not name
are left out. `eventually` repeats the block's last command until it prints what is shown.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import time

CHOICES = {"c", "cpp", "gcc", "clang"}
MARKS = CHOICES | {"eventually", "fails"}
EVENTUALLY_S = 90
COMMAND_S = 300


class GuideError(Exception):
    """What the guide promised and the machine did not do."""


class Block:
    def __init__(self, line, marks):
        self.line, self.marks, self.steps = line, marks, []


class Step:
    def __init__(self, line, command):
        self.line, self.command, self.output = line, command, []


def here_document_end(command):
    found = re.search(r"<<-?\s*(['\"]?)(\w+)\1", command)
    return found[2] if found else None


def parse_steps(block, lines):
    """Splits the lines of a block, numbered, into commands and their outputs."""
    at = 0
    while at < len(lines):
        number, text = lines[at]
        at += 1
        if not text.startswith("$ "):
            if not block.steps:
                raise GuideError(f"line {number}: output without a command")
            block.steps[-1].output.append(text)
            continue
        command = text[2:]
        end = here_document_end(command)
        while at < len(lines) and (end or command.endswith("\\")):
            command += "\n" + lines[at][1]
            at += 1
            if end and lines[at - 1][1] == end:
                break
        block.steps.append(Step(number, command))


def parse_guide(text):
    blocks, block, lines = [], None, []
    for number, line in enumerate(text.split("\n"), 1):
        fence = re.match(r"```(.*)$", line)
        if fence and block is None:
            words = fence[1].split()
            marks = set(words[1:])
            if not marks <= MARKS:
                raise GuideError(f"line {number}: unknown mark {' '.join(marks - MARKS)}")
            block, lines = Block(number, marks if words[:1] == ["console"] else None), []
        elif fence:
            if block.marks is not None:
                parse_steps(block, lines)
                blocks.append(block)
            block = None
        elif block is not None:
            lines.append((number, line))
    return blocks


def matches(wanted, got):
    """Whether the lines that were printed are those that were promised."""
    if not wanted:
        return not got
    if wanted[0].strip() == "...":
        return any(matches(wanted[1:], got[skipped:]) for skipped in range(len(got) + 1))
    if not got:
        return False
    pattern = ".*?".join(re.escape(part) for part in wanted[0].rstrip().split("..."))
    return re.fullmatch(pattern, got[0].rstrip()) is not None and matches(wanted[1:], got[1:])


class Session:
    """One bash, fed with one command after another."""

    def __init__(self, environment, folder):
        self.shell = subprocess.Popen(["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, env=environment, cwd=folder, text=True,
                                      errors="replace")
        self.count = 0

    def run(self, command):
        """(exit code, lines printed)"""
        self.count += 1
        mark = f"@@end of command {self.count}@@"
        # Its input is nothing, or the command would read the session's next ones.
        self.shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n%s %s\\n' '{mark}' $?\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line.startswith(mark):
                # The newline in front of the mark is ours.
                return int(line.split()[-1]), "".join(lines)[:-1].rstrip("\n").split("\n") if lines else []
            lines.append(line)
        raise GuideError(f"the session ended in: {command}\n" + "".join(lines))

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(timeout=COMMAND_S)


def overdue(*_):
    raise GuideError("a command did not end in time")


def shown(lines):
    return "\n".join("    " + line for line in lines)


def check(step, session, has_to_fail, patience_s):
    deadline = time.monotonic() + patience_s
    while True:
        signal.alarm(COMMAND_S)
        code, lines = session.run(step.command)
        signal.alarm(0)
        lines = lines if lines != [""] else []
        problem = None
        if (code != 0) != has_to_fail:
            problem = f"ended with {code}"
        elif step.output and not matches(step.output, lines):
            problem = "printed something else than the guide shows:\n" + shown(step.output) + "\n  but:"
        if not problem:
            return
        if time.monotonic() > deadline:
            raise GuideError(f"line {step.line}: `{step.command}` {problem}\n{shown(lines)}")
        time.sleep(0.2)


def run_block(block, session, verbose):
    for step in block.steps:
        last = step is block.steps[-1]
        if verbose:
            print(f"{step.line}: {step.command}", flush=True)
        check(step, session, last and "fails" in block.marks, EVENTUALLY_S if last and "eventually" in block.marks else 0)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("guide")
    options.add_argument("--with", dest="chosen", action="append", default=[], choices=sorted(CHOICES))
    options.add_argument("--folder", required=True, help="where the session begins; also its HOME")
    options.add_argument("--verbose", action="store_true")
    given = options.parse_args()
    with open(given.guide, encoding="utf-8") as file:
        blocks = parse_guide(file.read())
    chosen = [block for block in blocks if block.marks & CHOICES <= set(given.chosen)]
    environment = dict(os.environ, HOME=given.folder, LC_ALL="C.UTF-8")
    signal.signal(signal.SIGALRM, overdue)
    session = Session(environment, given.folder)
    try:
        for block in chosen:
            run_block(block, session, given.verbose)
    except GuideError:
        session.shell.kill()
        raise
    session.close()
    steps = sum(len(block.steps) for block in chosen)
    print(f"{os.path.basename(given.guide)}, {' and '.join(given.chosen)}: {steps} commands did what is written")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GuideError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
