// What can be done to a node from outside: boot, crash, pause, look at its processes, run one in
// it.
//
// A node has no record of its own state. It is up when its init process is in /proc; its containerd
// and skepd run when init has such children. So a crash of the playground's own command loses
// nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/playground/layout.hpp"
#include "cli/playground/process.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

struct LabelledProcess {
  std::string label;  // init, containerd, skepd, shim:ID, container:ID, or process:NAME
  Process process;
};

struct StartOptions {
  bool with_skepd = true;
};

std::optional<Process> find_init(const Layout& layout, const Node& node);

// Every process of the node, init first; empty when it is down.
std::vector<LabelledProcess> node_processes(const Layout& layout, const Node& node);

// The process with this label, if it runs.
std::optional<Process> find_labelled(const Layout& layout, const Node& node,
                                     std::string_view label);

// Brings a node to "link up, init running"; a node without init first loses its stale cgroups.
Status boot_node(const Layout& layout, const Node& node);

// Starts what is missing and waits until it answers; on failure the end of its log goes to stderr.
Status start_containerd(const Node& node);
Status start_skepd(const Node& node);

// The power cut: silence on the wire first, then the death of all, then the namespace.
Status crash_node(const Layout& layout, const Node& node);

Status kill_skepd(const Layout& layout, const Node& node);
Status pause_node(const Layout& layout, const Node& node);
Status resume_node(const Layout& layout, const Node& node);

// Runs a program inside the node with the caller's terminal; the value is its exit code.
Result<int> run_in_node(const Layout& layout, const Node& node,
                        const std::vector<std::string>& arguments);

}  // namespace skep::cli::playground
