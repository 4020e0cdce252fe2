#!/usr/bin/env bash
# Daemons that die at any moment, the manager's too, while users go on working: see chaos.py.
# `chaos_test.sh SEED` or SKEP_SEED=SEED repeats a run's choices.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
playground_up
python3 "$(dirname "$0")/chaos.py" ${1:+--seed "$1"}
