// What the recording driver answers: for each operation the least that its schema allows, so that a
// client which wants more than is promised fails.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace skep::test {

struct Canned {
  std::string_view interface;
  std::string_view operation;
  std::string_view reply;
  std::string_view item = {};  // of a stream: one
};

// For what is not in the list: {}.
inline constexpr std::string_view canned_nothing = "{}";

#define DIGEST_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONTAINER                                                                       \
  R"({"id":")" DIGEST_64 R"(","spec":{"id":")" DIGEST_64                                \
  R"(","image":"i","netns":"/n","cgroup_parent":"/c","log":{"dir":"/l","max_bytes":1,)" \
  R"("max_files":1}},"image":"i","image_id":"sha256:)" DIGEST_64                        \
  R"(","state":"created","created_at":"2026-01-31T23:59:59Z",)"                         \
  R"("process":{"argv":[],"env":[],"working_dir":"/","user":"0:0"}})"
#define IMAGE                                                                 \
  R"({"id":"sha256:)" DIGEST_64                                               \
  R"(","tags":[],"digests":[],"created_at":"2026-01-31T23:59:59Z","size":1,)" \
  R"("architecture":"amd64","os":"linux","config":{},"layers":[]})"

inline constexpr Canned canned[] = {
    {"skep.base/1", "probe", R"({"state":"ready"})"},
    {"skep.runtime/1", "fingerprint", "{}", R"({"healthy":true,"name":"fake","version":""})"},
    {"skep.runtime/1", "create", R"({"handle":null,"image_id":"sha256:)" DIGEST_64 R"("})"},
    {"skep.runtime/1", "start", R"({"pid":1,"started_at":"2026-01-31T23:59:59Z"})"},
    {"skep.runtime/1", "wait",
     R"({"exit_code":0,"finished_at":"2026-01-31T23:59:59.1Z","oom_killed":false})"},
    {"skep.runtime/1", "inspect", CONTAINER},
    {"skep.runtime/1", "list", R"({"containers":[)" CONTAINER "]}"},
    {"skep.runtime/1", "events", "{}", R"({"seq":1,"type":"gap","time":"2026-01-31T23:59:59Z"})"},
    {"skep.runtime/1", "stats",
     R"({"stats":[{"id":")" DIGEST_64 R"(","memory_bytes":1,"cpu_ns":1,"pids":1}]})"},
    {"skep.runtime.exec/1", "start", R"({"pid":1})"},
    {"skep.runtime.exec/1", "wait", R"({"exit_code":0})"},
    {"skep.runtime.images/1", "pull", IMAGE,
     R"({"layer":"sha256:)" DIGEST_64 R"(","status":"Downloading","current":0,"total":1})"},
    {"skep.runtime.images/1", "inspect", IMAGE},
    {"skep.runtime.images/1", "list", R"({"images":[)" IMAGE "]}"},
    {"skep.runtime.images/1", "remove", R"({"untagged":[],"deleted":[]})"},
    {"skep.network/1", "create",
     R"({"handle":null,"subnet":"10.0.0.0/24","gateway":"10.0.0.1","mtu":1500,"device":"b0"})"},
    {"skep.network/1", "endpoint_create",
     R"({"handle":null,"address":"10.0.0.2/24","mac":"02:42:0a:00:00:02","gateway":"10.0.0.1"})"},
    {"skep.network/1", "join", R"({"interface":"eth0"})"},
    {"skep.network/1", "check", R"({"drift":[]})"},
    {"skep.network/1", "list",
     R"({"networks":[{"network":"n","subnet":"10.0.0.0/24","gateway":"10.0.0.1","device":"b0"}],)"
     R"("endpoints":[{"network":"n","endpoint":"e","address":"10.0.0.2/24",)"
     R"("mac":"02:42:0a:00:00:02"}]})"},
    {"skep.lb/1", "apply", R"({"generation":1})"},
    {"skep.lb/1", "cut", R"({"cut":0})"},
    {"skep.lb/1", "connections", R"({"connections":0})"},
    {"skep.lb/1", "dump", R"({"generation":1,"services":[]})"},
    {"skep.lb/1", "check", R"({"drift":[]})"},
    {"skep.lb/1", "stats", R"({"services":[]})"},
    {"skep.volume/1", "create", R"({"handle":null})"},
    {"skep.volume/1", "get", R"({"volume":"v","handle":null})"},
    {"skep.volume/1", "list", R"({"volumes":[{"volume":"v","handle":null}]})"},
    {"skep.volume/1", "publish", R"({"path":"/srv/v"})"},
    {"skep.volume/1", "usage", R"({"used_bytes":0})"},
    {"skep.volume/1", "mounts", R"({"mounts":[]})"},
    {"skep.volume/1", "node_info", R"({"node":"n"})"},
    {"skep.volume/1", "expand", R"({"capacity_bytes":1})"},
    {"skep.volume/1", "capacity", R"({"available_bytes":0})"},
};

}  // namespace skep::test
