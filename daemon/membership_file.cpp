// JSON on disk, atomically.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/membership_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace skep {
namespace {

using json = nlohmann::json;

tl::unexpected<Error> io_error(const std::filesystem::path& file) {
  return fail(ErrorKind::internal, file.string() + ": " + std::strerror(errno));
}

// Throws json::exception when a member has another type.
MembershipFile membership_of(const json& document) {
  MembershipFile membership;
  membership.listen_address = document.value("listen", "");
  membership.advertise_address = document.value("advertise", "");
  membership.generation = {document.value("generation", uint64_t{0})};
  for (const json& entry : document.value("managers", json::array())) {
    agent::ManagerAddress manager;
    manager.address = entry.value("address", "");
    manager.node = model::NodeId::parse(entry.value("node", "")).value_or(model::NodeId{});
    membership.managers.push_back(std::move(manager));
  }
  return membership;
}

}  // namespace

Status save_membership(const std::filesystem::path& file, const MembershipFile& membership) {
  json document = {{"listen", membership.listen_address},
                   {"advertise", membership.advertise_address},
                   {"generation", membership.generation.value},
                   {"managers", json::array()}};
  for (const agent::ManagerAddress& manager : membership.managers) {
    document["managers"].push_back(
        {{"node", manager.node ? manager.node.str() : ""}, {"address", manager.address}});
  }
  const std::string text = document.dump(2) + "\n";
  const std::filesystem::path fresh = file.string() + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return io_error(fresh);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  errno = why;
  if (!written || ::rename(fresh.c_str(), file.c_str()) != 0) return io_error(file);
  // The name too must outlive a power cut: a certificate without this file keeps skepd from
  // starting.
  const std::filesystem::path folder = file.parent_path();
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return io_error(folder);
  const bool synced = ::fsync(directory) == 0;
  const int reason = errno;
  ::close(directory);
  errno = reason;
  if (!synced) return io_error(folder);
  return {};
}

Result<std::optional<MembershipFile>> load_membership(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return std::nullopt;
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  const json document = json::parse(text.str(), nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::internal, file.string() + " is not JSON");
  try {
    return membership_of(document);
  } catch (const json::exception& wrong) {
    return fail(ErrorKind::internal,
                file.string() + " does not hold what it should: " + wrong.what());
  }
}

}  // namespace skep
