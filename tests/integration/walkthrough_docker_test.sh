#!/usr/bin/env bash
# The walkthrough, typed with the stock docker command: the machine's own, or the distribution's, unpacked.
#
# Only the command is fetched; no docker daemon is installed or started.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

program=docker
command_folder=$(dirname "$(command -v docker || echo none/docker)")
if [[ $command_folder == none ]]; then
  fetched=$tree/out/docker-cli
  mkdir -p "$fetched"
  if [[ ! -x $fetched/usr/bin/docker ]]; then
    (cd "$fetched" && apt-get download docker.io >/dev/null 2>&1 && dpkg -x docker.io_*.deb .) ||
      skip "there is no docker command, and its package can't be fetched"
  fi
  command_folder=$fetched/usr/bin
fi
source "$(dirname "$0")/walkthrough_body.sh"
