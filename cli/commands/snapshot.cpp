// `skep snapshot`: the whole cluster into a file, and a cluster out of one.
//
// The file holds the key of the cluster's root, so it is sealed with a passphrase unless --plain is
// asked for. It is written beside its place under another name and takes its place when all of it
// is on the disk: there is never half a file by its name. A passphrase is never an argument, where
// others could see it: it is asked for, or read from a file.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/commands/commands.hpp"
#include "cli/terminal.hpp"

namespace skep::cli {
namespace {

// As daemon/storage/archive.hpp has them.
constexpr std::string_view kMagic = "skep snapshot ";
constexpr std::string_view kSealedMark = "key scrypt\n";
constexpr size_t kMarkWithin = 64;
constexpr std::string_view kEnd = "skep end";

struct SecretOptions {
  std::optional<std::string> passphrase_file;
  bool plain = false;
};

tl::unexpected<Error> failure(const std::string& path) {
  return fail(ErrorKind::internal, path + ": " + std::strerror(errno));
}

// --- the passphrase ------------------------------------------------------------------------

// What JSON can't carry would arrive as something else, and another line as the same.
Result<std::string> as_text(std::string line) {
  try {
    static_cast<void>(Json(line).dump());
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorKind::invalid, "the passphrase is not text in UTF-8");
  }
  return line;
}

// The first line; "-" is standard input.
Result<std::string> passphrase_from(const std::string& path) {
  std::string line;
  bool read = false;
  if (path == "-") {
    read = static_cast<bool>(std::getline(std::cin, line));
  } else {
    std::ifstream file(path);
    if (!file) return fail(ErrorKind::invalid, "can't open " + path);
    read = static_cast<bool>(std::getline(file, line));
  }
  if (line.ends_with('\r')) line.pop_back();
  if (!read || line.empty()) return fail(ErrorKind::invalid, "there is no passphrase in " + path);
  return as_text(std::move(line));
}

Result<std::string> ask_passphrase(const std::string& prompt) {
  if (!is_terminal(STDIN_FILENO)) {
    return fail(ErrorKind::invalid,
                "there is no terminal to ask for the passphrase: give --passphrase-file FILE, or - "
                "for standard input");
  }
  SKEP_TRY_ASSIGN(std::string line, read_hidden_line(STDIN_FILENO, prompt));
  if (line.empty()) return fail(ErrorKind::invalid, "an empty passphrase protects nothing");
  return as_text(std::move(line));
}

Result<std::optional<std::string>> new_passphrase(const SecretOptions& options) {
  if (options.plain && options.passphrase_file) {
    return fail(ErrorKind::invalid, "--plain and --passphrase-file exclude each other");
  }
  if (options.plain) return std::optional<std::string>();
  if (options.passphrase_file) {
    SKEP_TRY_ASSIGN(std::string given, passphrase_from(*options.passphrase_file));
    return std::optional(std::move(given));
  }
  SKEP_TRY_ASSIGN(std::string first, ask_passphrase("Passphrase for the snapshot: "));
  SKEP_TRY_ASSIGN(const std::string again, ask_passphrase("The same again: "));
  if (first != again) return fail(ErrorKind::invalid, "the two passphrases are not the same");
  return std::optional(std::move(first));
}

// --- save ----------------------------------------------------------------------------------

// A file in the making; gone unless keep() is called.
class NewFile {
 public:
  static Result<NewFile> create(const std::string& path) {
    NewFile made;
    made.path_ = path;
    made.temporary_ = path + ".new";
    // Made by us or not at all: another's file would keep its owner and its mode.
    if (::unlink(made.temporary_.c_str()) != 0 && errno != ENOENT) return failure(made.temporary_);
    made.file_ =
        ::open(made.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (made.file_ < 0) return failure(made.temporary_);
    return made;
  }
  NewFile(NewFile&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::move(other.temporary_)),
        file_(std::exchange(other.file_, -1)) {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (file_ < 0) return;
    ::close(file_);
    ::unlink(temporary_.c_str());
  }

  Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failure(temporary_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

  Status keep() {
    if (::fsync(file_) != 0) return failure(temporary_);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failure(path_);
    ::close(std::exchange(file_, -1));
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return failure(folder);
    const bool synced = ::fsync(directory) == 0;
    const int why = errno;
    ::close(directory);
    errno = why;
    return synced ? Status() : failure(folder);
  }

 private:
  NewFile() = default;
  std::string path_;
  std::string temporary_;
  int file_ = -1;
};

Result<int> save(const SecretOptions& options, const std::string& path, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const std::optional<std::string> passphrase, new_passphrase(options));
  Json body = Json::object();
  if (passphrase) body["passphrase"] = *passphrase;
  if (options.plain) body["plain"] = true;
  SKEP_TRY_ASSIGN(NewFile file, NewFile::create(path));
  Status written;
  std::string end;
  uint64_t size = 0;
  const ChunkSink sink = [&](std::string_view chunk) {
    written = file.write(chunk);
    size += chunk.size();
    end += chunk.substr(chunk.size() - std::min(chunk.size(), kEnd.size()));
    end.erase(0, end.size() - std::min(end.size(), kEnd.size()));
    return written.has_value();
  };
  SKEP_TRY(daemon.download("/skep/v1/snapshot/save", body, sink));
  SKEP_TRY(written);
  if (end != kEnd) {
    return fail(ErrorKind::unavailable,
                "the daemon did not send all of the snapshot; nothing was kept");
  }
  SKEP_TRY(file.keep());
  std::printf("Saved the cluster to %s (%llu bytes%s).\n", path.c_str(),
              static_cast<unsigned long long>(size),
              options.plain ? ", not sealed: whoever reads it has the cluster's root key" : "");
  return 0;
}

// --- restore -------------------------------------------------------------------------------

struct RestoreOptions {
  SecretOptions secret;
  std::optional<std::string> listen;
  std::optional<std::string> advertise;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::invalid, "can't open " + path);
  std::ostringstream all;
  all << file.rdbuf();
  if (!file || !all) return fail(ErrorKind::invalid, "can't read " + path);
  return std::move(all).str();
}

Result<int> restore(const RestoreOptions& options, const std::string& path,
                    const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const std::string file, read_file(path));
  if (!file.starts_with(kMagic)) {
    return fail(ErrorKind::invalid, path + " is not a snapshot of a cluster");
  }
  Json head = {{"listen_addr", options.listen.value_or("")},
               {"advertise_addr", options.advertise.value_or("")}};
  const bool sealed =
      std::string_view(file).substr(0, kMarkWithin).find(kSealedMark) != std::string_view::npos;
  if (options.secret.passphrase_file) {
    SKEP_TRY_ASSIGN(head["passphrase"], passphrase_from(*options.secret.passphrase_file));
  } else if (sealed) {
    SKEP_TRY_ASSIGN(head["passphrase"], ask_passphrase("Passphrase of the snapshot: "));
  }
  SKEP_TRY_ASSIGN(const Json made,
                  daemon.upload("/skep/v1/snapshot/restore", compact(head) + "\n" + file));
  std::printf("Restored the cluster: this node (%s) is its only manager.\n",
              text_at(made, "/node").c_str());
  return 0;
}

}  // namespace

