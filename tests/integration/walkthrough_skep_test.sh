#!/usr/bin/env bash
# The walkthrough, typed with skep in the place of docker.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

program=skep
command_folder=$(dirname "$SKEP")
source "$(dirname "$0")/walkthrough_body.sh"
