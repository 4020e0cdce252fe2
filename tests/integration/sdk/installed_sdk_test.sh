#!/usr/bin/env bash
# The SDK as its users have it: installed, moved, and everything it ships built against it, by two compilers.
#
# Every example, and what `skep plugin new` makes of it, must build without a warning, export one symbol and pass
# the installed conformance kit.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
build=${SKEP_BUILD:-$tree/out/build}

fail() { echo "FAIL: $*" >&2; exit 1; }

# A driver is refused where others may write; a folder of mktemp is our own.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

cmake --install "$build" --prefix "$work/elsewhere" --component sdk >"$work/install.log" ||
  { cat "$work/install.log" >&2; fail "the SDK can't be installed"; }
mv "$work/elsewhere" "$work/sdk"
! grep -rIl -e "$tree" -e "$work/elsewhere" "$work/sdk/lib" "$work/sdk/include" "$work/sdk/share" ||
  fail "these files know where they were built"
export CMAKE_PREFIX_PATH=$work/sdk PATH=$work/sdk/bin:$PATH

mkdir "$work/built"
gcc=gcc:g++ clang=clang-16:clang++-16
if type -P ccache >/dev/null; then
  # The folder has another name each time; what is compiled in it is the same.
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
fi

# compile FOLDER COMPILERS...: with each of them, and what it says must be nothing.
compile() {
  local folder=$1 compiler cc cxx
  shift
  for compiler in "$@"; do
    cc=${compiler%:*} cxx=${compiler#*:}
    (cd "$folder" && rm -rf build && CC=$cc CXX=$cxx CFLAGS=-Werror CXXFLAGS=-Werror \
      cmake --workflow --preset driver) >"$work/build.log" 2>&1 ||
      { cat "$work/build.log" >&2; fail "${folder##*/} does not build with $cxx"; }
    ! grep -i warning "$work/build.log" || fail "${folder##*/} builds with warnings with $cxx"
    local file=$folder/build/${folder##*/}.so symbols
    symbols=$(nm -D --defined-only "$file" | awk '{ print $3 }')
    [[ $symbols == skep_plugin_query ]] || fail "$file exports $symbols"
    ctest --test-dir "$folder/build" -N | grep -F "${folder##*/}.conformance" >/dev/null ||
      fail "${folder##*/} has no test"
    cp "$file" "$work/built/${folder##*/}-$cc.so"
    echo "built with $cxx: ${folder##*/}"
  done
}

cd "$work"
# By one compiler under the name that skep plugin new gave it, by the other as the example it comes from.
for pair in volume-dir:volume:cpp volume-dir-c:volume:c lb-null:lb:cpp lb-null-c:lb:c net-ip:network:cpp; do
  IFS=: read -r example kind language <<<"$pair"
  skep plugin new "$kind" "my-$example" --lang "$language"
  cp -r "$work/sdk/share/skep-sdk/examples/$example" "$work/$example"
  [[ $(cd "my-$example" && find . -type f | sort) == $(cd "$example" && find . -type f | sort) ]] ||
    fail "skep plugin new lays down other files than the example $example has"
  ! grep -r "@name@" "my-$example" || fail "a placeholder is left in my-$example"
  compile "$work/my-$example" "$gcc"
  compile "$work/$example" "$clang"
done
[[ $(ls "$work/sdk/share/skep-sdk/examples" | wc -l) == 5 ]] || fail "an example is not tested here"

# Most of the kit's time is waiting, so several run at once.
kit() {
  local log=$1.log
  local alone=()
  # What a network driver makes must not be the machine's.
  [[ $1 != *net-ip* ]] || alone=(unshare -n)
  "${alone[@]}" skep-plugin-test "$1" >"$log" 2>&1 && echo "the kit accepts ${1##*/}: $(tail -n 1 "$log")" && return
  cat "$log" >&2
  return 1
}
export -f kit
printf '%s\0' "$work"/built/*.so | xargs -0 -n 1 -P 4 bash -c 'kit "$1"' kit ||
  fail "the conformance kit refuses what the SDK ships"

# A network driver takes away what nobody names, if it is its own: not what only has a name like it.
strangers() {
  ip link add bridge0 type bridge
  ip link add prt0 type bridge
  printf '%s\n' 'create {"network": "n", "name": "n"}' 'restore_done {"ids": []}' 'remove {"network": "n"}' |
    skep plugin run "$1" >"$1.run" 2>&1 || { cat "$1.run" >&2; return 1; }
  [[ $(ip -o link show type bridge | awk -F': ' '{ print $2 }' | xargs) == "bridge0 prt0" ]]
}
export -f strangers
for file in "$work"/built/*net-ip*.so; do
  unshare -n bash -euc 'strangers "$1"' strangers "$file" || fail "${file##*/} takes away what is not its own"
done

# Another version is refused, by its number.
mkdir "$work/newer"
cat >"$work/newer/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(newer LANGUAGES C)
find_package(skep-sdk 99 REQUIRED)
TEXT
if cmake -S "$work/newer" -B "$work/newer/build" >"$work/newer.log" 2>&1; then
  fail "version 99 of the SDK was found"
fi
grep -q 'compatible with requested version "99"' "$work/newer.log" ||
  { cat "$work/newer.log" >&2; fail "the refusal of version 99 does not name it"; }
echo "the SDK builds all it ships"
