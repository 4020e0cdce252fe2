#!/usr/bin/env bash
# The guide to drivers does what it says: its commands, run outside the tree against an installed SDK, in C and
# C++, with gcc and clang, from an empty folder to a driver that serves containers and is killed.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in cmake ninja python3 readelf patch gcc g++ clang-16 clang++-16; do
  command -v $tool >/dev/null || skip "$tool is not installed"
done
((EUID == 0)) || skip "the playground needs root"

guide=$tree/docs/drivers/README.md
# Not in /tmp alone: its name becomes part of socket paths, which are short.
scratch=$(mktemp -d /var/tmp/guide-XXXXXX)
# As the guide has it.
export SKEP_PLAYGROUND_DIR=/var/tmp/my-playground
trap 'playground down >&2; rm -rf "$scratch"' EXIT
playground down >/dev/null

# The first command is the only one that is given in the tree.
get_sdk=$(sed -n '/^## 1\./,/^## 2\./ { /^```sh$/,/^```$/ { /^```/!p } }' "$guide")
[[ $get_sdk == './dev sdk '* ]] || fail "section 1 of the guide begins with \"$get_sdk\""
(cd "$tree" && HOME=$scratch bash -c "$get_sdk") >"$scratch/sdk.log" 2>&1 ||
  fail "the SDK can't be had: $(tail -5 "$scratch/sdk.log")"
follow() {
  env -u CC -u CXX -u CMAKE_PREFIX_PATH -u DOCKER_HOST -u SKEP_HOST -u SKEP_PLAYGROUND_DIR \
    python3 "$tree/tests/integration/driver_guide.py" "$guide" "$@"
}
for compiler in gcc clang; do
  for language in c cpp; do
    home=$scratch/$compiler-$language
    mkdir "$home"
    ln -s ../skep-sdk "$home/skep-sdk"
    began=$SECONDS
    follow --folder "$home" --with $compiler --with $language || fail "the guide, $compiler and $language"
    echo "  in $((SECONDS - began)) s"
    # Every program has pieces of gcc's in it; clang says its name too.
    by=gcc
    if grep -q 'clang version' <<<"$(readelf -p .comment "$home/my-disk/build/my-disk.so")"; then by=clang; fi
    [[ $by == "$compiler" ]] || fail "built with $by, wanted $compiler"
  done
done
echo "driver guide: ok"
