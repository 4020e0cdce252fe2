#!/usr/bin/env bash
# Fifty containers at once, and nodes that die with a share of them: see load.py.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
playground_up >/dev/null
python3 "$(dirname "$0")/load.py"