void add_snapshot_commands(Command root, const Session& session) {
  const Command group = root.group("snapshot", "Save and restore the whole cluster");

  const Command saving = group.command("save", "Save the cluster's state to a file",
                                       {.usage = "FILE", .min = 1, .max = 1});
  SecretOptions& secret = saving.own<SecretOptions>();
  saving.text("--passphrase-file", secret.passphrase_file, "string",
              "Take the passphrase from the first line of this file (- for standard input)");
  saving.flag("--plain", secret.plain,
              "Don't seal the file: whoever reads it has the cluster's root key");
  saving.run([&](const Words& words) { return save(secret, words[0], session); });

  const Command restoring =
      group.command("restore", "Make this machine the only manager of a saved cluster",
                    {.usage = "FILE", .min = 1, .max = 1});
  RestoreOptions& options = restoring.own<RestoreOptions>();
  restoring.text("--passphrase-file", options.secret.passphrase_file, "string",
                 "Take the passphrase from the first line of this file (- for standard input)");
  restoring.text("--advertise-addr", options.advertise, "string",
                 "Advertised address (format: \"<ip|interface>[:port]\")");
  restoring.text("--listen-addr", options.listen, "node-addr",
                 "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)");
  restoring.run([&](const Words& words) { return restore(options, words[0], session); });
}

}  // namespace skep::cli
