// Docker's defaults as data, and the few rules that combine them with the request. cgroup v1 hosts
// get the host's cgroup namespace and v2 hosts a private one, as with Docker; seccomp is not set.
// What is deliberately absent: nothing here looks at the network, the host's namespace path is
// taken as it is.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/oci_spec.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "runtime-containerd/cgroup.hpp"

namespace skep::containerd {

using sdk::Failure;
using sdk::json;

namespace {

constexpr int64_t cpu_period_us = 100'000;
constexpr uint64_t open_files_max = 1'048'576;
constexpr const char* default_path =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

constexpr const char* all_capabilities[] = {"CHOWN",
                                            "DAC_OVERRIDE",
                                            "DAC_READ_SEARCH",
                                            "FOWNER",
                                            "FSETID",
                                            "KILL",
                                            "SETGID",
                                            "SETUID",
                                            "SETPCAP",
                                            "LINUX_IMMUTABLE",
                                            "NET_BIND_SERVICE",
                                            "NET_BROADCAST",
                                            "NET_ADMIN",
                                            "NET_RAW",
                                            "IPC_LOCK",
                                            "IPC_OWNER",
                                            "SYS_MODULE",
                                            "SYS_RAWIO",
                                            "SYS_CHROOT",
                                            "SYS_PTRACE",
                                            "SYS_PACCT",
                                            "SYS_ADMIN",
                                            "SYS_BOOT",
                                            "SYS_NICE",
                                            "SYS_RESOURCE",
                                            "SYS_TIME",
                                            "SYS_TTY_CONFIG",
                                            "MKNOD",
                                            "LEASE",
                                            "AUDIT_WRITE",
                                            "AUDIT_CONTROL",
                                            "SETFCAP",
                                            "MAC_OVERRIDE",
                                            "MAC_ADMIN",
                                            "SYSLOG",
                                            "WAKE_ALARM",
                                            "BLOCK_SUSPEND",
                                            "AUDIT_READ",
                                            "PERFMON",
                                            "BPF",
                                            "CHECKPOINT_RESTORE"};
constexpr const char* default_capabilities[] = {
    "CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
    "MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
    "SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
    "KILL",    "AUDIT_WRITE"};

std::string capability_name(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text.starts_with("CAP_") || text == "ALL" ? text : "CAP_" + text;
}

std::set<std::string> known_capabilities() {
  std::set<std::string> known;
  for (const char* name : all_capabilities) known.insert(capability_name(name));
  return known;
}

std::set<std::string> capabilities(const json& request) {
  const std::set<std::string> known = known_capabilities();
  if (request.value("privileged", false)) return known;
  std::set<std::string> chosen;
  for (const char* name : default_capabilities) chosen.insert(capability_name(name));
  const auto check = [&](const std::string& name) {
    if (name == "ALL" || known.contains(name)) return name;
    throw Failure(SKEP_E_INVALID, "unknown capability: " + name);
  };
  std::vector<std::string> added;
  std::vector<std::string> dropped;
  for (const std::string& text : text_list(request, "cap_add")) {
    added.push_back(check(capability_name(text)));
  }
  for (const std::string& text : text_list(request, "cap_drop")) {
    dropped.push_back(check(capability_name(text)));
  }
  // ALL first, on both sides, so that "drop ALL, add X" leaves X and "add ALL, drop X" all but X.
  if (std::find(added.begin(), added.end(), "ALL") != added.end()) chosen = known;
  if (std::find(dropped.begin(), dropped.end(), "ALL") != dropped.end()) chosen.clear();
  for (const std::string& name : added) {
    if (name != "ALL") chosen.insert(name);
  }
  for (const std::string& name : dropped) chosen.erase(name);
  return chosen;
}

// Only root keeps them over exec; others may still gain them through files, hence the bounding set.
json capability_sets(const std::set<std::string>& names, uint32_t uid) {
  json sets = {{"bounding", names}};
  if (uid == 0) {
    sets["effective"] = names;
    sets["permitted"] = names;
  }
  return sets;
}

// "K=V" lists, a later one of the same name replacing an earlier one in its place.
void merge_env(std::vector<std::string>& env, const std::vector<std::string>& more) {
  for (const std::string& item : more) {
    const std::string name = item.substr(0, item.find('='));
    const auto same = std::find_if(env.begin(), env.end(), [&](const std::string& old) {
      return old.substr(0, old.find('=')) == name;
    });
    if (same != env.end()) {
      *same = item;
    } else {
      env.push_back(item);
    }
  }
}

std::vector<std::string> arguments(const json& request, const json& image) {
  std::vector<std::string> argv = text_list(request, "command");
  std::vector<std::string> tail = text_list(request, "args");
  if (argv.empty()) {
    argv = text_list(image, "Entrypoint");
    if (tail.empty()) tail = text_list(image, "Cmd");
  }
  argv.insert(argv.end(), tail.begin(), tail.end());
  if (argv.empty()) throw Failure(SKEP_E_INVALID, "No command specified");
  return argv;
}

// Docker's default, or what this machine lets us hand on when that is less: a limit above our own
// is refused to runc where the right to raise limits is missing.
uint64_t open_files_limit() {
  rlimit own{};
  if (getrlimit(RLIMIT_NOFILE, &own) != 0) return open_files_max;
  return std::min<uint64_t>(open_files_max, own.rlim_max);
}

json user_member(const User& user) {
  json member = {{"uid", user.uid}, {"gid", user.gid}};
  if (!user.groups.empty()) member["additionalGids"] = user.groups;
  return member;
}

json limits(const json& request) {
  json list = json::array();
  std::set<std::string> seen;
  for (const json& limit : request.value("ulimits", json::array())) {
    std::string name = limit.at("name").get<std::string>();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (!name.starts_with("RLIMIT_")) name.insert(0, "RLIMIT_");
    // -1 is "unlimited" for Docker, and the largest number for runc.
    const auto value = [&](const char* member) {
      return static_cast<uint64_t>(limit.at(member).get<int64_t>());
    };
    seen.insert(name);
    list.push_back({{"type", name}, {"soft", value("soft")}, {"hard", value("hard")}});
  }
  if (!seen.contains("RLIMIT_NOFILE")) {
    const uint64_t files = open_files_limit();
    list.push_back({{"type", "RLIMIT_NOFILE"}, {"soft", files}, {"hard", files}});
  }
  return list;
}

json process_member(const json& request, const json& image, const User& user) {
  const bool tty = request.value("tty", false);
  std::vector<std::string> env = {default_path};
  if (const std::string host = request.value("hostname", std::string()); !host.empty()) {
    env.push_back("HOSTNAME=" + host);
  }
  if (tty) env.emplace_back("TERM=xterm");
  merge_env(env, text_list(image, "Env"));
  merge_env(env, text_list(request, "env"));
  std::string directory = request.value("working_dir", std::string());
  if (directory.empty()) directory = image.value("WorkingDir", std::string());
  if (directory.empty()) directory = "/";
  if (!directory.starts_with('/')) {
    throw Failure(SKEP_E_INVALID, "the working directory '" + directory + "' is not absolute");
  }
  json process = {{"terminal", tty},
                  {"user", user_member(user)},
                  {"args", arguments(request, image)},
                  {"env", env},
                  {"cwd", directory},
                  {"capabilities", capability_sets(capabilities(request), user.uid)},
                  {"rlimits", limits(request)},
                  {"noNewPrivileges", false}};
  if (request.contains("oom_score_adj")) process["oomScoreAdj"] = request.at("oom_score_adj");
  return process;
}

// "mode=1770"
std::string octal_mode(int64_t bits) {
  std::ostringstream text;
  text << "mode=" << std::oct << bits;
  return text.str();
}

json user_mount(const json& mount) {
  const std::string type = mount.value("type", std::string("bind"));
  const std::string target = mount.at("target").get<std::string>();
  const std::string mode = mount.value("read_only", false) ? "ro" : "rw";
  if (!target.starts_with('/')) {
    throw Failure(SKEP_E_INVALID, "the mount target '" + target + "' is not absolute");
  }
  if (type == "bind") {
    return {{"destination", target},
            {"type", "bind"},
            {"source", mount.at("source")},
            {"options", {"rbind", "rprivate", mode}}};
  }
  if (type == "tmpfs") {
    json options = {"noexec", "nosuid", "nodev", mode};
    if (const int64_t bytes = mount.value("size_bytes", int64_t{0}); bytes > 0) {
      options.push_back("size=" + std::to_string(bytes));
    }
    if (const int64_t bits = mount.value("mode", int64_t{0}); bits > 0) {
      options.push_back(octal_mode(bits));
    }
    return {{"destination", target},
            {"type", "tmpfs"},
            {"source", "tmpfs"},
            {"options", std::move(options)}};
  }
  throw Failure(SKEP_E_UNIMPLEMENTED, "mounts of type '" + type + "' are not supported");
}

json mounts(const json& request) {
  const char* const mode = request.value("privileged", false) ? "rw" : "ro";
  const auto mount = [](const char* target, const char* type, const char* source,
                        std::vector<std::string> options) {
    return json{{"destination", target},
                {"type", type},
                {"source", source},
                {"options", std::move(options)}};
  };
  json list = {
      mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      mount("/dev/pts", "devpts", "devpts",
            {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", mode}),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", mode}),
      mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
  };
  for (const json& extra : request.value("mounts", json::array())) {
    json wanted = user_mount(extra);
    // A mount of the user's on one of ours replaces it.
    for (auto it = list.begin(); it != list.end();) {
      it = (*it)["destination"] == wanted["destination"] ? list.erase(it) : it + 1;
    }
    list.push_back(std::move(wanted));
  }
  return list;
}

json device_rules(bool privileged) {
  if (privileged) return {{{"allow", true}, {"access", "rwm"}}};
  const auto allow = [](const char* type, int major, int minor, const char* access) {
    json rule = {{"allow", true}, {"type", type}, {"access", access}};
    if (major >= 0) rule["major"] = major;
    if (minor >= 0) rule["minor"] = minor;
    return rule;
  };
  return {
      {{"allow", false}, {"access", "rwm"}},
      allow("c", -1, -1, "m"),  // making any node is harmless without the right to open it
      allow("b", -1, -1, "m"),
      allow("c", 1, 5, "rwm"),     // zero
      allow("c", 1, 3, "rwm"),     // null
      allow("c", 1, 8, "rwm"),     // random
      allow("c", 1, 9, "rwm"),     // urandom
      allow("c", 1, 7, "rwm"),     // full
      allow("c", 5, 0, "rwm"),     // tty
      allow("c", 5, 1, "rwm"),     // console
      allow("c", 5, 2, "rwm"),     // ptmx
      allow("c", 136, -1, "rwm"),  // pts
      allow("c", 10, 200, "rwm"),  // net/tun, which also needs NET_ADMIN
  };
}

json resources(const json& request) {
  json out = {{"devices", device_rules(request.value("privileged", false))}};
  const json wanted = request.value("resources", json::object());
  if (const int64_t cpus = wanted.value("nano_cpus", int64_t{0}); cpus > 0) {
    const int64_t quota_us = std::max<int64_t>(cpus / (1'000'000'000 / cpu_period_us), 1000);
    out["cpu"] = {{"period", cpu_period_us}, {"quota", quota_us}};
  }
  if (const int64_t bytes = wanted.value("memory_bytes", int64_t{0}); bytes > 0) {
    out["memory"] = {{"limit", bytes}};
  }
  if (const int64_t pids = wanted.value("pids", int64_t{0}); pids > 0) {
    out["pids"] = {{"limit", pids}};
  }
  return out;
}

json linux_member(const json& request) {
  json namespaces = {{{"type", "pid"}}, {{"type", "ipc"}}, {{"type", "uts"}}, {{"type", "mount"}}};
  json network = {{"type", "network"}};
  if (const std::string path = request.value("netns", std::string()); !path.empty()) {
    network["path"] = path;
  }
  namespaces.push_back(network);
  if (is_unified()) namespaces.push_back({{"type", "cgroup"}});

  // A container's own port rules are its own business: any user in it may bind any port, and ping.
  json sysctl = {{"net.ipv4.ip_unprivileged_port_start", "0"},
                 {"net.ipv4.ping_group_range", "0 2147483647"}};
  sysctl.update(request.value("sysctls", json::object()));

  json member = {{"namespaces", namespaces},
                 {"sysctl", sysctl},
                 {"resources", resources(request)},
                 {"cgroupsPath", request.value("cgroup_parent", std::string("/skep")) + "/" +
                                     request.at("id").get<std::string>()}};
  if (!request.value("privileged", false)) {
    member["maskedPaths"] = {"/proc/asound",      "/proc/acpi",          "/proc/kcore",
                             "/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
                             "/proc/timer_stats", "/proc/sched_debug",   "/proc/scsi",
                             "/sys/firmware"};
    member["readonlyPaths"] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                               "/proc/sysrq-trigger"};
  }
  return member;
}

}  // namespace

std::vector<std::string> text_list(const json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end() || found->is_null()) return {};
  return found->get<std::vector<std::string>>();
}

std::string user_text(const json& request, const json& image) {
  const std::string wanted = request.value("user", std::string());
  return wanted.empty() ? image.value("User", std::string()) : wanted;
}

json container_spec(const json& request, const json& image, const User& user) {
  if (request.value("init", false)) {
    throw Failure(SKEP_E_UNIMPLEMENTED, "an init process inside the container is not supported");
  }
  json spec = {{"ociVersion", "1.0.2"},
               {"process", process_member(request, image, user)},
               {"root", {{"path", "rootfs"}, {"readonly", request.value("read_only", false)}}},
               {"mounts", mounts(request)},
               {"linux", linux_member(request)}};
  if (const std::string host = request.value("hostname", std::string()); !host.empty()) {
    spec["hostname"] = host;
  }
  return spec;
}

json exec_process(const json& request, const json& spec, const User& user) {
  json process = spec.at("process");
  const bool tty = request.value("tty", false);
  process["terminal"] = tty;
  process["args"] = request.at("argv");
  if (!process["args"].is_array() || process["args"].empty()) {
    throw Failure(SKEP_E_INVALID, "No exec command specified");
  }
  std::vector<std::string> env = text_list(process, "env");
  if (tty) merge_env(env, {"TERM=xterm"});
  merge_env(env, text_list(request, "env"));
  process["env"] = env;
  if (const std::string directory = request.value("working_dir", std::string());
      !directory.empty()) {
    process["cwd"] = directory;
  }
  process["user"] = user_member(user);
  std::set<std::string> names =
      process.at("capabilities").at("bounding").get<std::set<std::string>>();
  if (request.value("privileged", false)) names = known_capabilities();
  process["capabilities"] = capability_sets(names, user.uid);
  if (tty && request.value("rows", 0) > 0 && request.value("cols", 0) > 0) {
    process["consoleSize"] = {{"height", request.at("rows")}, {"width", request.at("cols")}};
  }
  return process;
}

}  // namespace skep::containerd
