#!/usr/bin/env python3
"""The guard is guarded: each way to break the contract is tried on a copy of the headers.

A case says what is changed and which opinions must refuse it; one opinion more or less is a failure, so that
an opinion that went blind is noticed although another still sees. Every copy says that it is the next minor:
what is refused is the change, not that a minor which has its block was added to (one case tries that).

SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import contextlib
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ABI = os.path.join(ROOT, "sdk", "abi")
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("check", os.path.join(ABI, "check.py"))
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

NEXT_MINOR = ("abi.h", "#define SKEP_ABI_MINOR 0", "#define SKEP_ABI_MINOR 1")
THIS_MINOR = ("abi.h", "#define SKEP_ABI_MINOR 1", "#define SKEP_ABI_MINOR 0")
LAST_OF_VOLUME = "  skep_call capacity;\n"
NONE, ALL = set(), {"lock", "coverage", "abidiff"}
LAYOUT = {"lock", "abidiff"}

# (what is done, [(header, text, its replacement)..], who refuses)
CHANGES = [
    ("nothing", [], NONE),
    ("append a function",
     [("volume.h", LAST_OF_VOLUME, LAST_OF_VOLUME + "  skep_call later;\n")], NONE),
    ("append to the host's table and to the descriptor",
     [("abi.h", "} skep_host;", "  void (*later)(const struct skep_host* host);\n} skep_host;"),
      ("abi.h", "} skep_plugin;", "  const char* later;\n} skep_plugin;")], NONE),
    ("insert in the middle",
     [("volume.h", "  skep_call usage;\n", "  skep_call later;\n  skep_call usage;\n")], LAYOUT),
    ("remove a function", [("volume.h", "  skep_call usage;\n", "")], LAYOUT),
    ("remove the last function", [("volume.h", LAST_OF_VOLUME, "")], LAYOUT),
    ("swap two functions of equal type",
     [("volume.h", "  skep_call publish;", "  skep_call zzz;"),
      ("volume.h", "  skep_call unpublish;", "  skep_call publish;"),
      ("volume.h", "  skep_call zzz;", "  skep_call unpublish;")], LAYOUT),
    ("swap two functions of different type",
     [("abi.h", "int32_t (*log_level)(const struct skep_host* host);", "ZZZ"),
      ("abi.h", "int64_t (*deadline_ms)(const struct skep_host* host, skep_op* op);",
       "int32_t (*log_level)(const struct skep_host* host);"),
      ("abi.h", "ZZZ", "int64_t (*deadline_ms)(const struct skep_host* host, skep_op* op);")], LAYOUT),
    ("swap two fields",
     [("abi.h", "  const char* vendor;", "  const char* zzz;"),
      ("abi.h", "  const char* interfaces;", "  const char* vendor;"),
      ("abi.h", "  const char* zzz;", "  const char* interfaces;")], LAYOUT),
    ("rename a field", [("abi.h", "  const char* vendor;", "  const char* maker;")], LAYOUT),
    ("add a parameter to the host's function",
     [("abi.h", "(*cancelled)(const struct skep_host* host, skep_op* op)",
       "(*cancelled)(const struct skep_host* host, skep_op* op, int32_t how)")], LAYOUT),
    ("add a parameter to every operation",
     [("abi.h", "(*skep_call)(void* self, skep_op* op, skep_str request)",
       "(*skep_call)(void* self, skep_op* op, skep_str request, skep_str more)")], LAYOUT),
    ("change what a function returns",
     [("abi.h", "void (*destroy)(void* self)", "int32_t (*destroy)(void* self)")], LAYOUT),
    ("change a parameter's sign",
     [("abi.h", "(*set)(const struct skep_host* host, skep_str name, int64_t value)",
       "(*set)(const struct skep_host* host, skep_str name, uint64_t value)")], LAYOUT),
    ("widen a field", [("abi.h", "  uint32_t host_minor_needed;", "  uint64_t host_minor_needed;")], LAYOUT),
    ("widen the status", [("abi.h", "typedef int32_t skep_status", "typedef int64_t skep_status")], LAYOUT),
    ("make a pointer a number of the same width", [("abi.h", "  void* ctx;", "  uint64_t ctx;")], LAYOUT),
    ("append to a struct that is passed by value",
     [("abi.h", "} skep_str;", "  size_t capacity;\n} skep_str;")], LAYOUT),
    ("append to the note", [("abi.h", "  char desc[SKEP_NOTE_DESC_SIZE];", "  char desc[SKEP_NOTE_DESC_SIZE];\n"
                             "  uint32_t later;")], LAYOUT),
    ("shrink the note", [("abi.h", "#define SKEP_NOTE_DESC_SIZE 256", "#define SKEP_NOTE_DESC_SIZE 128")], LAYOUT),
    ("change an error code", [("abi.h", "#define SKEP_E_BUSY (-4)", "#define SKEP_E_BUSY (-14)")], LAYOUT),
    ("exchange two error codes",
     [("abi.h", "#define SKEP_E_BUSY (-4)", "#define SKEP_E_BUSY (-5)"),
      ("abi.h", "#define SKEP_E_UNAVAILABLE (-5)", "#define SKEP_E_UNAVAILABLE (-4)")], LAYOUT),
    ("shrink a limit", [("abi.h", "#define SKEP_ID_MAX 128u", "#define SKEP_ID_MAX 64u")], LAYOUT),
    ("raise a limit", [("abi.h", "#define SKEP_ERROR_MAX (8u << 10)", "#define SKEP_ERROR_MAX (16u << 10)")], LAYOUT),
    ("give a flag another bit",
     [("abi.h", "#define SKEP_PLUGIN_PROCESS_ONLY 2u", "#define SKEP_PLUGIN_PROCESS_ONLY 4u")], LAYOUT),
    ("give an interface another name",
     [("volume.h", '#define SKEP_VOLUME_1 "skep.volume/1"', '#define SKEP_VOLUME_1 "skep.volume/2"')], {"lock"}),
    ("raise the major", [("abi.h", "#define SKEP_ABI_MAJOR 1", "#define SKEP_ABI_MAJOR 2")], LAYOUT),
    ("remove a constant", [("abi.h", "#define SKEP_LOG_WARNING 2\n", "")], ALL),
    ("a new constant that nobody locked",
     [("abi.h", "#define SKEP_PENDING 1", "#define SKEP_E_LATER (-14)\n#define SKEP_PENDING 1")], {"coverage"}),
    ("a new struct that the probe does not name",
     [("volume.h", "typedef struct skep_volume_1 {",
       "typedef struct skep_later {\n  uint32_t struct_size;\n} skep_later;\ntypedef struct skep_volume_1 {")],
     {"coverage"}),
    ("append without a new minor",
     [("volume.h", LAST_OF_VOLUME, LAST_OF_VOLUME + "  skep_call later;\n"), THIS_MINOR],
     {"coverage"}),
]


def opinions(include, locks=ABI):
    """{opinion: (accepted, reason)}"""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(io.StringIO()):
        code = check.check_headers(include, locks)
    found = {}
    for line in told.getvalue().strip().split("\n"):
        name, verdict, reason = line.split(": ", 2)
        found[name] = (verdict == "accepted", reason)
    assert set(found) == ALL, told.getvalue()
    assert code == (0 if all(accepted for accepted, _ in found.values()) else 1)
    return found


class Copy:
    """A changed copy of the headers."""

    def __init__(self, edits):
        self.folder = tempfile.TemporaryDirectory()
        shutil.copytree(os.path.join(ROOT, "sdk", "include", "skep"), os.path.join(self.folder.name, "skep"))
        for header, text, replacement in edits:
            path = os.path.join(self.folder.name, "skep", header)
            with open(path, encoding="utf-8") as file:
                content = file.read()
            assert content.count(text) == 1, f"{text!r} is {content.count(text)} times in {header}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(content.replace(text, replacement))

    def __enter__(self):
        return self.folder.name

    def __exit__(self, *reason):
        self.folder.cleanup()


def opinions_about(edits):
    with Copy([NEXT_MINOR, *edits]) as include:
        return opinions(include)


class Headers(unittest.TestCase):
    def test_each_change_is_refused_by_those_who_see_it(self):
        with concurrent.futures.ProcessPoolExecutor() as workers:
            tried = list(workers.map(opinions_about, [edits for _, edits, _ in CHANGES]))
        for (name, _, wanted), found in zip(CHANGES, tried):
            with self.subTest(name):
                refusing = {opinion for opinion, (accepted, _) in found.items() if not accepted}
                print(f"{name}: " + (f"refused by {', '.join(sorted(refusing))}" if refusing else "accepted"))
                self.assertEqual(refusing, wanted, found)

    def test_a_probe_without_debug_information_is_no_proof(self):
        with tempfile.TemporaryDirectory() as folder:
            wrapper = os.path.join(folder, "cc")
            with open(wrapper, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\nexec {check.compiler()} "$@" -g0\n')
            os.chmod(wrapper, 0o755)
            before = os.environ.get("CC")
            os.environ["CC"] = wrapper
            try:
                accepted, reason = opinions(check.INCLUDE)["abidiff"]
            finally:
                del os.environ["CC"]
                if before is not None:
                    os.environ["CC"] = before
        self.assertFalse(accepted)
        self.assertIn("not in the debug information", reason)

    def test_a_released_block_can_not_be_edited(self):
        with tempfile.TemporaryDirectory() as locks:
            path = os.path.join(locks, "lock_1_0.c")
            shutil.copy(os.path.join(ABI, "lock_1_0.c"), path)
            with open(path, "rb") as file:
                check.RELEASED["lock_1_0.c"] = hashlib.sha256(file.read()).hexdigest()
            try:
                self.assertTrue(opinions(check.INCLUDE, locks)["lock"][0])
                with open(path, "a", encoding="utf-8") as file:
                    file.write("\n")
                accepted, reason = opinions(check.INCLUDE, locks)["lock"]
            finally:
                check.RELEASED.clear()
        self.assertFalse(accepted)
        self.assertIn("edited after its release", reason)

    def test_a_folder_without_blocks_is_no_proof(self):
        with tempfile.TemporaryDirectory() as locks:
            self.assertFalse(opinions(check.INCLUDE, locks)["lock"][0])


DRIVER = """
#include <stddef.h>
#include "skep/abi.h"
%s
SKEP_EXPORT const skep_plugin* skep_plugin_query(void) { return NULL; }
"""
NOTE = 'SKEP_DECLARE_NOTE("example", "1", "skep.base/1");'


class Binaries(unittest.TestCase):
    def verdict(self, source):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "driver.so")
            subprocess.run([check.compiler(), "-shared", "-fPIC", "-fvisibility=hidden", "-I", check.INCLUDE, "-x", "c",
                            "-", "-o", path], input=DRIVER % source, text=True, check=True)
            told = io.StringIO()
            with contextlib.redirect_stdout(told):
                code = check.check_binaries([path])
            return code, told.getvalue()

    def test_a_good_driver_passes(self):
        self.assertEqual(self.verdict(NOTE)[0], 0)

    def test_a_second_exported_symbol_is_refused(self):
        code, told = self.verdict(NOTE + " SKEP_EXPORT void more(void) {}")
        self.assertEqual(code, 1)
        self.assertIn("exports 2 symbols", told)

    def test_a_unique_symbol_is_refused(self):
        code, told = self.verdict(NOTE + ' __asm__(".data\\n.globl shared\\n.type shared, @gnu_unique_object\\n'
                                         '.size shared, 4\\nshared: .long 0\\n.text\\n");')
        self.assertEqual(code, 1)
        self.assertIn("shared is unique", told)

    def test_a_driver_without_a_note_is_refused(self):
        code, told = self.verdict("")
        self.assertEqual(code, 1)
        self.assertIn("no note", told)

    def test_no_driver_at_all_is_no_proof(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(check.check_binaries([folder]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=1)
